"""What to do next: the three most useful commands after a run, most urgent first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain, islice

import msgspec

from crashcart.events import RunStarted
from crashcart.reports.commands import Commands
from crashcart.reports.hints import is_for_targets, open_hint
from crashcart.reports.text import counted, visible
from crashcart.results import BAD, Mode, Outcome, TargetResult

MOST_NAMES = 20
"""Targets that a command line may name. Above that the whole selection is run again: what is well is left alone."""

MOST = 3
"""Commands that are shown: at 3 a.m. nobody chooses among more."""


class NextStep(msgspec.Struct, frozen=True):
    """A command to copy, and what it is good for."""

    command: str
    purpose: str


class Guide:
    """Knows what helps after one run. ``results`` come with those first that need attention most.

    ``undoable`` says whether the run did something that still stands and can be taken back, ``owed`` whether it should have
    taken something back and did not.
    """

    def __init__(
        self,
        started: RunStarted,
        results: Sequence[TargetResult],
        commands: Commands,
        *,
        undoable: bool = False,
        owed: bool = False,
    ) -> None:
        self._started, self._results, self._commands = started, results, commands
        self._undoable, self._owed = undoable, owed

    def steps(self, status: str) -> list[NextStep]:
        """Return the commands that help now; looking at the whole run is the last of them, where there is room for it."""
        show = NextStep(self._commands.runs("show", self._started.run), "everything that was seen and done")
        return list(islice(chain(self._useful(status), [show]), MOST))

    def _useful(self, status: str) -> Iterator[NextStep]:
        """Yield what helps, the most useful first."""
        undo = NextStep(self._commands.runs("undo", self._started.run), "take back what this run did")
        if self._owed:
            yield undo
        if status in {"interrupted", "unfinished"}:
            yield from self._going_on()
        else:
            yield from self._applying()
            hinted = list(self._hinted())
            yield from hinted[: MOST - 1]
            yield from self._looking_further()
            yield from hinted[MOST - 1 :]
            yield from self._trying_again()
        if self._undoable and not self._owed:
            yield undo

    def _going_on(self) -> Iterator[NextStep]:
        yield NextStep(self._commands.runs("resume", self._started.run), "go on where this run stopped")
        if not self._undoable:
            yield NextStep(self._commands.again, "or begin anew; it looks first and leaves alone what is well by then")

    def _applying(self) -> Iterator[NextStep]:
        if any(result.outcome is Outcome.WOULD_CHANGE for result in self._results):
            yield NextStep(self._commands.applying, "do it: the same command without --check")

    def _hinted(self) -> Iterator[NextStep]:
        """Yield the commands that results recommend, each once for all the targets that share it."""
        targets: defaultdict[str, list[str]] = defaultdict(list)
        for result in self._results:
            hint = open_hint(result.hint, result.name)
            if is_for_targets(hint):
                targets[hint].append(result.name)
        for hint, names in targets.items():
            what = visible(names[0]) if len(names) == 1 else counted(len(names), "target")
            yield NextStep(self._commands.hinted(hint, self.reached(names)), f"recommended for {what}")

    def reached(self, names: Sequence[str]) -> Sequence[str]:
        """Return what ``--hosts`` should name to reach these targets: if too many, the run's own pattern."""
        return names if len(names) <= MOST_NAMES else (self._started.plan.pattern,)

    def _looking_further(self) -> Iterator[NextStep]:
        """Yield a look at those that this run never got to: more at a time, and longer."""
        missed = self._missed
        if missed:
            some = len(missed) <= MOST_NAMES and len(missed) < len(self._results)
            commands = self._commands.on(missed) if some else self._commands
            yield NextStep(
                commands.roomier(self._roomier), f"look at {counted(len(missed), 'target')} that there was no time for"
            )

    @property
    def _roomier(self) -> str:
        """The flags that give all of them a turn."""
        return self._started.options.roomier(len(self._started.plan.targets))

    @property
    def _missed(self) -> list[str]:
        """The targets that the run's time did not suffice for: their hint says with which flags it does."""
        return [result.name for result in self._results if result.hint.startswith(self._roomier)]

    def _trying_again(self) -> Iterator[NextStep]:
        bad = [result for result in self._results if result.outcome in BAD]
        commands = self._commands.on([result.name for result in bad]) if self._may_narrow(bad) else self._commands
        looks_only = self._started.plan.read_only or self._started.options.mode is Mode.CHECK
        if looks_only and bad:
            yield from () if self._missed else (NextStep(commands.again, "look again"),)
        elif any(result.outcome is Outcome.UNKNOWN for result in bad):
            yield NextStep(commands.checking, "find out how they are now; this changes nothing")
        elif bad:
            yield NextStep(commands.again, "try again; it looks first and leaves alone what is well by then")

    def _may_narrow(self, bad: Sequence[TargetResult]) -> bool:
        """Whether to name the bad targets only: unless they are all, too many, or others were not got to."""
        skipped = any(result.outcome is Outcome.SKIPPED and result.steps for result in self._results)
        return not skipped and len(bad) <= MOST_NAMES and len(bad) < len(self._results)
