"""Who runs this: the person at the terminal, or the identity that a CI system gives its job.

What comes from the environment is a claim: whoever can set a job's variables can make it. The journal records it as such,
beside the job's address, where the provider's own log has the truth.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping

import msgspec

LONGEST = 200


class Provider(msgspec.Struct, frozen=True):
    """A CI system: the variable that gives it away, who started the job (the first that is set), and where the job is."""

    name: str
    sign: str
    people: tuple[str, ...]
    place: str


PROVIDERS = (
    Provider(
        "github",
        "GITHUB_ACTIONS",
        ("GITHUB_TRIGGERING_ACTOR", "GITHUB_ACTOR"),
        "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}",
    ),
    Provider("gitlab", "GITLAB_CI", ("GITLAB_USER_LOGIN",), "{CI_JOB_URL}"),
    Provider("jenkins", "JENKINS_URL", ("BUILD_USER_ID", "CHANGE_AUTHOR"), "{BUILD_URL}"),
    Provider(
        "buildkite", "BUILDKITE", ("BUILDKITE_BUILD_CREATOR_EMAIL", "BUILDKITE_BUILD_CREATOR"), "{BUILDKITE_BUILD_URL}"
    ),
)


def provider(environ: Mapping[str, str]) -> Provider | None:
    """Return the CI system that this runs in, if it is one that is known."""
    return next((found for found in PROVIDERS if environ.get(found.sign) not in {None, "", "false"}), None)


def actor(environ: Mapping[str, str]) -> str:
    """Return who runs this, on one line of at most 200 characters: ``alice``, or ``github:alice (https://...)``."""
    found = provider(environ)
    return _clean(_of_job(found, environ) if found else environ.get("SUDO_USER") or _login())


def _of_job(found: Provider, environ: Mapping[str, str]) -> str:
    person = next((environ[name] for name in found.people if environ.get(name)), "unknown")
    try:
        return f"{found.name}:{person} ({found.place.format_map(environ)})"
    except KeyError:
        return f"{found.name}:{person}"


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run us as a number that no passwd file names.
        return f"uid {os.getuid()}"


def _clean(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)[:LONGEST]
