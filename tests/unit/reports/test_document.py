"""The JSON document: all keys, always; the same from the journal; no secrets."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crashcart.clock import FakeClock
from crashcart.events import AnyEvent, RunStarted
from crashcart.journal.folder import RunFolder
from crashcart.journal.recall import PastRun
from crashcart.reports.document import RunPart, drill_document, encode, refusal_document, replay, run_document
from crashcart.results import Change, Evidence, Mode, Outcome, TargetResult, Verdict
from crashcart.secrets import Secret
from tests.unit.reports.runs import HASH, JOURNAL, RUN, acted, finished, looked_at, result, started, whole

RUN_KEYS = [
    *("id", "playbook", "mode", "started", "finished", "duration_s", "status", "exit_code", "message"),
    *("actor", "reason", "incident", "selection", "parameters", "journal"),
]
TARGET_KEYS = ["name", "kind", "outcome", "message", "hint", "verdict", "steps"]
STEP_KEYS = ["name", "operation", "phase", "outcome", "attempts", "duration_s", "message", "evidence", "changes"]
OUTCOMES = ["ok", "changed", "would_change", "skipped", "refused", "failed", "unreachable", "unknown"]

MOMENT = datetime(2030, 1, 1, 3, 0, 10, tzinfo=UTC)


def document(*results: TargetResult, first: RunStarted | None = None) -> Any:
    made = run_document(
        first or started(*(each.name for each in results)),
        results,
        status="failed",
        exit_code=1,
        message="stopped",
        finished=MOMENT,
        duration=10.0,
        journal_path=JOURNAL,
        journal_hash=HASH,
    )
    return json.loads(encode(made))


def check_keys(found: Any) -> None:
    """Fixed keys are all there; the only others are the ones that were added on purpose."""
    assert list(found)[:4] == ["schema", "run", "targets", "summary"]
    assert set(found["run"]) == {*RUN_KEYS, "hint"}
    assert set(found["run"]["journal"]) == {"path", "hash"}
    assert set(found["summary"]) == set(OUTCOMES)
    for target in found["targets"]:
        assert set(target) == set(TARGET_KEYS)
        for step in target["steps"]:
            assert set(step) == {*STEP_KEYS, "hint", "verdict", "undo"}
            assert all(set(change) == {"what", "before", "after"} for change in step["changes"])


def test_all_of_a_run() -> None:
    change, kept = Change("lamp", "off", "on"), Evidence("status", "evidence/a/1-status.txt", "ab" * 32, ("it was off",))
    well = result("a", Outcome.CHANGED, "it shines", changes=(change,), evidence=(kept,), attempts=1, duration_s=2.5)
    ill = result("b", Outcome.FAILED, "broken", hint="inv recover.bulb --hosts ...", verdict=Verdict.DOWN)
    found = document(well, ill, first=started("a", "b", reason="dark", incident="INC-1", parameters={"room": "x"}))
    check_keys(found)
    assert found["schema"] == 1
    assert found["run"] | {"hint": ""} == {
        "id": RUN,
        "playbook": "recover.lamp",
        "mode": "apply",
        "started": "2030-01-01T03:00:00Z",
        "finished": "2030-01-01T03:00:10Z",
        "duration_s": 10.0,
        "status": "failed",
        "exit_code": 1,
        "message": "stopped",
        "hint": "",
        "actor": "ops",
        "reason": "dark",
        "incident": "INC-1",
        "selection": "web",
        "parameters": {"room": "x"},
        "journal": {"path": str(JOURNAL), "hash": HASH},
    }
    first, second = found["targets"]
    assert first["steps"][0]["changes"] == [{"what": "lamp", "before": "off", "after": "on"}]
    assert first["steps"][0]["evidence"][0]["lines"] == ["it was off"]
    assert (second["verdict"], second["hint"]) == ("down", "inv recover.bulb --hosts b")
    assert second["steps"][0]["hint"] == second["hint"]
    assert found["summary"] == dict.fromkeys(OUTCOMES, 0) | {"changed": 1, "failed": 1}


@pytest.mark.parametrize(("status", "code"), [("invalid", 2), ("refused", 3)])
def test_a_refusal_has_the_same_keys(status: str, code: int) -> None:
    found = json.loads(encode(refusal_document(status, code, "no", "recover.lamp", mode=Mode.CHECK, hint="--yes")))
    check_keys(found)
    assert found["targets"] == []
    assert sum(found["summary"].values()) == 0
    run = found["run"]
    assert (run["status"], run["exit_code"], run["message"], run["hint"]) == (status, code, "no", "--yes")
    assert (run["playbook"], run["mode"]) == ("recover.lamp", "check")
    assert run["id"] is run["started"] is run["finished"] is None
    assert run["journal"] == {"path": None, "hash": None}


def test_a_drill_has_the_same_keys_and_its_score() -> None:
    found = json.loads(
        encode(drill_document(RunPart(status="ok", exit_code=0), [result("a", Outcome.OK)], {"passed": True}))
    )
    assert found.pop("drill") == {"passed": True}
    check_keys(found)


def test_secrets_are_masked_by_type_and_by_name() -> None:
    parameters = {"code": Secret("hunter2"), "api_token": "hunter2", "nested": {"password": "hunter2"}, "key_file": "/k"}
    raw = encode(
        run_document(
            started("a", parameters=parameters),
            [result("a", Outcome.OK)],
            status="ok",
            exit_code=0,
            message="",
            finished=MOMENT,
            duration=1.0,
            journal_path=JOURNAL,
            journal_hash=HASH,
        )
    )
    assert b"hunter2" not in raw
    assert json.loads(raw)["run"]["parameters"] == {
        "code": "***",
        "api_token": "***",
        "nested": {"password": "***"},
        "key_file": "/k",
    }


def test_the_encoding_is_indented_utf8_with_a_newline_and_takes_any_text() -> None:
    raw = encode(refusal_document("invalid", 2, "größe \udcff \x1b[31m"))
    assert raw.startswith(b'{\n  "schema": 1,\n')
    assert raw.endswith(b"}\n")
    assert "größe".encode() in raw
    assert b"\x1b" not in raw
    assert json.loads(raw)["run"]["message"] == "größe \udcff \x1b[31m"


def journal(folder: Path, events: list[AnyEvent]) -> PastRun:
    first = events[0]
    assert isinstance(first, RunStarted)
    record = RunFolder.create(folder, first, FakeClock())
    for event in events[1:]:
        record.notice(event)
    record.close()
    return PastRun.read(record.journal)


def test_the_journal_gives_the_same_document(tmp_path: Path) -> None:
    first = started("a", "b", parameters={"room": "x", "code": Secret("hunter2")})
    results = [result("a", Outcome.CHANGED, "it shines", changes=(Change("lamp", "off", "on"),)), result("b", Outcome.OK)]
    past = journal(tmp_path / "runs", whole(first, results))
    assert past.finished
    made = run_document(
        first,
        results,
        status=past.finished.status,
        exit_code=past.finished.exit_code,
        message=past.finished.message,
        began=past.lines[0].head.time,
        finished=past.lines[-1].head.time,
        duration=past.finished.duration_s,
        journal_path=past.path,
        journal_hash=past.lines[-1].hash,
    )
    assert encode(replay(past)) == encode(made)
    check_keys(json.loads(encode(made)))


def test_a_run_that_broke_off_has_every_target(tmp_path: Path) -> None:
    events = [
        started("done", "acting", "waiting"),
        *looked_at("done"),
        *looked_at("acting"),
        *acted("done"),
        *finished(result("done", Outcome.CHANGED, "it shines")),
        acted("acting")[0],
    ]
    found = json.loads(encode(replay(journal(tmp_path / "runs", events))))
    check_keys(found)
    assert {each["name"]: each["outcome"] for each in found["targets"]} == {
        "done": "changed",
        "acting": "unknown",
        "waiting": "skipped",
    }
    assert (found["run"]["status"], found["run"]["exit_code"], found["run"]["finished"]) == ("unknown", 5, None)
    assert f"inv runs.resume {RUN}" in found["run"]["message"]
