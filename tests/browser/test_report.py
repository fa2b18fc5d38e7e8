"""The HTML report in a real browser: it opens quietly, opens its rows, filters, prints, fits a phone, and is fast."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from crashcart.journal.recall import PastRun
from crashcart.reports.drill_scores import History
from crashcart.reports.html import html
from crashcart.reports.html_scores import scores_html
from tests.browser.chromium import Chromium
from tests.browser.conftest import Written
from tests.unit.reports import timed
from tests.unit.reports.test_html import ATTACK, SCENES, hostile, themes
from tests.unit.reports.test_html_scores import declared, drilled, fault

MOST_BYTES = 4_000_000
"""A page about 1,000 targets; a phone takes that over a bad link in some seconds."""

MOST_SECONDS = 10.0
"""For opening such a page; measured 0.5 s on an idle machine, 1.2 s at a phone's width."""

MOST_MILLISECONDS = 1000.0
"""For filtering it, layout included; measured 33 ms."""

PHONE = 360

FILTER = """(() => {
  const began = performance.now();
  const find = document.getElementById("find");
  find.value = "node0021";
  find.dispatchEvent(new Event("input"));
  document.body.getBoundingClientRect();
  return performance.now() - began;
})()"""
"""Types into the search, and tells how many milliseconds it took until the page was laid out again."""

scenes = pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)


