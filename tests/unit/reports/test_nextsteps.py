"""The three most useful commands after a run: a pure function of what it came to."""

from __future__ import annotations

from typing import Any

import pytest

from crashcart.plan import Options
from crashcart.reports.commands import Commands
from crashcart.reports.nextsteps import Guide
from crashcart.results import Mode, Outcome, TargetResult
from tests.unit.reports.runs import RUN, result, started

FUSE = "inv recover.fuse --hosts ..."
SHOW = f"inv runs.show {RUN}"
UNDO = f"inv runs.undo {RUN}"
RESUME = f"inv runs.resume {RUN}"
AGAIN = "inv recover.lamp --hosts web"

OK, ILL, LOST = result("a", Outcome.OK), result("b", Outcome.FAILED, hint=FUSE), result("c", Outcome.UNKNOWN)
CHANGED = result("d", Outcome.CHANGED)
WISH = result("e", Outcome.WOULD_CHANGE)
TOLD = result("b", Outcome.FAILED, hint="inv recover.fuse --hosts b")
OTHER = result("f", Outcome.FAILED, hint="inv recover.bulb --hosts f")
WIRE = result("c", Outcome.FAILED, hint="inv recover.wire --hosts ...")
LAST = result("d", Outcome.FAILED, hint="inv recover.last --hosts ...")
LEFT = result("g", Outcome.SKIPPED, "interrupted")

Case = tuple[str, list[TargetResult], dict[str, Any], list[str]]

CASES: dict[str, Case] = {
    "nothing was wrong": ("ok", [OK], {}, [SHOW]),
    "something was changed": ("changed", [CHANGED, OK], {"undoable": True}, [UNDO, SHOW]),
    "a command is recommended": ("failed", [ILL, OK], {}, ["inv recover.fuse --hosts b", f"{AGAIN[:-3]}b", SHOW]),
    "recommended with its name": ("failed", [TOLD, OK], {}, ["inv recover.fuse --hosts b", f"{AGAIN[:-3]}b", SHOW]),
    "two are, and there is room for trying again": (
        "failed",
        [ILL, OTHER, OK],
        {"undoable": True},
        ["inv recover.fuse --hosts b", "inv recover.bulb --hosts f", f"{AGAIN[:-3]}b,f"],
    ),
    "each has its own": (
        "failed",
        [ILL, OTHER, WIRE, LAST, OK],
        {},
        ["inv recover.fuse --hosts b", "inv recover.bulb --hosts f", "inv recover.wire --hosts c"],
    ),
    "the answer was lost": ("unknown", [LOST, OK], {}, ["inv recover.lamp --hosts c --check", SHOW]),
    "unreachable and changed elsewhere": (
        "unreachable",
        [result("h", Outcome.UNREACHABLE), CHANGED],
        {"undoable": True},
        [f"{AGAIN[:-3]}h", UNDO, SHOW],
    ),
    "interrupted": ("interrupted", [OK, LEFT], {}, [RESUME, AGAIN, SHOW]),
    "interrupted after acts": ("interrupted", [CHANGED, LEFT], {"undoable": True}, [RESUME, UNDO, SHOW]),
    "broke off": ("unfinished", [OK], {}, [RESUME, AGAIN, SHOW]),
    "an undo is owed": ("failed", [ILL], {"owed": True, "undoable": True}, [UNDO, "inv recover.fuse --hosts b", AGAIN]),
    "not all were got to": ("failed", [TOLD, LEFT], {}, ["inv recover.fuse --hosts b", AGAIN, SHOW]),
}


@pytest.mark.parametrize(("status", "results", "more", "expected"), CASES.values(), ids=CASES)
def test_after_a_run(status: str, results: list[TargetResult], more: dict[str, Any], expected: list[str]) -> None:
    guide = Guide(started(*"abcdefgh"), results, Commands(("inv", "recover.lamp", "--hosts", "web")), **more)
    assert [step.command for step in guide.steps(status)] == expected


def test_what_would_change_is_done_by_the_same_command_without_check() -> None:
    commands = Commands(("inv", "recover.lamp", "--hosts", "web", "--check"))
    steps = Guide(started("e", mode=Mode.CHECK), [WISH], commands).steps("would_change")
    assert [step.command for step in steps] == [AGAIN, SHOW]


def test_too_many_targets_for_a_command_line_are_reached_by_the_pattern() -> None:
    bad = [result(f"t{number}", Outcome.FAILED, hint=f"inv recover.fuse --hosts t{number}") for number in range(21)]
    steps = Guide(started(*(each.name for each in bad)), bad, Commands(("inv", "recover.lamp", "--hosts", "web"))).steps(
        "failed"
    )
    assert [step.command for step in steps] == ["inv recover.fuse --hosts web", AGAIN, SHOW]
    assert steps[0].purpose == "recommended for 21 targets"


def test_names_that_a_shell_would_read_are_quoted() -> None:
    results = [result("a b;$(x)", Outcome.FAILED, hint=FUSE), OK]
    steps = Guide(started("a b;$(x)", "a"), results, Commands(("inv", "recover.lamp", "--hosts", "web"))).steps("failed")
    assert [step.command for step in steps][:2] == [
        "inv recover.fuse --hosts 'a b;$(x)'",
        "inv recover.lamp --hosts 'a b;$(x)'",
    ]


def test_those_that_there_was_no_time_for_are_looked_at_with_more_forks_and_more_time() -> None:
    first = started(*"abcdefgh", read_only=True, forks=2, deadline=16.0)
    late = result("g", Outcome.UNKNOWN, hint=f"{first.options.roomier(8)} gives each of them a turn")
    typed = Commands(("inv", "check.lamp", "--hosts", "web", "--forks=2", "--deadline", "16s", "--diff"))
    look = "inv check.lamp --hosts g --diff --forks 8 --deadline 32s"
    alone = [step.command for step in Guide(first, [late, OK], typed).steps("unknown")]
    assert alone == [look, SHOW]
    beside = [step.command for step in Guide(first, [ILL, OTHER, WIRE, late, OK], typed).steps("failed")]
    assert beside == ["inv recover.fuse --hosts b", "inv recover.bulb --hosts f", look]


@pytest.mark.parametrize(
    ("forks", "targets", "flags"),
    [
        (32, 67, "--forks 67 --deadline 32s"),
        (32, 5000, "--forks 256 --deadline 32s"),
        (512, 5000, "--forks 512 --deadline 32s"),
    ],
)
def test_more_forks_are_recommended_up_to_a_limit_and_never_fewer(forks: int, targets: int, flags: str) -> None:
    assert Options(forks=forks, deadline=16.0).roomier(targets) == flags
