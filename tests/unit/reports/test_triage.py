"""The end of a run that only looked: worst first, each with the fact that decides, the command that helps, and the rest."""

from __future__ import annotations

from crashcart.events import RunFinished, RunStarted
from crashcart.plan import Options, Plan
from crashcart.reports.closing import make_closing
from crashcart.reports.commands import Commands
from crashcart.reports.tones import worst_first
from crashcart.results import Evidence, Outcome, Phase, StepResult, TargetResult, Verdict, summarize

PLAN = Plan("check.all", "Look", "web", (), read_only=True)


def seen(name: str, *steps: tuple[Outcome, str, Verdict]) -> TargetResult:
    results = [
        StepResult(f"s{place}", "x.assess", Phase.STEP, outcome, message, f"inv recover.x --hosts {name}", verdict)
        for place, (outcome, message, verdict) in enumerate(steps)
    ]
    return TargetResult.of(name, "linux", results)


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
