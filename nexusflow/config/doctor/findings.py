"""One line of the doctor's report, and the report as a table or as plain lines."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "act", "must_act", "note", "ok", "show"]

_COLOURS = {"ok": "green", "note": "yellow", "act": "bold red"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: ok; note, something to know; act, something must be done.
        subject: what was looked at, in a few words.
        text: what was found.
        advice: what to do, one sentence; empty if nothing is to be done.
    """

    level: Literal["ok", "note", "act"]
    subject: str
    text: str
    advice: str = ""


def ok(subject: str, text: str) -> Finding:
    """Report that nothing is wrong."""
    return Finding("ok", subject, text)


def note(subject: str, text: str, advice: str = "") -> Finding:
    """Report something to know, about which nothing must be done."""
    return Finding("note", subject, text, advice)


def act(subject: str, text: str, advice: str) -> Finding:
    """Report something about which something must be done."""
    return Finding("act", subject, text, advice)


def must_act(findings: Sequence[Finding]) -> bool:
    """Tell whether something must be done.

    Args:
        findings: all findings.

    Returns:
        True if one of them asks for it.
    """
    return any(finding.level == "act" for finding in findings)


def _plain(findings: Sequence[Finding]) -> None:
    for finding in findings:
        advice = f" -> {finding.advice}" if finding.advice else ""
        print(f"{finding.level:<4} {finding.subject}: {finding.text}{advice}")


def show(findings: Sequence[Finding]) -> None:
    """Print findings: a table on a terminal, one line each elsewhere.

    Args:
        findings: all findings, in the order in which they are shown.
    """
    if not sys.stdout.isatty():
        _plain(findings)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("", "what", "found", "what to do")
    for finding in findings:
        level = Text(finding.level, _COLOURS[finding.level])
        # As text, so that brackets in paths are no markup.
        table.add_row(level, Text(finding.subject), Text(finding.text), Text(finding.advice))
    Console().print(table)
