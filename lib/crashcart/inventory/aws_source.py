"""The inventory source ``aws``: a group of what AWS has of some kinds, in some regions, with some tags.

    source: aws
    group: shop
    regions: [eu-central-1]
    tags: {team: shop}
    aws_profile: oncall

What is found is kept for ``cache``, so that one command after the other does not ask again. When AWS cannot be asked and
nothing younger is kept, that is an error: a group that is empty because nobody answered would look like nothing to do.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import msgspec
import platformdirs

from crashcart.clock import Clock, SystemClock
from crashcart.decoding import convert, from_json
from crashcart.errors import ApiRefused, BadInput, Cancelled, FactUnreadable, TransportError, nearest
from crashcart.inventory.aws_find import AWS_KINDS, USUAL_KINDS, Found, find, find_hosts
from crashcart.targets import Target
from crashcart.transports.aws_check import AwsAccess, cloud_access
from crashcart.values import Duration

DEADLINE = 10.0
"""Seconds in which AWS is asked; a request that is then on its way is waited for."""

SOURCE = "inventory source aws"
_ENVIRONMENT = ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ROLE_ARN", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
_TEMPLATE = re.compile(r"\{[{%#]")


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the inventory file says. ``hosts`` adds the EC2 hosts of the Auto Scaling groups, reached at that address."""

    regions: tuple[str, ...]
    group: str = "aws"
    kinds: tuple[str, ...] = USUAL_KINDS
    tags: dict[str, str | tuple[str, ...] | None] = {}
    hosts: Literal["private", "public"] | None = None
    cache: str = "5m"
    aws_profile: str = ""
    aws_role_arn: str = ""
    aws_external_id: str = ""
    aws_endpoint_url: str = ""
    aws_access_key_id: str = ""
    aws_secret_access_key: str = ""

    @property
    def wanted(self) -> dict[str, tuple[str, ...]]:
        """The tags, each with all values that will do."""
        return {name: (value,) if isinstance(value, str) else value or () for name, value in self.tags.items()}

    @property
    def login(self) -> dict[str, str]:
        """The ``aws_*`` variables that are set."""
        fields = ((name, getattr(self, name)) for name in self.__struct_fields__ if name.startswith("aws_"))
        return {name: value for name, value in fields if value}