def overflow(chromium: Chromium) -> int:
    """By how many pixels the page is wider than its window."""
    return int(chromium.ask("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def colour(chromium: Chromium, selector: str, of: str) -> str:
    """A computed colour, as the tokens are written."""
    said = chromium.ask(f"getComputedStyle(document.querySelector('{selector}'))['{of}']")
    parts = said.removeprefix("rgb(").removesuffix(")").split(",")
    return "#" + "".join(f"{int(part):02x}" for part in parts)


@scenes
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_opens_without_an_error_and_asks_the_network_for_nothing(
    chromium: Chromium, written: Written, scene: Callable[[], PastRun], dark: bool
) -> None:
    page = written(scene)
    chromium.open(page, dark=dark)
    assert chromium.errors() == []
    assert chromium.requests() == [page.as_uri()]
    assert colour(chromium, "html", "backgroundColor") == themes()["dark" if dark else "light"]["paper"]
    assert overflow(chromium) <= 0


def test_a_row_opens_by_keyboard_and_by_click(chromium: Chromium, written: Written) -> None:
    chromium.open(written(timed.failed))
    assert chromium.visible(".steps") == 0
    first, second = chromium.all("summary")[:2]
    first.send_keys(Keys.ENTER)
    assert chromium.visible(".steps") == 1
    second.click()
    assert chromium.visible(".steps") == 2
    assert "put api.service back to failed" in chromium.one(".opened").text
    first.send_keys(Keys.ENTER)
    assert chromium.visible(".steps") == 1


def test_of_many_bad_targets_the_worst_are_open_and_the_others_say_what_changed(
    chromium: Chromium, written: Written
) -> None:
    chromium.open(written(timed.outage))
    shown = "[...document.querySelectorAll('.found')].map(e => e.checkVisibility() ? e.textContent : '')"
    assert chromium.ask("document.querySelectorAll('details[open]').length") == 3
    changed = [f"changed lately: 02:40:5{n} UTC package upgrade nginx:amd64 1.24.0-1 1.26.0-2" for n in (4, 5)]
    assert chromium.ask(shown) == ["", "", "", *changed, "planned: pending maintenance: system-update"]


def test_every_control_is_reached_by_keyboard_and_shows_it(chromium: Chromium, written: Written) -> None:
    chromium.open(written(timed.ok))
    reached = []
    for _ in range(8):
        chromium.driver.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(chromium.ask("document.activeElement.tagName + document.activeElement.id"))
        assert chromium.ask("getComputedStyle(document.activeElement).outlineStyle") != "none" or reached[-1] == "A"
    assert reached == ["A", "BUTTON", "BUTTON", "INPUTfind", "BUTTONopen-all", "SUMMARY", "SUMMARY", "SUMMARY"]


def test_outcomes_filter(chromium: Chromium, written: Written) -> None:
    chromium.open(written(timed.failed))
    failed, unreachable = chromium.all("#counts button")[:2]
    failed.click()
    assert chromium.visible(".target") == 2
    unreachable.click()
    assert chromium.visible(".target") == 3
    assert chromium.one("#found").text == "3 of 12 shown"
    assert failed.get_attribute("aria-pressed") == "true"
    failed.click()
    unreachable.click()
    assert (chromium.visible(".target"), chromium.one("#found").text) == (12, "")


def test_text_filters_by_name_message_and_evidence(chromium: Chromium, written: Written) -> None:
    chromium.open(written(timed.failed))
    find = chromium.one("#find")
    for text, shown in (("WEB02", 1), ("connect refused", 1), ("1-status.txt", 3), ("web0 not needed", 5), ("nonsense", 0)):
        find.clear()
        find.send_keys(text)
        assert chromium.visible(".target") == shown, text
    assert chromium.visible(".group") == 0
    assert chromium.errors() == []


def test_all_that_is_shown_opens_and_closes_at_once(chromium: Chromium, written: Written) -> None:
    chromium.open(written(timed.failed))
    chromium.one("#counts button").click()
    button = chromium.one("#open-all")
    button.click()
    assert (chromium.visible(".steps"), button.get_attribute("aria-pressed")) == (2, "true")
    button.click()
    assert (chromium.visible(".steps"), button.get_attribute("aria-pressed")) == (0, "false")


def test_without_javascript_everything_is_there(chromium: Chromium, written: Written) -> None:
    chromium.open(written(timed.failed), script=False)
    assert chromium.visible(".target") == 12
    assert chromium.visible("form") == chromium.visible("button") == 0
    assert "2 failed" in chromium.one("#counts").text
    chromium.one("summary").click()
    assert chromium.visible(".steps") == 1


def test_a_phone_needs_no_sideways_scrolling(chromium: Chromium, written: Written, tmp_path: Path) -> None:
    for page in (
        written(timed.failed),
        written(timed.ok),
        written(timed.outage),
        _page(tmp_path, hostile("A" * 300)),
        _page(tmp_path, hostile(ATTACK)),
    ):
        chromium.open(page, width=PHONE, height=740)
        assert overflow(chromium) <= 0
        chromium.one("#open-all").click()
        assert overflow(chromium) <= 0
        chromium.ask("window.controls = [...document.querySelectorAll('button, input, .target summary')]; 1")
        assert chromium.ask("controls.filter(e => e.getBoundingClientRect().height < 44).length") == 0


def test_hostile_texts_run_nothing_and_the_policy_is_in_force(chromium: Chromium, tmp_path: Path) -> None:
    chromium.open(_page(tmp_path, hostile(ATTACK)))
    assert chromium.errors() == []
    assert chromium.ask("document.querySelectorAll('img, script:not(:last-of-type)').length") == 0
    chromium.ask("document.body.append(Object.assign(document.createElement('script'), {text: 'window.evil = 1'}))")
    assert chromium.ask("window.evil") is None
    assert any("Content Security Policy" in error for error in chromium.errors())


def test_assistive_technology_finds_names_for_everything(chromium: Chromium, written: Written) -> None:
    chromium.open(written(timed.failed))
    nodes = [node for node in chromium.accessible() if not node.ignored]
    roles = [node.role for node in nodes]
    assert all(roles.count(role) == 1 for role in ("banner", "main", "contentinfo", "search"))
    nameless = {node.role for node in nodes if not node.name.strip()}
    assert not nameless & {"button", "searchbox", "link", "heading", "region", "DisclosureTriangle"}
    assert any(node.name.startswith("web02.eu-west-1.prod.example.com failed: 503") for node in nodes)


def test_paper_shows_what_is_closed_and_leaves_the_tools_out(chromium: Chromium, written: Written) -> None:
    chromium.open(written(timed.failed))
    chromium.media("print")
    assert chromium.visible(".steps") == 12
    assert chromium.visible("form") == 0
    assert colour(chromium, "html", "backgroundColor") == "#ffffff"
    assert chromium.pdf().startswith(b"%PDF-")


def test_paper_is_white_in_the_dark_too(chromium: Chromium, written: Written) -> None:
    chromium.open(written(timed.failed), dark=True)
    chromium.media("print", dark=True)
    assert colour(chromium, "html", "backgroundColor") == "#ffffff"
    assert colour(chromium, "html", "color") == "#000000"


def test_a_thousand_targets_stay_usable(chromium: Chromium, written: Written) -> None:
    page = written(timed.many)
    assert page.stat().st_size < MOST_BYTES
    assert _seconds(lambda: chromium.open(page)) < MOST_SECONDS
    assert chromium.visible(".target") == 1000
    assert chromium.ask(FILTER) < MOST_MILLISECONDS
    assert chromium.visible(".target") == 1
    chromium.open(page, width=PHONE, height=740)
    assert overflow(chromium) <= 0
    chromium.media("print")
    assert chromium.visible(".steps") == 9, "only those that need attention"
    assert chromium.errors() == []


@pytest.mark.parametrize("width", [PHONE, 1280])
def test_the_page_of_drills_opens_quietly_at_every_width(chromium: Chromium, tmp_path: Path, width: int) -> None:
    page = tmp_path / "drills.html"
    records = (drilled(9, fault()), drilled(8, fault(passed=False, problems=("A" * 300,))))
    stored = History(declared("full", "inodes"), records, ("x.json",))
    page.write_bytes(scores_html(stored, datetime(2030, 6, 1, tzinfo=UTC)))
    chromium.open(page, width=width)
    chromium.one("summary").click()
    assert "1 of the last 2 passed" in chromium.one(".story").text
    assert overflow(chromium) <= 0
    assert (chromium.errors(), chromium.requests()) == ([], [page.as_uri()])


def _page(folder: Path, run: PastRun) -> Path:
    page = folder / "page.html"
    page.write_bytes(html(run))
    return page


def _seconds(work: Callable[[], None]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began
