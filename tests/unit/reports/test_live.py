"""The live display, as a terminal shows it at 80 and at 200 columns."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest
from rich.cells import cell_len

from crashcart.clock import FakeClock, SystemClock
from crashcart.events import AnyEvent, BatchStarted, Surveyed
from crashcart.reports import console_live
from crashcart.reports.console_live import LiveConsole
from crashcart.reports.console_views import shortened
from crashcart.results import Change, Mode, Outcome, Verdict
from tests.unit.reports.runs import (
    COMMAND,
    ESCAPE,
    HASH,
    JOURNAL,
    RUN,
    Terminal,
    acted,
    ended,
    finished,
    live,
    looked_at,
    result,
    source,
    started,
    whole,
)
from tests.unit.reports.screen import Screen

T = TypeVar("T")

CHANGED = result("a", Outcome.CHANGED, "it shines", changes=(Change("lamp", "off", "on"),), attempts=1)
WELL = result("b", Outcome.OK, "it shines already")
ILL = result("c", Outcome.FAILED, "no current " * 20 + "at all", hint="inv recover.fuse --hosts ...")


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)


def shown(events: Sequence[AnyEvent], *, width: int = 80, command: Sequence[str] = COMMAND) -> str:
    """What stands on the screen when a run is over."""
    screen = Screen(live(events, width=width, command=command))
    assert screen.cursor_shown
    return screen.text


@pytest.mark.parametrize("width", [80, 200])
def test_a_run_is_readable_and_no_line_is_wider_than_the_terminal(width: int) -> None:
    text = shown(whole(started("a", "b", "c", reason="dark"), [CHANGED, WELL, ILL]), width=width)
    for words in ("APPLY: targets will be changed", "recover.lamp: Switch lamps on", "dark", "changed      a: it shines"):
        assert words in text
    assert "failed 1   changed 1   ok 1" in text
    assert "hint: inv recover.fuse --hosts c" in text
    assert f"    inv runs.show {RUN}" in text
    assert text.splitlines()[-2:] == [f"journal {JOURNAL}", f"sha256  {HASH}"]
    assert max(map(len, text.splitlines())) <= width


def test_how_to_see_all_stands_beside_the_journal_where_there_are_three_more_useful_commands() -> None:
    hints = [result(name, Outcome.FAILED, hint=f"inv recover.{name} --hosts ...") for name in "abc"]
    text = shown(whole(started("a", "b", "c"), hints))
    end = ["", f"show    inv runs.show {RUN}", f"journal {JOURNAL}", f"sha256  {HASH}"]
    assert text.splitlines()[-4:] == end


def test_long_messages_are_cut_as_they_happen_and_whole_in_the_summary() -> None:
    text = shown(whole(started("c"), [ILL]))
    happened, summary = text.split("Needs attention")
    assert "…" in happened
    assert "at all" not in happened
    assert "at all" in summary
    assert "…" not in summary


def test_the_table_is_gone_at_the_end() -> None:
    text = shown(whole(started("a", "b"), [CHANGED, WELL]))
    assert "target  state" not in text
    assert "finished," not in text


def test_modes_differ_in_words_and_colour() -> None:
    events = {
        "CHECK": whole(started("b", mode=Mode.CHECK), [WELL]),
        "APPLY": whole(started("b"), [WELL]),
        "READ-ONLY": whole(started("b", read_only=True), [WELL]),
    }
    bars = {word: next(line for line in live(run).splitlines() if word in line) for word, run in events.items()}
    colours = {bar[: bar.index("m") + 1] for bar in bars.values()}
    assert len(colours) == 3
    assert "nothing will be changed" in bars["CHECK"]
    assert "targets will be changed" in bars["APPLY"]


def test_check_mode_lists_what_would_change() -> None:
    wish = result("a", Outcome.WOULD_CHANGE, "switch the lamp on", changes=(Change("lamp", "off", "on"),))
    text = shown(whole(started("a", mode=Mode.CHECK), [wish]), command=(*COMMAND, "--check"))
    summary = text[text.index("Would change") :]
    assert "would_change a: switch the lamp on" in summary
    assert "lamp: off -> on" in summary
    assert "    inv recover.lamp --hosts web\n" in summary


def test_verdicts_stand_with_their_targets() -> None:
    down = result("c", Outcome.FAILED, "dark", verdict=Verdict.DOWN)
    text = shown(whole(started("c", read_only=True), [down]))
    assert "failed       c (down): dark" in text
    assert "down 1" in text


def test_without_colour_every_word_is_still_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    raw = live(whole(started("a", "b"), [CHANGED, WELL]))
    assert ";3" not in raw.replace("\x1b[?25", "")
    assert "changed      a: it shines" in Screen(raw).text


def test_hostile_text_moves_no_cursor_and_is_no_markup() -> None:
    name = "web\x1b[2J1"
    hostile = result(name, Outcome.FAILED, "[bold red]x[/bold red] \x1b]0;title\x07\n:smile: ünï", hint="[link=x]y[/link]")
    raw = live(whole(started(name), [hostile]), command=("inv", "recover.lamp", "--hosts", name))
    assert ESCAPE + "[2J" not in raw
    assert ESCAPE + "]0" not in raw
    text = Screen(raw).text
    for words in (r"web\x1b[2J1", r"[bold red]x[/bold red] \x1b]0;title\x07\n:smile: ünï", "[link=x]y[/link]"):
        assert words in text


WIDE = (
    "web-frontend-canary-0001.eu-central-1.compute.internal.production.example.com",
    "データベース本番サーバー東京リージョン-01",
    "cafe\u0301-🚀-host",
    "x" * 300,
)


@pytest.mark.parametrize("width", [80, 200])
def test_wide_and_long_names_keep_to_the_width_and_leave_room_for_the_message(width: int) -> None:
    results = [result(name, Outcome.OK, "it shines " * 30) for name in WIDE]
    text = shown(whole(started(*WIDE, diff=True), results), width=width)
    happened = [line for line in text.splitlines() if "it shines" in line]
    assert len(happened) == len(WIDE)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert sum("example.com: it shines" in line for line in happened) == 1


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.parametrize("cells", [2, 7, 28])
def test_a_shortened_name_keeps_both_ends(name: str, cells: int) -> None:
    short = shortened(name, cells)
    assert cell_len(short) <= cells
    assert short == name or ("…" in short and name.endswith(short.split("…")[1]))


def test_of_a_thousand_equal_targets_a_few_lines_scroll_by_and_one_stands_in_the_summary() -> None:
    bad = [result(f"t{number}", Outcome.UNREACHABLE, f"10.0.0.{number} does not answer") for number in range(900)]
    well = [result(f"w{number}", Outcome.OK, "it shines") for number in range(100)]
    text = shown(whole(started(*(each.name for each in (*bad, *well))), [*bad, *well]))
    assert len(text.splitlines()) < 40
    assert "unreachable  900 targets (t0, t1, t2, t3, t4 and 895 more): ... does not" in text
    assert "unreachable 900   ok 100" in text


def test_a_diff_is_coloured_and_not_cut() -> None:
    change = Change("/etc/lamp", "a\nb\n", f"a\n{'B' * 100}\n")
    changed = result("a", Outcome.CHANGED, "it shines", changes=(change,), attempts=1)
    raw = live(whole(started("a", diff=True), [changed]))
    assert "\x1b[1;31m/etc/lamp: - b" in raw
    assert "\x1b[32m/etc/lamp: +" in raw
    assert Screen(raw).text.replace("\n", "").count("B" * 100) == 1


def test_secrets_do_not_show() -> None:
    raw = live(whole(started("a"), [CHANGED]), command=(*COMMAND, "--api-token", "hunter2"))
    assert "hunter2" not in raw


def wait_for(look: Callable[[], T]) -> T:
    """Look until there is something to see; drawing is another thread's work."""
    for _ in range(1000):
        if seen := look():
            return seen
        time.sleep(0.01)
    raise AssertionError("not seen in 10 s")