def aws_inventory(options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the inventory that an inventory file asks for. Raises ``BadInput``."""
    return AwsSource(_read_options(options or {})).inventory()


def kept_inventory(options: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], Path]:
    """Return what was found last, however long ago, and the file that keeps it; nobody is asked. Raises ``BadInput``."""
    return AwsSource(_read_options(options or {})).kept()


class AwsSource:
    """Finds and remembers. ``folder`` is where the cache is."""

    def __init__(self, options: Options, *, clock: Clock | None = None, folder: Path | None = None) -> None:
        self._options, self._clock = options, clock or SystemClock()
        folder = folder or platformdirs.user_cache_path("crashcart", appauthor=False) / "inventory"
        self._cache = Cache(folder / f"{_fingerprint(options)}.json", self._clock)

    def inventory(self) -> dict[str, Any]:
        """Return the inventory, kept or asked for. Raises ``BadInput`` when AWS cannot be asked or says no."""
        accesses = [self._access(region) for region in self._options.regions]
        found = self._cache.read(Duration.parse(self._options.cache))
        if found is None:
            found = self._ask(accesses)
            self._cache.write(found)
        return _as_inventory(found, self._options)

    def kept(self) -> tuple[dict[str, Any], Path]:
        """Return the inventory as far as it is kept, and where."""
        return _as_inventory(self._cache.read(float("inf")) or [], self._options), self._cache.path

    def _access(self, region: str) -> AwsAccess:
        return cloud_access(Target(SOURCE, "aws", {"aws_region": region, **self._options.login}))

    def _ask(self, accesses: list[AwsAccess]) -> list[Found]:
        from crashcart.transports.aws import AwsConnector  # noqa: PLC0415 -- boto3 costs 0.3 s, and a cache needs none
        from crashcart.transports.aws_sessions import Limits  # noqa: PLC0415

        connector = AwsConnector(limits=Limits(connect=2.0, read=4.0, attempts=2, items=5000, pages=100), clock=self._clock)
        until = self._clock.monotonic() + DEADLINE
        options = self._options
        try:
            found: list[Found] = []
            for access in accesses:
                transport = connector.open(access, until=until)
                for kind in options.kinds:
                    found += find(kind, transport, options.wanted)
                if options.hosts:
                    found += find_hosts(transport, options.wanted, options.hosts)
            return found
        except Cancelled as error:
            hint = "ask for fewer regions or kinds, or in two files"
            raise BadInput(f"{SOURCE}: AWS has not said everything within {DEADLINE:.0f} s", hint=hint) from error
        except (TransportError, ApiRefused, FactUnreadable) as error:
            raise BadInput(f"{SOURCE}: {error.message}", hint=error.hint) from error
        finally:
            connector.close()


class _Kept(msgspec.Struct, frozen=True):
    asked: float
    found: list[Found]


class Cache:
    """What was found last, in a file that only its owner can read. Whatever is wrong with it, it is asked for again."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def read(self, age: float) -> list[Found] | None:
        """Return what was found at most so many seconds ago, or nothing."""
        try:
            with self._path.open("rb") as file:
                status = os.fstat(file.fileno())
                kept = from_json(file.read(), _Kept)
        except (OSError, msgspec.MsgspecError):
            return None
        ours = status.st_uid == os.geteuid() and not status.st_mode & 0o077
        return kept.found if ours and 0 <= self._clock.now().timestamp() - kept.asked < age else None

    def write(self, found: list[Found]) -> None:
        """Keep what was found; a folder that cannot be written to costs only time."""
        kept = msgspec.json.encode(_Kept(self._clock.now().timestamp(), found))
        with suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
            with open(draft, "wb", opener=_owner_only) as file:
                file.write(kept)
            draft.replace(self._path)


def _owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _read_options(options: Mapping[str, Any]) -> Options:
    known = Options.__struct_fields__
    for name in options:
        if name not in known:
            raise BadInput(
                f"{SOURCE}: unknown key {name!r}", hint=nearest(str(name), known) or f"known are {', '.join(known)}"
            )
    try:
        read = convert(dict(options), Options)
        Duration.parse(read.cache)
    except (msgspec.ValidationError, ValueError) as error:
        raise BadInput(f"{SOURCE}: {error}", hint="for example regions: [eu-central-1]") from error
    for kind in read.kinds:
        if kind not in AWS_KINDS:
            raise BadInput(
                f"{SOURCE}: unknown kind {kind!r}", hint=nearest(kind, AWS_KINDS) or f"known: {', '.join(AWS_KINDS)}"
            )
    return read


def _fingerprint(options: Options) -> str:
    """Name the question: what is asked, and with which credentials."""
    environment = [os.environ.get(name, "") for name in _ENVIRONMENT]
    return hashlib.sha256(msgspec.json.encode([options, environment])).hexdigest()[:32]


def _as_inventory(found: list[Found], options: Options) -> dict[str, Any]:
    """Put what was found into groups: ``<group>``, in it ``<group>_<kind>`` and one for the hosts of each scaling group."""
    top = _plain(options.group)
    kinds = [*options.kinds, *(["linux"] if options.hosts else [])]
    children: dict[str, Any] = {f"{top}_{kind}": {"hosts": {}, "children": {}} for kind in kinds}
    names = _names(found)
    for one in found:
        group = children[f"{top}_{one.kind}"]
        if one.within:
            group = group["children"].setdefault(f"{top}_{_plain(one.within)}", {"hosts": {}})
        group["hosts"][names[one]] = _variables(one, names[one])
    return {"all": {"children": {top: {"vars": options.login, "children": children}}}}


def _names(found: list[Found]) -> dict[Found, str]:
    """Name each resource as AWS does; where several share a name, each gets its kind and region too."""
    often = Counter(_plain(one.name) for one in found)
    return {
        one: _plain(one.name) if often[_plain(one.name)] == 1 else f"{_plain(one.name)}.{one.kind}.{one.region}"
        for one in found
    }


def _variables(one: Found, name: str) -> dict[str, str]:
    """Return a target's variables. A text of AWS's that would be read as a template is refused: it may be anybody's."""
    if _TEMPLATE.search(one.identifier):
        raise BadInput(
            f"{SOURCE}: the name {one.identifier!r} cannot be used: it looks like a template", hint="leave it out by tags"
        )
    variables = {"kind": one.kind, "aws_region": one.region}
    if one.address:
        variables["ansible_host"] = one.address
    if one.identifier != name or one.kind == "linux":
        variables["aws_id"] = one.identifier
    return variables


def _plain(name: str) -> str:
    """Return a name without what ranges, patterns and templates would read."""
    return re.sub(r"[^\w.-]", "-", name, flags=re.ASCII)
