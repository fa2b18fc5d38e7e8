"""What the HTML report says: the same as the other reports, the worst first, and how to go on."""

from __future__ import annotations

import pytest

from crashcart.events import LockLost, LockMissing
from crashcart.journal.recall import PastRun
from crashcart.reports.html_axis import moments_of
from crashcart.reports.html_page import PRINTED_WHOLE, Page, make_page
from crashcart.reports.html_story import MOST_LINES, story_of
from crashcart.reports.html_target import TargetRow
from crashcart.reports.tones import Tone
from crashcart.results import Evidence, Outcome
from tests.unit.reports import timed
from tests.unit.reports.runs import HASH, JOURNAL, RUN, result
from tests.unit.reports.test_junit import past


def rows(page: Page) -> dict[str, TargetRow]:
    return {row.name: row for group in page.groups for row in group.rows}


def test_the_banner_says_what_came_of_it_to_what_by_whom_and_why() -> None:
    page = make_page(timed.ok())
    assert (page.title, page.tone, page.mode) == ("changed: recover.service-restart on prod-web", Tone.CHANGED, "APPLY")
    assert (page.promise, page.exit_code, page.took) == ("1 target changed", 0, "12 s")
    assert dict(page.facts) == {
        "playbook": "recover.service-restart: Restart a service",
        "hosts": "prod-web, 3 targets",
        "actor": "github:alice (as runner)",
        "reason": "api is down",
        "incident": "INC-42",
        "when": "2030-01-01 03:00:00 to 03:00:12 UTC",
        "limits": "batches of 1, 25%, 100%; stops after more than 10% failed; ends after 15 min",
    }
    assert page.command.startswith("inv recover.service-restart --hosts prod-web --unit api")
    assert page.parameters == (("unit", "api"),)


@pytest.mark.parametrize(
    ("run", "promise", "words"),
    [
        (timed.ok(), "1 target changed", ["changed", "ok"]),
        (
            timed.failed(),
            "3 targets changed, 1 of them taken back",
            ["failed", "unreachable", "unknown", "skipped", "changed", "ok"],
        ),
        (timed.check(), "nothing was changed", ["would_change", "ok"]),
        (timed.triage(), "nothing was changed", ["down", "unreachable", "healthy"]),
        (timed.killed(), "1 target may have been changed", ["unknown", "skipped", "ok"]),
        (past([result("web1", Outcome.OK)]), "no target was changed", ["ok"]),
    ],
    ids=["ok", "failed", "check", "triage", "killed", "nothing to do"],
)
def test_what_was_changed_is_said_and_the_worst_comes_first(run: PastRun, promise: str, words: list[str]) -> None:
    page = make_page(run)
    assert page.promise == promise
    assert [group.word for group in page.groups] == words
    assert page.total == len(run.started.plan.targets)


def test_break_glass_comes_first() -> None:
    page = make_page(past([result("web1", Outcome.OK)], break_glass=True))
    assert page.facts[0] == ("warning", "break-glass: confirmations and waits are skipped")


def test_what_is_owed_is_said_with_the_command_that_settles_it() -> None:
    (notice,) = make_page(timed.failed()).owed
    assert notice.subject == "web03.eu-west-1.prod.example.com"
    assert "NOT TAKEN BACK: put api.service back to failed" in notice.message
    assert notice.hint == f"inv runs.undo {RUN}"


def test_a_run_that_broke_off_has_no_exit_code_and_says_how_to_go_on() -> None:
    page = make_page(timed.killed())
    assert (page.status, page.exit_code, page.following[0].command) == ("unfinished", None, f"inv runs.resume {RUN}")
    assert dict(page.facts)["when"] == "2030-01-01 03:00:00 until at least 03:00:03 UTC"


def test_an_interrupted_run_says_how_to_go_on() -> None:
    page = make_page(timed.resumed())
    assert (page.status, page.exit_code) == ("interrupted", 130)
    assert page.following[0].command == f"inv runs.resume {RUN}"


def test_the_record_has_the_journal_and_its_hash() -> None:
    page = make_page(timed.ok())
    record = dict(page.record)
    assert (record["journal"], record["sha256 of its last line"], record["run"]) == (str(JOURNAL), HASH, RUN)
    assert page.verify == f"inv runs.verify {RUN}"


