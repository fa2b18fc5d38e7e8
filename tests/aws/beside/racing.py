"""One of several controllers that race for the same targets: ``python -m tests.aws.beside.racing NAME URL ROUNDS``.

It says ``ready``, then of each line on stdin (the targets' names, in this controller's own order) what came of taking them:
``won``, or ``refused`` and why. What is won is given back at the next line, which is ``back``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from crashcart.clock import SystemClock
from crashcart.errors import Refused
from tests.aws.beside.sharing import Laptop, hosts
from tests.emulator import Emulator


def main() -> None:
    name, url = sys.argv[1:]
    emulator, laptop = Emulator(Path("/nonexistent"), url), Laptop(name, SystemClock())
    laptop.lock("warm", hosts(emulator, "warm-up"))  # loads boto3 and the service's model
    print("ready", flush=True)
    for number, line in enumerate(sys.stdin):
        targets = hosts(emulator, *line.split())
        lock = laptop.lock(f"{name}-{number}", targets)
        try:
            with lock.held():
                print("won", flush=True)
                sys.stdin.readline()
        except Refused as error:
            print("refused", error.message, flush=True)
            sys.stdin.readline()


if __name__ == "__main__":
    main()
