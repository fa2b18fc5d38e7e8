"""The example jobs of docs/ci: the script part of each is run as it stands there, with its provider's variables set."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from tests.cli.conftest import CHECKOUT, INV, Inv

EXAMPLES = CHECKOUT / "docs" / "ci"

INPUTS = {"PLAYBOOK": "recover.disk-space", "HOSTS": "db1", "REASON": "it's down; $(touch pwned)", "CHECK": "false"}

PROVIDERS: dict[str, dict[str, str]] = {
    "github": {
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTOR": "alice",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "org/repo",
        "GITHUB_RUN_ID": "42",
    },
    "gitlab": {"GITLAB_CI": "true", "GITLAB_USER_LOGIN": "alice", "CI_JOB_URL": "https://gitlab/job/42"},
    "jenkins": {"JENKINS_URL": "https://jenkins/", "BUILD_USER_ID": "alice", "BUILD_URL": "https://jenkins/job/42/"},
}


def script_of(provider: str) -> str:
    if provider == "github":
        steps = yaml.safe_load((EXAMPLES / "github.yml").read_text())["jobs"]["recover"]["steps"]
        return next(str(step["run"]) for step in steps if step.get("name") == "recover")
    if provider == "gitlab":
        return "\n".join(yaml.safe_load((EXAMPLES / "gitlab.yml").read_text())["recover"]["script"])
    found = re.search(r"sh '''(.*?)'''", (EXAMPLES / "Jenkinsfile").read_text(), re.DOTALL)
    assert found
    return found[1]


@pytest.fixture(params=sorted(PROVIDERS))
def job(request: pytest.FixtureRequest, inv: Inv, tmp_path: Path) -> Any:
    """Run the script of a provider's job without a terminal, in a folder of its own."""
    summary = tmp_path / "summary.md"
    folder = tmp_path / "job"
    folder.mkdir()

    def run(**inputs: str) -> subprocess.CompletedProcess[str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        own = {"PATH": path, "GITHUB_STEP_SUMMARY": str(summary), **PROVIDERS[request.param], **INPUTS, **inputs}
        return subprocess.run(
            ["sh", "-e", "-c", script_of(request.param)],
            cwd=folder,
            env={**inv.environment, **own},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return request.param, run, folder, summary


def test_a_job_reports_what_it_came_to(job: Any) -> None:
    provider, run, folder, summary = job
    done = run()
    assert done.returncode == 4, done.stderr
    suite = ET.parse(folder / "report" / "junit.xml").find("testsuite")  # noqa: S314 -- our own output
    assert suite is not None
    assert suite.get("errors") == "1"
    properties = {each.get("name"): each.get("value") for each in suite.iter("property")}
    assert str(properties["actor"]).startswith(f"{provider}:alice (https://")
    assert properties["reason"] == INPUTS["REASON"]
    assert "db1" in (folder / "report" / "summary.md").read_text()
    assert not list(folder.rglob("pwned")), "nothing that is typed into a form is run"
    assert summary.exists() is (provider == "github")
    assert ("::error title=" in done.stderr) is (provider == "github")
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith("journal"), "annotations do not hide the last line"


def test_a_check_job_changes_nothing(job: Any) -> None:
    _, run, _, _ = job
    assert "=== CHECK" in run(CHECK="true").stdout


def test_a_job_without_a_reason_is_refused_before_anything_is_contacted(job: Any) -> None:
    _, run, _, _ = job
    done = run(REASON="")
    assert done.returncode == 3
    assert "--reason" in done.stderr


def test_every_policy_is_one() -> None:
    for path in (EXAMPLES / "policies").glob("*.json"):
        policy = json.loads(path.read_text())
        assert policy["Version"] == "2012-10-17"
        for statement in policy["Statement"]:
            writes = [action for action in _listed(statement["Action"]) if not _looks(action)]
            assert not (writes and statement.get("Resource") == "*"), f"{path.name}: {writes} on everything"


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _looks(action: str) -> bool:
    return action.partition(":")[2].startswith(("Describe", "Get", "List"))


QUICK = {"lab.up": ["--count", "x"], "lab.down": [], "lab.reset": ["--help"], "test": ["--help"], "check-code": ["--help"]}
"""What makes commands end at once that would really work for long."""


def commands() -> list[str]:
    listed = subprocess.run([INV, "--list", "--list-format=json"], cwd=CHECKOUT, capture_output=True, check=True, text=True)
    return sorted(_names(json.loads(listed.stdout), ""))


def _names(collection: Any, prefix: str) -> list[str]:
    own = [f"{prefix}{task['name']}" for task in collection["tasks"]]
    inner = [_names(each, f"{prefix}{each['name']}.") for each in collection["collections"]]
    return [*own, *(name for names in inner for name in names)]


def test_no_command_asks_or_hangs_without_a_terminal(inv: Inv) -> None:
    """Each is run with no flags, its lab a name that nobody has, and must say what is missing, or do its work."""
    for name in commands():
        words = [name, *QUICK.get(name, [])]
        done = inv(*words, CRASHCART_LAB="crashcart-nobody")
        assert done.returncode in {0, 1, 2, 3, 4, 5}, f"{name}: {done.returncode}"
        assert "Traceback" not in done.stdout + done.stderr, f"{name}: {done.stderr}"
