"""Running without a person: the example jobs of docs/ci as they stand there, and every command without a terminal."""

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

from crashcart.cli.namespace import build_namespace
from tests.cli.conftest import CHECKOUT, INV, Inv

EXAMPLES = CHECKOUT / "docs" / "ci"
POLICIES = EXAMPLES / "policies"

LIMIT = 20.0
"""Seconds that a job may take here; what waits for an answer takes longer."""

HERE = """\
all:
  hosts:
    here: {ansible_connection: local}
    frozen:
      ansible_connection: local
      freeze: [{from: 2000-01-01T00:00:00Z, until: 2999-01-01T00:00:00Z, reason: year end}]
"""
"""This machine, which needs no network."""

INPUTS = {
    "PLAYBOOK": "recover.disk-space",
    "HOSTS": "db1",
    "PARAMETERS": "",
    "REASON": "it's down; $(touch pwned)",
    "CHECK": "false",
}

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

SHELLS = {"github": ("bash", "-e"), "gitlab": ("sh", "-e"), "jenkins": ("sh", "-xe")}
"""How each provider runs a script."""


def script_of(provider: str) -> str:
    """The script part of a provider's example, taken from the documentation itself."""
    if provider == "github":
        steps = yaml.safe_load((EXAMPLES / "github.yml").read_text())["jobs"]["recover"]["steps"]
        return next(str(step["run"]) for step in steps if step.get("name") == "recover")
    if provider == "gitlab":
        return "\n".join(yaml.safe_load((EXAMPLES / "gitlab.yml").read_text())["recover"]["script"])
    found = re.search(r"sh '''(.*?)'''", (EXAMPLES / "Jenkinsfile").read_text(), re.DOTALL)
    assert found
    return found[1]


class Job:
    """One provider's job, run where only it and its files are."""

    def __init__(self, provider: str, inv: Inv, folder: Path) -> None:
        self.provider, self.folder = provider, folder / "job"
        self.folder.mkdir()
        self.summary = folder / "step-summary.md"
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        own = {"PATH": path, "GITHUB_STEP_SUMMARY": str(self.summary), **PROVIDERS[provider]}
        strangers = set().union(*PROVIDERS.values())
        self._environment = {name: value for name, value in inv.environment.items() if name not in strangers} | own

    def run(self, *, closed: bool = False, **inputs: str) -> subprocess.CompletedProcess[str]:
        """Run the script without a terminal; with stdin closed, or at its end."""
        script = script_of(self.provider)
        return subprocess.run(
            [*SHELLS[self.provider], "-c", f"exec <&-\n{script}" if closed else script],
            cwd=self.folder,
            env={**self._environment, **INPUTS, **inputs},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
            start_new_session=True,
        )

    @property
    def suite(self) -> ET.Element:
        found = ET.parse(self.folder / "report/junit.xml").find("testsuite")  # noqa: S314 -- our own output
        assert found is not None
        return found


@pytest.fixture(params=sorted(PROVIDERS))
def job(request: pytest.FixtureRequest, inv: Inv, tmp_path: Path) -> Job:
    return Job(request.param, inv, tmp_path)


def local(inv: Inv) -> None:
    inv.inventory.write_text(HERE)


def test_a_job_reports_what_it_came_to(job: Job) -> None:
    done = job.run()
    assert done.returncode == 4, done.stderr
    assert {key: job.suite.get(key) for key in ("tests", "errors", "failures")} == {
        "tests": "1",
        "errors": "1",
        "failures": "0",
    }
    properties = {each.get("name"): each.get("value") for each in job.suite.iter("property")}
    assert str(properties["actor"]).startswith(f"{job.provider}:alice (as ")
    assert properties["reason"] == INPUTS["REASON"]
    assert str(properties["journal_sha256"]) in done.stdout, "the hash in the log is that of the artifact"
    assert "`db1`" in (job.folder / "report/summary.md").read_text()
    assert not list(job.folder.rglob("pwned")), "nothing that is typed into a form is run"
    assert done.stdout.strip().splitlines()[-1].startswith("journal"), "annotations do not hide the last line"
    on_github = job.provider == "github"
    assert ("::error title=recover.disk-space%3A db1 unreachable::" in done.stderr) is on_github
    assert "::error" not in done.stdout
    assert job.summary.exists() is on_github
    if on_github:
        assert job.summary.read_text() == (job.folder / "report/summary.md").read_text()


def test_a_job_succeeds_without_any_stdin(job: Job, inv: Inv) -> None:
    local(inv)
    done = job.run(closed=True, PLAYBOOK="check.disk", HOSTS="here", PARAMETERS="--path  /dev")
    assert done.returncode == 0, done.stderr
    assert [case.get("name") for case in job.suite.iter("testcase")] == ["here"]
    assert job.suite.get("errors") == job.suite.get("failures") == "0"


def test_a_check_job_changes_nothing(inv: Inv, tmp_path: Path) -> None:
    assert "=== CHECK" in Job("gitlab", inv, tmp_path).run(CHECK="true").stdout


def test_a_job_without_a_reason_is_refused_before_anything_is_contacted(inv: Inv, tmp_path: Path) -> None:
    done = Job("github", inv, tmp_path).run(REASON="")
    assert done.returncode == 3
    assert "--reason" in done.stderr
    assert not inv.contacted


def test_what_is_typed_as_parameters_is_no_shell(job: Job) -> None:
    done = job.run(PARAMETERS="--path /$(touch${IFS}pwned) `touch pwned` * ; touch pwned")
    assert done.returncode == 2
    assert not list(job.folder.rglob("pwned"))


