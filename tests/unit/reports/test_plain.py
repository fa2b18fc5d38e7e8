"""The plain display: one line per event that matters, stable, without control codes."""

from __future__ import annotations

import io
import re
import time

import pytest

from crashcart.clock import FakeClock
from crashcart.events import AnyEvent, Decided, EvidenceKept, RunResumed, StepFinished
from crashcart.reports.console import PlainConsole, make_console
from crashcart.results import Change, Evidence, Mode, Outcome, Phase, StepResult, Verdict
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
    looked_at,
    plain,
    result,
    source,
    started,
    whole,
)

CHANGED = result("a", Outcome.CHANGED, "it shines", changes=(Change("lamp", "off", "on"),), attempts=1)
WELL = result("b", Outcome.OK, "it shines already")
ILL = result("c", Outcome.FAILED, "no current", hint="inv recover.fuse --hosts ...")
CUT_OFF = result("d", Outcome.UNREACHABLE, "no answer within 5 s", hint="is it up?")


def lines(text: str, word: str) -> list[str]:
    """The lines of a word, without their time."""
    bare = [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in text.splitlines()]
    return [line for line in bare if line.split()[:1] == [word]]


def test_a_run_from_banner_to_journal() -> None:
    expected = f"""\
=== APPLY: targets will be changed ===
playbook     recover.lamp: Switch lamps on
hosts        web (3 targets: a, b, c)
actor        ops
reason       dark
incident     INC-1
limits       batches of 100%; stops after more than 0 failed; ends after 15 min
command      inv recover.lamp --hosts web
began        2030-01-01 00:00:00 UTC
run          {RUN}
00:00:00 ok           b: it shines already
00:00:00 failed       c: no current
00:00:00 surveyed     1 to be acted on, 1 failed, 1 ok
00:00:00 batch        1 of 1, 1 target: a
00:00:00 act          a: switch the lamp on
00:00:00 applied      a: switch the lamp on
00:00:00 changed      a: it shines
=== recover.lamp on web (apply): failed, exit 1, 12.3 s ===
counts       failed=1 unreachable=0 unknown=0 refused=0 skipped=0 would_change=0 changed=1 ok=1
failed       c: no current (hint: inv recover.fuse --hosts c)
next         inv recover.fuse --hosts c  # recommended for c
next         inv recover.lamp --hosts c  # try again; it looks first and leaves alone what is well by then
next         inv runs.show {RUN}  # everything that was seen and done
journal      {JOURNAL} sha256 {HASH}
"""
    assert plain(whole(started("a", "b", "c", reason="dark", incident="INC-1"), [CHANGED, WELL, ILL])) == expected


def test_check_mode_is_announced_and_says_what_would_change_and_how_to_do_it() -> None:
    wish = result("a", Outcome.WOULD_CHANGE, "switch the lamp on", changes=(Change("lamp", "off", "on"),))
    text = plain(whole(started("a", "b", mode=Mode.CHECK), [wish, WELL]), command=(*COMMAND, "--check"))
    assert text.startswith("=== CHECK: nothing will be changed ===\n")
    summary = text[text.index("(check)") :]
    assert lines(summary, "would_change") == ["would_change a: switch the lamp on"]
    assert lines(summary, "change") == ["change       a: lamp: off -> on"]
    assert lines(summary, "next")[0].startswith("next         inv recover.lamp --hosts web  # do it")


