"""Real processes that race for targets over HTTP: exactly one gets them, in every one of many rounds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.aws.beside.sharing import TABLE
from tests.emulator import Emulator

ROUNDS = 60


class Racer:
    """A controller in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def tell(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def hear(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


@contextmanager
def racers(emulator: Emulator, *names: str) -> Iterator[list[Racer]]:
    with ExitStack() as stack:
        found = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "tests.aws.beside.racing", name, emulator.url],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for name in names
        ]
        running = [Racer(process) for process in found]
        assert [racer.hear() for racer in running] == ["ready"] * len(running)
        yield running
        for process in found:
            assert process.stdin
            process.stdin.close()


def a_round(running: Sequence[Racer], *wanted: str) -> list[str]:
    """Start all at once, and end the round."""
    for racer, targets in zip(running, wanted, strict=True):
        racer.tell(targets)
    said = [racer.hear() for racer in running]
    for racer in running:
        racer.tell("back")
    return said


def test_of_two_processes_that_race_for_a_target_exactly_one_wins(emulator: Emulator, items: Any) -> None:
    winners = set()
    with racers(emulator, "ana", "ben") as running:
        for _ in range(ROUNDS):
            said = a_round(running, "web1 web2", "web2 web1")
            assert sorted(line.split()[0] for line in said) == ["refused", "won"], said
            winner, loser = ("ana", "ben") if said[0] == "won" else ("ben", "ana")
            assert f"is held by {winner}" in said[loser == "ben"]
            winners.add(winner)
    assert items() == {}
    assert winners <= {"ana", "ben"}


def test_of_overlapping_selections_never_two_win_and_never_none(emulator: Emulator, items: Any) -> None:
    with racers(emulator, "ana", "ben", "cleo") as running:
        for _ in range(ROUNDS // 3):
            said = a_round(running, "a b", "c b", "a c")
            assert [line.split()[0] for line in said].count("won") == 1, said
    assert items() == {}


def test_the_conditions_are_what_keeps_one_out(emulator: Emulator, items: Any) -> None:
    """moto's own word on each condition that the lock rests on."""
    client = emulator.client("dynamodb")

    def put(owner: str) -> str:
        try:
            client.put_item(
                TableName=TABLE,
                Item={"id": {"S": "x"}, "owner": {"S": owner}},
                ConditionExpression="attribute_not_exists(#id) OR #owner = :owner",
                ExpressionAttributeNames={"#id": "id", "#owner": "owner"},
                ExpressionAttributeValues={":owner": {"S": owner}},
            )
        except client.exceptions.ConditionalCheckFailedException:
            return "refused"
        return "put"

    assert [put("a"), put("b"), put("a")] == ["put", "refused", "put"]
    assert items()["x"]["owner"] == "a"
