"""The ``endpoint_*`` variables: where a database answers its clients, and with what it is logged in to.

Nothing here contacts anything or imports a driver.
"""

from __future__ import annotations

import os
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from crashcart.errors import BadInput, FactUnreadable, nearest
from crashcart.secrets import MASK, Secret
from crashcart.targets import Target

DATABASE = "database"
"""The kind of a target's subject that is spoken to as its clients do; not a kind of the inventory."""

INSTALL = "pip install 'crashcart[db]'"

URL, PASSWORD, PASSWORD_ENV = "endpoint_url", "endpoint_password", "endpoint_password_env"
PREFIX = "endpoint_"
KNOWN = (URL, PASSWORD, PASSWORD_ENV, "endpoint_role")
"""The variables that speak of a target's endpoint."""


class Engine(StrEnum):
    """What answers there. ``port`` is any TCP port, of which only connections are asked."""

    POSTGRESQL = "postgresql"
    MYSQL = "mysql"
    REDIS = "redis"
    HTTP = "http"
    PORT = "tcp"

    @property
    def is_database(self) -> bool:
        """Whether it can be asked for its role."""
        return self in _DRIVERS


class Tls(StrEnum):
    """How the connection is encrypted, in libpq's words; ``prefer`` takes it where it is offered."""

    DISABLE = "disable"
    PREFER = "prefer"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


_DRIVERS = {
    Engine.POSTGRESQL: ("psycopg", "psycopg[binary]"),
    Engine.MYSQL: ("pymysql", "PyMySQL"),
    Engine.REDIS: ("redis", "redis"),
}
_SCHEMES = {
    "postgresql": (Engine.POSTGRESQL, 5432, Tls.PREFER),
    "postgres": (Engine.POSTGRESQL, 5432, Tls.PREFER),
    "mysql": (Engine.MYSQL, 3306, Tls.PREFER),
    "redis": (Engine.REDIS, 6379, Tls.DISABLE),
    "rediss": (Engine.REDIS, 6379, Tls.VERIFY_FULL),
    "http": (Engine.HTTP, 80, Tls.DISABLE),
    "https": (Engine.HTTP, 443, Tls.VERIFY_FULL),
    "tcp": (Engine.PORT, 0, Tls.DISABLE),
}
_EXAMPLE = "postgresql://app@orders.example.com:5432/orders?sslmode=verify-full"
_OPTIONS = {
    Engine.POSTGRESQL: ("sslmode", "sslrootcert"),
    Engine.MYSQL: ("sslmode", "sslrootcert"),
    Engine.REDIS: ("sslrootcert",),
}


class EndpointUrl(str):
    """Where a database answers: ``postgresql://``, ``mysql://``, ``redis://``, ``rediss://``, ``http(s)://`` or ``tcp://``."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> EndpointUrl:
        """Read a URL. Raises ``ValueError`` that does not repeat it where it holds a password."""
        text = str(raw).strip()
        Place.parse(text)
        return cls(text)


class Place(msgspec.Struct, frozen=True):
    """An endpoint's URL, read. ``path``: the database's name, or what HTTP asks for; ``ca``: a file of certificates."""

    engine: Engine
    host: str
    port: int
    user: str = ""
    path: str = ""
    tls: Tls = Tls.DISABLE
    ca: str = ""

    @property
    def address(self) -> str:
        """``host:port`` for messages."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read a URL. Raises ``ValueError`` with what was expected."""
        try:
            parts = urlsplit(text)
            port, password = parts.port, parts.password
        except ValueError:
            raise ValueError(f"expected a URL such as {_EXAMPLE}") from None
        if password is not None:
            raise ValueError(f"a URL is shown and kept, so the password belongs into {PASSWORD} or {PASSWORD_ENV}")
        if (
            parts.scheme not in _SCHEMES
            or not parts.hostname
            or any(char.isspace() or not char.isprintable() for char in text)
        ):
            near = nearest(parts.scheme, _SCHEMES)
            raise ValueError(f"expected a URL such as {_EXAMPLE}, got {text!r}{f'; {near}' if near else ''}")
        engine, usual, tls = _SCHEMES[parts.scheme]
        if not (port or usual):
            raise ValueError(f"expected a port, such as tcp://{parts.hostname}:5432, got {text!r}")
        if parts.username and not engine.is_database:
            raise ValueError(f"nobody logs in at {parts.scheme}://, so leave the user out")
        if engine is Engine.HTTP:
            path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
            return cls(engine, parts.hostname, port or usual, "", path, tls)
        options = _options(engine, parts.query)
        tls = Tls(options.get("sslmode", tls))
        user, path = unquote(parts.username or ""), unquote(parts.path.strip("/"))
        return cls(engine, parts.hostname, port or usual, user, path, tls, options.get("sslrootcert", ""))