def test_a_read_only_playbook_is_announced_as_such_and_tells_the_worst_first() -> None:
    results = [
        result("a", Outcome.OK, "fine", verdict=Verdict.HEALTHY),
        result("b", Outcome.FAILED, "slow", hint="inv recover.lamp --hosts ...", verdict=Verdict.DEGRADED),
        result("c", Outcome.UNREACHABLE, "no answer"),
        result("d", Outcome.FAILED, "dark", hint="inv recover.lamp --hosts ...", verdict=Verdict.DOWN),
        result("e", Outcome.UNKNOWN, "cannot tell", verdict=Verdict.UNKNOWN),
    ]
    text = plain(whole(started(*"abcde", read_only=True), results))
    assert text.startswith("=== READ-ONLY: nothing will be changed ===\n")
    assert lines(text, "ok") == ["ok           a (healthy): fine"]
    assert lines(text, "surveyed") == []
    summary = text[text.index("(read-only)") :]
    assert lines(summary, "verdicts") == ["verdicts     down=1 degraded=1 unknown=1 healthy=1"]
    told = re.findall(r"^(?:failed|unreachable|unknown) +(\w \(\w+\)|\w)", summary, re.MULTILINE)
    assert told == ["d (down)", "b (degraded)", "c", "e (unknown)"]
    assert lines(summary, "next")[0] == "next         inv recover.lamp --hosts d,b  # recommended for 2 targets"


@pytest.mark.parametrize("name", ["interrupted", "unfinished"])
def test_what_was_cut_short_says_how_to_go_on(name: str) -> None:
    if name == "interrupted":
        left = result("b", Outcome.SKIPPED, "interrupted")
        text = plain(whole(started("a", "b"), [CHANGED, left], status="interrupted", message="interrupted"))
        assert lines(text, "ended") == ["ended        interrupted"]
    else:
        text = plain([started("a", "b"), *finished(CHANGED), *looked_at("b")])
        assert lines(text, "unfinished") == ["unfinished   b: no outcome is known"]
    assert lines(text, "next")[0].startswith(f"next         inv runs.resume {RUN}")
    assert lines(text, "next")[-1].startswith(f"next         inv runs.show {RUN}")
    assert text.splitlines()[-1] == f"journal      {JOURNAL} sha256 {HASH}"


def test_nothing_wrong_needs_no_notice() -> None:
    text = plain(whole(started("b"), [WELL]))
    assert len(lines(text, "next")) == 1
    assert lines(text, "ok") == ["ok           b: it shines already"]


def test_unknown_targets_are_looked_at_before_anything_else() -> None:
    text = plain(whole(started("a", "b"), [result("a", Outcome.UNKNOWN, "the answer was lost"), WELL]))
    assert lines(text, "next")[0].startswith("next         inv recover.lamp --hosts a --check  #")


def test_targets_that_were_not_got_to_are_told_together_and_tried_again_with_the_bad_ones() -> None:
    left = [result(f"s{number}", Outcome.SKIPPED, "stopped: c failed") for number in range(200)]
    text = plain(whole(started("c", *(each.name for each in left)), [ILL, *left], message="stopped: c failed"))
    summary = text[text.index("(apply)") :]
    told = "skipped      200 targets (s0, s1, s2, s3, s4 and 195 more): stopped: c failed"
    assert lines(summary, "skipped") == [told]
    assert "next         inv recover.lamp --hosts web  # try again" in summary


def test_every_failed_target_has_its_line_as_it_happens_and_the_summary_tells_equals_together() -> None:
    bad = [result(f"t{number}", Outcome.UNREACHABLE, f"10.0.0.{number} does not answer") for number in range(1000)]
    odd = result("odd", Outcome.FAILED, "out of inodes")
    text = plain(whole(started(*(each.name for each in (*bad, odd))), [*bad, odd]))
    happened, summary = text.split("===\ncounts")
    assert len(lines(happened, "unreachable")) == 1000
    assert lines(summary, "failed") == ["failed       odd: out of inodes"]
    assert lines(summary, "unreachable") == [
        "unreachable  1000 targets (t0, t1, t2, t3, t4 and 995 more): ... does not answer"
    ]


def test_a_summary_is_bounded_however_many_messages_there_are() -> None:
    words = ("alpha", "beta", "gamma", "delta", "rho", "tau")
    messages = [f"{one} {two} {three}" for one in words for two in words for three in words]
    bad = [result(f"t{number}", Outcome.FAILED, message) for number, message in enumerate(messages)]
    summary = plain(whole(started(*(each.name for each in bad)), bad)).split("===\ncounts")[1]
    assert len(lines(summary, "failed")) == 30
    assert lines(summary, "...") == [f"...          {len(messages) - 30} more targets: inv runs.show {RUN} tells all"]


