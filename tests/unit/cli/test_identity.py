"""Who runs this, as far as the environment tells."""

from __future__ import annotations

import getpass

import pytest

from crashcart.cli.identity import actor, provider

GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_ACTOR": "alice",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "org/repo",
    "GITHUB_RUN_ID": "42",
}


@pytest.mark.parametrize(
    ("environ", "who"),
    [
        (GITHUB, "github:alice (https://github.com/org/repo/actions/runs/42)"),
        ({**GITHUB, "GITHUB_TRIGGERING_ACTOR": "bob"}, "github:bob (https://github.com/org/repo/actions/runs/42)"),
        ({"GITLAB_CI": "true", "GITLAB_USER_LOGIN": "carol", "CI_JOB_URL": "https://g/j/1"}, "gitlab:carol (https://g/j/1)"),
        ({"JENKINS_URL": "https://j/", "BUILD_USER_ID": "dan", "BUILD_URL": "https://j/1/"}, "jenkins:dan (https://j/1/)"),
        ({"JENKINS_URL": "https://j/"}, "jenkins:unknown"),
        (
            {"BUILDKITE": "true", "BUILDKITE_BUILD_CREATOR": "Eve", "BUILDKITE_BUILD_URL": "https://b/1"},
            "buildkite:Eve (https://b/1)",
        ),
        ({"SUDO_USER": "frank"}, "frank"),
        ({**GITHUB, "SUDO_USER": "runner"}, "github:alice (https://github.com/org/repo/actions/runs/42)"),
        ({"GITHUB_ACTIONS": "false", "SUDO_USER": "frank"}, "frank"),
    ],
)
def test_actor(environ: dict[str, str], who: str) -> None:
    assert actor(environ) == who


def test_without_anything_it_is_the_login() -> None:
    assert actor({}) == getpass.getuser()
    assert provider({}) is None


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert actor({}).startswith("uid ")


def test_a_forged_name_stays_on_its_line_and_is_bounded() -> None:
    forged = actor({**GITHUB, "GITHUB_ACTOR": "x\n20300101 admin did it\x1b[31m" + "y" * 500})
    assert forged.isprintable()
    assert len(forged) == 200
