"""The stamps of drills: set when every declared fault of one was passed, and missed in the banner of a run."""

from __future__ import annotations

from pathlib import Path

from crashcart.cli.house import House
from crashcart.drills.score import DrillScore
from crashcart.drills.stamps import Stamp, digest_of, newest, read_stamps, set_stamp, warning
from crashcart.playbooks.schema import Drill


def stamp(house: House, score: DrillScore, folder: Path | None = None) -> None:
    """Set the stamp of a drill's playbook, in the state folder unless another one is given.

    Only a drill that rehearsed every fault that it declares, and passed all of them, earns one: no part of it does, and none
    that was interrupted.
    """
    if score.passed and _is_whole(house, score):
        digest = digest_of(house.library.entries[score.playbook].file)
        made = Stamp(score.started, score.version, "lab" if score.in_lab else "live", digest)
        set_stamp(folder or house.runs.parent, score.playbook, made)


def _is_whole(house: House, score: DrillScore) -> bool:
    drill = house.library.get(score.drill)
    return isinstance(drill, Drill) and {each.variant for each in score.variants} == set(drill.variants)


def stamp_note(house: House, playbook: str) -> str:
    """Say why a playbook cannot be relied on as rehearsed, or nothing; one that has no drill is not spoken of."""
    drill = f"drill.{playbook.partition('.')[2]}"
    if drill not in house.library.entries or not playbook.startswith("recover."):
        return ""
    file = house.library.entries[playbook].file
    stamps = newest(read_stamps(file.parents[1]), read_stamps(house.runs.parent))
    return warning(playbook, drill, stamps.get(playbook), house.clock.now(), digest_of(file))
