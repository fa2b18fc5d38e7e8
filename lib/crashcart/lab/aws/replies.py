"""Answers as AWS's protocols write them, and the lab's own error, which nobody can take for one of AWS's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from xml.sax.saxutils import escape

import msgspec

from crashcart.lab.aws.calls import Call

LAB_ERROR = "CrashcartLabError"
"""The error code of what the emulator cannot do. AWS has no such code."""

LAB_HEADER = "x-crashcart-lab-error"

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Reply(msgspec.Struct, frozen=True):
    """A whole HTTP answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def send(self, start_response: Callable[..., Any]) -> list[bytes]:
        """Hand it to a WSGI server."""
        kept = [(name, value) for name, value in self.headers if name.lower() not in {"content-length", "date", "server"}]
        phrase = HTTPStatus(self.status).phrase if self.status in HTTPStatus._value2member_map_ else "Unknown"
        start_response(f"{self.status} {phrase}", [*kept, ("Content-Length", str(len(self.body)))])
        return [self.body]


def capture(app: App, environ: dict[str, Any]) -> Reply:
    """Ask an application, and keep its answer instead of sending it."""
    heard: list[tuple[str, list[tuple[str, str]]]] = []

    def start(status: str, headers: list[tuple[str, str]], *_: object) -> Callable[[bytes], None]:
        heard.append((status, headers))
        return lambda _body: None

    parts = app(environ, start)
    try:
        body = b"".join(parts)
    finally:
        close = getattr(parts, "close", None)
        if close:
            close()
    status, headers = heard[-1]
    return Reply(int(status.split()[0]), tuple(headers), body)


def error_reply(call: Call, status: int, code: str, message: str, *headers: tuple[str, str]) -> Reply:
    """Return an error in the protocol in which the call was made, so that botocore reads code and message."""
    kind, body = _error_body(call, status, code, message)
    named = (("x-amzn-requestid", "lab"), ("x-amzn-errortype", code), ("x-amzn-query-error", f"{code};Sender"))
    spoken = (("smithy-protocol", "rpc-v2-cbor"),) if call.protocol == "cbor" else ()
    return Reply(status, (("Content-Type", kind), *named, *spoken, *headers), body)


def lab_error(call: Call, message: str) -> Reply:
    """Say loudly that the emulator, not AWS, cannot go on: status 501, a header, and a code that AWS does not have."""
    text = f"the lab's emulator: {call.service}.{call.action}: {message}"
    return error_reply(call, 501, LAB_ERROR, text, (LAB_HEADER, f"{call.service}.{call.action}"))


def json_reply(value: Any, status: int = 200) -> Reply:
    """Return an answer of the emulator's own API."""
    return Reply(status, (("Content-Type", "application/json"),), msgspec.json.encode(value))


def _error_body(call: Call, status: int, code: str, message: str) -> tuple[str, bytes]:
    side = "Sender" if status < 500 else "Receiver"
    error = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    match call.protocol:
        case "query":
            inner = f"<Error><Type>{side}</Type>{error}</Error><RequestId>lab</RequestId>"
            return "text/xml", f"<ErrorResponse>{inner}</ErrorResponse>".encode()
        case "ec2":
            inner = f"<Errors><Error>{error}</Error></Errors><RequestID>lab</RequestID>"
            return "text/xml", f"<Response>{inner}</Response>".encode()
        case "rest-xml":
            return "text/xml", f"<Error>{error}<RequestId>lab</RequestId></Error>".encode()
        case "cbor":
            return "application/cbor", _cbor_map({"__type": code, "message": message})
        case _:
            return "application/x-amz-json-1.1", json.dumps({"__type": code, "message": message}).encode()


def _cbor_map(texts: dict[str, str]) -> bytes:
    """Encode a map of short texts (RFC 8949: major types 5 and 3)."""
    return bytes([0xA0 | len(texts)]) + b"".join(_cbor_text(part) for pair in texts.items() for part in pair)


def _cbor_text(text: str) -> bytes:
    raw = text.encode()
    return b"\x79" + len(raw).to_bytes(2, "big") + raw
