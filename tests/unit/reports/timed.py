"""Runs whose events have times, one scene for each thing that a report has to show well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from crashcart.events import (
    Acted,
    AnyEvent,
    BatchStarted,
    Decided,
    EvidenceKept,
    Intended,
    Pinned,
    RunFinished,
    RunResumed,
    RunStarted,
    Soaking,
    StepFinished,
    Surveyed,
    TargetFinished,
    UndoBegun,
    UndoOwed,
)
from crashcart.journal.lines import ORIGIN, Head, Line
from crashcart.journal.recall import PastRun
from crashcart.plan import Options, OwedUndo, Plan, PlannedStep, Rollout, TargetPlan, Undo
from crashcart.results import (
    Change,
    Evidence,
    Mode,
    Outcome,
    Phase,
    StepResult,
    TargetResult,
    Verdict,
    exit_code,
    summarize,
    worst,
)
from crashcart.targets import Target
from tests.unit.reports.runs import HASH, JOURNAL, RUN

START = datetime(2030, 1, 1, 3, tzinfo=UTC)
RESTART = PlannedStep("restart api.service", "systemd.restarted", Phase.STEP, {})
HEALTHY = PlannedStep("http.healthy", "http.healthy", Phase.VERIFY, {})
BACK = PlannedStep("undo restart api.service", "systemd.state", Phase.UNDO, {})
DOING = "restart api.service, which is failed since 02:41:07"


class Tape:
    """Collects events, each some seconds after the start."""

    def __init__(self, names: Sequence[str], *, read_only: bool = False, **options: Any) -> None:
        targets = tuple(TargetPlan(Target(name), (RESTART, HEALTHY)) for name in names)
        rollout = Rollout(("1", "25%", "100%"), max_failures="10%")
        plan = Plan(
            "recover.service-restart",
            "Restart a service",
            "prod-web",
            targets,
            {"unit": "api"},
            rollout,
            read_only=read_only,
        )
        self._lines: list[tuple[float, AnyEvent]] = []
        self.results: list[TargetResult] = []
        first = RunStarted(RUN, "github:alice (as runner)", plan, Options(**options), "0.1.0")
        self.put(0.0, first)

    def put(self, at: float, *events: AnyEvent) -> None:
        """Journal events at so many seconds after the start."""
        self._lines += [(at, event) for event in events]

    def step(self, at: float, target: str, result: StepResult) -> StepResult:
        """A step has its outcome."""
        self.put(at, StepFinished(target, result))
        return result

    def target(self, at: float, name: str, *steps: StepResult) -> None:
        """A target has its outcome."""
        self.results.append(TargetResult.of(name, "linux", steps))
        self.put(at, TargetFinished(self.results[-1]))

    def end(self, at: float, *, status: str = "", message: str = "") -> PastRun:
        """The run has its outcome."""
        outcomes = [result.outcome for result in self.results]
        code = exit_code(outcomes, interrupted=status == "interrupted")
        self.put(at, RunFinished(status or worst(outcomes).value, code, message, summarize(self.results), at))
        return self.past()

    def past(self) -> PastRun:
        """What the journal tells, as far as it goes."""
        timed = sorted(self._lines, key=lambda line: line[0])
        lines = (
            Line(place, HASH, Head(START + timedelta(seconds=at), ORIGIN), event)
            for place, (at, event) in enumerate(timed, 1)
        )
        return PastRun(JOURNAL, tuple(lines))


def outcome(step: PlannedStep, what: Outcome, message: str = "", duration: float = 0.0, **fields: Any) -> StepResult:
    return StepResult(step.name, step.operation, step.phase, what, message, duration_s=duration, **fields)


def look(tape: Tape, at: float, name: str, why: str = "", decision: str = "done") -> None:
    """The first look at a target, whose answer came at ``at``."""
    tape.put(at, Pinned(name, RESTART.name, {}, {}), Decided(name, RESTART.name, decision, why))


def well(tape: Tape, at: float, name: str) -> None:
    """A target on which nothing has to be done; the look took 0.4 s."""
    why = "active since 02:11:54, restart not needed"
    look(tape, at, name, why)
    steps = (outcome(RESTART, Outcome.OK, why, 0.4), outcome(HEALTHY, Outcome.SKIPPED, "nothing was changed"))
    tape.put(at + 0.01, *(StepFinished(name, step) for step in steps))
    tape.target(at + 0.01, name, *steps)


def act(tape: Tape, at: float, name: str, answer: str = "applied", why: str = "") -> None:
    """An act that takes 1.5 s, after a look of 0.3 s that begins at ``at``."""
    undo = Undo("systemd.state", {"unit": "api"}, "put api.service back to failed")
    intended = Intended(
        name, RESTART.name, "restart", "once", DOING, "t", (Change("api.service", "failed", "active"),), undo=undo
    )
    tape.put(at + 0.2, EvidenceKept(name, RESTART.name, Evidence("status", f"evidence/{name}/1-status.txt", "ab" * 32)))
    tape.put(at + 0.3, intended)
    tape.put(at + 1.8, Acted(name, RESTART.name, "restart", answer, why))


def restarted(tape: Tape, at: float, name: str) -> StepResult:
    """A restart that works: 1.8 s to act, 2.2 s of waiting."""
    act(tape, at, name)
    tape.put(at + 1.9, Decided(name, RESTART.name, "wait", "activating (start-pre), 0.1 s"))
    tape.put(at + 4.0, Decided(name, RESTART.name, "done", "active since 03:00:04"))
    kept = Evidence("status", f"evidence/{name}/1-status.txt", "ab" * 32)
    changes = (Change("api.service", "failed", "active"), Change("MainPID", "0", "48213"))
    done = outcome(RESTART, Outcome.CHANGED, "active since 03:00:04", 4.0, attempts=1, changes=changes, evidence=(kept,))
    return tape.step(at + 4.0, name, done)


def verified(tape: Tape, at: float, name: str, *, ok: bool = True, suffix: str = "") -> StepResult:
    """A verification of 1 s."""
    message = "200 in 12 ms" if ok else "503 from http://127.0.0.1:8080/health: disk full"
    step = outcome(HEALTHY, Outcome.OK if ok else Outcome.FAILED, message, 1.0, verdict=None if ok else Verdict.DOWN)
    named = StepResult(
        HEALTHY.name + suffix, step.operation, step.phase, step.outcome, message, duration_s=1.0, verdict=step.verdict
    )
    tape.put(at + 0.8, Pinned(name, named.name, {}, {}))
    return tape.step(at + 1.0, name, named)


def ok() -> PastRun:
    """Three targets: two were well, one was restarted and soaked."""
    tape = Tape(["web1", "web2", "web3"], reason="api is down", incident="INC-42")
    well(tape, 0.6, "web2")
    well(tape, 0.7, "web3")
    look(tape, 0.8, "web1", DOING, "act")
    tape.put(1.0, Surveyed(("web1",)))
    tape.put(1.1, BatchStarted(1, 1, ("web1",)))
    steps = [restarted(tape, 1.2, "web1"), verified(tape, 5.2, "web1")]
    tape.put(6.3, Soaking(1, 5.0))
    tape.target(12.4, "web1", *steps, verified(tape, 11.4, "web1", suffix=" after soak"))
    return tape.end(12.5)


def failed() -> PastRun:
    """A canary that fails and is taken back, one whose undo is owed, two that could not be reached or told, and the rest."""
    names = [f"web{number:02}.eu-west-1.prod.example.com" for number in range(1, 13)]
    tape = Tape(names, reason="api is down after the deploy", incident="INC-42")
    for place, name in enumerate(names[4:10]):
        well(tape, 0.5 + place / 10, name)
    refused = outcome(RESTART, Outcome.UNREACHABLE, "connect refused: nothing listens on 10.0.3.11:22", 0.2)
    tape.target(0.9, names[10], tape.step(0.9, names[10], refused))
    hint = "inv check.service --hosts ... --unit api"
    unsure = outcome(RESTART, Outcome.UNKNOWN, "systemctl answered something that is no unit", 5.0, hint=hint)
    tape.target(5.6, names[11], tape.step(5.6, names[11], unsure))
    for place, name in enumerate(names[:4]):
        look(tape, 0.7 + place / 10, name, DOING, "act")
    tape.put(5.8, Surveyed(tuple(names[:4])))
    tape.put(6.0, BatchStarted(1, 2, (names[0],)))
    tape.target(12.0, names[0], restarted(tape, 6.1, names[0]), verified(tape, 10.5, names[0]))
    tape.put(12.2, BatchStarted(2, 2, tuple(names[1:4])))
    for place, name in enumerate(names[1:3]):
        _taken_back(tape, 12.3 + place / 5, name, works=name == names[1])
    steps = (outcome(RESTART, Outcome.SKIPPED, "stopped"), outcome(HEALTHY, Outcome.SKIPPED, "stopped"))
    tape.target(24.0, names[3], *steps)
    return tape.end(24.1, message=f"stopped {names[1]} failed; to go on nevertheless: --max-failures 4")


def _taken_back(tape: Tape, at: float, name: str, *, works: bool) -> None:
    steps = [restarted(tape, at, name), verified(tape, at + 4.2, name, ok=False)]
    owed = OwedUndo(RUN, name, BACK.name, "put api.service back to failed", (BACK,))
    tape.put(at + 5.2, UndoBegun(name, steps[-1].message, (owed,)))
    tape.put(at + 5.4, Decided(name, BACK.name, "act", owed.summary))
    tape.put(at + 5.5, Intended(name, BACK.name, "back", "once", owed.summary, "t2"))
    tape.put(
        at + 7.0, Acted(name, BACK.name, "back", "applied" if works else "rejected", "" if works else "job was cancelled")
    )
    what = (Outcome.CHANGED, "failed, as before") if works else (Outcome.FAILED, "stop api.service: job was cancelled")
    steps.append(tape.step(at + 7.2, name, outcome(BACK, *what, 2.0, attempts=1)))
    if not works:
        tape.put(at + 7.2, UndoOwed(name, "job was cancelled", (owed,)))
    tape.target(at + 7.2, name, *steps)


def check() -> PastRun:
    """Check mode: one would change, one is well."""
    tape = Tape(["web1", "web2"], mode=Mode.CHECK)
    well(tape, 0.6, "web2")
    look(tape, 0.8, "web1", DOING, "act")
    tape.put(1.0, Surveyed(("web1",)))
    changes = (Change("/etc/api.conf", "limit 1024\nlog info\n", "limit 4096\nlog info\n"),)
    would = outcome(RESTART, Outcome.WOULD_CHANGE, DOING, changes=changes)
    later = outcome(HEALTHY, Outcome.SKIPPED, "depends on step 1")
    tape.target(1.0, "web1", tape.step(1.0, "web1", would), tape.step(1.0, "web1", later))
    return tape.end(1.1)


def triage() -> PastRun:
    """A read-only check, whose targets are sorted by verdict."""
    tape = Tape(["web1", "web2", "web3"], read_only=True)
    verdicts = (Outcome.OK, Verdict.HEALTHY, "active"), (Outcome.FAILED, Verdict.DOWN, "failed (exit-code) since 02:41:07")
    for name, (what, verdict, why) in zip(("web1", "web2"), verdicts, strict=True):
        look(tape, 0.5, name, why)
        tape.target(0.6, name, tape.step(0.6, name, outcome(RESTART, what, why, 0.3, verdict=verdict)))
    lost = outcome(RESTART, Outcome.UNREACHABLE, "no answer within 5 s", 5.0)
    tape.target(5.1, "web3", tape.step(5.1, "web3", lost))
    return tape.end(5.2)


def outage() -> PastRun:
    """A read-only check that finds more bad targets than are told at length, and maintenance that waits on a healthy one."""
    names = [f"web{number}" for number in range(1, 6)]
    tape = Tape([*names, "db1"], read_only=True)
    for name in names:
        changed = Evidence("changed lately", lines=(f"02:40:5{name[-1]} UTC package upgrade nginx:amd64 1.24.0-1 1.26.0-2",))
        up = outcome(RESTART, Outcome.OK, "up 3 d", 0.3, verdict=Verdict.HEALTHY, evidence=(changed,))
        why = f"failed (exit-code) since 02:41:0{name[-1]}"
        hint = "inv recover.service-restart --unit api.service --hosts ..."
        bad = tape.step(0.9, name, outcome(HEALTHY, Outcome.FAILED, why, 0.3, verdict=Verdict.DOWN, hint=hint))
        tape.target(0.9, name, tape.step(0.6, name, up), bad)
    planned = (Evidence("planned", lines=("pending maintenance: system-update",)),)
    calm = tape.step(1.1, "db1", outcome(RESTART, Outcome.OK, "available", 0.9, verdict=Verdict.HEALTHY, evidence=planned))
    tape.target(1.1, "db1", calm)
    return tape.end(1.2)


def killed() -> PastRun:
    """The controller died while an act was under way."""
    tape = Tape(["web1", "web2", "web3"], reason="api is down")
    well(tape, 0.6, "web2")
    look(tape, 0.8, "web1", DOING, "act")
    look(tape, 0.9, "web3", DOING, "act")
    tape.put(1.0, Surveyed(("web1", "web3")))
    tape.put(1.1, BatchStarted(1, 2, ("web1",)))
    intended = Intended("web1", RESTART.name, "restart", "once", DOING, "t")
    tape.put(1.5, intended)
    tape.put(3.0, Decided("web3", RESTART.name, "wait", "a job is under way"))
    return tape.past()


def resumed() -> PastRun:
    """The killed run, resumed two hours later and interrupted once more."""
    tape = Tape([])
    tape._lines = [((line.head.time - START).total_seconds(), line.event) for line in killed().lines]
    tape.results = list(killed().results)
    late = 7200.0
    tape.put(late, RunResumed("ops"))
    tape.put(late + 1.0, Acted("web1", RESTART.name, "restart", "applied"))
    done = outcome(RESTART, Outcome.CHANGED, "active since 03:00:02", 1.0, attempts=1)
    tape.target(late + 3, "web1", tape.step(late + 1.2, "web1", done), verified(tape, late + 1.3, "web1"))
    stopped = outcome(RESTART, Outcome.SKIPPED, "interrupted (SIGINT)")
    tape.target(late + 4, "web3", tape.step(late + 4, "web3", stopped))
    return tape.end(late + 4.1, status="interrupted", message="interrupted (SIGINT)")


def many(count: int = 1000) -> PastRun:
    """Many targets; some of each outcome, in three batches."""
    names = [f"node{number:04}.fleet.example.com" for number in range(count)]
    tape = Tape(names, reason="a thousand things at once")
    ready = list(_surveyed(tape, names))
    tape.put(20.0, Surveyed(tuple(ready)))
    sizes = (1, len(ready) // 4, len(ready))
    for number, (first, last) in enumerate(zip((0, *sizes), sizes, strict=False), start=1):
        began = 20.0 + 30 * number
        tape.put(began, BatchStarted(number, 3, tuple(ready[first:last])))
        for place, name in enumerate(ready[first:last]):
            at = began + 20 * place / max(1, last - first)
            works = place % 97 != 5
            tape.target(at + 5.5, name, restarted(tape, at, name), verified(tape, at + 4.2, name, ok=works))
    return tape.end(160.0, message="12 targets need attention")


def _surveyed(tape: Tape, names: Sequence[str]) -> Iterator[str]:
    for place, name in enumerate(names):
        at = 1.0 + 18 * place / len(names)
        if place % 200 == 3:
            lost = outcome(RESTART, Outcome.UNREACHABLE, "no answer within 5 s", 5.0)
            tape.target(at + 5, name, tape.step(at + 5, name, lost))
        elif place % 3:
            well(tape, at, name)
        else:
            look(tape, at, name, DOING, "act")
            yield name
