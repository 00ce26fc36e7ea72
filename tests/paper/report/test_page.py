"""The page holds everything, needs no other file and is the same for the same results."""

import re
from html.parser import HTMLParser
from pathlib import Path

from nexusflow.paper.report.page import render_report, write_report
from nexusflow.paper.report.present import PresentFiles, find_files
from tests.paper.report.fabricate import MARKUP, source

VOID = {"meta", "link", "img", "input", "br", "path", "polyline"}


class Outline(HTMLParser):
    """Collects ids, links and attributes, and checks that tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.tags: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.ids += [str(found["id"])] if "id" in found else []
        self.targets += [str(found[name]) for name in ("href", "src") if name in found]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_page_is_whole(results: Path) -> None:
    page = Outline(render_report(find_files(results), source()))
    assert page.open == [] and len(page.ids) == len(set(page.ids))
    links = [target for target in page.targets if target.startswith("#")]
    assert {target[1:] for target in links} <= set(page.ids)
    assert all(target.startswith(("#", "data:")) for target in page.targets)
    assert page.tags.count("script") == 2 and page.tags.count("img") == 4
    assert any(target.startswith("data:image/gif") for target in page.targets)
    for text in ("Table 2. nuScenes, S-Geo partition", "69.9 ± 0.2", "Full supervision", "c0dec0dec0de"):
        assert text in page.words
    for section in ("about", "claims", "tables", "figures", "curves", "runs", "cost", "missing"):
        assert section in page.ids


def test_what_results_hold_is_text_and_never_markup(results: Path) -> None:
    text = render_report(find_files(results), source())
    assert MARKUP not in text and "<script>alert" not in text
    assert MARKUP in Outline(text).words


def test_the_same_results_give_the_same_page(results: Path, tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        write_report(find_files(results), source(), tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert "http" not in re.sub(r"http-equiv", "", (tmp_path / "a.html").read_text())
    assert str(tmp_path) not in (tmp_path / "a.html").read_text()


def test_scale_data_seeds_and_the_papers_data_come_first(results: Path) -> None:
    words = " ".join(Outline(render_report(find_files(results), source())).words.split())
    top = words[: words.index("Claims of the paper A claim")]
    for text in (
        "Results at the scale smoke",
        "Invented worlds.",
        "invented rooms",
        "asked for: 0, 1",
        "are of another data set",
    ):
        assert text in top


def test_missing_outputs_are_named_with_their_command(results: Path) -> None:
    page = Outline(render_report(find_files(results), source()))
    missing = page.words[page.words.rindex("Not made yet") :]
    assert "snakemake --cores all results/smoke/gap_sweep.csv" in missing
    assert "snakemake --cores all results/smoke/collapse.png" in missing
    assert "trains further models" in missing and "table2.csv" not in missing


def test_without_any_result_the_page_says_how_to_make_them() -> None:
    page = Outline(render_report(PresentFiles(), source()))
    assert page.open == [] and page.tags.count("img") == 1
    commands = [line for line in page.words.splitlines() if "snakemake --cores all" in line]
    assert len(commands) == 8
