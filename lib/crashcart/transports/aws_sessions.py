"""boto3's sessions and clients: made once per run and access, shared by all targets and threads.

Making a client is not thread-safe, using one is; and a service's model takes boto3 0.15 s to load. So clients are made
under one lock, and all sessions share one loader.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
import msgspec
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import NoCredentialsError

from crashcart.clock import Clock
from crashcart.errors import ConnectionLost
from crashcart.transports.aws_check import AwsAccess
from crashcart.transports.aws_codes import Fate, fate_of
from crashcart.transports.aws_gate import Gate, InFlight
from crashcart.transports.aws_names import Identity
from crashcart.transports.aws_shared import Answers
from crashcart.transports.aws_together import Together

CONNECTIONS = 64
"""Connections that a client keeps open at most; more threads than that open one each time."""

_BEST_EFFORT = frozenset({"health", "cloudtrail"})
"""Services that nothing depends on: asked once and briefly, so that their silence holds nobody up."""

_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1")


class Limits(msgspec.Struct, frozen=True):
    """How long to wait for what, in seconds, and how often a read is sent at most."""

    connect: float = 3.0
    read: float = 10.0
    write: float = 30.0
    attempts: int = 4
    pages: int = 20
    items: int = 1000
    identity: float = 1.0


class Wire:
    """Stands between a client and its requests: counts them, holds them back, and lets a cancelled call send no more.

    A client is shared by threads; each says with ``carrying`` which call it is about.
    """

    def __init__(self, service: str, gate: Gate, *, writes: bool) -> None:
        self._service, self._gate, self._writes = service, gate, writes
        self._thread = threading.local()

    def attach(self, client: Any) -> None:
        """Hear of every HTTP request of a client, retries and pages included."""
        client.meta.events.register("before-call", self._calling)
        client.meta.events.register("before-send", self._sending)
        client.meta.events.register("response-received", self._received)

    @contextmanager
    def carrying(self, call: InFlight) -> Iterator[None]:
        """Say what the requests of this thread belong to."""
        self._thread.call = call
        try:
            yield
        finally:
            del self._thread.call

    def _calling(self, **kwargs: Any) -> None:
        call: InFlight = self._thread.call
        call.turning()

    def _sending(self, **kwargs: Any) -> None:
        call: InFlight = self._thread.call
        if self._writes and call.requests:
            raise ConnectionLost("a call that changes something is never sent twice")
        if not self._writes:
            self._gate.wait(call)
        call.sending()

    def _received(self, parsed_response: dict[str, Any] | None = None, **kwargs: Any) -> None:
        if parsed_response is None:
            return
        error = parsed_response.get("Error") or {}
        status = parsed_response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        call: InFlight = self._thread.call
        if error and fate_of(self._service, str(error.get("Code")), status) is Fate.THROTTLED:
            self._gate.throttled(call.sent)
        else:
            self._gate.answered(call.sent)


class Service(msgspec.Struct, frozen=True):
    """A client of one service, and what its requests pass through."""

    client: Any
    wire: Wire


class _RoleProvider(CredentialProvider):  # type: ignore[misc]
    """Gives botocore the credentials of a role, fetched with its own fetcher and refreshed before they end."""

    METHOD = "assume-role"

    def __init__(self, credentials: DeferredRefreshableCredentials) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> DeferredRefreshableCredentials:
        return self._credentials


class AwsSession:
    """One boto3 session and its clients. ``lock`` guards all making of clients, ``loader`` holds the services' models.

    ``answers`` are those that are asked for once, ``together`` is for what can be asked for many at a time.
    """

    def __init__(
        self, access: AwsAccess, identity: Identity, limits: Limits, clock: Clock, lock: threading.Lock, loader: Any
    ) -> None:
        self.access = access
        self._identity, self._limits, self._clock, self._lock, self._loader = identity, limits, clock, lock, loader
        self._login = threading.Lock()
        self._boto: boto3.Session | None = None
        self._services: dict[tuple[str, bool], Service] = {}
        self._gates: dict[str, Gate] = {}
        self._caller: str | None = None
        self.answers = Answers()
        self.together = Together()

    def authenticate(self) -> None:
        """Have valid credentials, refreshed if they are about to end. Raises botocore's errors, none of them of a call."""
        with self._login:
            if self._boto is None:
                self._boto = self._make()
            credentials = self._boto.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        credentials.get_frozen_credentials()

    def service(self, name: str, *, writes: bool) -> Service:
        """Return the client for reads or for writes of a service, made when first asked for. Call ``authenticate`` first.

        Raises botocore's errors for a service that it does not know.
        """
        with self._lock:
            key = (name, writes)
            if key not in self._services:
                gate = self._gates.setdefault(name, Gate(self._clock))
                wire = Wire(name, gate, writes=writes)
                client = self._client(name, self._config(writes=writes, brief=name in _BEST_EFFORT))
                wire.attach(client)
                # Reads the service's pagination once, instead of in every thread that comes first.
                client.can_paginate(next(iter(client.meta.method_to_api_mapping)))
                self._services[key] = Service(client, wire)
            return self._services[key]

    def caller(self) -> str:
        """Return the ARN that AWS knows these credentials by; empty when it does not say so in a moment. Asked once."""
        if self._caller is None:
            limit = self._limits.identity
            config = self._config(writes=False).merge(
                Config(connect_timeout=limit, read_timeout=limit, retries={"total_max_attempts": 1, "mode": "standard"})
            )
            try:
                with self._lock:
                    client = self._client("sts", config)
                self._caller = str(client.get_caller_identity()["Arn"])
            except Exception:  # noqa: BLE001 -- it only makes a message better
                self._caller = ""
        return self._caller

    def close(self) -> None:
        """Close the connections of all clients."""
        with self._lock:
            services = list(self._services.values())
            self._services.clear()
        for service in services:
            service.client.close()

    def _client(self, name: str, config: Config) -> Any:
        assert self._boto is not None  # noqa: S101 -- authenticate comes first
        return self._boto.client(
            name, region_name=self.access.region, endpoint_url=self.access.endpoint_url or None, config=config
        )

    def _config(self, *, writes: bool, brief: bool = False) -> Config:
        limits = self._limits
        if brief:
            limits = msgspec.structs.replace(limits, read=min(limits.read, 2 * limits.connect), attempts=1)
        host = urlsplit(self.access.endpoint_url).hostname or ""
        return Config(
            user_agent_extra=self._identity.user_agent,
            connect_timeout=limits.connect,
            read_timeout=limits.write if writes else limits.read,
            retries={"mode": "standard", "total_max_attempts": 1 if writes else limits.attempts},
            max_pool_connections=CONNECTIONS,
            proxies={} if _LOOPBACK.fullmatch(host) else None,
        )

    def _make(self) -> boto3.Session:
        core = self._core()
        if self.access.role_arn:
            core = self._in_role(core)
        with self._lock:
            return boto3.Session(botocore_session=core, region_name=self.access.region)

    def _core(self) -> Any:
        access = self.access
        core = botocore.session.Session(profile=access.profile or None)
        core.register_component("data_loader", self._loader)
        if access.secret_access_key:
            core.set_credentials(access.access_key_id, access.secret_access_key.reveal())
        return core

    def _in_role(self, core: Any) -> Any:
        """Return a session whose credentials are those of the role, asked for with the ones of the session given."""
        source = core.get_credentials()
        if source is None:
            raise NoCredentialsError
        access = self.access
        names = {"RoleSessionName": self._identity.session_name}
        if access.external_id:
            names["ExternalId"] = access.external_id
        fetcher = AssumeRoleCredentialFetcher(partial(self._sts, core), source, access.role_arn, extra_args=names)
        credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, method=_RoleProvider.METHOD)
        inside = botocore.session.Session(profile=access.profile or None)
        inside.register_component("data_loader", self._loader)
        inside.register_component("credential_provider", CredentialResolver([_RoleProvider(credentials)]))
        return inside

    def _sts(self, core: Any, *args: Any, **keys: Any) -> Any:
        """Make the client that a role is asked for with; botocore calls this whenever it refreshes."""
        access = self.access
        with self._lock:
            return core.create_client(
                *args,
                region_name=access.region,
                endpoint_url=access.endpoint_url or None,
                config=self._config(writes=False),
                **keys,
            )


class AwsSessions:
    """The sessions of one run, by access."""

    def __init__(self, identity: Identity, limits: Limits, clock: Clock) -> None:
        self._identity, self._limits, self._clock = identity, limits, clock
        self._lock = threading.Lock()
        self._making = threading.Lock()
        self._loader = botocore.session.Session().get_component("data_loader")
        self._sessions: dict[AwsAccess, AwsSession] = {}

    def get(self, access: AwsAccess) -> AwsSession:
        """Return the session of an access; nothing is contacted."""
        with self._lock:
            if access not in self._sessions:
                self._sessions[access] = self._new(access)
            return self._sessions[access]

    def renew(self, stale: AwsSession) -> None:
        """Read the credentials of a session anew for the calls to come; of several who ask for it, the first one counts."""
        with self._lock:
            if self._sessions.get(stale.access) is stale:
                self._sessions[stale.access] = self._new(stale.access)

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            sessions = list(self._sessions.values())
            self._sessions.clear()
        for session in sessions:
            session.close()

    def _new(self, access: AwsAccess) -> AwsSession:
        return AwsSession(access, self._identity, self._limits, self._clock, self._making, self._loader)
