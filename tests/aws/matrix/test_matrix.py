"""Every AWS recovery, under every fault of the emulator: in check mode, run, run again, and resumed after SIGKILL.

What each may come to is declared in ``faults.py``. What took effect is counted in the emulator's log, never believed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest

from crashcart.lab.aws.faults import AWS_FAULTS
from crashcart.playbooks.library import Library
from crashcart.playbooks.schema import Playbook
from crashcart.results import Outcome, exit_code
from tests.aws.matrix.faults import SPOILINGS, Ending, Spoiling
from tests.aws.matrix.recoveries import RECOVERIES, Recovery
from tests.aws.matrix.rig import Rig, Said, at_the_answer

GOOD = {"changed", "ok"}

CELLS = [
    (recovery, spoiling)
    for recovery, found in RECOVERIES.items()
    if not found.is_variant
    for spoiling, one in SPOILINGS.items()
    if not one.only or recovery in one.only
]


def concerns_check_mode(fault: Spoiling) -> bool:
    """Tell whether a fault is about anything that check mode does: that sends no act."""
    return fault.on != "act"


class Cell:
    """One recovery under one fault."""

    def __init__(self, rig: Rig, recovery: Recovery, spoiling: Spoiling) -> None:
        self._rig, self._recovery, self._spoiling = rig, recovery, spoiling
        rig.begin(recovery.part, recovery.arrange)
        self._before = recovery.look(rig)
        self._words = recovery.command(rig, "--deadline", spoiling.deadline)

    def spoil(self) -> None:
        """Put the fault in, and begin to count."""
        self._rig.emulator.clear_faults()
        self._rig.emulator.forget_requests()
        if self._spoiling.name:
            self._spoiling.put_in(self._rig, self._recovery)

    def check(self) -> None:
        """In check mode, nothing is sent."""
        self.spoil()
        said = self._rig.run(*self._words, "--check")
        assert self._rig.emulator.writes() == [], said.message

    def first(self) -> Said:
        """Run it under the fault."""
        self.spoil()
        said = self._rig.run(*self._words)
        self._judge(said, self._spoiling.first)
        return said

    def second(self, first: Said) -> None:
        """Run it again, the fault gone: after a good run nothing is sent; after a bad one, all gets well or is refused."""
        self._calm()
        said = self._rig.run(*self._recovery.command(self._rig, again=True))
        seen, sent = self._recovery.look(self._rig), self._rig.effective()
        if first.outcome in GOOD:
            assert (said.outcome, said.code, sent) == ("ok", 0, []), said.message
        else:
            assert said.outcome in {*GOOD, "refused"}, said.message
            assert said.outcome == "refused" or self._recovery.is_well(seen), (said.message, seen)
        assert all(seen[name] == self._before[name] for name in self._recovery.as_before), (said.message, seen)

    def resumed(self) -> None:
        """Kill it as soon as its first act is answered, the answer in no journal yet, and go on with it."""
        self.spoil()
        self._rig.killed(at_the_answer, *self._words)
        said = self._rig.run("runs.resume", "last", "--output", "json")
        self._judge(said, self._spoiling.resumed)

    def _calm(self) -> None:
        """The fault goes, and what it held up happens."""
        self._rig.emulator.clear_faults()
        self._rig.advance(60)
        self._rig.emulator.forget_requests()

    def _judge(self, said: Said, ending: Ending) -> None:
        self._rig.emulator.clear_faults()  # whoever looks now is not to be spoiled
        assert said.outcome in ending.outcomes, said.message
        assert said.code == exit_code([Outcome(said.outcome)]), said.message
        assert self._is_as_declared(self._rig.effective(), ending), (self._rig.effective(), said.message)
        seen = self._recovery.look(self._rig)
        if said.outcome in GOOD:
            assert self._recovery.is_well(seen), (said.message, seen)
        owed = "undo" in said.message or ending.sent == "some"
        unharmed = all(seen[name] == self._before[name] for name in self._recovery.as_before)
        assert unharmed or owed, (said.message, seen)

    def _is_as_declared(self, sent: Sequence[str], ending: Ending) -> bool:
        acts = list(self._recovery.acts)
        match ending.sent:
            case "all":
                return list(sent) == acts
            case "none":
                return not sent
            case "undone":
                return list(sent) == [*acts, *self._recovery.undo]
            case "some":
                return 0 < len(sent) <= len(acts) and list(sent) == acts[: len(sent)]


@pytest.mark.parametrize(("recovery", "spoiling"), CELLS, ids=["-x-".join(cell) for cell in CELLS])
def test_recovery_under_fault(recovery: str, spoiling: str, rig: Rig) -> None:
    found, fault = RECOVERIES[recovery], SPOILINGS[spoiling]
    cell = Cell(rig, found, fault)
    if concerns_check_mode(fault):
        cell.check()
    cell.second(cell.first())
    Cell(rig, found, fault).resumed()


def test_nothing_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    library = Library(None)
    shipped = [library.get(name) for name in library.entries if name.startswith("recover.")]
    on_aws = {book.name for book in shipped if isinstance(book, Playbook) and "linux" not in book.kinds}
    assert {found.playbook for found in RECOVERIES.values()} == on_aws
    assert {one.name for one in SPOILINGS.values()} - {""} == set(AWS_FAULTS)
    with capsys.disabled():
        playbooks = len({found.playbook for found in RECOVERIES.values()})
        runs = sum(4 if concerns_check_mode(SPOILINGS[spoiling]) else 3 for _, spoiling in CELLS)
        print(f"\n{playbooks} AWS playbooks, {len(CELLS)} cells, {runs} runs", file=sys.stderr)
