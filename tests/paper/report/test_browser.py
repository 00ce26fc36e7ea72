"""The page in a browser: nothing fails, filters and sorting work by keyboard, a phone shows it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nexusflow.paper.report.page import write_report
from nexusflow.paper.report.present import find_files
from tests.paper.report.chromium import Chromium, find_chromium
from tests.paper.report.fabricate import source

BINARY = find_chromium()
pytestmark = pytest.mark.skipif(
    BINARY is None, reason="no browser: chromium, chromium-browser or google-chrome must be on the PATH"
)


@pytest.fixture(scope="module")
def address(results: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(find_files(results), source(), path)
    return path.as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    assert BINARY is not None
    chromium = Chromium(BINARY, tmp_path_factory.mktemp("profile"))
    yield chromium
    chromium.close()


@pytest.fixture
def page(browser: Chromium, address: str) -> Chromium:
    browser.size(1280, 900)
    browser.scheme("light")
    browser.open(address)
    browser.value("try { localStorage.clear() } catch (error) {}")
    browser.open(address)
    return browser


def test_nothing_fails_and_nothing_is_fetched(page: Chromium) -> None:
    page.value("new Promise((done) => setTimeout(done, 200))")
    methods = [event.get("method") for event in page.events]
    assert "Runtime.exceptionThrown" not in methods
    logged = [
        e["params"] for e in page.events if e.get("method") in ("Log.entryAdded", "Runtime.consoleAPICalled")
    ]
    assert logged == []
    fetched = [
        event["params"]["request"]["url"]
        for event in page.events
        if event.get("method") == "Network.requestWillBeSent"
    ]
    assert fetched and all(url.startswith(("file:", "data:")) for url in fetched)
    assert sum(url.startswith("file:") for url in fetched) == 1


def test_every_picture_is_there(page: Chromium) -> None:
    sizes = page.value(
        "[...document.querySelectorAll('figure img')].map((i) => [i.complete, i.naturalWidth])"
    )
    assert sizes == [[True, 1600], [True, 30], [True, 60]]
    assert page.value("[...document.querySelectorAll('figure img')].every((i) => i.alt.length > 5)")


def shown(page: Chromium) -> list[str]:
    return page.value("[...document.querySelectorAll('#claim-list > li:not([hidden])')].map((c) => c.id)")


def test_filters_and_search_narrow_the_claims(page: Chromium) -> None:
    everything = shown(page)
    page.value("document.getElementById('f-text').focus()")
    page.call("Input.insertText", text="AMOTA mtpsl")
    assert "claim-amota_over_mtpsl" in shown(page) and 0 < len(shown(page)) < len(everything)
    page.value(
        "const s = document.getElementById('f-verdict'); s.value = 'impossible as printed';"
        "s.dispatchEvent(new Event('input', { bubbles: true }))"
    )
    few = shown(page)
    verdicts = page.value(
        "[...document.querySelectorAll('#claim-list > li:not([hidden])')].map((c) => c.dataset.verdict)"
    )
    assert set(verdicts) <= {"impossible as printed"}
    assert (
        page.value("document.getElementById('f-count').textContent")
        == f"{len(few)} of {len(everything)} claims"
    )
    page.value("document.querySelector('#filters button[type=reset]').click()")
    page.value("new Promise((done) => setTimeout(done, 50))")
    assert shown(page) == everything


def column(page: Chromium, number: int) -> list[str]:
    rows = "[...document.querySelector('#table-table2 table').tBodies[0].rows]"
    return page.value(f"{rows}.map((r) => r.cells[{number}].textContent)")


def test_tables_are_sorted_by_keyboard(page: Chromium) -> None:
    head = "document.querySelectorAll('#table-table2 table')[0].tHead.rows[0].cells[2]"
    assert page.value(f"{head}.textContent").startswith("AMOTA")
    page.value(f"{head}.querySelector('button').focus()")
    assert page.value(f"{head}.getAttribute('aria-sort')") is None
    page.press("Enter", 13, "\r")
    assert page.value(f"{head}.getAttribute('aria-sort')") == "ascending"
    assert column(page, 2) == ["0.250 ± 0.040", "0.500 ± 0.010", "–"]
    page.press("Enter", 13, "\r")
    assert page.value(f"{head}.getAttribute('aria-sort')") == "descending"
    assert column(page, 2) == ["0.500 ± 0.010", "0.250 ± 0.040", "–"]
    assert page.value("document.querySelectorAll('#table-table2 [aria-sort]').length") == 1


def test_the_first_stop_of_the_keyboard_skips_to_the_content(page: Chromium) -> None:
    page.press("Tab", 9)
    assert page.value("document.activeElement.className") == "skip"
    assert page.value("document.activeElement.getBoundingClientRect().top >= 0")
    assert page.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.press("Enter", 13, "\r")
    assert page.value("document.activeElement.id") == "main"


def test_a_figure_is_enlarged_and_closed_by_keyboard(page: Chromium) -> None:
    page.value("document.querySelector('button.zoom').focus()")
    page.press("Enter", 13, "\r")
    assert page.value("document.getElementById('large').open")
    page.press("Escape", 27)
    page.value("new Promise((done) => setTimeout(done, 50))")
    assert not page.value("document.getElementById('large').open")


GROUND = "getComputedStyle(document.body).backgroundColor"


def test_the_theme_follows_the_system_until_the_button_is_pressed(page: Chromium) -> None:
    light = page.value(GROUND)
    page.scheme("dark")
    dark = page.value(GROUND)
    assert light != dark
    page.value("document.getElementById('theme').click()")
    assert page.value(GROUND) == light
    page.value("document.getElementById('theme').click()")
    assert page.value(GROUND) == dark


@pytest.mark.parametrize("width", [390, 820, 1280])
def test_the_page_is_never_wider_than_the_window(page: Chromium, address: str, width: int) -> None:
    page.size(width, 844, mobile=width < 1000)
    page.open(address)
    page.value("document.querySelectorAll('details').forEach((d) => { d.open = true })")
    assert page.value("document.documentElement.scrollWidth") <= width
    beyond = (
        "[...document.querySelectorAll('main *')].filter((e) => !e.closest('.scroll, .hidden')"
        f" && e.getBoundingClientRect().right > {width} + 1).map((e) => e.outerHTML.slice(0, 80))"
    )
    assert page.value(beyond) == []
