"""The rules by which a cluster is failed over, or not (S0-R3, S1-R3, S4-2C; defects 1 and 21).

Each rule decides or passes on; their order is the safety argument. What is already so is Done before anything is refused,
and a failover is what remains when no rule objects. The status of a cluster proves nothing: only who is the writer does.
"""

from __future__ import annotations

from crashcart.errors import nearest
from crashcart.facts.rds import ENDPOINT, LAG, MAINTENANCE, OWN_EVENTS, Cluster, Member
from crashcart.facts.rds_events import DEFEATS, EventKind
from crashcart.facts.rds_status import AVAILABLE, FAILING_OVER, Standing
from crashcart.operations.base import Act, Action, Decision, Done, Effect, Fail, Look, Refuse, Unknown, Wait
from crashcart.operations.rds_assess import verdict_of
from crashcart.operations.rds_scene import (
    FORCE,
    Rule,
    Scene,
    cooling_down,
    corroborated,
    defeated,
    first_of,
    need_events,
    shown_pending,
)
from crashcart.operations.rds_wish import named
from crashcart.results import Change, Verdict
from crashcart.transports.base import ApiCall
from crashcart.values import format_span

POLL = 3.0
"""Seconds between looks at a failover, which takes half a minute."""


def decide_cluster(scene: Scene) -> Decision:
    """Go through the rules; the first that has something to say decides."""
    decision = first_of(_AFTER if scene.memory.acted else _BEFORE, scene)
    return decision or Unknown(f"{scene.state.name} is {scene.state.status}")


def cluster_token(cluster: Cluster) -> str:
    """Name what a failover is decided from: the cluster's status, the writer, and how the writer is."""
    writer = cluster.writer
    return f"{cluster.status} {writer.name} {writer.status}" if writer else f"{cluster.status} - -"


def cluster_effect_seen(cluster: Cluster, only_if: str) -> bool:
    """See a failover under way, or another writer than the act was decided from."""
    moved = cluster.writer is not None and cluster.writer.name != only_if.split()[1]
    return moved or cluster.status == FAILING_OVER


def _cluster(scene: Scene) -> Cluster:
    assert scene.state.cluster  # noqa: S101 -- these rules are asked of clusters only
    return scene.state.cluster


def _writer(scene: Scene) -> Member:
    writer = _cluster(scene).writer
    assert writer  # noqa: S101 -- an earlier rule has seen that there is one
    return writer


def _other_engine(scene: Scene) -> Decision | None:
    engine = _cluster(scene).engine
    if engine.startswith("aurora") or engine in {"mysql", "postgres"}:
        return None
    return Refuse(f"{scene.state.name} is a {engine} cluster; only Aurora and Multi-AZ clusters are known here")


def _no_such_member(scene: Scene) -> Decision | None:
    cluster = _cluster(scene)
    if not scene.wish.to or cluster.member(scene.wish.to):
        return None
    names = [member.name for member in cluster.members]
    why = f"{scene.wish.to} is no member of {cluster.name}; its members are {', '.join(names) or 'none'}"
    return Refuse(why, nearest(scene.wish.target, names))


def _takes_no_target(scene: Scene) -> Decision | None:
    if not scene.wish.to or _cluster(scene).takes_target:
        return None
    return Refuse(
        f"{scene.state.name} is an RDS for MySQL Multi-AZ cluster, which chooses its new writer itself", "leave out --to"
    )


def _under_way(scene: Scene) -> Decision | None:
    cluster = _cluster(scene)
    if cluster.status != FAILING_OVER:
        return None
    shown = f"{cluster.name} is failing over; writer now: {named(cluster.writers)}"
    return Wait(f"{shown}. Do not send another; inv check.rds and its events show how it goes", POLL)


def _no_single_writer(scene: Scene) -> Decision | None:
    cluster = _cluster(scene)
    if cluster.writer:
        return None
    if not cluster.members:
        return Refuse(f"{cluster.name} has no instances: there is nothing to fail over to")
    shown = f"{len(cluster.writers)} writers" if cluster.writers else "no writer"
    return Unknown(f"RDS shows {shown} in {cluster.name} ({cluster.status}); members: {named(cluster.members)}")


def _already_there(scene: Scene) -> Decision | None:
    cluster, writer = _cluster(scene), _writer(scene)
    if writer.name != scene.wish.target:
        return None
    if writer.standing is Standing.SERVING:
        return Done(f"{writer.name} is already the writer of {cluster.name}; {_shown(cluster)}", verdict_of(scene.state))
    return Refuse(f"{writer.name} is already the writer of {cluster.name}, but it is {writer.status}", "leave out --to")


def _moved_meanwhile(scene: Scene) -> Decision | None:
    """Whoever moved the writer since the first look, RDS itself or a person: our choice was made for another state."""
    cluster, writer, old = _cluster(scene), _writer(scene), scene.goal.writer_not
    if not old:
        return Refuse(
            f"the first look at {cluster.name} showed no writer: what to change was not clear then", "run it again"
        )
    if writer.name == old:
        return None
    moved = f"the writer of {cluster.name} moved from {old} to {writer.name} meanwhile, not by this run"
    if writer.standing is not Standing.SERVING:
        return Wait(f"{moved}; it is {writer.status}", POLL)
    if scene.wish.to:
        return Refuse(f"{moved}, and not to {scene.wish.to}", "run it again if that is still wanted")
    return Done(f"{moved}; {_shown(cluster)}", verdict_of(scene.state))


