"""AWS: the connector of a run, and the way to one cloud resource.

boto3 is imported with this module, so whoever may do without it imports this module late.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore import xform_name
from botocore.exceptions import BotoCoreError, UnknownServiceError

from crashcart.clock import Clock, SystemClock
from crashcart.errors import CrashcartError, InvalidCall, NotSent, nearest
from crashcart.targets import Target
from crashcart.transports.aws_check import AwsAccess, cloud_access, resource_of
from crashcart.transports.aws_errors import FOREIGN, Expired, Sent, call_error, login_error, plain
from crashcart.transports.aws_gate import InFlight, TooManyPages
from crashcart.transports.aws_iam import iam_action
from crashcart.transports.aws_names import Identity
from crashcart.transports.aws_sessions import AwsSession, AwsSessions, Limits, Service
from crashcart.transports.base import ApiCall

PAGING = "PaginationConfig"
"""botocore's own parameter of paginated calls; a read with ``MaxItems`` in it wants no more than these."""

ABOUT_ALL = frozenset({("health", "DescribeEvents")})
"""Calls whose answer is the same for every target of an account and region."""


class AwsConnector:
    """Makes the transports of a run. Sessions, credentials, clients and their backing off are shared by all of them.

    ``session_name`` and ``run`` are what CloudTrail shows of the run: the name of the assumed role's session, and a part of
    the user agent.
    """

    def __init__(
        self,
        *,
        session_name: str = "crashcart",
        run: str = "",
        limits: Limits | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._limits, self._clock = limits or Limits(), clock or SystemClock()
        self._sessions = AwsSessions(Identity(session_name, run), self._limits, self._clock)

    def __call__(self, target: Target) -> AwsTransport:
        """Make the transport of a target; nothing is contacted. Raises ``BadInput`` for variables that cannot work."""
        return self.open(cloud_access(target), resource_of(target))

    def open(self, access: AwsAccess, resource: str = "", *, until: float | None = None) -> AwsTransport:
        """Make a transport that belongs to no target. After ``until``, by the clock, it sends nothing more."""
        return AwsTransport(access, resource, self._sessions, self._limits, self._clock, until=until)

    def close(self) -> None:
        """Close what the transports share."""
        self._sessions.close()


class AwsTransport:
    """The way to one resource. Any number of threads may use it; ``cancel`` is for whatever is in flight at that moment."""

    def __init__(
        self,
        access: AwsAccess,
        resource: str,
        sessions: AwsSessions,
        limits: Limits,
        clock: Clock,
        *,
        until: float | None = None,
    ) -> None:
        self._access, self._resource, self._sessions = access, resource, sessions
        self._limits, self._clock, self._until = limits, clock, until
        self._lock = threading.Lock()
        self._in_flight: set[InFlight] = set()

    @property
    def access(self) -> AwsAccess:
        """With which credentials, in which region and at which endpoint it asks."""
        return self._access

    @property
    def resource(self) -> str:
        """The resource's identifier."""
        return self._resource

    @property
    def region(self) -> str:
        """The region that its calls go to."""
        return self._access.region

    @property
    def is_emulated(self) -> bool:
        """Whether the calls go to an endpoint of the inventory's instead of AWS."""
        return bool(self._access.endpoint_url)

    def read(self, call: ApiCall) -> dict[str, Any]:
        """Send a call that changes nothing, at most four times, and return its answer: all pages as one.

        More than ``Limits.items`` items or ``Limits.pages`` pages are an error (``InvalidCall``), never cut, unless the call
        itself says ``PaginationConfig: {MaxItems: n}``. Expired credentials are read anew once. A call that is about the
        account and not about this resource (``ABOUT_ALL``) is sent once for all that ask with this access; what is wanted of
        many resources at the same moment is asked in one request, where the API takes a list.
        """
        session = self._sessions.get(self._access)
        if (call.service, call.operation) in ABOUT_ALL:
            return session.answers.once(call, lambda: self._read(call))
        if self._until is None:  # nobody who has so little time waits for others
            return session.together.ask(call, self._read)
        return self._read(call)

    def _read(self, call: ApiCall) -> dict[str, Any]:
        with self._under_way() as flight:
            try:
                return self._send(call, flight, writes=False)
            except Expired:
                return self._send(call, flight, writes=False)

    def write(self, call: ApiCall) -> dict[str, Any]:
        """Send a call that may change something: one HTTP request, whatever comes back.

        Of expired credentials nothing can have come: that is ``NotSent``, and the next call has fresh ones.
        """
        with self._under_way() as flight:
            try:
                return self._send(call, flight, writes=True)
            except Expired as error:
                raise NotSent(f"{error.message}; nothing was done", hint=error.hint) from error

    def resolve(self, host: str) -> frozenset[str]:
        """Ask DNS, as this machine does, for a host's addresses. Raises ``NotSent`` when it does not say."""
        try:
            return frozenset(str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
        except OSError as error:
            raise NotSent(f"{host} does not resolve: {error.strerror}") from error

    def cancel(self) -> None:
        """Have the calls in flight send nothing more; they raise ``Cancelled`` before their next request.

        A request that AWS already has cannot be called back: its answer is waited for, up to the time limit, so that what
        it did is known. When nothing is in flight, this does nothing.
        """
        with self._lock:
            flights = list(self._in_flight)
        for flight in flights:
            flight.cancel()

    def close(self) -> None:
        """Do nothing: the connections belong to the run's sessions."""

    @contextmanager
    def _under_way(self) -> Iterator[InFlight]:
        flight = InFlight(self._clock, pages=self._limits.pages, until=self._until)
        with self._lock:
            self._in_flight.add(flight)
        try:
            yield flight
        finally:
            with self._lock:
                self._in_flight.discard(flight)

    def _send(self, call: ApiCall, flight: InFlight, *, writes: bool) -> dict[str, Any]:
        session = self._sessions.get(self._access)
        try:
            self._authenticate(session)
            service = self._service(session, call, writes=writes)
            flight.check()
            with service.wire.carrying(flight):
                return self._ask(service, call, writes=writes)
        except Expired:
            self._sessions.renew(session)
            raise
        except CrashcartError:
            raise
        except Exception as error:
            if not (flight.requests or isinstance(error, FOREIGN)):
                raise  # a defect; but whatever is raised once a request has left is an outcome
            raise call_error(error, Sent(call, self._access, writes, flight.requests), session.caller) from error

    def _authenticate(self, session: AwsSession) -> None:
        try:
            session.authenticate()
        except FOREIGN as error:
            raise login_error(error, self._access) from error

    def _service(self, session: AwsSession, call: ApiCall, *, writes: bool) -> Service:
        try:
            service = session.service(call.service, writes=writes)
        except UnknownServiceError as error:
            raise _no_such_call(call, f"there is no service {call.service!r}", "") from error
        except (BotoCoreError, ValueError) as error:
            raise _no_such_call(call, plain(error), "") from error
        operations = service.client.meta.service_model.operation_names
        if call.operation not in operations:
            raise _no_such_call(
                call, f"{call.service} has no operation {call.operation!r}", nearest(call.operation, operations)
            )
        return service

    def _ask(self, service: Service, call: ApiCall, *, writes: bool) -> dict[str, Any]:
        method = xform_name(call.operation)
        if writes:
            return dict(getattr(service.client, method)(**call.params))
        if service.client.can_paginate(method):
            return self._all_pages(service.client.get_paginator(method), call)
        answer = dict(getattr(service.client, method)(**call.params))
        answer.pop("ResponseMetadata", None)
        return answer

    def _all_pages(self, paginator: Any, call: ApiCall) -> dict[str, Any]:
        """Return all pages as one answer. Raises ``InvalidCall`` when there are more than the bounds allow."""
        paging = {"MaxItems": self._limits.items, **call.params.get(PAGING, {})}
        wants_all = "MaxItems" not in call.params.get(PAGING, {})
        params = {name: value for name, value in call.params.items() if name != PAGING}
        pages = paginator.paginate(**params, PaginationConfig=paging)
        try:
            answer: dict[str, Any] = pages.build_full_result()
        except TooManyPages:
            raise _too_much(call, f"more than {self._limits.pages} pages") from None
        if wants_all and pages.resume_token is not None:
            raise _too_much(call, f"more than {self._limits.items} items")
        answer.pop("NextToken", None)
        return answer


def _no_such_call(call: ApiCall, message: str, hint: str) -> InvalidCall:
    return InvalidCall(message, action=iam_action(call.service, call.operation), code="", hint=hint)


def _too_much(call: ApiCall, what: str) -> InvalidCall:
    action = iam_action(call.service, call.operation)
    return InvalidCall(f"{action}: {what}, which is more than is read", action=action, code="", hint="name or filter them")
