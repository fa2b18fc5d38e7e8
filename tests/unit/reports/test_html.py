"""The HTML report as a file: self-contained, escaped, readable by everybody; what it says is in test_html_page."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crashcart.events import AnyEvent, Decided, RunFinished
from crashcart.journal.lines import Line
from crashcart.journal.recall import PastRun
from crashcart.reports.html import html
from crashcart.reports.html_template import resource
from crashcart.reports.text import visible
from crashcart.results import Change, Evidence, Outcome
from tests.unit.reports import timed
from tests.unit.reports.pages import Parsed
from tests.unit.reports.runs import result
from tests.unit.reports.test_junit import HOSTILE, SAID, past

SCENES = [timed.ok, timed.failed, timed.check, timed.triage, timed.outage, timed.killed, timed.resumed]
ATTACK = (
    "</script></style></title><script>alert(1)</script><img src=x onerror=alert(1)>\"'><svg onload=alert(1)>&lt; {{ 7*7 }}"
)

scenes = pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)


def hostile(said: str) -> PastRun:
    """A run in which every text that may come from elsewhere is ``said``."""
    found = Evidence(said, said, said, (said, said))
    fields = {"evidence": (found,), "changes": (Change(said, said, f"{said}\n{said}"),), "hint": said}
    results = [result(f"web{said}", Outcome.FAILED, said, **fields), result(said, Outcome.CHANGED, said)]
    return past(results, reason=said, incident=said, parameters={said: said, "list": [said]})


@scenes
def test_it_is_well_formed_and_loads_nothing(scene: Callable[[], PastRun]) -> None:
    page = Parsed(html(scene()))
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"img", "iframe", "object", "embed", "video", "audio", "base", "a:link"}
    assert [link["href"] for link in page.attributes("link")] == ["data:,"]
    assert [anchor["href"] for anchor in page.attributes("a")] == ["#targets"]
    assert not any(key.startswith("on") or key in {"style", "src"} for _, found in page.elements for key in found)
    assert "http" not in resource("style.css") + resource("report.js")


def test_only_its_own_style_and_script_may_run() -> None:
    page = Parsed(html(timed.ok()))
    policy = next(meta["content"] for meta in page.attributes("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert (rules["default-src"], rules["base-uri"], rules["form-action"]) == ("'none'", "'none'", "'none'")
    for kind in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(page.resources[kind].encode()).digest()).decode()
        assert rules[f"{kind}-src"] == f"'sha256-{digest}'"


def test_the_same_journal_gives_the_same_bytes() -> None:
    assert html(timed.failed()) == html(timed.failed())


@pytest.mark.parametrize("said", [ATTACK, HOSTILE], ids=["markup", "control characters"])
def test_what_hosts_say_is_shown_and_never_means_anything(said: str) -> None:
    page, harmless = Parsed(html(hostile(said))), Parsed(html(hostile("x")))
    assert sorted({tag for tag, _ in page.elements}) == sorted({tag for tag, _ in harmless.elements})
    assert len(page.attributes("script")) == 1
    assert not any(key.startswith("on") for _, found in page.elements for key in found)
    assert " ".join(visible(said).split()) in page.text
    assert all(character.isprintable() or character == "\n" for character in "".join(page.texts))
    assert all((value or "").isprintable() for _, found in page.elements for value in found.values())


@settings(max_examples=12, deadline=None)
@given(SAID)
def test_any_text_leaves_the_page_as_it_is(said: str) -> None:
    plain, told = Parsed(html(hostile("x"))), Parsed(html(hostile(f"x{said}x")))
    shape = [tag for tag, _ in plain.elements if tag not in {"li", "bdi", "span"}]
    assert [tag for tag, _ in told.elements if tag not in {"li", "bdi", "span"}] == shape


@settings(max_examples=12, deadline=None)
@given(st.text(max_size=30))
def test_texts_that_only_the_journal_has_are_escaped_too(said: str) -> None:
    run = timed.ok()
    events: list[AnyEvent] = [Decided("web1", timed.RESTART.name, said, said), RunFinished(said, 1, said, {}, 1.0)]
    more = [Line(90 + place, "", run.lines[-1].head, event) for place, event in enumerate(events)]
    page = Parsed(html(PastRun(run.path, (*run.lines[:-1], *more))))
    assert len(page.attributes("script")) == 1


@scenes
def test_it_has_landmarks_headings_in_order_and_names_for_everything(scene: Callable[[], PastRun]) -> None:
    page = Parsed(html(scene()))
    assert all(len(page.attributes(landmark)) == 1 for landmark in ("header", "main", "footer", "h1"))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = {found["id"] for _, found in page.elements if found.get("id")}
    named = [found["aria-labelledby"] for _, found in page.elements if "aria-labelledby" in found]
    labelled = {found["for"] for found in page.attributes("label")}
    assert set(named) <= ids
    assert {found["id"] for found in page.attributes("input")} <= labelled
    assert page.attributes("html")[0]["lang"] == "en"
    assert all(found.get("scope") in {"col", "row"} for found in page.attributes("th"))


def test_without_its_script_nothing_is_hidden_but_the_search() -> None:
    page = Parsed(html(timed.failed()))
    assert [tag for tag, found in page.elements if "hidden" in found] == ["form"]


# Contrast: WCAG 2.2, 1.4.3 (text, 4.5) and 1.4.11 (what has a meaning, 3).

TEXTS = ("ink", "soft", "good", "changed", "would", "warning", "unsure", "bad", "quiet", "focus")
SHAPES = ("edge", "bar-observe", "bar-wait", "bar-act", "bar-verify", "bar-undo")


def themes() -> dict[str, dict[str, str]]:
    """The colours of each theme; dark and print name those that they change."""
    style = resource("style.css")
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    light, dark, paper = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", block)) for block in blocks)
    return {"light": light, "dark": {**light, **dark}, "print": {**light, **paper}}


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
@pytest.mark.parametrize("ground", ["paper", "panel"])
def test_texts_and_shapes_stand_out(theme: str, ground: str) -> None:
    colours = themes()[theme]
    weak = {name: contrast(colours[name], colours[ground]) for name in TEXTS}
    faint = {name: contrast(colours[name], colours[ground]) for name in SHAPES}
    assert {name: ratio for name, ratio in weak.items() if ratio < 4.5} == {}
    assert {name: ratio for name, ratio in faint.items() if ratio < 3.0} == {}


def test_no_colour_is_named_outside_of_the_tokens() -> None:
    style = re.sub(r":root \{.*?\}", "", resource("style.css"), flags=re.DOTALL)
    assert re.findall(r"#[0-9a-f]{3,8}\b", style) == []


def test_nothing_moves() -> None:
    style = resource("style.css")
    assert not re.search(r"@keyframes|(animation|transition): (?!none)", style)
    assert "prefers-reduced-motion" in style