def _ended_by_itself(scene: Scene) -> Decision | None:
    """Judge the failover that was under way at the first look. Events may condemn it, they need not praise it."""
    cluster, writer = _cluster(scene), _writer(scene)
    if not scene.goal.was_moving or scene.wish.to or writer.standing is not Standing.SERVING:
        return None
    if scene.state.recent is None:
        return need_events(scene)
    told = scene.recent.after(scene.recent.at - scene.wish.cooldown)
    last = told[-1] if told else None
    if last and last.kind in DEFEATS:
        return Fail(f"the failover that was under way came to nothing ({last.line})", FORCE, verdict_of(scene.state))
    says = f"; RDS says {last.line}" if last else ""
    return Done(f"the failover that was under way has ended: {_shown(cluster)}{says}", verdict_of(scene.state))


def _not_available(scene: Scene) -> Decision | None:
    cluster = _cluster(scene)
    if cluster.status == AVAILABLE:
        return None
    hint = "" if cluster.standing is Standing.DOWN else "try again when inv check.rds says that it is over"
    return Refuse(f"{cluster.name} is {cluster.status}: RDS fails over only what is available", hint)


def _no_reader(scene: Scene) -> Decision | None:
    cluster = _cluster(scene)
    if cluster.available_readers:
        return None
    why = f"{cluster.name} has no available reader to fail over to (readers: {named(cluster.readers)})"
    return Refuse(why, f"aws rds create-db-instance --db-cluster-identifier {cluster.name} ... adds one in some minutes")


def _target_is_not_available(scene: Scene) -> Decision | None:
    cluster = _cluster(scene)
    if not cluster.takes_target:
        return None
    target = cluster.member(scene.goal.writer)
    if target and target.status == AVAILABLE:
        return None
    what = f"{target.name} is {target.status}" if target else "no reader was available at the first look"
    others = [reader.name for reader in cluster.available_readers]
    return Refuse(f"cannot fail over to it: {what}", f"--to {others[0]} is available" if others else "")


def _works(scene: Scene) -> Decision | None:
    """Leave a writer alone that works, or of which nothing bad is proved. A recent failover to it is what was wanted."""
    cluster, writer = _cluster(scene), _writer(scene)
    if scene.wish.force or writer.standing is Standing.DOWN:
        return None
    if writer.standing is Standing.MOVING:
        return Refuse(f"the writer {writer.name} is {writer.status}, which may pass by itself", FORCE)
    if writer.standing is Standing.UNKNOWN:
        return Refuse(f"RDS calls the writer {writer.name} {writer.status!r}, which is not known here", FORCE)
    if scene.wish.to:
        return Refuse(f"the writer {writer.name} works: {_shown(cluster)}", FORCE)
    if scene.state.recent is None:
        return Look(OWN_EVENTS)
    last = scene.last_failover
    if last and last.kind is EventKind.COMPLETED and writer.name in last.message:
        return Done(f"{cluster.name} has just failed over: {_shown(cluster)}; RDS says {last.line}", verdict_of(scene.state))
    return Refuse(f"the writer {writer.name} works: {_shown(cluster)}", FORCE)


def _lags(scene: Scene) -> Decision | None:
    """Do not lose what the new writer has not got; unknown is not zero."""
    if scene.state.lag is None:
        return Look(LAG)
    allowed = float(scene.wish.max_lag)
    behind = {member.name: scene.state.lag.of(member.name) for member in _candidates(scene)}
    unknown = sorted(name for name, seconds in behind.items() if seconds is None)
    if unknown and not scene.wish.accept_unknown_lag:
        reason = scene.state.lag.unreadable or "CloudWatch has no recent value"
        return Refuse(f"nobody knows how far {', '.join(unknown)} is behind: {reason}", "--accept-unknown-lag")
    late = {name: seconds for name, seconds in behind.items() if seconds is not None and seconds > allowed}
    if not late:
        return None
    name, seconds = max(late.items(), key=lambda item: item[1])
    return Refuse(
        f"{name} is {format_span(seconds)} behind the writer, more than {format_span(allowed)}", _lag_hint(scene, seconds)
    )


def _lag_hint(scene: Scene, seconds: float) -> str:
    lag, allowed = scene.state.lag, float(scene.wish.max_lag)
    known = {member.name: lag.of(member.name) if lag else None for member in _cluster(scene).available_readers}
    better = sorted(name for name, behind in known.items() if behind is not None and behind <= allowed)
    other = f"--to {better[0]} is not; " if better and _cluster(scene).takes_target else ""
    return f"{other}--max-lag {int(seconds) + 1}s loses what has not arrived"