def test_what_a_failed_target_found_is_shown() -> None:
    found = Evidence("largest", lines=("1.9 GiB /var/a", "20 MiB /var/b"))
    text = plain(whole(started("a"), [result("a", Outcome.FAILED, "still full", evidence=(found,))]))
    assert lines(text, "found") == ["found        a: largest: 1.9 GiB /var/a", "found        a: largest: 20 MiB /var/b"]


def test_diff_shows_changes_and_evidence_within_bounds() -> None:
    config = Change("/etc/lamp", "a\n  b\nc\n", "a\n  B\nc\n")
    proof = Evidence("listed", lines=tuple(f"file{number}" for number in range(30)))
    kept = Evidence("status", "evidence/a/1.txt", "ab" * 32)
    changed = result("a", Outcome.CHANGED, "ok", changes=(Change("lamp", "", "on"), config), evidence=(proof, kept))
    shown = plain(whole(started("a", diff=True), [changed]))
    assert "change       a: lamp: (nothing) -> on" in shown
    assert "change       a: /etc/lamp: -   b" in shown
    assert "change       a: /etc/lamp: +   B" in shown
    assert len(lines(shown, "evidence")) == 12
    assert "evidence     a: ... 20 more lines" in shown
    assert "evidence     a: status: kept in evidence/a/1.txt" in shown
    assert lines(plain(whole(started("a"), [changed])), "change") == []


def test_waiting_is_told_once_however_often_its_reason_changes() -> None:
    waits: list[AnyEvent] = [Decided("a", "switch", "wait", f"{percent} % bright") for percent in range(5)]
    again = Decided("a", "switch", "wait", "flickers")
    events = [started("a"), *waits, *looked_at("a"), again, *finished(CHANGED), ended([CHANGED])]
    assert lines(plain(events), "waiting") == ["waiting      a: 0 % bright", "waiting      a: flickers"]


def test_acts_that_do_not_go_well_say_so() -> None:
    for answer, why in (("not_applied", "throttled"), ("in_doubt", "connection lost"), ("rejected", "denied")):
        text = plain([started("a"), *acted("a", answer, why), *finished(ILL), ended([ILL])])
        assert lines(text, answer) == [f"{answer:<12} a: switch the lamp on: {why}"]


def test_evidence_undo_and_resume_have_their_lines() -> None:
    undo = StepResult("switch back", "lamp.off", Phase.UNDO, Outcome.CHANGED, "it is dark again")
    events = [
        started("a"),
        RunResumed("her"),
        EvidenceKept("a", "switch", Evidence("status", "evidence/a/1.txt", "ab" * 32)),
        StepFinished("a", undo),
        *finished(ILL),
        ended([ILL]),
    ]
    text = plain(events)
    assert lines(text, "resumed") == [f"resumed      run {RUN} goes on, by her"]
    assert lines(text, "evidence") == ["evidence     a: kept in evidence/a/1.txt"]
    assert lines(text, "undo") == ["undo         a: switch back changed: it is dark again"]


def test_hostile_text_stays_text_and_on_its_line() -> None:
    name = "web\x1b[2J1\n00:00:00 ok           forged"
    message = "[bold red]x[/] \x1b]0;title\x07 \r\nfailed b"
    events = whole(started(name, reason="\x1b[31m"), [result(name, Outcome.FAILED, message, hint="\x1b[5m")])
    text = plain(events, command=("inv", "recover.lamp", "--hosts", name))
    assert ESCAPE not in text
    assert "\x07" not in text
    assert "\r" not in text
    assert r"web\x1b[2J1\n00:00:00 ok" in text
    assert r"[bold red]x[/] \x1b]0;title\x07 \r\nfailed b" in text
    assert not any(line.startswith("00:00:00 ok  ") for line in text.splitlines())


