"""A URL that stands for a database: whether its service answers 2xx, as seen from the controller."""

from __future__ import annotations

import ssl
from http.client import HTTPConnection, HTTPException

from crashcart.errors import ConnectionLost, CrashcartError, Unreachable
from crashcart.transports.base import Rows
from crashcart.transports.database_access import Tls
from crashcart.transports.databases import Driver, said


class Http(Driver):
    """One GET; a redirect is not followed."""

    def log_in(self) -> None:
        """Agree on TLS where the URL says https."""
        if self.place.tls is not Tls.DISABLE:
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.place.host)

    def ask(self, query: str) -> Rows:
        """Return status and reason."""
        connection = HTTPConnection(self.place.host, self.place.port)
        connection.sock = self.sock
        connection.request(query, self.place.path, headers={"Host": self.place.address, "User-Agent": "crashcart"})
        answer = connection.getresponse()
        return ((str(answer.status), said(answer.reason)),)

    def error(self, error: Exception) -> CrashcartError | None:
        """Tell TLS, and what is no HTTP."""
        if isinstance(error, ssl.SSLError):
            return Unreachable(f"{self.place.address}: TLS: {said(error)}")
        if isinstance(error, HTTPException):
            return ConnectionLost(f"{self.place.address} does not answer as HTTP: {type(error).__name__} {said(error)}")
        return None
