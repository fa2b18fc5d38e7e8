"""Closed runs are shipped to a bucket, whatever they came to; what is not shipped says so until it is."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from crashcart.clock import FakeClock
from crashcart.events import RunFinished, RunResumed, RunStarted
from crashcart.journal.bucket import Bucket
from crashcart.journal.folder import RunFolder
from crashcart.journal.parcel import Piece, parcel
from crashcart.journal.recall import PastRun
from crashcart.lab.aws.account import KEYS
from crashcart.plan import Options, Plan
from crashcart.transports.aws_places import AUDIT, place_of
from crashcart.transports.connect import TargetConnector
from tests.aws.beside.whole import GROUP, SCALE, Controller
from tests.emulator import Emulator

BUCKET = "audit"
PREFIX = "crashcart/prod"
TOKEN = "what-nobody-sees"  # noqa: S105
LOOK = ("check.asg", "--hosts", GROUP)
SHARED = (*SCALE, "--at-least", "3")


@pytest.fixture
def emulator(emulator_process: Emulator) -> Emulator:
    emulator_process.reset("compute")
    emulator_process.durations(asg_launch=0.1, elbv2_registration=0.0, elbv2_first_checks=0.0)
    return emulator_process


@pytest.fixture
def ana(emulator: Emulator, tmp_path: Path) -> Controller:
    return Controller(tmp_path, emulator, "ana", audit=f"s3://{BUCKET}/{PREFIX}", api_token=TOKEN)


def make_bucket(emulator: Emulator, *, locked: bool = False) -> None:
    client = emulator.client("s3")
    client.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=locked)
    if locked:
        rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 3}}
        client.put_object_lock_configuration(
            Bucket=BUCKET, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
        )


def objects(emulator: Emulator) -> dict[str, bytes]:
    client = emulator.client("s3")
    found = client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return {item["Key"]: client.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read() for item in found}


def listed(controller: Controller) -> Any:
    code, document = controller.json("runs.list")
    assert code == 0
    return {run["id"]: run["unshipped"] for run in document["runs"]}


def test_a_closed_run_is_in_the_bucket_whole_and_without_secrets(
    emulator: Emulator, ana: Controller, tmp_path: Path
) -> None:
    make_bucket(emulator)
    done = ana(*SHARED, "--break-glass", "--reason", f"INC-7 with {KEYS[1]}")
    assert done.returncode == 0, done.stderr
    assert "audit" not in done.stderr
    journal = ana.journal()
    run, there = journal.parent.name, objects(emulator)
    below = {key.removeprefix(f"{PREFIX}/{run}/"): data for key, data in there.items()}
    kept = {str(path.relative_to(journal.parent)): path.read_bytes() for path in journal.parent.rglob("*") if path.is_file()}
    assert below == {**kept, "plan.json": below["plan.json"], "manifest.json": below["manifest.json"]}
    manifest = json.loads(below["manifest.json"])
    assert manifest["last_hash"] == done.stdout.split()[-1]
    assert {piece["name"]: piece["sha256"] for piece in manifest["pieces"]} == {
        name: hashlib.sha256(data).hexdigest() for name, data in below.items() if name != "manifest.json"
    }
    assert json.loads(below["plan.json"])["playbook"] == "recover.asg-scale"
    for data in there.values():
        assert KEYS[1].encode() not in data
        assert TOKEN.encode() not in data
    assert listed(ana) == {run: ""}
    copy = tmp_path / "copy" / run / "events.jsonl"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(below["events.jsonl"])
    assert ana("runs.verify", str(copy)).returncode == 0


def test_runs_that_only_looked_are_shipped_too(emulator: Emulator, ana: Controller) -> None:
    make_bucket(emulator)
    assert ana(*LOOK).returncode == 0
    assert ana(*SHARED, "--check").returncode == 0
    assert len([key for key in objects(emulator) if key.endswith("/manifest.json")]) == 2


def test_object_lock_is_honoured_where_the_bucket_has_it(emulator: Emulator, ana: Controller) -> None:
    make_bucket(emulator, locked=True)
    done = ana(*LOOK)
    assert (done.returncode, done.stderr) == (0, "")
    client = emulator.client("s3")
    keys = list(objects(emulator))
    assert len(keys) >= 3
    for key in keys:
        kept = client.head_object(Bucket=BUCKET, Key=key)
        assert kept["ObjectLockMode"] == "COMPLIANCE"
        with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
            client.delete_object(Bucket=BUCKET, Key=key, VersionId=kept["VersionId"])
    assert ana("runs.ship", "last").returncode == 0
    assert len(client.list_object_versions(Bucket=BUCKET)["Versions"]) == len(keys)


def test_what_cannot_be_shipped_says_so_until_the_next_run_ships_it(emulator: Emulator, ana: Controller) -> None:
    done = ana(*LOOK)
    assert done.returncode == 0
    assert "not shipped" in done.stderr
    assert "NoSuchBucket" in done.stderr
    first = ana.journal().parent.name
    assert f"inv runs.ship {first}" in done.stderr
    assert "not shipped: s3:PutObject: NoSuchBucket" in ana("runs.list").stdout
    assert "audit: not shipped: s3:PutObject: NoSuchBucket" in ana("runs.show", "last").stdout
    assert "NoSuchBucket" in ana.json("runs.show", "last")[1]["run"]["unshipped"]
    make_bucket(emulator)
    assert ana(*LOOK).returncode == 0
    second = ana.journal().parent.name
    assert {key.split("/")[2] for key in objects(emulator)} == {first, second}
    assert listed(ana) == {first: "", second: ""}
    assert "not shipped" not in ana("runs.list").stdout + ana("runs.show", first).stdout


def test_runs_ship_ships_what_is_owed_and_a_second_time_nothing(emulator: Emulator, ana: Controller) -> None:
    assert ana(*LOOK).returncode == 0
    run = ana.journal().parent.name
    failed = ana("runs.ship", "all")
    assert (failed.returncode, "NoSuchBucket" in failed.stdout) == (1, True)
    make_bucket(emulator)
    assert ana.json("runs.ship", "all")[1]["runs"][0]["why"] == ""
    there = objects(emulator)
    assert "nothing is owed" in ana("runs.ship", "all").stdout
    assert f"{run}  shipped to s3://{BUCKET}/{PREFIX}?region=us-east-1" in ana("runs.ship", run).stdout
    assert objects(emulator) == there


@pytest.mark.parametrize("fault", ["aws.denied", "aws.reset"])
def test_whatever_goes_wrong_the_exit_code_is_the_run_s(emulator: Emulator, ana: Controller, fault: str) -> None:
    make_bucket(emulator)
    emulator.fault(fault, service="s3", times=20)
    done = ana(*LOOK)
    assert done.returncode == 0
    assert "not shipped" in done.stderr
    if fault == "aws.denied":
        assert '{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::audit/crashcart/prod/' in done.stderr
    emulator.clear_faults()
    assert ana("runs.ship", "all").returncode == 0


def test_what_is_there_and_is_something_else_is_never_overwritten(emulator: Emulator, ana: Controller) -> None:
    assert ana(*LOOK).returncode == 0
    make_bucket(emulator)
    key = f"{PREFIX}/{ana.journal().parent.name}/plan.json"
    emulator.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"something else")
    done = ana("runs.ship", "last")
    assert done.returncode == 1
    assert f"s3://{BUCKET}/{key} is there already and is something else" in done.stdout
    assert objects(emulator)[key] == b"something else"
    assert "is something else" in ana("runs.list").stdout


def test_a_killed_run_is_shipped_once_it_is_closed(emulator: Emulator, ana: Controller) -> None:
    make_bucket(emulator)
    assert ana.spoiled("kill-2", *LOOK).returncode == -9
    done = ana("runs.ship", "last")
    assert done.returncode == 3
    assert "is not closed" in done.stderr
    assert "nothing is owed" in ana("runs.ship", "all").stdout
    assert objects(emulator) == {}
    assert ana("runs.resume", "last").returncode == 0
    assert len(objects(emulator)) >= 3


def test_a_run_that_went_on_after_it_was_closed_is_shipped_beside_its_first_end(emulator: Emulator, tmp_path: Path) -> None:
    make_bucket(emulator)
    place = place_of(emulator.target("linux", "web1", audit=f"s3://{BUCKET}"), AUDIT)
    assert place
    connect, clock = TargetConnector(), FakeClock()
    bucket = Bucket(connect.beside(place), place.name, place.path)
    folder = RunFolder.create(tmp_path, RunStarted("run-1", "ana", Plan("recover.x", "", "web", ()), Options()), clock)
    folder.keep("web1", "df", b"100%")
    folder.notice(RunFinished("interrupted", 130, "", {}, 1.0))
    bucket.ship("run-1", parcel(PastRun.read(folder.journal)))
    folder.notice(RunResumed("ana"))
    folder.notice(RunFinished("ok", 0, "", {}, 1.0))
    for _ in range(2):
        bucket.ship("run-1", parcel(PastRun.read(folder.journal)))
    folder.close()
    connect.close()
    there = objects(emulator)
    first, second = {"events.jsonl", "plan.json", "manifest.json"}, {"events.2.jsonl", "manifest.2.json"}
    assert set(there) == {f"run-1/{name}" for name in first | second | {"evidence/web1/1-df.txt"}}
    assert there["run-1/evidence/web1/1-df.txt"] == b"100%"
    assert there["run-1/events.2.jsonl"].startswith(there["run-1/events.jsonl"])


@pytest.mark.parametrize("fault", ["aws.lost", "aws.fails-after", "aws.throttle", "aws.reset"])
def test_a_lost_answer_leads_to_one_object(emulator: Emulator, fault: str) -> None:
    make_bucket(emulator)
    place = place_of(emulator.target("linux", "web1", audit=f"s3://{BUCKET}/a"), AUDIT)
    assert place
    connect = TargetConnector()
    emulator.fault(fault, service="s3")
    Bucket(connect.beside(place), place.name, place.path).ship("run-1", [Piece("x.txt", b"evidence")])
    connect.close()
    assert objects(emulator) == {"a/run-1/x.txt": b"evidence"}


def test_what_cannot_be_noted_is_not_begun(emulator: Emulator, ana: Controller) -> None:
    ana.state.mkdir()
    (ana.state / "unshipped").write_text("in the way")
    emulator.forget_requests()
    done = ana(*LOOK)
    assert done.returncode == 3
    assert "cannot note in" in done.stderr
    assert emulator.requests() == []


def test_an_audit_that_is_none_is_bad_input_even_for_a_look(emulator: Emulator, tmp_path: Path) -> None:
    ana = Controller(tmp_path, emulator, "ana", audit="s3://UPPER/x")
    emulator.forget_requests()
    done = ana(*LOOK)
    assert done.returncode == 2
    assert "names no bucket" in done.stderr
    assert emulator.requests() == []
