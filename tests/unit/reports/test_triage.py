"""The end of a run that only looked: worst first, each with the fact that decides, the command that helps, and the rest."""

from __future__ import annotations

from crashcart.events import RunFinished, RunStarted
from crashcart.plan import Options, Plan
from crashcart.reports.closing import MOST_NOTICES, Closing, make_closing
from crashcart.reports.commands import Commands
from crashcart.reports.tones import worst_first
from crashcart.results import Evidence, Outcome, Phase, StepResult, TargetResult, Verdict, summarize

PLAN = Plan("check.all", "Look", "web", (), read_only=True)

CHANGED, ERROR, PLANNED = "changed lately", "error", "planned"


def seen(name: str, *steps: tuple[Outcome, str, Verdict]) -> TargetResult:
    results = [
        StepResult(f"s{place}", "x.assess", Phase.STEP, outcome, message, f"inv recover.x --hosts {name}", verdict)
        for place, (outcome, message, verdict) in enumerate(steps)
    ]
    return TargetResult.of(name, "linux", results)


def ill(name: str, *evidence: tuple[str, str], also: str = "", why: str = "stopped") -> TargetResult:
    """A target that is down, each piece of evidence found by a step of its own."""
    steps = [
        StepResult(f"s{place}", "x.assess", Phase.STEP, Outcome.OK, evidence=(Evidence(kind, lines=(line,)),))
        for place, (kind, line) in enumerate(evidence)
    ]
    bad = [StepResult("bad", "x.assess", Phase.STEP, Outcome.FAILED, f"{name} is {why}", verdict=Verdict.DOWN)]
    bad += [StepResult("also", "x.assess", Phase.STEP, Outcome.FAILED, also, verdict=Verdict.DEGRADED)] if also else []
    return TargetResult.of(name, "linux", [*steps, *bad])


def healthy(name: str, kind: str, line: str) -> TargetResult:
    kept = (Evidence(kind, lines=(line,)),)
    return TargetResult.of(
        name, "x", [StepResult("s", "x.y", Phase.STEP, Outcome.OK, "well", verdict=Verdict.HEALTHY, evidence=kept)]
    )


def closing_of(results: list[TargetResult]) -> Closing:
    ended = RunFinished("failed", 1, "", summarize(results), 1.0)
    return make_closing(RunStarted("r1", "me", PLAN, Options(), "1"), results, ended, Commands(["inv", "check.all"]))


def test_of_many_bad_targets_each_tells_what_changed_last_or_else_its_top_error() -> None:
    results = [
        ill("web1", (CHANGED, "10:41:07 UTC nginx was upgraded"), (CHANGED, "10:45:00 UTC deployed by ann")),
        ill("web2", (CHANGED, "00:05:00 UTC /etc/a"), (CHANGED, "2030-01-01 23:59:59 UTC /etc/b"), (ERROR, "9 x oops")),
        ill("web3", (ERROR, "9 x cannot write"), also="/health 503"),
        ill("web4"),
        ill("db1", (PLANNED, "pending maintenance: system-update")),
    ]
    details = {notice.subject: notice.details for notice in closing_of(results).notices}
    assert details == {
        "web1 (down)": (f"{CHANGED}: 10:45:00 UTC deployed by ann",),
        "web2 (down)": (f"{CHANGED}: 00:05:00 UTC /etc/a",),
        "web3 (down)": (f"{ERROR}: 9 x cannot write", "also: /health 503"),
        "web4 (down)": (),
        "db1 (down)": (f"{PLANNED}: pending maintenance: system-update",),
    }


def test_targets_that_are_told_together_tell_how_many_of_them_had_the_same_change() -> None:
    results = [ill(f"web{n}", (CHANGED, f"10:41:{n:02} UTC deployed by ann")) for n in range(40)]
    results += [ill(f"web{n}", (ERROR, "9 x cannot write")) for n in range(40, 50)]
    (notice,) = closing_of(results).notices
    assert notice.details == (f"40 of 50: {CHANGED}: ... UTC deployed by ann", f"10 of 50: {ERROR}: 9 x cannot write")


