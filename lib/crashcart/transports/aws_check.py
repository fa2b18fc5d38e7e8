"""The ``aws_*`` variables of a target: which there are, what they may hold, and the access that they come to.

Nothing here contacts AWS. botocore is imported only where a target leaves its region or a profile to the AWS configuration.
"""

from __future__ import annotations

import os
import re
from functools import cache

import msgspec

from crashcart.errors import BadInput, nearest
from crashcart.secrets import Secret
from crashcart.targets import Target
from crashcart.values import Url

KNOWN = (
    "aws_access_key_id",
    "aws_endpoint_url",
    "aws_external_id",
    "aws_id",
    "aws_profile",
    "aws_region",
    "aws_role_arn",
    "aws_secret_access_key",
)
"""Every variable of this prefix that means something."""

_REGION = re.compile(r"[a-z]{2,3}(-[a-z]+)+-\d{1,2}")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")
_CONFIGURATION = ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "HOME")


class AwsAccess(msgspec.Struct, frozen=True):
    """With which credentials, in which region and at which endpoint AWS is asked. Empty: botocore's own default.

    Targets of equal access share one session.
    """

    region: str
    profile: str = ""
    role_arn: str = ""
    external_id: str = ""
    endpoint_url: str = ""
    access_key_id: str = ""
    secret_access_key: Secret | None = None


class Configuration(msgspec.Struct, frozen=True):
    """What the AWS configuration files and the environment say: the region, and which profiles there are."""

    region: str
    profiles: tuple[str, ...]


def check_cloud_target(target: Target) -> None:
    """Check a target's ``aws_*`` variables without contacting anything. Raises ``BadInput``."""
    cloud_access(target)


def cloud_access(target: Target) -> AwsAccess:
    """Return how a target's calls are sent. Raises ``BadInput`` for variables that are unknown or cannot work."""
    _refuse_unknown(target)
    given = {name: _text(target, name) for name in KNOWN}
    profile = given["aws_profile"]
    access = AwsAccess(
        region=given["aws_region"],
        profile=profile,
        role_arn=given["aws_role_arn"],
        external_id=given["aws_external_id"],
        endpoint_url=_url(target, given["aws_endpoint_url"]),
        access_key_id=given["aws_access_key_id"],
        secret_access_key=Secret(given["aws_secret_access_key"]) if given["aws_secret_access_key"] else None,
    )
    _check_keys(target, access)
    _check_role(target, access)
    if profile or not access.region:
        access = _configured(target, access)
    _check_region(target, access.region)
    return access


def resource_of(target: Target) -> str:
    """Return the AWS identifier of a target: ``aws_id``, else its name."""
    return _text(target, "aws_id") or target.name


def read_configuration(profile: str = "") -> Configuration:
    """Return what the AWS configuration says for a profile, the default one if none is named. Raises ``BadInput``."""
    return _read_configuration(profile, tuple(os.environ.get(name, "") for name in _CONFIGURATION))


@cache
def _read_configuration(profile: str, environment: tuple[str, ...]) -> Configuration:  # noqa: ARG001 -- part of the key
    import botocore.session  # noqa: PLC0415 -- costs 0.2 s, and most runs have no cloud targets
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415

    try:
        profiles = tuple(botocore.session.Session().available_profiles)
        known = not profile or profile in profiles
        session = botocore.session.Session(profile=profile or None) if known else botocore.session.Session()
        region = session.get_config_variable("region") if known else None
    except BotoCoreError as error:
        raise BadInput(f"the AWS configuration cannot be used: {error}") from error
    return Configuration(str(region or ""), profiles)


def _refuse_unknown(target: Target) -> None:
    for name in target.variables:
        if name.startswith("aws_") and name not in KNOWN:
            hint = nearest(name, KNOWN) or f"known are {', '.join(KNOWN)}"
            raise BadInput(f"{target.name}: unknown variable {name!r}", hint=hint)


def _text(target: Target, name: str) -> str:
    value = target.variable(name)
    if isinstance(value, Secret):
        return value.reveal()
    if value is None or isinstance(value, str):
        return (value or "").strip()
    raise BadInput(f"{target.name}: {name} is a text, not {value!r}", hint=f'quote it: {name}: "{value}"')


def _url(target: Target, text: str) -> str:
    if not text:
        return ""
    try:
        return Url.parse(text).rstrip("/")
    except ValueError as error:
        hint = "write it with its scheme, as in http://127.0.0.1:5000"
        raise BadInput(f"{target.name}: aws_endpoint_url {text!r} is not an http or https URL", hint=hint) from error


def _check_keys(target: Target, access: AwsAccess) -> None:
    """Keys in an inventory are for an emulator, which takes any; AWS is reached through profiles and roles."""
    if bool(access.access_key_id) != bool(access.secret_access_key):
        missing = "aws_secret_access_key" if access.access_key_id else "aws_access_key_id"
        raise BadInput(f"{target.name}: {missing} is missing", hint="the two keys are set together, or not at all")
    if access.access_key_id and not access.endpoint_url:
        hint = "name a profile with aws_profile, or a role with aws_role_arn; docs/aws/credentials.md shows both"
        raise BadInput(f"{target.name}: keys in the inventory are only for an emulator (aws_endpoint_url)", hint=hint)
    if access.access_key_id and access.profile:
        raise BadInput(f"{target.name}: aws_profile and aws_access_key_id exclude each other", hint="leave one of them out")


def _check_role(target: Target, access: AwsAccess) -> None:
    if access.external_id and not access.role_arn:
        raise BadInput(f"{target.name}: aws_external_id belongs to aws_role_arn", hint="set aws_role_arn too")
    if access.role_arn and not _ROLE.fullmatch(access.role_arn):
        hint = "for example arn:aws:iam::111122223333:role/crashcart-oncall"
        raise BadInput(f"{target.name}: aws_role_arn {access.role_arn!r} is not a role's ARN", hint=hint)


def _configured(target: Target, access: AwsAccess) -> AwsAccess:
    """Take what the variables leave open from the AWS configuration."""
    configuration = read_configuration(access.profile)
    if access.profile and access.profile not in configuration.profiles:
        hint = nearest(access.profile, configuration.profiles) or f"aws configure sso --profile {access.profile} makes it"
        raise BadInput(f"{target.name}: there is no AWS profile {access.profile!r}", hint=hint)
    return msgspec.structs.replace(access, region=access.region or configuration.region)


def _check_region(target: Target, region: str) -> None:
    if not region:
        hint = "set aws_region for its group, or a region for the profile in ~/.aws/config"
        raise BadInput(f"{target.name}: no AWS region is set", hint=hint)
    if not _REGION.fullmatch(region):
        hint = nearest(region, known_regions()) or "for example eu-central-1"
        raise BadInput(f"{target.name}: aws_region {region!r} is not a region", hint=hint)


@cache
def known_regions() -> tuple[str, ...]:
    """Return the regions that the installed botocore has heard of; there may be newer ones."""
    import botocore.session  # noqa: PLC0415 -- costs 0.2 s, and is needed for a hint only

    session = botocore.session.Session()
    partitions = session.get_available_partitions()
    return tuple(region for name in partitions for region in session.get_available_regions("ec2", partition_name=name))
