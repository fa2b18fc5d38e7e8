"""``python -m crashcart.cli.policies FOLDER``: write the IAM policy of each playbook, for a role that may do just that.

With ``docs/aws/policies``, the examples of the documentation; with ``--account``, ``--region`` and ``--names``, one's own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import asdict

from crashcart.errors import CrashcartError
from crashcart.operations.aws_calls import Grants
from crashcart.playbooks.library import Library
from crashcart.playbooks.policy import policies
from crashcart.results import EXIT_BAD_INPUT

_HELP = {
    "account": "the account's number",
    "region": "the region of the resources",
    "names": "how the resources are called: a name, or a pattern with *",
    "partition": "aws, aws-cn or aws-us-gov",
    "largest": "the largest size that a scaling group may be given",
}


def main(words: Sequence[str] | None = None) -> int:
    """Write one file per playbook that touches AWS, and say which; return the exit code."""
    given = vars(_parser().parse_args(words))
    folder, own = given.pop("folder"), given.pop("playbooks")
    try:
        made = policies(Library(own), Grants(**given))
    except CrashcartError as error:
        print(error, file=sys.stderr)
        return EXIT_BAD_INPUT
    folder.mkdir(parents=True, exist_ok=True)
    for name, policy in made.items():
        (folder / f"{name}.json").write_text(policy.text)
        print(folder / f"{name}.json")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m crashcart.cli.policies", description=(main.__doc__ or ""))
    parser.add_argument("folder", type=Path, help="where to write them")
    parser.add_argument("--playbooks", type=Path, help="playbooks of your own, besides the shipped ones")
    for name, default in asdict(Grants()).items():
        parser.add_argument(f"--{name}", type=type(default), default=default, help=f"{_HELP[name]} (default: {default})")
    return parser


if __name__ == "__main__":
    sys.exit(main())