def _candidates(scene: Scene) -> tuple[Member, ...]:
    """Return who may become the writer: the target, or any available reader where RDS chooses."""
    cluster = _cluster(scene)
    target = cluster.member(scene.goal.writer)
    return (target,) if target else cluster.available_readers


def _maintenance(scene: Scene) -> Decision | None:
    return Look(MAINTENANCE) if scene.state.maintenance is None else None


def _fail_over(scene: Scene) -> Decision:
    cluster, writer, target = _cluster(scene), _writer(scene), scene.goal.writer
    params = {"DBClusterIdentifier": cluster.name} | ({"TargetDBInstanceIdentifier": target} if target else {})
    forced = " (--force)" if writer.standing is Standing.SERVING else ""
    chosen = _described(scene) if target else "a reader of RDS's choice"
    action = Action(
        key=f"fail over {cluster.name} from {writer.name} to {target or 'any reader'}",
        effect=Effect.ONCE,
        summary=f"fail over {cluster.name} to {chosen}: the writer {writer.name} is {writer.status}{forced}"
        f"{shown_pending(scene.state)}",
        only_if=cluster_token(cluster),
        call=ApiCall("rds", "FailoverDBCluster", params),
        changes=(Change(f"writer of {cluster.name}", writer.name, target or "another member"),),
        # Readers serve on, and no other cluster takes over this one's work: there is no capacity to count.
        disturbs=False,
        budget="failover",
    )
    return Act(action)


def _described(scene: Scene) -> str:
    """Name the chosen reader with what it was chosen for."""
    target = _candidates(scene)[0]
    behind = scene.state.lag.of(target.name) if scene.state.lag else None
    lag = "lag unknown" if behind is None else f"{behind:g} s behind"
    parts = [target.zone, target.db_class, f"tier {target.tier}", lag]
    return f"{target.name} ({', '.join(part for part in parts if part)})"


def _went_elsewhere(scene: Scene) -> Decision | None:
    cluster, writer, goal = _cluster(scene), _writer(scene), scene.goal
    if writer.name in {goal.writer_not, goal.writer or writer.name}:
        return None
    why = f"the failover of {cluster.name} ended at {writer.name}, not at {goal.writer}; {_shown(cluster)}"
    return Fail(
        why,
        f"if it must be {goal.writer}: inv recover.rds-failover --to {goal.writer} --force --hosts ...",
        Verdict.DEGRADED,
    )


def _has_not_moved(scene: Scene) -> Decision | None:
    """Tell a call that RDS is about to carry out from one that it accepted and will not."""
    cluster, writer = _cluster(scene), _writer(scene)
    if writer.name != scene.goal.writer_not:
        return None
    asked = need_events(scene) or defeated(scene)
    if asked:
        return asked
    shown = f"RDS accepted the failover of {cluster.name}, and {writer.line} is still the writer"
    return Wait(f"{shown}{corroborated(scene)}. Look at its events before another attempt", POLL)


def _not_all_back(scene: Scene) -> Decision | None:
    """Wait until all members are available, except one that was down before and does not come back by itself."""
    cluster, pin = _cluster(scene), scene.memory.pin.cluster
    late = [member for member in cluster.members if member.status != AVAILABLE and not _was_down(member, pin)]
    if cluster.status == AVAILABLE and not late:
        return None
    return Wait(
        f"{_writer(scene).name} is the writer of {cluster.name} ({cluster.status}); not back yet: {named(late)}", POLL
    )


def _was_down(member: Member, pin: Cluster | None) -> bool:
    before = pin.member(member.name) if pin else None
    return not member.is_writer and before is not None and Standing.DOWN is before.standing is member.standing


def _endpoint_is_elsewhere(scene: Scene) -> Decision | None:
    if scene.state.endpoint is None:
        return Look(ENDPOINT)
    at, writer = scene.state.endpoint, _writer(scene)
    if at.unasked or writer.name in at.members:
        return None
    shown = ", ".join(at.members) or "none of its members"
    return Wait(f"{writer.name} is the writer, and the endpoint of {scene.state.name} still leads to {shown}", POLL)


def _is_done(scene: Scene) -> Decision:
    was = f"{_writer(scene).name} is the writer of {scene.state.name}, it was {scene.goal.writer_not}"
    shown = f"{_shown(_cluster(scene))}{corroborated(scene)}"
    return need_events(scene) or Done(f"{was}; {shown}", verdict_of(scene.state), hold=scene.wish.settle)


def _shown(cluster: Cluster) -> str:
    return f"writer {named(cluster.writers)}, readers {named(cluster.readers)}"


_BEFORE: tuple[Rule, ...] = (
    _other_engine,
    _no_such_member,
    _takes_no_target,
    _under_way,
    _no_single_writer,
    _already_there,
    _moved_meanwhile,
    _ended_by_itself,
    _not_available,
    _no_reader,
    _works,
    _target_is_not_available,
    need_events,
    defeated,
    cooling_down,
    _lags,
    _maintenance,
    _fail_over,
)

_AFTER: tuple[Rule, ...] = (
    _under_way,
    _no_single_writer,
    _went_elsewhere,
    _has_not_moved,
    _not_all_back,
    _endpoint_is_elsewhere,
    _is_done,
)