class Access(msgspec.Struct, frozen=True):
    """How one target's endpoint is spoken to."""

    url: str
    place: Place
    password: Secret | None = None


def check_access(target: Target) -> None:
    """Check a target's ``endpoint_*`` variables, where it has any. Raises ``BadInput``."""
    for name in target.variables:
        rest = name.removeprefix(PREFIX)
        if name.startswith(PREFIX) and name not in KNOWN and nearest(rest, [known.removeprefix(PREFIX) for known in KNOWN]):
            raise BadInput(f"{target.name}: unknown variable {name!r}", hint=f"known are {', '.join(KNOWN)}")
    if PASSWORD in target.variables and PASSWORD_ENV in target.variables:
        raise BadInput(f"{target.name}: {PASSWORD} and {PASSWORD_ENV} exclude each other", hint="leave one of them out")
    url = target.variable(URL)
    if url:
        try:
            EndpointUrl.parse(url)
        except ValueError as error:
            raise BadInput(f"{target.name}: {URL}: {error}") from None


def check_means(target: Target, url: str) -> None:
    """Check that this machine can log in to an endpoint: driver, password, certificates. Raises ``BadInput``."""
    missing = _missing(target, Place.parse(url))
    if missing:
        raise BadInput(f"{target.name}: {missing[0]}", hint=f"{missing[1]}, or --endpoint-url '' to do without")


def endpoint_access(target: Target) -> Access:
    """Return how a target's endpoint is spoken to. Raises ``FactUnreadable`` for what this machine does not have."""
    url = str(target.variable(URL, ""))
    place = Place.parse(url)
    missing = _missing(target, place)
    if missing:
        raise FactUnreadable(missing[0], hint=missing[1], final=True)
    return Access(url, place, _password(target))


def _options(engine: Engine, query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    known = _OPTIONS.get(engine, ())
    for name, value in options.items():
        if name not in known:
            near = nearest(name, known) or (f"known are {', '.join(known)}" if known else "none is known")
            raise ValueError(f"unknown option {name!r} of {engine.value}; {near}")
        if name == "sslmode" and value not in list(Tls):
            raise ValueError(f"sslmode: expected one of {', '.join(Tls)}, got {value!r}")
    return options


def _missing(target: Target, place: Place) -> tuple[str, str] | None:
    """Say what is not there, and what would help."""
    module, package = _DRIVERS.get(place.engine, ("", ""))
    if module and find_spec(module) is None:
        return f"{place.engine.value} is spoken through {package}, which is not installed", INSTALL
    name = str(target.variable(PASSWORD_ENV, ""))
    if name and name not in os.environ:
        return f"the environment has no variable {name}, which {PASSWORD_ENV} names", f"export {name}=..."
    if target.variable(PASSWORD) == MASK:
        return f"{PASSWORD} is not in the journal, so it cannot be logged in", "inv check.database --hosts ..."
    if place.ca and place.ca != "system" and not Path(place.ca).is_file():
        return f"there is no file of certificates {place.ca!r}", "sslrootcert=/path/of/the/ca.pem, or sslrootcert=system"
    return None


def _password(target: Target) -> Secret | None:
    name, given = str(target.variable(PASSWORD_ENV, "")), target.variable(PASSWORD)
    if name:
        return Secret(os.environ.get(name, ""))
    return given if isinstance(given, Secret) else None