class Stage:
    """A live console whose table is watched while the run goes on."""

    def __init__(self, *, height: int = 24) -> None:
        self.stream = Terminal()
        self.console = LiveConsole(self.stream, FakeClock(), source(), width=80, height=height)

    def tell(self, events: Sequence[AnyEvent], until: str) -> str:
        """Tell events and return the screen once it shows these words."""
        for event in events:
            self.console.notice(event)
        return wait_for(lambda: text if until in (text := Screen(self.stream.getvalue()).text) else "")


def table_of(text: str) -> list[str]:
    return text[text.index("target  state") :].splitlines()


def test_the_table_shows_where_every_target_stands() -> None:
    stage = Stage()
    text = stage.tell([started("a", "b", "c"), *looked_at("a"), *finished(WELL)], "1 of 3 finished")
    told = [line.split()[:2] for line in table_of(text)]
    assert ["a", "ready"] in told
    assert ["b", "ok"] in told
    assert ["c", "queued"] in told
    assert "APPLY  1 of 3 finished, 0:00  ok 1  looking at the selection" in text
    stage.console.close()


def test_of_many_targets_the_active_ones_are_shown_and_the_others_counted() -> None:
    names = [f"t{number}" for number in range(1000)]
    stage = Stage(height=24)
    seen = [event for name in names[:500] for event in looked_at(name)]
    surveyed: list[AnyEvent] = [Surveyed(tuple(names)), BatchStarted(1, 2, tuple(names[:500]))]
    text = stage.tell([started(*names), *seen, *surveyed, *acted("t7")], "t7      applied")
    assert "... and 499 ready, 500 queued" in text
    assert "0 of 1000 finished, 0:00  batch 1 of 2" in text
    busy = [event for name in names[:100] for event in acted(name)]
    table = table_of(stage.tell(busy, "91 applied"))
    assert len(table) <= 12
    stage.console.close()


