"""When each playbook was last validated by a drill, where, and in which version."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Literal

import msgspec

from crashcart.decoding import from_json
from crashcart.errors import BadInput

FILE = "stamps.json"
GOOD_FOR = timedelta(days=90)
"""How long a drill says something about what a playbook does today."""


class Stamp(msgspec.Struct, frozen=True):
    """A drill of a playbook in which every fault was passed.

    ``where`` tells practice hosts from real ones; ``digest`` is of the playbook's file, as it was then.
    """

    when: datetime
    version: str
    where: Literal["lab", "live"]
    digest: str


def digest_of(file: Path) -> str:
    """Name a playbook's content. Raises ``OSError``."""
    return sha256(file.read_bytes()).hexdigest()[:16]


def read_stamps(folder: Path) -> dict[str, Stamp]:
    """Read the stamps of a folder by playbook; none where there is no file. Raises ``BadInput`` for one that is broken."""
    path = folder / FILE
    try:
        return from_json(path.read_bytes(), dict[str, Stamp])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError) as error:
        raise BadInput(
            f"{path}: these are no stamps of drills: {error}", hint="remove the file; a drill writes it anew"
        ) from error


def set_stamp(folder: Path, playbook: str, stamp: Stamp) -> Path:
    """Keep a stamp beside those of other playbooks and return the file. Raises ``BadInput`` and ``OSError``."""
    stamps = dict(sorted({**read_stamps(folder), playbook: stamp}.items()))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / FILE
    half = path.with_suffix(".half")
    half.write_bytes(msgspec.json.format(msgspec.json.encode(stamps)) + b"\n")
    half.replace(path)
    return path


def newest(*stamps: Mapping[str, Stamp]) -> dict[str, Stamp]:
    """Return the newest stamp of each playbook."""
    found: dict[str, Stamp] = {}
    for some in stamps:
        for name, stamp in some.items():
            if name not in found or stamp.when > found[name].when:
                found[name] = stamp
    return found


def warning(playbook: str, drill: str, stamp: Stamp | None, now: datetime, digest: str) -> str:
    """Say why a playbook cannot be relied on as rehearsed, or nothing."""
    command = f"inv {drill} --hosts lab"
    if stamp is None:
        return f"{playbook} was never drilled: {command}"
    age = now - stamp.when
    if age > GOOD_FOR:
        then = f"{stamp.when:%Y-%m-%d}, {stamp.version}, {stamp.where}"
        return f"{playbook} was last drilled {age.days} days ago ({then}): {command}"
    if stamp.digest != digest:
        return f"{playbook} was changed since it was last drilled ({stamp.when:%Y-%m-%d}): {command}"
    return ""