def test_secrets_do_not_show() -> None:
    first = started("a", parameters={"api_token": "hunter2"})
    assert "hunter2" not in plain(whole(first, [ILL]), command=())
    assert "hunter2" not in plain(whole(first, [ILL]), command=(*COMMAND, "--api-token", "hunter2"))


def test_a_stream_that_lacks_a_character_shows_its_number() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    console = PlainConsole(stream, FakeClock(), source())
    for event in whole(started("a"), [result("a", Outcome.OK, "größe ✓")]):
        console.notice(event)
    assert rb"gr\xf6\xdfe \u2713" in raw.getvalue()


def test_the_hash_is_asked_for_at_the_end_only() -> None:
    asked: list[str] = []

    def journal_hash() -> str:
        asked.append("now")
        return HASH

    console = PlainConsole(io.StringIO(), FakeClock(), source(journal_hash=journal_hash))
    *before, last = whole(started("b"), [WELL])
    for event in before:
        console.notice(event)
    assert asked == []
    console.notice(last)
    console.close()
    console.close()
    assert asked == ["now"]


class Full(io.StringIO):
    """A stream that breaks after so many writes."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self.left = writes

    def write(self, text: str, /) -> int:
        self.left -= 1
        if self.left < 0:
            raise BrokenPipeError
        return super().write(text)


def test_a_broken_stream_is_told_once_and_closing_says_nothing_more() -> None:
    stream = Full(2)
    console = PlainConsole(stream, FakeClock(), source())
    events = whole(started("a", "b"), [CHANGED, WELL])
    console.notice(events[0])
    console.notice(events[2])
    with pytest.raises(BrokenPipeError):
        console.notice(events[3])
    stream.left = 100
    console.close()
    assert "unfinished" not in stream.getvalue()


@pytest.mark.parametrize(
    ("stream", "environ", "expected"),
    [
        (io.StringIO(), {"TERM": "xterm"}, "PlainConsole"),
        (Terminal(), {"TERM": "xterm"}, "LiveConsole"),
        (Terminal(), {"TERM": "dumb"}, "PlainConsole"),
        (Terminal(), {}, "PlainConsole"),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, "LiveConsole"),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": ""}, "LiveConsole"),
        (Terminal("ascii"), {"TERM": "xterm"}, "PlainConsole"),
    ],
)
def test_the_display_suits_the_stream(stream: io.StringIO, environ: dict[str, str], expected: str) -> None:
    made = make_console(stream, FakeClock(), journal=JOURNAL, journal_hash=lambda: HASH, environ=environ)
    assert type(made).__name__ == expected


def test_the_choice_can_be_made_for_it() -> None:
    made = make_console(Terminal(), FakeClock(), journal=JOURNAL, journal_hash=lambda: HASH, plain=True)
    assert isinstance(made, PlainConsole)


def test_a_thousand_targets_cost_little() -> None:
    results = [result(f"t{number}", Outcome.CHANGED, "it shines") for number in range(1000)]
    events = whole(started(*(each.name for each in results)), results)
    began = time.process_time()
    text = plain(events)
    assert time.process_time() - began < 2
    assert len(lines(text, "changed")) == 1000


def test_a_target_without_words_ends_in_no_colon() -> None:
    text = plain(whole(started("a", "b"), [result("a", Outcome.SKIPPED), WELL]))
    assert lines(text, "skipped") == ["skipped      a", "skipped      a"]


def test_how_to_see_all_is_told_where_there_are_three_more_useful_commands() -> None:
    hints = [result(name, Outcome.FAILED, hint=f"inv recover.{name} --hosts ...") for name in "abc"]
    text = plain(whole(started("a", "b", "c"), hints))
    assert [line.split("  #")[0] for line in lines(text, "next")] == [
        f"next         inv recover.{name} --hosts {name}" for name in "abc"
    ]
    assert lines(text, "show") == [f"show         inv runs.show {RUN}"]