def test_hundreds_of_bad_targets_stay_bounded() -> None:
    kinds = [chr(ord("a") + n % 26) * (1 + n // 26) for n in range(500)]
    results = [ill(f"w{kind}", (CHANGED, f"10:41:07 UTC {kind}"), also=f"no {kind}", why=kind) for kind in kinds]
    notices = closing_of(results).notices
    assert len(notices) == MOST_NOTICES + 1
    assert {len(notice.details) for notice in notices[:-1]} == {2}
    assert notices[-1].subject == f"{500 - MOST_NOTICES} more targets"


def test_what_is_planned_is_told_of_healthy_targets_and_of_those_alike_together() -> None:
    results = [healthy(f"db{n}", PLANNED, "pending maintenance: system-update") for n in (1, 2)]
    results += [healthy("db3", PLANNED, "pending changes: storage"), healthy("db4", CHANGED, "10:41:07 UTC it restarted")]
    assert [(notice.word, notice.sentence) for notice in closing_of(results).notices] == [
        (PLANNED, "2 targets (db1, db2) (healthy): pending maintenance: system-update"),
        (PLANNED, "db3 (healthy): pending changes: storage"),
    ]


def test_worst_first_with_fact_command_and_the_other_facts() -> None:
    healthy = seen("web1", (Outcome.OK, "all well", Verdict.HEALTHY))
    degraded = seen("web2", (Outcome.FAILED, "40 errors", Verdict.DEGRADED))
    silent = seen("web3", (Outcome.UNREACHABLE, "no answer", Verdict.UNKNOWN))
    down = seen(
        "web4", (Outcome.FAILED, "/var: 100 % full", Verdict.DOWN), (Outcome.FAILED, "/health 503", Verdict.DEGRADED)
    )
    results = [healthy, degraded, silent, down]
    ended = RunFinished("failed", 1, "", summarize(results), 1.0)
    closing = make_closing(RunStarted("r1", "me", PLAN, Options(), "1"), results, ended, Commands(["inv", "check.all"]))
    assert [notice.subject for notice in closing.notices] == ["web4 (down)", "web2 (degraded)", "web3 (unknown)"]
    first = closing.notices[0]
    assert (first.message, first.hint) == ("/var: 100 % full", "inv recover.x --hosts web4")
    assert first.details == ("also: /health 503",)
    assert closing.verdicts == {Verdict.DOWN: 1, Verdict.DEGRADED: 1, Verdict.UNKNOWN: 1, Verdict.HEALTHY: 1}


def test_all_that_the_looks_found_is_told_and_bounded() -> None:
    step = seen("web1", (Outcome.FAILED, "bad", Verdict.DOWN)).steps[0]
    kept = tuple(Evidence("error", lines=tuple(f"{place} x" for place in range(30))) for _ in range(2))
    result = TargetResult.of(
        "web1", "linux", [StepResult("s", "x.y", step.phase, step.outcome, "bad", verdict=Verdict.DOWN, evidence=kept)]
    )
    ended = RunFinished("failed", 1, "", summarize([result]), 1.0)
    closing = make_closing(RunStarted("r1", "me", PLAN, Options(), "1"), [result], ended, Commands(["inv", "check.all"]))
    assert len(closing.notices[0].details) == 11
    assert "more lines" in closing.notices[0].details[-1]


def test_what_aws_says_of_itself_is_told_once_where_the_targets_are_healthy() -> None:
    kept = (Evidence("AWS Health", lines=("RDS in us-east-1 since 10:52:19 UTC: X",)),)
    results = [
        TargetResult.of(
            name, "rds_cluster", [StepResult("s", "health.assess", Phase.STEP, Outcome.OK, "open issues", evidence=kept)]
        )
        for name in ("db1", "db2")
    ]
    ended = RunFinished("ok", 0, "", summarize(results), 1.0)
    closing = make_closing(RunStarted("r1", "me", PLAN, Options(), "1"), results, ended, Commands(["inv", "check.all"]))
    (notice,) = closing.notices
    assert (notice.word, notice.sentence) == (
        "found",
        "AWS Health: open issue: RDS in us-east-1 since 10:52:19 UTC: X (2 healthy targets)",
    )


def test_the_document_names_the_worst_first_and_keeps_the_order_of_its_targets() -> None:
    results = [
        seen("web1", (Outcome.OK, "all well", Verdict.HEALTHY)),
        seen("web2", (Outcome.UNREACHABLE, "no answer", Verdict.UNKNOWN)),
        seen("web3", (Outcome.FAILED, "/var: 100 % full", Verdict.DOWN)),
        seen("web4", (Outcome.FAILED, "40 errors", Verdict.DEGRADED)),
    ]
    assert [result.name for result in worst_first(results)] == ["web3", "web4", "web2", "web1"]
