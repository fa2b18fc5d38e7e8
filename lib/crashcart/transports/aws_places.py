"""What stands beside a target in AWS: the table of its shared lock (``lock``) and the bucket of its audit (``audit``).

Both are inventory variables, written as URLs, usually for a whole group:

    lock: dynamodb://crashcart-locks
    audit: s3://example-audit/crashcart?region=eu-central-1

They are asked with the access of the target that they are set for. Nothing here contacts AWS.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, urlsplit

import msgspec

from crashcart.errors import BadInput, nearest
from crashcart.targets import Target
from crashcart.transports.aws_check import AwsAccess, cloud_access

LOCK, AUDIT = "lock", "audit"
"""The two variables."""

_SCHEMES = {LOCK: "dynamodb", AUDIT: "s3"}
_EXAMPLES = {LOCK: "dynamodb://crashcart-locks", AUDIT: "s3://example-audit/crashcart"}
_TABLE = re.compile(r"[A-Za-z0-9_.-]{3,255}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PATH = re.compile(r"[A-Za-z0-9!_.*'()/ =-]*")


class Place(msgspec.Struct, frozen=True):
    """A table or a bucket, a path in it (without slashes at its ends), and with whose access it is asked."""

    scheme: str
    name: str
    path: str
    access: AwsAccess

    @property
    def url(self) -> str:
        """It as the inventory writes it, and its region."""
        path = f"/{self.path}" if self.path else ""
        return f"{self.scheme}://{self.name}{path}?region={self.access.region}"

    @property
    def order(self) -> tuple[str, ...]:
        """By what several of them are sorted: the same for everybody who names the same place."""
        access = self.access
        return (self.name, self.path, access.region, access.endpoint_url, access.role_arn, access.profile)


def place_of(target: Target, variable: str) -> Place | None:
    """Return the place that a variable names, or None where it is not set, or set to nothing. Raises ``BadInput``."""
    raw = target.variable(variable)
    if raw is None or raw == "":
        return None
    where = f"{target.name}: {variable}"
    if not isinstance(raw, str):
        raise BadInput(f"{where} is a text such as {_EXAMPLES[variable]}, not {raw!r}")
    name, path, region = _read(where, variable, raw.strip())
    variables = {**target.variables, "aws_region": region} if region else target.variables
    access = cloud_access(msgspec.structs.replace(target, variables=variables))
    return Place(_SCHEMES[variable], name, path, access)


def places_of(targets: Iterable[Target], variable: str) -> dict[Place, list[Target]]:
    """Return the places that targets name, in their stable order, each with its targets. Raises ``BadInput``."""
    found: dict[Place, list[Target]] = {}
    for target in targets:
        place = place_of(target, variable)
        if place:
            found.setdefault(place, []).append(target)
    return {place: found[place] for place in sorted(found, key=lambda place: place.order)}


def _read(where: str, variable: str, text: str) -> tuple[str, str, str]:
    """Take a URL apart: name, path, region."""
    example = f"for example {_EXAMPLES[variable]}"
    try:
        url = urlsplit(text)
        query = dict(parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query)))
    except ValueError:
        raise BadInput(f"{where} {text!r} is not a URL", hint=example) from None
    if url.scheme != _SCHEMES[variable]:
        raise BadInput(f"{where} {text!r} does not begin with {_SCHEMES[variable]}://", hint=example)
    unknown = next((name for name in query if name != "region"), None)
    if unknown is not None or url.fragment:
        hint = nearest(unknown or "", ("region",)) or "known is only ?region=eu-central-1"
        raise BadInput(f"{where} {text!r}: unknown {unknown or '#' + url.fragment!r}", hint=hint)
    path = url.path.strip("/")
    shape = _TABLE if variable == LOCK else _BUCKET
    if not shape.fullmatch(url.netloc) or (variable == LOCK and path):
        raise BadInput(f"{where} {text!r} names no {'table' if variable == LOCK else 'bucket'}", hint=example)
    if not _PATH.fullmatch(path) or any(part in {"", ".", ".."} for part in path.split("/") if path):
        raise BadInput(f"{where} {text!r}: the path is not one for object keys", hint=example)
    return url.netloc, path, query.get("region", "")
