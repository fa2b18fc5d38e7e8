from __future__ import annotations

import json

import pytest

from crashcart.errors import BadInput, LabError
from crashcart.lab.engine import Engine, working_engines
from tests.unit.lab.fakes import FakeRunner

DOCKER = {"ServerVersion": "27.1", "SecurityOptions": ["name=seccomp"], "CgroupVersion": "2"}


def podman(runtime: str = "crun", cgroups: str = "v2", *, rootless: bool = False) -> bytes:
    host = {"ociRuntime": {"name": runtime}, "cgroupVersion": cgroups, "security": {"rootless": rootless}}
    return json.dumps({"host": host, "version": {"Version": "4.3.1"}}).encode()


def detect(answers: dict[str, bytes | Exception], installed: set[str], environ: dict[str, str] | None = None) -> list[str]:
    runner = FakeRunner(answers)
    found = working_engines(environ or {}, runner=runner, which=lambda name: name if name in installed else None)
    return [str(engine) for engine in found]


def test_nothing_installed_is_no_engine() -> None:
    assert detect({}, set()) == []


def test_docker_comes_first_where_both_answer() -> None:
    answers: dict[str, bytes | Exception] = {"docker info": json.dumps(DOCKER).encode(), "podman info": podman()}
    assert detect(answers, {"docker", "podman"}) == ["docker 27.1", "podman 4.3.1"]


def test_a_docker_client_without_a_daemon_is_passed_over() -> None:
    answers: dict[str, bytes | Exception] = {"docker info": LabError("no daemon"), "podman info": podman()}
    assert detect(answers, {"docker", "podman"}) == ["podman 4.3.1"]


def test_a_client_that_answers_without_a_server_is_passed_over() -> None:
    assert detect({"docker info": b'{"ServerVersion": ""}'}, {"docker"}) == []


def test_podman_in_docker_s_clothes_is_taken_for_podman() -> None:
    answers: dict[str, bytes | Exception] = {"docker info": podman(), "podman info": podman()}
    assert detect(answers, {"docker", "podman"}) == ["podman 4.3.1"]


def test_an_answer_that_is_no_json_is_no_engine() -> None:
    assert detect({"podman info": b"panic!"}, {"podman"}) == []


@pytest.mark.parametrize(
    ("runtime", "cgroups", "installed", "expected"),
    [
        ("crun", "v2", {"podman", "runc"}, "podman 4.3.1"),
        ("crun", "v1", {"podman", "runc"}, "podman 4.3.1 --runtime=runc"),
        ("crun", "v1", {"podman"}, "podman 4.3.1"),
        ("runc", "v1", {"podman", "runc"}, "podman 4.3.1"),
    ],
)
def test_crun_gives_way_to_runc_where_it_would_refuse(
    runtime: str, cgroups: str, installed: set[str], expected: str
) -> None:
    assert detect({"podman info": podman(runtime, cgroups)}, installed) == [expected]


def test_the_environment_narrows_the_choice() -> None:
    answers: dict[str, bytes | Exception] = {"docker info": json.dumps(DOCKER).encode(), "podman info": podman()}
    assert detect(answers, {"docker", "podman"}, {"CRASHCART_ENGINE": "podman"}) == ["podman 4.3.1"]
    with pytest.raises(BadInput, match="CRASHCART_ENGINE is 'lxc'"):
        detect(answers, set(), {"CRASHCART_ENGINE": "lxc"})


def test_only_a_rootful_engine_is_asked_for_loop_devices() -> None:
    assert any("b 7:*" in flag for flag in Engine("docker").boot_flags)
    assert not any("cgroup-rule" in flag for flag in Engine("podman", rootless=True).boot_flags)


def test_memory_is_limited_where_that_is_allowed() -> None:
    assert "--memory=512m" in Engine("podman").boot_flags
    assert not any("--memory" in flag for flag in Engine("podman", memory=False).boot_flags)


def test_each_engine_is_told_in_its_own_words_that_pid_1_is_systemd() -> None:
    assert "--systemd=always" in Engine("podman").boot_flags
    assert "--tmpfs=/run" in Engine("docker").boot_flags
    assert "--systemd=always" not in Engine("docker").boot_flags


def test_rootless_without_control_groups_of_its_own_is_refused_with_the_way_out() -> None:
    Engine("podman", rootless=True).demand_systemd()
    Engine("podman", cgroups="v1").demand_systemd()
    with pytest.raises(LabError, match="hint: run as root"):
        Engine("podman", rootless=True, cgroups="v1").demand_systemd()
