"""Whole commands: a failover is verified at the endpoint that clients use, and triage tells what answers there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crashcart.transports import database_access
from tests.aws.commandline import Commands
from tests.databases import servers
from tests.databases.servers import PASSWORD, Server
from tests.emulator import Emulator, running_emulator

FAIL_OVER = ("recover.elasticache-failover", "--hosts", "lab-redis", "--force", "--accept-unknown-lag", "--yes")
GROUP = "elasticache_replication_group"


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with running_emulator() as emulator:
        yield emulator


@pytest.fixture
def crashcart(
    running: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Commands:
    running.reset("caches", "databases")
    monkeypatch.setenv("CACHE_PASSWORD", PASSWORD)
    return Commands(running, tmp_path, monkeypatch, capsys)


def at(commands: Commands, url: str, **variables: Any) -> None:
    """Write an inventory in which the cache's clients find it there."""
    own = {"endpoint_url": url, "endpoint_password_env": "CACHE_PASSWORD", **variables}
    commands.write({GROUP: {"lab-redis": {name: value for name, value in own.items() if value is not None}}})


def steps(document: Any) -> dict[str, Any]:
    return {step["operation"]: step for step in document["targets"][0]["steps"]}


def everything_written(folder: Path) -> str:
    return "".join(file.read_text(errors="replace") for file in (folder / "state").rglob("*") if file.is_file())


def test_a_failover_is_done_when_its_clients_find_the_writer(crashcart: Commands, primary: Server) -> None:
    at(crashcart, f"redis://127.0.0.1:{primary.port}")
    said = crashcart(*FAIL_OVER, "--output", "json")
    assert said.code == 0, said.all
    verified = steps(said.document)["database.answers"]
    assert (verified["phase"], verified["outcome"], verified["verdict"]) == ("verify", "ok", "healthy")
    assert "role writer" in verified["message"]
    written = everything_written(crashcart.folder)
    assert "database.answers" in written
    assert PASSWORD not in written + said.all
    again = crashcart("recover.elasticache-failover", "--hosts", "lab-redis", "--yes", "--output", "json")
    assert (again.code, steps(again.document)["database.answers"]["message"]) == (0, "nothing was changed")


def test_a_replica_that_answers_never_passes_for_the_writer(crashcart: Commands, replica: Server) -> None:
    at(crashcart, f"redis://127.0.0.1:{replica.port}", endpoint_password_env=None, endpoint_password=PASSWORD)
    said = crashcart(*FAIL_OVER, "--output", "json")
    assert said.code == 1, said.all
    failed = steps(said.document)["database.answers"]
    assert "still not there after 120 s" in failed["message"]
    assert "as replica and not as writer" in failed["message"]
    assert "inv check.database --hosts lab-redis" in failed["hint"]
    assert PASSWORD not in everything_written(crashcart.folder) + said.all


def test_what_cannot_be_verified_is_known_before_anything_is_changed(
    crashcart: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(crashcart, "redis://127.0.0.1:1")
    monkeypatch.delenv("CACHE_PASSWORD")
    said = crashcart(*FAIL_OVER)
    assert (said.code, "the environment has no variable CACHE_PASSWORD" in said.all) == (2, True), said.all
    assert "--endpoint-url ''" in said.all
    monkeypatch.setattr(database_access, "find_spec", lambda _: None)
    said = crashcart(*FAIL_OVER)
    assert (said.code, "pip install 'crashcart[db]'" in said.all) == (2, True), said.all
    assert crashcart(*FAIL_OVER, "--endpoint-url", "postgresql://app:hunter2-hunter2@db/x").code == 2
    assert crashcart.emulator.writes() == []
    assert crashcart(*FAIL_OVER, "--endpoint-url", "").code == 0


def test_triage_goes_on_without_the_extra_and_says_what_to_install(
    crashcart: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(crashcart, "redis://127.0.0.1:1", endpoint_password_env=None)
    monkeypatch.setattr(database_access, "find_spec", lambda _: None)
    said = crashcart("check.all", "--hosts", "lab-redis", "--output", "json")
    found = steps(said.document)
    assert (said.code, found["elasticache.assess"]["outcome"], found["database.assess"]["outcome"]) == (5, "ok", "unknown")
    assert found["database.assess"]["hint"] == "pip install 'crashcart[db]'"


def test_check_database_tells_writer_replica_silence_and_denial(
    crashcart: Commands, primary: Server, replica: Server
) -> None:
    verdicts = {}
    with servers.mute() as port:
        for name, where in (("primary", primary.port), ("replica", replica.port), ("mute", port)):
            at(crashcart, f"redis://127.0.0.1:{where}")
            said = crashcart("check.database", "--hosts", "lab-redis", "--output", "json")
            verdicts[name] = (said.code, said.document["targets"][0]["verdict"])
    assert verdicts == {"primary": (0, "healthy"), "replica": (1, "down"), "mute": (4, "unknown")}
    at(crashcart, f"redis://127.0.0.1:{primary.port}", endpoint_password_env=None, endpoint_password="wrong-password")
    said = crashcart("check.database", "--hosts", "lab-redis", "--output", "json")
    assert (said.code, said.document["targets"][0]["verdict"]) == (4, "unknown")
    assert "denies the login" in said.out
    assert "wrong-password" not in json.dumps(said.document)


def test_a_target_without_an_endpoint_is_left_out(crashcart: Commands) -> None:
    crashcart.write({GROUP: {"lab-redis": {}}})
    said = crashcart("check.database", "--hosts", "lab-redis")
    assert (said.code, "does not apply" in said.all) == (3, True)
