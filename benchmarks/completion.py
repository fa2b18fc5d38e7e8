"""How long does a Tab take? Every kind of answer, with what is kept and after each change that makes it stale.

    python benchmarks/completion.py                  medians of 10
    python benchmarks/completion.py --times 20

A row is a situation, a column a question; each cell is the median of the wall time in ms and, behind it, of the processor
time. The last column is the slowest cell of its row as a multiple of ``python -c pass`` in the same run. Works on a copy of
the playbooks, with a home and a cache of its own.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

CHECKOUT = Path(__file__).resolve().parents[1]
PROGRAM = Path(sys.executable).with_name("crashcart")
QUESTIONS = {
    "commands": ("inv", "rec"),
    "flags": ("inv", "recover.disk-space", "--"),
    "hosts": ("inv", "recover.disk-space", "--hosts", "w"),
}
LIMIT_MS = 200


class Cost(msgspec.Struct, frozen=True):
    """Milliseconds of one process: by the clock, and of a processor."""

    wall: float
    cpu: float


class Place:
    """A checkout, an inventory and a cache that can be changed."""

    def __init__(self, folder: Path) -> None:
        self.checkout, self._home = folder / "checkout", folder / "home"
        self._home.mkdir()
        shutil.copytree(CHECKOUT / "playbooks", self.checkout / "playbooks")
        shutil.copy(CHECKOUT / "tasks.py", self.checkout)
        self._inventory = folder / "hosts.yml"
        self._edits = 0
        self.edit_inventory(3)

    def run(self, *words: str | Path) -> Cost:
        """Run a command and return what it cost. Raises ``CalledProcessError``."""
        environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        environment |= {"HOME": str(self._home), "CRASHCART_INVENTORY": str(self._inventory)}
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(words, cwd=self.checkout, env=environment, stdout=subprocess.DEVNULL, check=True)
        wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Cost(wall * 1000, cpu * 1000)

    def tab(self, words: tuple[str, ...]) -> Cost:
        """Press Tab behind these words."""
        return self.run(PROGRAM, "--complete", "zsh", *words)

    def settle(self) -> None:
        """Let all files look as if they had been written a moment earlier: of the newest, nothing is kept yet."""
        for path in (self._inventory, self.checkout, *self.checkout.rglob("*")):
            status = path.stat()
            if status.st_mtime > time.time() - 10:
                os.utime(path, (status.st_atime, status.st_mtime - 10))

    def forget(self) -> None:
        """Take away everything that is kept."""
        shutil.rmtree(self._home / ".cache", ignore_errors=True)

    def edit_playbook(self) -> None:
        """Change one playbook as an editor does."""
        self._edits += 1
        path = self.checkout / "playbooks/recover/disk-space.yml"
        path.write_text(f"{path.read_text().rstrip()}\n# {self._edits}\n")

    def add_playbook(self) -> None:
        """Add one playbook more."""
        self._edits += 1
        folder = self.checkout / "playbooks/recover"
        shutil.copy(folder / "disk-space.yml", folder / f"other-{self._edits}.yml")

    def edit_tasks(self) -> None:
        """Change what only Invoke can read."""
        self._edits += 1
        path = self.checkout / "tasks.py"
        path.write_text(f"{path.read_text().rstrip()}\n# {self._edits}\n")

    def edit_inventory(self, targets: int, variables: int = 2) -> None:
        """Write an inventory of so many targets, each with so many variables of its own as a generated one has them."""
        self._edits += 1
        more = "".join(f", setting_{n}: value {n}" for n in range(variables - 2))
        hosts = "".join(
            f"    web-{n:04}.example.com: {{ansible_host: 10.0.{n // 250}.{n % 250}, rack: r{n % 40}{more}}}\n"
            for n in range(targets)
        )
        self._inventory.write_text(f"# {self._edits}\nweb:\n  vars: {{ansible_user: ops}}\n  hosts:\n{hosts}")


def write_and_forget(place: Place) -> None:
    """Let nothing be kept, above an inventory that is dear to read."""
    place.edit_inventory(1000, variables=10)
    place.forget()


def situations(place: Place) -> dict[str, Callable[[], None]]:
    """Return what is done before each Tab, by the name of its row."""
    return {
        "kept, 3 targets": lambda: None,
        "nothing kept, 3 targets": place.forget,
        "a playbook was edited": place.edit_playbook,
        "a playbook was added": place.add_playbook,
        "tasks.py was edited": place.edit_tasks,
        "the inventory was edited, 3 targets": lambda: place.edit_inventory(3),
        "the inventory was edited, 1,000 targets": lambda: place.edit_inventory(1000),
        "kept, 1,000 targets": lambda: None,
        "nothing kept, 1,000 targets": place.forget,
        "nothing kept, 1,000 x 10 variables": lambda: write_and_forget(place),
    }


def median(costs: list[Cost]) -> Cost:
    return Cost(statistics.median(cost.wall for cost in costs), statistics.median(cost.cpu for cost in costs))


def row(place: Place, prepare: Callable[[], None], times: int) -> dict[str, Cost]:
    """Measure each question so often, each time after the same change."""
    found = {}
    for name, words in QUESTIONS.items():
        costs = []
        for _ in range(times):
            prepare()
            place.settle()
            costs.append(place.tab(words))
        found[name] = median(costs)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=10)
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory(prefix="completion-") as name:
        place = Place(Path(name))
        floor = median([place.run(sys.executable, "-c", "pass") for _ in range(times)])
        print(f"python -c pass: {floor.wall:.0f} ms, {floor.cpu:.0f} of a processor; load {os.getloadavg()[0]:.1f}")
        print(f"{'':42}" + "".join(f"{question:>14}" for question in QUESTIONS) + f"{'x pass':>10}")
        slow = False
        for situation, prepare in situations(place).items():
            costs = row(place, prepare, times)
            cells = "".join(f"{cost.wall:>9.0f}/{cost.cpu:<4.0f}" for cost in costs.values())
            print(f"{situation:42}{cells}{max(cost.wall for cost in costs.values()) / floor.wall:>10.1f}", flush=True)
            slow = slow or any(cost.wall > LIMIT_MS for cost in costs.values())
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
