"""What the documentation shows works as shown, and its pages fit together."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md")) + sorted((ROOT / "docs").glob("[ga]*/*.md"))
CODE = {
    page: re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL) for page in PAGES
}


@pytest.mark.parametrize(
    "page", [page for page, blocks in CODE.items() if blocks], ids=lambda page: page.stem
)
def test_python_blocks_run_in_order(page):
    names: dict[str, object] = {}
    for block in CODE[page]:
        exec(compile(block, page.name, "exec"), names)


def test_the_quickstart_has_code():
    assert len(CODE[ROOT / "docs" / "guide" / "quickstart.md"]) == 3


def test_every_page_is_in_the_navigation_and_exists():
    def paths(entry) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        parts = entry.values() if isinstance(entry, dict) else entry
        return [path for part in parts for path in paths(part)]

    shown = paths(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    assert {page.relative_to(ROOT / "docs").as_posix() for page in PAGES} <= set(shown)
    assert all((ROOT / "docs" / path).is_file() for path in shown)


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            inside = (page.parent / link).resolve().is_relative_to(ROOT / "docs")  # the site holds no more
            assert link.startswith("http") or (inside and (page.parent / link).exists()), (page.name, link)


def test_the_page_of_results_shows_whole_tables():
    text = (ROOT / "docs" / "guide" / "results.md").read_text(encoding="utf-8")
    shown = re.findall(r'^--8<-- "(.+?):(\d+):(\d+)"$', text, re.MULTILINE)
    assert len(shown) == 2
    for name, first, last in shown:
        lines = ["", *(ROOT / "docs" / name).read_text(encoding="utf-8").splitlines(), ""]
        table = lines[int(first) : int(last) + 1]
        assert table[0].startswith("| Method") and all(line.startswith("|") for line in table), name
        assert not lines[int(first) - 1] and not lines[int(last) + 1], name


def test_the_reference_names_modules_that_exist():
    for page in PAGES:
        for name in re.findall(r"^::: ([\w.]+)", page.read_text(encoding="utf-8"), re.MULTILINE):
            path = ROOT.joinpath(*name.split("."))
            assert path.with_suffix(".py").exists() or path.parent.with_suffix(".py").exists(), name


def test_examples_stand_under_the_heading_that_the_site_shows_as_code():
    sources = sorted((ROOT / "nexusflow").rglob("*.py"))
    texts = {path.name: path.read_text(encoding="utf-8") for path in sources}
    assert [name for name, text in texts.items() if re.search(r"^ +Example:$", text, re.MULTILINE)] == []
    assert any(re.search(r"^ +Examples:$", text, re.MULTILINE) for text in texts.values())


def test_the_versions_agree():
    version = re.search(
        r'__version__ = "(.*?)"', (ROOT / "nexusflow" / "__init__.py").read_text(encoding="utf-8")
    )
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert version and citation["version"] == version[1]
    assert f"## {version[1]}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_site_is_built(tmp_path):
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT)
    assert "lipschitz" in (tmp_path / "api" / "flows" / "index.html").read_text(encoding="utf-8")
    assert "Full supervision" in (tmp_path / "guide" / "results" / "index.html").read_text(encoding="utf-8")
