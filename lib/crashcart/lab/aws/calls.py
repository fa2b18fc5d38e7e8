"""An HTTP request read as what it is: a call of an AWS service."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any, Literal
from urllib.parse import parse_qsl

import msgspec

Protocol = Literal["query", "ec2", "json", "cbor", "rest-json", "rest-xml"]

_SCOPE = re.compile(r"Credential=[^/]+/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/")
_CBOR_PATH = re.compile(r"/service/[^/]+/operation/(?P<action>\w+)$")
_NAMES = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch"}
"""Services that sign under another name than boto3 calls them by."""

_READS = re.compile(r"(Describe|Get|List|Head|BatchGet|Query|Scan|Simulate|Lookup|Filter|AssumeRole|GET |HEAD |OPTIONS )")
_SECRET = re.compile(r"password|secret|token", re.IGNORECASE)
_SHOWN, _LONGEST = 20, 100


class Call(msgspec.Struct, frozen=True):
    """One call. ``values`` are its parameters by their path, as text; of CBOR, which is not decoded, there are none."""

    service: str
    action: str
    region: str
    protocol: Protocol
    values: Mapping[str, str]
    body: bytes
    attempt: str = ""
    agent: str = ""

    @property
    def writes(self) -> bool:
        """Whether it may change something; told from the action's name, so an unknown one is taken for a write."""
        return not _READS.match(self.action)

    @property
    def key(self) -> str:
        """What makes two reads the same question."""
        asked = sorted(self.values.items()) if self.values else self.body
        return f"{self.region} {self.service}.{self.action} {asked!r}"

    @property
    def summary(self) -> dict[str, str]:
        """Its parameters for a log: short, and without secrets."""
        shown = list(self.values.items())[:_SHOWN]
        return {name: "***" if _SECRET.search(name) else value[:_LONGEST] for name, value in shown}

    def concerns(self, resource: str) -> bool:
        """Tell whether one of its parameters names a resource, or is an ARN that ends with it."""
        if self.protocol == "cbor":
            return resource.encode() in self.body
        return any(value == resource or resource in re.split(r"[:/]", value) for value in self.values.values())


def read_call(environ: dict[str, Any]) -> Call:
    """Read a WSGI request; its body can be read again afterwards."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = BytesIO(body)
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    signed = scope["service"] if scope else ""
    service = _NAMES.get(signed, signed) or "unsigned"
    protocol, action, values = _spoken(environ, service, body)
    return Call(
        service=service,
        action=action,
        region=scope["region"] if scope else "",
        protocol=protocol,
        values=values,
        body=body,
        attempt=environ.get("HTTP_AMZ_SDK_REQUEST", ""),
        agent=environ.get("HTTP_USER_AGENT", ""),
    )


def _spoken(environ: dict[str, Any], service: str, body: bytes) -> tuple[Protocol, str, dict[str, str]]:
    """Tell in which protocol, which action and which parameters."""
    path = environ.get("PATH_INFO", "/")
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return "json", target.rpartition(".")[2], _flat_json(body)
    if in_path := _CBOR_PATH.match(path):
        return "cbor", in_path["action"], {}
    given = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)) if _is_form(environ) else {}
    if action := given.pop("Action", ""):
        given.pop("Version", None)
        return ("ec2" if service == "ec2" else "query"), action, given
    asked = {"path": path} | dict(parse_qsl(environ.get("QUERY_STRING", "")))
    return ("rest-xml" if service in {"s3", "route53"} else "rest-json"), f"{environ['REQUEST_METHOD']} {path}", asked


def _is_form(environ: dict[str, Any]) -> bool:
    return str(environ.get("CONTENT_TYPE", "")).startswith("application/x-www-form-urlencoded")


def _flat_json(body: bytes) -> dict[str, str]:
    try:
        return dict(_leaves("", json.loads(body or b"{}")))
    except ValueError:
        return {}


def _leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _leaves(f"{path}.{name}" if path else str(name), one)
    elif isinstance(value, list):
        for number, one in enumerate(value, 1):
            yield from _leaves(f"{path}.{number}", one)
    else:
        yield path, str(value)
