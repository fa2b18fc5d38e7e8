"""Shipping closed runs to their audit: each at its end, together with those that could not be shipped before; ``runs.ship``.

Shipping comes after everything else, and nothing that goes wrong there changes what the run came to.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from crashcart.cli.house import House, to_json
from crashcart.errors import BadInput, CrashcartError, Refused
from crashcart.journal.folder import EVENTS, find_run
from crashcart.journal.recall import PastRun
from crashcart.journal.unshipped import Unshipped
from crashcart.plan import Plan
from crashcart.results import EXIT_FAILED, EXIT_OK
from crashcart.transports.aws_places import AUDIT, Place, places_of
from crashcart.transports.connect import TargetConnector

ALL = "all"
"""What is written instead of a run's name to ship all that are owed."""

TIME_FOR_OTHERS = 15.0
"""Seconds after which the end of a run begins to ship no further earlier run."""


class Shipment(msgspec.Struct, frozen=True):
    """What came of shipping one run; ``why`` is empty when all of it is there, byte for byte."""

    run: str
    places: tuple[str, ...] = ()
    why: str = ""
    hint: str = ""

    @property
    def text(self) -> str:
        """It in one line."""
        if not self.why:
            return f"{self.run}  shipped to {', '.join(self.places)}"
        return f"{self.run}  not shipped: {self.why}{f' (hint: {self.hint})' if self.hint else ''}"


def marks_of(house: House) -> Unshipped:
    """Return the marks of the runs that are to be shipped."""
    return Unshipped(house.runs.parent / "unshipped", house.runs)


def unshipped(house: House, journal: Path) -> str:
    """Return why a run of this state folder is not shipped; empty for one that is, or has no audit."""
    return marks_of(house).why(journal.parent.name) if journal.parent.parent == house.runs else ""


class Shipper:
    """Ships a run of this plan when it is over. Raises ``BadInput`` for an audit that is none, before anything begins."""

    def __init__(self, house: House, connect: TargetConnector, plan: Plan) -> None:
        self._house, self._connect, self._places = house, connect, _places(plan)
        self._marks = marks_of(house)

    def owe(self, run: str) -> None:
        """Note that the run is to be shipped, where it has an audit. Raises ``JournalError``."""
        if self._places:
            self._marks.add(run)

    def ship(self, run: str, *, quiet: bool, others: bool) -> None:
        """Ship the run, then earlier ones that are owed (``others``), and say what is not shipped. Raises nothing."""
        if not self._places:
            return
        try:
            shipment = ship(self._house, self._connect, self._house.runs / run / EVENTS, self._places)
            if others and not shipment.why:
                self._ship_others(but=run)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 -- the run is over, and has its exit code
            shipment = Shipment(run, why=f"{type(error).__name__}: {error}")
        if shipment.why and not quiet:
            print(f"note: audit: {shipment.text}; inv runs.ship {run}, or the next run, ships it", file=sys.stderr)

    def _ship_others(self, *, but: str) -> None:
        until = self._house.clock.monotonic() + TIME_FOR_OTHERS
        for run in self._marks.runs():
            if run != but and self._house.clock.monotonic() < until:
                _ship_closed(self._house, self._connect, run)


def ship_runs(house: House, name: str, *, as_json: bool) -> int:
    """Ship one run, or ``all`` that are owed; what is there already is fine. Raises ``BadInput``, ``Refused``."""
    connect = TargetConnector()
    connect.name_run(house.actor, "runs.ship")
    try:
        found = _ship_all(house, connect) if name == ALL else [_ship_named(house, connect, name)]
    finally:
        connect.close()
    text = "\n".join(shipment.text for shipment in found) or "nothing is owed to an audit"
    print(to_json({"schema": 1, "runs": found}) if as_json else text)
    return EXIT_FAILED if any(shipment.why for shipment in found) else EXIT_OK


def ship(house: House, connect: TargetConnector, journal: Path, places: Sequence[Place]) -> Shipment:
    """Ship a closed run to all its places, and note what came of it. Raises ``Refused`` for one that is not closed."""
    from crashcart.journal.bucket import Bucket
    from crashcart.journal.parcel import parcel

    run, marks = journal.parent.name, marks_of(house)
    pieces = parcel(PastRun.read(journal))
    urls = tuple(place.url for place in places)
    try:
        for place in places:
            Bucket(connect.beside(place), place.name, place.path).ship(run, pieces)
    except CrashcartError as error:
        marks.failed(run, error.message)
        return Shipment(run, urls, error.message, error.hint)
    marks.drop(run)
    return Shipment(run, urls)


def _ship_all(house: House, connect: TargetConnector) -> list[Shipment]:
    found = (_ship_closed(house, connect, run) for run in marks_of(house).runs())
    return [shipment for shipment in found if shipment]


def _ship_closed(house: House, connect: TargetConnector, run: str) -> Shipment | None:
    """Ship one of the runs that are owed; None for one that is not closed yet."""
    try:
        return _ship_named(house, connect, run)
    except Refused:
        return None
    except CrashcartError as error:
        return Shipment(run, why=error.message, hint=error.hint)


def _ship_named(house: House, connect: TargetConnector, name: str) -> Shipment:
    journal = find_run(house.runs, name)
    places = _places(PastRun.read(journal).started.plan)
    if not places:
        raise BadInput(f"run {journal.parent.name} has no audit", hint="targets name one: audit: s3://bucket/prefix")
    return ship(house, connect, journal, places)


def _places(plan: Plan) -> tuple[Place, ...]:
    """Return the places that a plan's targets name, each once, whoever of several may write there."""
    found: dict[tuple[str, str], Place] = {}
    for place in places_of((target.target for target in plan.targets), AUDIT):
        found.setdefault((place.url, place.access.endpoint_url), place)
    return tuple(found.values())