def test_with_json_stdout_stays_one_document_on_github(inv: Inv, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    words = ("check.disk", "--hosts", "web", "--output", "json", "--report", str(tmp_path / "report"))
    done = inv(*words, cwd=CHECKOUT, **PROVIDERS["github"], GITHUB_STEP_SUMMARY=str(summary))
    assert json.loads(done.stdout)["run"]["exit_code"] == done.returncode == 4
    assert done.stderr.count("::error title=") == 2
    assert "web1" in summary.read_text()


def test_a_run_that_a_guard_refused_is_reported_too(inv: Inv, tmp_path: Path) -> None:
    """One that has a journal: here, it was refused after the survey."""
    local(inv)
    full = tmp_path / "full"
    full.mkdir()
    done = inv("recover.disk-space", "--hosts", "frozen", "--path", "/", "--below", "1", "--report", str(full))
    assert done.returncode == 3, done.stderr
    assert {path.name for path in full.iterdir()} == {"junit.xml", "report.html", "summary.md"}


def test_a_report_folder_that_cannot_be_written_is_bad_input(inv: Inv) -> None:
    done = inv("check.disk", "--hosts", "web", "--report", f"{inv.inventory}/report")
    assert done.returncode == 2
    assert "--report" in done.stderr
    assert not inv.contacted


def test_the_examples_ask_for_no_keys_and_bound_their_time() -> None:
    github = yaml.safe_load((EXAMPLES / "github.yml").read_text())
    job = github["jobs"]["recover"]
    assert github["permissions"] == {"contents": "read", "id-token": "write"}
    assert job["environment"] == "break-glass"
    assert job["timeout-minutes"] <= 60
    gitlab = yaml.safe_load((EXAMPLES / "gitlab.yml").read_text())["recover"]
    assert gitlab["rules"][0]["when"] == "manual"
    assert set(gitlab["id_tokens"]) == {"AWS_TOKEN"}
    texts = [(EXAMPLES / name).read_text() for name in ("github.yml", "gitlab.yml", "Jenkinsfile")]
    assert not any(re.search(r"secrets\.|ACCESS_KEY|cache:", text) for text in texts)
    assert all("input " not in script_of(provider) and "${{" not in script_of(provider) for provider in PROVIDERS)


def statements(path: Path) -> list[dict[str, Any]]:
    policy = json.loads(path.read_text())
    assert policy["Version"] == "2012-10-17"
    return list(policy["Statement"])


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_a_role_trusts_one_job_only(provider: str) -> None:
    (statement,) = statements(POLICIES / f"trust-{provider}.json")
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert list(statement["Condition"]) == ["StringEquals"]
    claims = statement["Condition"]["StringEquals"]
    assert {name.rpartition(":")[2] for name in claims} == {"aud", "sub"}
    assert not any("*" in value for value in claims.values())


PLAYBOOK = ("--hosts", "db1", "--reason", "INC-1")
"""A protected group, so that whoever would ask for an answer asks here."""

FIXED: dict[str, tuple[str, ...]] = {
    "lab.up": ("--count", "x"),  # builds machines
    "lab.reset": ("--help",),  # builds machines
    "test": ("--help",),  # runs this
    "check-code": ("--help",),  # takes half a minute
    "drill.all": ("--hosts", "db1"),
    "inventory.show": ("--hosts", "web"),
    "inventory.ping": ("--hosts", "web"),
    "runs.show": ("last",),
    "runs.resume": ("last",),
    "runs.undo": ("last",),
    "runs.verify": ("last",),
    "runs.sign-off": ("last",),
    "runs.approve": ("plan.json",),
}
"""What a fixed command is given: something to work on, or what makes one end at once that would really work for long."""

NAMES = sorted(build_namespace(CHECKOUT / "playbooks", CHECKOUT).task_names)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Inv:
    """A state folder with one run in it."""
    inv = Inv(tmp_path_factory.mktemp("ran"))
    assert inv("check.disk", "--hosts", "web").returncode == 4
    return inv


def words_for(name: str) -> tuple[str, ...]:
    is_playbook = name.partition(".")[0] in {"check", "recover", "verify", "drill"}
    return FIXED.get(name, PLAYBOOK if is_playbook else ())


WITHOUT_STDIN = (
    "check.disk",
    "recover.disk-space",
    "inventory.ping",
    "lab.status",
    "runs.resume",
    "runs.undo",
    "runs.sign-off",
)
"""One command of each way through the code; the others differ in their playbook only."""


@pytest.mark.parametrize("name", NAMES)
def test_no_command_asks_or_waits_without_a_terminal(ran: Inv, name: str) -> None:
    """Stdin stays open and silent, so that a command that reads it hangs."""
    code, said = outcome(spawn(ran, str(INV), name, *words_for(name)))
    assert code in {0, 1, 2, 3, 4, 5}, said
    assert "Traceback" not in said


@pytest.mark.parametrize("name", WITHOUT_STDIN)
def test_commands_work_without_any_stdin(ran: Inv, name: str) -> None:
    code, said = outcome(spawn(ran, "sh", "-c", 'exec "$@" <&-', "sh", str(INV), name, *words_for(name)))
    assert code in {0, 2, 3, 4, 5}, said
    assert "Traceback" not in said


def spawn(inv: Inv, *command: str) -> subprocess.Popen[str]:
    environment = {**inv.environment, "CRASHCART_LAB": "crashcart-nobody"}
    # A session of its own has no terminal to open behind our back.
    return subprocess.Popen(
        command,
        cwd=CHECKOUT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def outcome(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit code and all that was said; a process that waits for something is ended and fails the test."""
    with process:
        try:
            code = process.wait(LIMIT)
        finally:
            process.kill()
        assert process.stdout
        return code, process.stdout.read()
