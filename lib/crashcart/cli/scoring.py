"""What a drill leaves behind: its score, the stamp that it earned, and the page and the badge of all drills."""

from __future__ import annotations

import sys
from pathlib import Path

from crashcart.cli.house import House
from crashcart.cli.stamping import stamp
from crashcart.drills.score import DrillScore, store
from crashcart.errors import BadInput
from crashcart.playbooks.schema import Drill
from crashcart.reports.drill_scores import DeclaredFault, read_history
from crashcart.reports.html_scores import write_scores


def keep_score(house: House, score: DrillScore, also: Path | None = None) -> Path:
    """Store a score, stamp its playbook, write the page and the badge, and return the score's file.

    The stamp is set in the folder ``also`` too. What hinders the page is said on stderr: the score is kept all the same.
    """
    folder = drills_folder(house)
    path = store(score, folder)
    stamp(house, score)
    if also:
        stamp(house, score, also)
    try:
        notes = write_scores(folder, read_history(folder, declared_faults(house)), house.clock.now())
    except BadInput as error:
        notes = [f"the page of drills is not written: {error.message}"]
    for note in notes:
        print(note, file=sys.stderr)
    return path


def drills_folder(house: House) -> Path:
    """Return where scores are kept, with their page and badge."""
    return house.runs.parent / "drills"


def all_drills(house: House) -> list[Drill]:
    """Return every drill, in alphabetical order. Raises ``BadInput`` for one that cannot be read."""
    found = (house.library.get(name) for name in house.library.entries if name.startswith("drill."))
    return [drill for drill in found if isinstance(drill, Drill)]


def declared_faults(house: House) -> tuple[DeclaredFault, ...]:
    """Return every fault that a drill declares. Raises ``BadInput`` for a drill that cannot be read."""
    return tuple(DeclaredFault(drill.name, name, drill.playbook) for drill in all_drills(house) for name in drill.variants)