def test_a_target_opens_to_its_steps_changes_attempts_and_evidence() -> None:
    row = rows(make_page(timed.ok()))["web1"]
    assert [(step.name, step.phase, step.outcome, step.attempts, step.took) for step in row.steps] == [
        ("restart api.service", "step", "changed", 1, "4.0 s"),
        ("http.healthy", "verify", "ok", 0, "1.0 s"),
        ("http.healthy after soak", "verify", "ok", 0, "1.0 s"),
    ]
    assert row.steps[0].changes == ("api.service: failed -> active", "MainPID: 0 -> 48213")
    assert [(kept.file, kept.sha256) for kept in row.steps[0].evidence] == [("evidence/web1/1-status.txt", "ab" * 32)]
    assert row.batch == 1


def test_what_happened_on_a_target_has_the_times_of_the_journal() -> None:
    told = rows(make_page(timed.ok()))["web1"].story
    assert [(line.time, line.word) for line in told][:5] == [
        ("03:00:00.8", "looked"),
        ("03:00:00.8", "act"),
        ("03:00:01.4", "evidence"),
        ("03:00:01.5", "act sent"),
        ("03:00:03.0", "applied"),
    ]


def test_few_targets_that_need_attention_are_open_from_the_start() -> None:
    assert {name for name, row in rows(make_page(timed.triage())).items() if row.is_open} == {"web2", "web3"}
    assert not any(row.is_open for row in rows(make_page(timed.failed())).values())
    assert sum(row.needs_attention for row in rows(make_page(timed.failed())).values()) == 4


def test_of_many_that_a_check_found_the_worst_are_open_and_each_says_what_changed() -> None:
    shown = rows(make_page(timed.outage()))
    assert [name for name, row in shown.items() if row.is_open] == ["web1", "web2", "web3"]
    assert shown["web5"].found == "changed lately: 02:40:55 UTC package upgrade nginx:amd64 1.24.0-1 1.26.0-2"
    assert shown["db1"].found == "planned: pending maintenance: system-update"


def test_a_long_story_keeps_its_beginning_and_its_end() -> None:
    tape = timed.Tape(["web1"])
    for number in range(200):
        timed.look(tape, 1.0 + number, "web1", f"lag {number} s", "wait")
    told = story_of(moments_of(tape.past().lines))["web1"]
    assert len(told) == MOST_LINES + 1
    assert [line.text for line in told if not line.time] == [f"{400 - MOST_LINES} more lines in the journal"]
    assert told[-1].text == "lag 199 s"


def test_locks_that_were_not_had_are_told() -> None:
    tape = timed.Tape(["web1"])
    tape.put(1.0, LockMissing("locks", ("web1",), "denied"), LockLost("locks", "web1", "expired"))
    told = story_of(moments_of(tape.past().lines))["web1"]
    assert [(line.word, line.text) for line in told] == [
        ("no lock", "went on without the lock of locks: denied"),
        ("lock lost", "locks: expired"),
    ]


def test_evidence_is_bounded() -> None:
    found = Evidence("files", lines=tuple(f"/var/log/{number}" for number in range(5000)))
    (row,) = rows(make_page(past([result("web1", Outcome.CHANGED, evidence=(found,))]))).values()
    assert row.steps[0].evidence[0].lines[-1] == "... 4960 more lines"


def test_hints_name_their_target() -> None:
    row = rows(make_page(timed.failed()))["web12.eu-west-1.prod.example.com"]
    assert row.hint == "inv check.service --hosts web12.eu-west-1.prod.example.com --unit api"


def test_secret_parameters_are_masked() -> None:
    page = make_page(past([result("web1", Outcome.OK)], parameters={"db_password": "hunter2", "force": True, "to": None}))
    assert dict(page.parameters) == {"db_password": "***", "force": "yes", "to": "not set"}


def test_a_default_that_each_target_renders_is_not_shown_as_a_template() -> None:
    page = make_page(past([result("web1", Outcome.OK)], parameters={"unit": "{{ unit | default('') }}"}))
    assert dict(page.parameters) == {"unit": "default: each target's own"}
    assert "hunter2" not in page.command


def test_paper_shows_every_detail_of_few_targets_and_of_many_what_needs_attention() -> None:
    assert make_page(timed.many(PRINTED_WHOLE)).printed_whole
    assert not make_page(timed.many(PRINTED_WHOLE + 1)).printed_whole
