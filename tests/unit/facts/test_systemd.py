"""The fact's script under a real shell, with stand-ins for systemctl and curl on a PATH of its own."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crashcart.errors import CrashcartError, FactUnreadable
from crashcart.facts import http, systemd
from crashcart.facts.http import Health
from crashcart.facts.systemd import UnitState
from crashcart.transports.base import Command, CommandResult, HttpReply, Output, Transport

URL = "http://127.0.0.1:8000/health?a=1&b=$(touch pwned)"

OWN = """LoadState=loaded
ActiveState={active}
SubState=running
Result=signal
ExecMainPID=747
InvocationID=aa11
ActiveEnterTimestampMonotonic=1000000
Requires=db.service
Requisite=
BindsTo=-.mount
"""
NEEDS = """Id=db.service
LoadState=loaded
ActiveState=failed
Result=exit-code

Id=-.mount
LoadState=loaded
ActiveState=active
"""


class Host(Transport):
    """Runs commands here, with nothing but coreutils, sed and what a test adds on the PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("sh", "date", "sed", "grep", "head", "timeout", "sleep"):
            found = shutil.which(name)
            assert found
            (folder / name).symlink_to(found)

    def add(self, name: str, script: str) -> None:
        tool = self.folder / name
        tool.write_text(f"#!{self.folder}/sh\n{script}")
        tool.chmod(0o755)

    def add_systemctl(self, active: str = "active") -> None:
        shown = {"own": OWN.format(active=active), "needs": NEEDS}
        for name, text in shown.items():
            (self.folder / f"{name}.txt").write_text(text)
        self.add(
            "systemctl",
            f"""printf '%s\\n' "$*" >>{self.folder}/log
case "$*" in *Requires*) exec sed '' {self.folder}/own.txt ;; *) exec sed '' {self.folder}/needs.txt ;; esac
""",
        )

    def run(self, command: Command) -> CommandResult:
        words = [str(self.folder / "sh"), "-c", command.script, "sh", *command.args]
        environment = {"PATH": str(self.folder), "LC_ALL": "C"}
        ended = subprocess.run(words, env=environment, cwd=self.folder, capture_output=True, check=False, timeout=60)
        return CommandResult(status=ended.returncode, stdout=Output(ended.stdout), stderr=Output(ended.stderr))

    def fetch(self, url: str, timeout: float) -> HttpReply:
        return HttpReply(204, "")

    def cancel(self) -> None:
        """Nothing is in flight."""

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_unit_needs_and_health_come_from_one_command(host: Host) -> None:
    host.add_systemctl()
    host.add("curl", """printf '%s\\n' "$@" >curl.log; printf 'HTTP/1.1 503 No\\r\\n\\r\\ndisk full\\n'""")
    state = systemd.observe(host, "api.service", URL)
    assert (state.name, state.active, state.invocation) == ("api.service", "active", "aa11")
    assert [(need.name, need.trouble) for need in state.needs] == [("db.service", "failed (exit-code)"), ("-.mount", "")]
    assert state.health
    assert state.health.line == "/health 503 disk full"
    assert abs(state.now - time.time()) < 60
    asked = (host.folder / "log").read_text().splitlines()
    assert len(asked) == 2
    assert asked[0].endswith("-- api.service")
    assert asked[1].endswith("-- db.service -.mount")


def test_what_comes_from_users_is_never_parsed_by_the_shell(host: Host) -> None:
    host.add_systemctl()
    host.add("curl", """printf '%s\\n' "$@" >curl.log; printf 'HTTP/1.1 200 OK\\r\\n\\r\\n'""")
    systemd.observe(host, "api$(touch pwned).service", URL)
    assert URL in (host.folder / "curl.log").read_text().splitlines()
    assert not (host.folder / "pwned").exists()


def test_a_unit_that_is_not_active_is_not_probed(host: Host) -> None:
    host.add_systemctl(active="failed")
    host.add("curl", "exit 99")
    assert systemd.observe(host, "api.service", URL).health is None


