"""What boto3 raises, in our own words: the one place that says whether a call was certainly not done, or may have been.

Two steps of a call fail in different ways. ``login_error`` is for what comes before it, the credentials: nothing of the
call was sent. ``call_error`` is for the call itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError
from urllib3.exceptions import NameResolutionError

from crashcart.errors import (
    AccessDenied,
    AuthenticationFailed,
    Busy,
    ConnectionLost,
    ConnectRefused,
    ConnectTimeout,
    CrashcartError,
    FactUnreadable,
    InvalidCall,
    NoSuchResource,
    Throttled,
    TransportError,
    Unreachable,
    nearest,
)
from crashcart.transports.aws_check import AwsAccess, known_regions, read_configuration
from crashcart.transports.aws_codes import HINTS, Fate, fate_of
from crashcart.transports.aws_iam import Denial, iam_action, read_denial
from crashcart.transports.base import ApiCall

FOREIGN = (boto.BotoCoreError, boto.ClientError, boto.HTTPClientError, ResponseParserError)
"""All that botocore raises on purpose. A ``ResponseParserError`` is none of its own tree."""

GUIDE = "docs/aws/credentials.md"
_MOST = 400
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_NO_LOGIN = (boto.NoCredentialsError, boto.NoAuthTokenError)
_SSO_OVER = (boto.SSOTokenLoadError, boto.UnauthorizedSSOTokenError, boto.TokenRetrievalError, boto.SSOError)
_WRONG_CALL = (boto.ParamValidationError, boto.DataNotFoundError, boto.OperationNotPageableError, boto.ValidationError)


class Expired(AuthenticationFailed):
    """The credentials are over: certainly nothing was done, and fresh ones may be had."""


class Sent(msgspec.Struct, frozen=True):
    """A call, how it was sent, and whether it was one that may change something."""

    call: ApiCall
    access: AwsAccess
    writes: bool
    requests: int = 1

    @property
    def action(self) -> str:
        """The call's name in IAM, which is what messages call it."""
        return iam_action(self.call.service, self.call.operation)

    @property
    def place(self) -> str:
        """Where it went: the emulator's URL, or the service and its region."""
        return self.access.endpoint_url or f"{self.call.service} in {self.access.region}"


class ApiError(msgspec.Struct, frozen=True):
    """An error answer of AWS: its code, its text, made safe to show, and the HTTP status."""

    code: str
    text: str
    status: int

    @classmethod
    def of(cls, error: boto.ClientError) -> ApiError:
        """Read what botocore parsed; whatever is missing there is empty."""
        said: dict[str, Any] = error.response.get("Error") or {}
        status = (error.response.get("ResponseMetadata") or {}).get("HTTPStatusCode") or 0
        return cls(str(said.get("Code") or "no code"), plain(said.get("Message") or ""), int(status))


def plain(text: object) -> str:
    """Return a foreign text on one line, and not longer than fits a message."""
    line = _CONTROL.sub(" ", str(text)).strip()
    return line if len(line) <= _MOST else f"{line[:_MOST]}..."


def call_error(error: Exception, sent: Sent, caller: Callable[[], str]) -> CrashcartError:
    """Return what an error of a call means. ``caller`` asks who the credentials belong to; empty when it cannot be told."""
    if isinstance(error, boto.ClientError):
        return _answer_error(ApiError.of(error), sent, caller)
    if isinstance(error, _WRONG_CALL):
        return InvalidCall(f"{sent.action}: {plain(error)}", action=sent.action, code=type(error).__name__)
    if isinstance(error, (*_NO_LOGIN, *_SSO_OVER, boto.CredentialRetrievalError, boto.PartialCredentialsError)):
        return login_error(error, sent.access)
    return not_connected(error, sent.access, sent.place) or _lost(error, sent)


