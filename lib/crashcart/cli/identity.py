"""Who runs this: the person at the terminal, or the identity that a CI system gives its job.

All but the login is a *claim* of the environment: whoever can set variables can make it, ``SUDO_USER`` included. The journal
records it as such. Beside a job's claim stand the login, which the kernel vouches for, and the job's address, where the
provider's own log has the truth. Where nobody may act alone, use approvals: no variable makes a signature.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping

import msgspec

LONGEST = 300
"""Characters of an actor: it goes into every journal, lock and lease."""

_LONGEST_NAME = 64
"""Characters of one name in it, so that a long one cannot push the others out."""

UNKNOWN = "unknown"


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
    # Without the build-user-vars plugin Jenkins does not tell who it was; the author of a change is somebody else.
    Provider("jenkins", "JENKINS_URL", ("BUILD_USER_ID",), "{BUILD_URL}"),
    Provider(
        "buildkite", "BUILDKITE", ("BUILDKITE_BUILD_CREATOR_EMAIL", "BUILDKITE_BUILD_CREATOR"), "{BUILDKITE_BUILD_URL}"
    ),
)


def provider(environ: Mapping[str, str]) -> Provider | None:
    """Return the CI system that the environment speaks of, if it is one that is known."""
    return next((found for found in PROVIDERS if environ.get(found.sign) not in {None, "", "false"}), None)


def actor(environ: Mapping[str, str]) -> str:
    """Return who runs this, on one line of at most 300 characters.

    ``alice``, behind sudo too, or ``github:alice (as runner, https://github.com/org/repo/actions/runs/42)``: the provider's
    name for the person, the login that the job runs as, and the job's address where it is known.
    """
    found = provider(environ)
    return _clean(_of_job(found, environ) if found else environ.get("SUDO_USER") or login(), LONGEST)


def login() -> str:
    """Return the name of the user that this process runs as, or its number where none is known.

    Not from ``USER`` or ``LOGNAME``, which anybody can set.
    """
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        # A container may run us as a number that no passwd file names.
        return f"uid {os.getuid()}"


def _of_job(found: Provider, environ: Mapping[str, str]) -> str:
    person = next((environ[name] for name in found.people if environ.get(name)), UNKNOWN)
    about = [f"as {_clean(login(), _LONGEST_NAME)}", *_place(found, environ)]
    return f"{found.name}:{_clean(person, _LONGEST_NAME)} ({', '.join(about)})"


def _place(found: Provider, environ: Mapping[str, str]) -> list[str]:
    try:
        place = found.place.format_map(environ)
    except KeyError:
        return []
    return [place] if place else []


def _clean(text: str, longest: int) -> str:
    """Keep a text on its line: control and format characters become question marks."""
    return "".join(character if character.isprintable() else "?" for character in text[:longest])