@pytest.mark.parametrize(("pid", "killed"), [("747", True), ("7470", False), ("74", False)])
def test_the_kernel_knows_who_was_killed_for_memory(host: Host, pid: str, killed: bool) -> None:
    host.add_systemctl(active="failed")
    host.add("dmesg", f"echo '[5819.9] Memory cgroup out of memory: Killed process {pid} (api) total-vm:680680kB'")
    assert systemd.observe(host, "api.service", None).is_killed_for_memory is killed


def test_without_tools_the_connection_is_used(host: Host) -> None:
    host.add_systemctl()
    state = systemd.observe(host, "api.service", URL)
    assert state.health
    assert (state.health.health, state.health.by) == (Health.OK, "controller")


def test_wget_is_the_second_choice_and_a_hung_tool_is_stopped(host: Host) -> None:
    host.add("wget", "exec sleep 60")
    result = host.run(Command(http.SCRIPT, http.arguments(URL, 0.2)))
    assert http.parse(result.stdout.data).words == "no answer (timed out)"


def test_no_systemctl(host: Host) -> None:
    with pytest.raises(FactUnreadable, match="no systemctl"):
        systemd.observe(host, "api.service", None)


def test_no_bus(host: Host) -> None:
    host.add("systemctl", "echo 'Failed to connect to bus: Connection refused' >&2; exit 1")
    with pytest.raises(FactUnreadable, match="systemd cannot be asked: Failed to connect to bus: Connection refused"):
        systemd.observe(host, "api.service", None)


def test_an_answer_that_was_cut_off_is_no_answer(host: Host) -> None:
    host.add("systemctl", "kill -9 $PPID")
    with pytest.raises(FactUnreadable, match="systemd cannot be asked"):
        systemd.observe(host, "api.service", None)


@given(st.binary(max_size=400))
def test_parsing_never_raises_anything_of_its_own(stdout: bytes) -> None:
    for parse in (systemd.parse, http.parse):
        try:
            parse(stdout)
        except CrashcartError as error:
            assert isinstance(error, FactUnreadable)  # noqa: PT017 -- any outcome but another error is fine


LINES = st.sampled_from(
    [*OWN.format(active="active").splitlines(), "now=1.5", "uptime=3", "monotonic_ns=x", "Job=\u0664", "="]
)


@given(st.lists(LINES, max_size=12))
def test_parsing_survives_missing_and_odd_lines(lines: list[str]) -> None:
    try:
        systemd.parse("\n".join(lines).encode())
    except CrashcartError as error:
        assert isinstance(error, FactUnreadable)  # noqa: PT017


def unit(active_since: float | None, now: float) -> UnitState:
    return UnitState("api.service", active_since=active_since, now=now)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (unit(1893467529.0, 1893467550.0), "active since 03:12:09 UTC (21 s)"),
        (unit(1893467529.0, 1893467529.0 + 86400 * 3), "active since 2030-01-01 03:12:09 UTC (3 d)"),
        (unit(None, 1893467529.0), "active"),
        (UnitState("api.service", active="reloading", sub="reload"), "reloading (reload)"),
        (UnitState("api.service", active="inactive", sub="dead"), "stopped (systemd does not remember since when)"),
        (
            UnitState("a.service", active_since=1893467529.0, now=1893467530.0, oom_kills=2),
            "active since 03:12:09 UTC (1 s), 2 of its processes were killed for memory",
        ),
    ],
)
def test_standing(state: UnitState, words: str) -> None:
    assert state.standing == words


def test_a_jump_of_the_wall_clock_moves_the_start_along() -> None:
    """The age is measured on the clock that never jumps; only what it is called changes with the host's own time."""
    shown = OWN.format(active="active") + "monotonic_ns=101000000000\nuptime=101\n"
    before = systemd.parse(f"now=1893456000\n{shown}".encode())
    after = systemd.parse(f"now=1893459600\n{shown}".encode())
    assert before.age == after.age == 100