def not_connected(error: Exception, access: AwsAccess, place: str) -> TransportError | None:
    """Return the error of a request for which there was no connection, so that it certainly never left."""
    if isinstance(error, boto.EndpointConnectionError):
        return _no_endpoint(error, access, place)
    if isinstance(error, boto.ConnectTimeoutError):
        return ConnectTimeout(f"{place} cannot be connected to within the time limit", hint=_network_hint(access))
    if isinstance(error, boto.ProxyConnectionError):
        return Unreachable(f"the proxy does not connect to {place}: {plain(error)}", hint="look at HTTPS_PROXY and NO_PROXY")
    if isinstance(error, boto.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        hint = "set AWS_CA_BUNDLE where a proxy signs with a certificate of its own"
        return Unreachable(f"the certificate of {place} is not trusted", hint=hint)
    return None


def login_error(error: Exception | None, access: AwsAccess) -> TransportError:
    """Return why there are no usable credentials; nothing but the login was tried. No error: there are none to be found."""
    profile = f" --profile {access.profile}" if access.profile else ""
    if error is None or isinstance(error, _NO_LOGIN):
        hint = f"aws sso login{profile}, or set aws_profile, AWS_PROFILE or a role for CI: {GUIDE}"
        return AuthenticationFailed("there are no AWS credentials", hint=hint)
    if isinstance(error, _SSO_OVER):
        return AuthenticationFailed(f"the AWS single sign-on is over: {plain(error)}", hint=f"aws sso login{profile}")
    if isinstance(error, boto.ProfileNotFound):
        hint = nearest(access.profile, read_configuration().profiles) or GUIDE
        return AuthenticationFailed(f"AWS credentials: {plain(error)}", hint=hint)
    if isinstance(error, boto.ClientError):
        return _role_error(error, access)
    if isinstance(error, boto.HTTPClientError | boto.ConnectionError | ResponseParserError):
        place = access.endpoint_url or f"sts in {access.region}"
        return not_connected(error, access, place) or Unreachable(f"no AWS credentials could be had: {plain(error)}")
    return AuthenticationFailed(f"the AWS credentials cannot be used: {plain(error)}", hint=GUIDE)


def _role_error(error: boto.ClientError, access: AwsAccess) -> TransportError:
    """Return why a role, or whatever else botocore asks for credentials, was not given."""
    answer = ApiError.of(error)
    role = f" {access.role_arn}" if access.role_arn else ""
    message = f"{error.operation_name}{role}: {answer.code}: {answer.text}"
    match fate_of("sts", answer.code, answer.status, answer.text):
        case Fate.EXPIRED:
            return Expired(f"the AWS credentials have expired ({message})", hint=_renew_hint(access))
        case Fate.DENIED:
            call = ApiCall("sts", "AssumeRole", {"RoleArn": access.role_arn or "*"})
            denial = read_denial(answer.text, call, access.region)
            hint = f"{denial.statement}, and the role's trust policy must name the caller: {GUIDE}"
            return AuthenticationFailed(message, hint=hint)
        case Fate.UNAUTHENTICATED:
            return AuthenticationFailed(message, hint=_unknown_key_hint(answer.code, access))
        case Fate.THROTTLED | Fate.AMBIGUOUS:
            return Unreachable(f"no AWS credentials could be had: {message}")
        case _:
            return AuthenticationFailed(message, hint=GUIDE)


def _answer_error(answer: ApiError, sent: Sent, caller: Callable[[], str]) -> CrashcartError:
    """Return what an error answer of the call's own service means."""
    message = f"{sent.action}: {answer.code}: {answer.text}"
    match fate_of(sent.call.service, answer.code, answer.status, answer.text):
        case Fate.THROTTLED:
            return Throttled(message)
        case Fate.BUSY:
            return Busy(message)
        case Fate.EXPIRED:
            return Expired(f"the AWS credentials have expired ({message})", hint=_renew_hint(sent.access))
        case Fate.UNAUTHENTICATED:
            return AuthenticationFailed(message, hint=_unknown_key_hint(answer.code, sent.access))
        case Fate.DENIED:
            return _denied(answer, sent, caller)
        case Fate.NO_SUCH:
            hint = f"looked in {sent.place}; are the name, aws_region and the account right?"
            return NoSuchResource(message, action=sent.action, code=answer.code, hint=hint)
        case Fate.TERMINAL:
            return InvalidCall(message, action=sent.action, code=answer.code, hint=HINTS.get(answer.code, ""))
        case Fate.AMBIGUOUS:
            return ConnectionLost(f"{message} (HTTP {answer.status}){_aftermath(sent)}")


def _denied(answer: ApiError, sent: Sent, caller: Callable[[], str]) -> AccessDenied:
    denial = read_denial(answer.text, sent.call, sent.access.region)
    if not denial.caller:
        denial = read_denial(answer.text, sent.call, sent.access.region, caller())
    who = denial.caller or "the caller"
    message = f"{denial.action} is denied to {who} on {denial.resource}"
    return AccessDenied(message, action=denial.action, code=answer.code, hint=_denial_hint(denial))


def _denial_hint(denial: Denial) -> str:
    if denial.explicit:
        return f"a policy denies it explicitly, which no other statement outweighs; it would need {denial.statement}"
    return f"missing in the policy: {denial.statement}"


def _no_endpoint(error: boto.EndpointConnectionError, access: AwsAccess, place: str) -> TransportError:
    cause = error.kwargs.get("error")
    if isinstance(cause, NameResolutionError | OSError):
        host = urlsplit(str(error.kwargs.get("endpoint_url"))).hostname
        return ConnectTimeout(f"{host} does not resolve", hint=_network_hint(access))
    if "refused" not in str(cause):
        return ConnectTimeout(f"there is no way to {place}: {plain(cause)}", hint=_network_hint(access))
    if access.endpoint_url:
        hint = "is the emulator up? inv lab.up"
        return ConnectRefused(f"nothing listens on {access.endpoint_url}", hint=hint)
    return ConnectRefused(f"{place} refuses the connection: {plain(cause)}", hint=_network_hint(access))


def _network_hint(access: AwsAccess) -> str:
    if access.endpoint_url:
        return "is aws_endpoint_url right?"
    if access.region in known_regions():
        return "is there a way to the internet, or a proxy to be set in HTTPS_PROXY?"
    return (
        f"aws_region {access.region!r} is not a region that is known here. {nearest(access.region, known_regions())}".strip()
    )


def _lost(error: Exception, sent: Sent) -> CrashcartError:
    """Return the error of a call whose answer did not arrive whole."""
    if not sent.requests:
        return Unreachable(f"{sent.action} was not sent: {plain(error)}")
    if isinstance(error, boto.ReadTimeoutError):
        return ConnectionLost(f"{sent.action}: {sent.place} did not answer in time{_aftermath(sent)}")
    if isinstance(error, boto.HTTPClientError | boto.ConnectionError):
        return ConnectionLost(f"{sent.action}: the connection with {sent.place} broke{_aftermath(sent)}: {plain(error)}")
    hint = "an emulator answers like this to an operation that it does not have" if sent.access.endpoint_url else ""
    message = f"{sent.action}: the answer of {sent.place} cannot be understood{_aftermath(sent)}: {plain(error)}"
    return ConnectionLost(message, hint=hint) if sent.writes else FactUnreadable(message, hint=hint)


def _aftermath(sent: Sent) -> str:
    return "; it may have taken effect" if sent.writes else ""


def _renew_hint(access: AwsAccess) -> str:
    profile = f" --profile {access.profile}" if access.profile else ""
    return f"log in again: aws sso login{profile}, or put fresh keys where these came from"


def _unknown_key_hint(code: str, access: AwsAccess) -> str:
    if code in {"RequestExpired", "RequestTimeTooSkewed", "SignatureDoesNotMatch", "InvalidSignatureException"}:
        return "is this machine's clock right? otherwise the secret key is not that of the key id"
    return f"the key is unknown to AWS, or region {access.region} is not enabled for its account"
