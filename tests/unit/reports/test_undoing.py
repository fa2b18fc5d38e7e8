"""What was done and could be taken back is told at the end, exactly; what was taken back already is not."""

from __future__ import annotations

from typing import Any

from crashcart.events import Acted, AnyEvent, Intended, StepFinished, UndoBegun
from crashcart.plan import Undo
from crashcart.reports.diff import diff_tones
from crashcart.reports.html import html
from crashcart.reports.html_page import make_page
from crashcart.reports.markdown import markdown
from crashcart.reports.tones import Tone
from crashcart.results import Change, Mode, Outcome, Phase, StepResult, TargetResult
from tests.unit.reports.runs import HASH, RUN, ended, finished, plain, result, started
from tests.unit.reports.test_junit import replayed

UNDO = Undo("lamp.off", {"room": "hall"}, "switch it off")


def act(name: str, answer: str = "applied", undo: Undo = UNDO) -> list[AnyEvent]:
    intended = Intended(name, "switch", "on", "once", "switch the lamp on", "off", undo=undo)
    return [intended, Acted(name, "switch", "on", answer)]


def told(events: list[AnyEvent], *names: str, **options: Any) -> list[str]:
    results = [result(name, Outcome.CHANGED) for name in names]
    text = plain([started(*names, **options), *events, *finished(*results), ended(results)])
    return [line for line in text.splitlines() if line.startswith(("undo ", "call "))]


def test_the_newest_is_told_first_with_the_command_that_takes_it_back() -> None:
    assert told([*act("a"), *act("b")], "a", "b") == [
        f"undo         b: switch it off (hint: inv runs.undo {RUN})",
        "undo         a: switch it off",
    ]


def test_with_diff_the_call_is_told_too() -> None:
    assert told(act("a"), "a", diff=True)[1] == 'call         a: lamp.off {"room":"hall"}'


def test_what_was_not_done_or_is_taken_back_already_is_not_told() -> None:
    assert told(act("a", "rejected"), "a") == []
    assert told([*act("a"), UndoBegun("a", "failed", ())], "a") == []
    assert len(told(act("a", "in_doubt"), "a")) == 1


def test_of_many_the_same_is_told_once_and_different_values_apart() -> None:
    names = [f"t{number}" for number in range(1000)]
    events = [event for name in names for event in act(name)]
    other = act("odd", undo=Undo("lamp.dim", {"to": 5}, "dim it to 5"))
    assert [line[13:60] for line in told([*events, *other], *names, "odd")] == [
        f"odd: dim it to 5 (hint: inv runs.undo {RUN})"[:47],
        "1000 targets (t999, t998, t997, t996, t995 and 995 more): switch it off"[:47],
    ]


def test_check_mode_says_how_it_would_be_taken_back() -> None:
    step = StepResult("switch", "lamp.on", Phase.STEP, Outcome.WOULD_CHANGE, "switch it on", undo="switch it off")
    wish = TargetResult.of("a", "linux", [step])
    text = plain([started("a", mode=Mode.CHECK), StepFinished("a", step), *finished(wish), ended([wish])])
    assert "undo         a: switch it off" in text.split("===")[-1]
    assert text.endswith(f"sha256 {HASH}\n")


def test_a_diff_is_unified_and_each_line_has_its_tone() -> None:
    lines = diff_tones(Change("/etc/lamp", "a\nb\nc\n", "a\nB\x1b[2J\nc\n"))
    assert lines == [
        ("/etc/lamp: @@ -1,3 +1,3 @@", Tone.QUIET),
        ("/etc/lamp:   a", Tone.PLAIN),
        ("/etc/lamp: - b", Tone.BAD),
        (r"/etc/lamp: + B\x1b[2J", Tone.GOOD),
        ("/etc/lamp:   c", Tone.PLAIN),
    ]
    assert diff_tones(Change("lamp", "- off", "+ on")) == [("lamp: - off -> + on", Tone.PLAIN)]


def test_the_pages_of_a_past_run_tell_it_too() -> None:
    results = [result("web1", Outcome.CHANGED)]
    run = replayed([started("web1"), *act("web1"), *finished(*results), ended(results)])
    (notice,) = make_page(run).undos
    assert (notice.subject, notice.message, notice.hint) == ("web1", "switch it off", f"inv runs.undo {RUN}")
    assert "| `web1` | `switch it off` |" in markdown(run)
    assert f"inv runs.undo {RUN}" in markdown(run)
    assert b"How to take it back" in html(run)


def test_the_page_of_a_check_says_how_each_step_would_be_taken_back() -> None:
    step = StepResult("switch", "lamp.on", Phase.STEP, Outcome.WOULD_CHANGE, "switch it on", undo="switch it off")
    wish = TargetResult.of("a", "linux", [step])
    text = html(replayed([started("a", mode=Mode.CHECK), StepFinished("a", step), *finished(wish), ended([wish])]))
    assert b"to take it back: <bdi>switch it off</bdi>" in text
