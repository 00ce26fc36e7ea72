"""The report: plain lines without a terminal, a table on one."""

import pytest

from nexusflow.config.doctor.findings import act, must_act, note, ok, show

FINDINGS = [ok("Python", "3.11.9"), note("GPU", "none"), act("disk", "0.1 GB free", "free 4 GB")]


def test_plain_lines_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show(FINDINGS)
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["ok   Python: 3.11.9", "note GPU: none", "act  disk: 0.1 GB free -> free 4 GB"]


def test_a_table_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    show([*FINDINGS, act("results/[smoke]", "stale", "make it again")])
    text = capsys.readouterr().out
    assert "what to do" in text and "free 4 GB" in text and "results/[smoke]" in text


def test_only_what_must_be_done_counts() -> None:
    assert must_act(FINDINGS) and not must_act(FINDINGS[:2])
