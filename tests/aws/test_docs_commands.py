"""The documentation's commands on AWS, run on the emulated one: each line finds there what its comment speaks of."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.aws.commandline import Commands
from tests.documented import Block, How, shell_blocks
from tests.emulator import Emulator, running_emulator

NAMES = {"orders": "lab-aurora", "cache": "lab-redis", "shards": "lab-redis-cluster", "api": "lab-asg"}
"""What examples call the emulator's resources; members are called after them in both."""

INVENTORY = {
    "rds_cluster": {"orders": {"aws_id": "lab-aurora"}},
    "elasticache_replication_group": {"cache": {"aws_id": "lab-redis"}, "shards": {"aws_id": "lab-redis-cluster"}},
    "autoscaling_group": {"api": {"aws_id": "lab-asg"}},
}


class State(msgspec.Struct, frozen=True):
    """What a line finds: everything well, but for a scene around a resource; ``largest`` is the group's max."""

    scene: str = ""
    around: str = ""
    largest: int = 8

    def set_up(self, emulator: Emulator, part: str) -> None:
        """Begin anew with a part of the account, in this state."""
        emulator.reset(part)
        if part == "compute":
            emulator.client("autoscaling").update_auto_scaling_group(AutoScalingGroupName="lab-asg", MaxSize=self.largest)
        if self.scene:
            emulator.scene(self.scene, self.around)


WELL = State()
AS_IT_WAS = None
"""The line goes on from what the one before came to."""

PART_OF = {"asg-scale": "compute", "rds-failover": "databases", "elasticache": "caches"}

STATES: dict[str, list[State | None]] = {
    "asg-scale": [WELL, WELL, AS_IT_WAS, WELL, WELL, AS_IT_WAS, State("asg.raised", "lab-asg", largest=9)],
    "rds-failover": [WELL, State("rds.writer-down", "lab-aurora"), AS_IT_WAS, WELL],
    "elasticache": [
        *(WELL, State("elasticache.primary-down", "lab-redis"), AS_IT_WAS, WELL, WELL),
        State("elasticache.pending-reboot", "lab-redis"),
    ],
}
"""What the lines of each page find, in their order."""


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with running_emulator() as running:
        yield running


@pytest.fixture
def commands(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Commands:
    made = Commands(emulator, tmp_path, monkeypatch, capsys)
    made.write(INVENTORY)
    return made


@pytest.mark.parametrize("block", shell_blocks(How.AWS), ids=lambda block: block.where)
def test_each_line_works_as_it_is_shown(block: Block, commands: Commands) -> None:
    for words, state in zip(block.commands, STATES[block.page.stem], strict=True):
        if state:
            state.set_up(commands.emulator, PART_OF[block.page.stem])
        said = commands(*map(in_the_lab, words), *answer(words))
        assert said.code == 0, f"{block.where}: {shlex.join(words)}\n{said.all}"


def in_the_lab(word: str) -> str:
    """The lab's name of a member that examples call otherwise: ``orders-2``."""
    name, dash, number = word.partition("-")
    return f"{NAMES[name]}-{number}" if dash and name in NAMES else word


def answer(words: tuple[str, ...]) -> tuple[str, ...]:
    """What a person answers on a terminal, which there is none of."""
    return ("--yes",) if words[0].startswith(("recover.", "runs.undo")) and "--check" not in words else ()