def test_the_table_is_away_while_consent_may_be_asked() -> None:
    stage = Stage()
    text = stage.tell([started("a"), *looked_at("a"), Surveyed(("a",))], "surveyed")
    assert "target  state" not in text
    assert "finished," not in text
    before = stage.stream.getvalue()
    time.sleep(2 * console_live.TICK)
    assert stage.stream.getvalue() == before
    assert "target  state" in stage.tell([BatchStarted(1, 1, ("a",))], "0 of 1 finished, 0:00  batch 1 of 1")
    stage.console.close()


def test_a_run_that_breaks_off_leaves_the_terminal_as_it_was() -> None:
    stage = Stage()
    stage.tell([started("a"), *looked_at("a")], "ready")
    stage.console.close()
    screen = Screen(stage.stream.getvalue())
    assert screen.cursor_shown
    assert "target  state" not in screen.text
    assert f"    inv runs.resume {RUN}" in screen.text
    assert "unfinished   a: no outcome is known" in screen.text
    stage.console.close()
    assert Screen(stage.stream.getvalue()).text == screen.text


def test_a_terminal_that_is_gone_ends_the_display_not_the_run() -> None:
    stage = Stage()
    stage.tell([started("a", "b")], "queued")
    stage.stream.close()

    def is_told() -> bool:
        try:
            stage.console.notice(looked_at("a")[0])
        except ValueError:
            return True
        return False

    assert wait_for(is_told)
    stage.console.notice(ended([WELL]))
    stage.console.close()
    assert "console" not in {thread.name for thread in threading.enumerate()}


def test_a_thousand_targets_cost_little() -> None:
    results = [result(f"t{number}", Outcome.CHANGED, "it shines") for number in range(1000)]
    events = whole(started(*(each.name for each in results)), results)
    console = LiveConsole(Terminal(), SystemClock(), source(), width=200, height=50)
    began = time.process_time()
    for event in events:
        console.notice(event)
    console.close()
    assert time.process_time() - began < 2
