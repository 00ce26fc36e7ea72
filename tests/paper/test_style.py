"""Style: importers' settings untouched, equal figures give equal bytes, also in another process."""

import hashlib
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest

from nexusflow.core.errors import UserError
from nexusflow.paper.style import heading, new_figure, paper_style, run_colours, save_figure

SCRIPT = """
import sys
from pathlib import Path
from nexusflow.paper.style import heading, new_figure, paper_style, save_figure
with paper_style():
    fig = new_figure(4, 3)
    fig.subplots().plot([1, 2, 4])
    heading(fig, "Title", "source")
save_figure(fig, [Path(path) for path in sys.argv[1:]], dpi=60)
"""


def test_settings_of_the_importer_are_untouched(tmp_path: Path) -> None:
    with mpl.rc_context({"font.size": 23.0}):
        before = dict(mpl.rcParams)
        with paper_style():
            assert mpl.rcParams["font.size"] != 23.0
            fig = new_figure(2, 2)
            fig.subplots()
        save_figure(fig, [tmp_path / "a.png"], 50)
        assert dict(mpl.rcParams) == before


def test_bytes_are_equal_in_two_processes_and_name_no_version(tmp_path: Path) -> None:
    digests = []
    for name, seed in (("a", "1"), ("b", "2")):
        paths = [tmp_path / f"{name}.png", tmp_path / f"{name}.pdf"]
        environment = {"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
        environment["MPLCONFIGDIR"] = str(tmp_path / "mpl")
        command = [sys.executable, "-c", SCRIPT, *map(str, paths)]
        subprocess.run(command, check=True, env=environment, cwd=Path(__file__).parents[2])
        digests.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in paths])
        for path in paths:
            assert b"atplotlib" not in path.read_bytes()
        assert b"CreationDate" not in paths[1].read_bytes()
    assert digests[0] == digests[1]


def test_other_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.jpg: figures are written as \.png or \.pdf"):
        save_figure(new_figure(1, 1), [tmp_path / "a.jpg"])
    assert list(tmp_path.iterdir()) == []


def test_runs_keep_their_colours() -> None:
    alone = run_colours(["baseline"])["baseline"]
    together = run_colours(["x", "baseline", "y", "full"])
    assert together["baseline"] == alone
    assert len(set(together.values())) == 4


def test_long_sources_are_wrapped() -> None:
    fig = new_figure(4, 3)
    heading(fig, "Title", "word " * 40)
    lines = fig.texts[-1].get_text().split("\n")
    assert len(lines) > 1 and max(map(len, lines)) <= 52
