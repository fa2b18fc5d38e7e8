"""Who runs this, as far as the environment tells."""

from __future__ import annotations

import os
import pwd

import pytest

from crashcart.actors import is_author
from crashcart.cli.identity import LONGEST, actor, login, provider

ME = pwd.getpwuid(os.getuid()).pw_name

GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_ACTOR": "alice",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "org/repo",
    "GITHUB_RUN_ID": "42",
}
RUN = "https://github.com/org/repo/actions/runs/42"
GITLAB = {"GITLAB_CI": "true", "GITLAB_USER_LOGIN": "carol"}
JENKINS = {"JENKINS_URL": "https://j/"}
BUILDKITE = {"BUILDKITE": "true", "BUILDKITE_BUILD_CREATOR": "Eve Adams", "BUILDKITE_BUILD_URL": "https://b/1"}


@pytest.mark.parametrize(
    ("environ", "who"),
    [
        (GITHUB, f"github:alice (as {ME}, {RUN})"),
        ({**GITHUB, "GITHUB_TRIGGERING_ACTOR": "bob"}, f"github:bob (as {ME}, {RUN})"),
        ({**GITLAB, "CI_JOB_URL": "https://g/j/1"}, f"gitlab:carol (as {ME}, https://g/j/1)"),
        (GITLAB, f"gitlab:carol (as {ME})"),
        ({**GITLAB, "CI_JOB_URL": ""}, f"gitlab:carol (as {ME})"),
        ({**JENKINS, "BUILD_USER_ID": "dan", "BUILD_URL": "https://j/1/"}, f"jenkins:dan (as {ME}, https://j/1/)"),
        ({**JENKINS, "CHANGE_AUTHOR": "somebody else"}, f"jenkins:unknown (as {ME})"),
        (BUILDKITE, f"buildkite:Eve Adams (as {ME}, https://b/1)"),
        (
            {**BUILDKITE, "BUILDKITE_BUILD_CREATOR_EMAIL": "eve@example.com"},
            f"buildkite:eve@example.com (as {ME}, https://b/1)",
        ),
        ({"SUDO_USER": "frank"}, "frank"),
        ({**GITHUB, "SUDO_USER": "runner"}, f"github:alice (as {ME}, {RUN})"),
        ({"GITHUB_ACTIONS": "false", "SUDO_USER": "frank"}, "frank"),
        ({}, ME),
        ({"USER": "ceo", "LOGNAME": "ceo", "USERNAME": "ceo"}, ME),
    ],
)
def test_actor(environ: dict[str, str], who: str) -> None:
    assert actor(environ) == who


def test_the_login_is_not_what_variables_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USER", "LOGNAME", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "ceo")
    assert login() == ME


@pytest.mark.parametrize("environ", [GITHUB, {**GITHUB, "GITHUB_REPOSITORY": "a@b/c"}, {"SUDO_USER": "alice"}])
def test_who_made_a_plan_in_a_job_is_its_author(environ: dict[str, str]) -> None:
    assert is_author(["alice@example.com"], actor(environ))
    assert not is_author([ME, "42", "repo", "bob"], actor({**environ, "GITHUB_RUN_ID": "42"}))


def test_provider() -> None:
    found = provider({"BUILDKITE": "true"})
    assert found
    assert found.name == "buildkite"
    assert provider({}) is None


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)
    assert login() == actor({}) == "uid 2147483641"
    assert actor(GITHUB) == f"github:alice (as uid 2147483641, {RUN})"


def test_a_forged_name_stays_on_its_line_is_bounded_and_hides_nothing() -> None:
    forged = actor({**GITHUB, "GITHUB_ACTOR": "x\n20300101 admin did it\x1b[31m\u202e" + "y" * 500})
    assert forged.isprintable()
    assert forged.endswith(f"y (as {ME}, {RUN})")
    assert len(actor({**GITHUB, "GITHUB_REPOSITORY": "z" * 500})) == LONGEST
