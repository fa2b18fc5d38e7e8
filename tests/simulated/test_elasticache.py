"""``elasticache.*`` as a whole: one promotion whatever becomes of answers and controllers, and the settings as they were."""

from __future__ import annotations

import re
from queue import SimpleQueue
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crashcart.clock import FakeClock
from crashcart.errors import InvalidCall
from crashcart.facts.elasticache import Node, Nodes, Shard
from crashcart.facts.elasticache_lag import Lag
from crashcart.operations import find_operation
from crashcart.operations.base import Action
from crashcart.operations.elasticache import FailOver, RebootNodes
from crashcart.operations.elasticache_wish import FailoverWish, RebootWish, SettingsWish, choose
from crashcart.results import Outcome, Phase, TargetResult, Verdict
from crashcart.transports.base import ApiCall
from crashcart.values import decode
from tests.simulated.simulated_elasticache import FakeCloud, FakeElastiCache, Pace, on_time, result_of, run
from tests.unit.operations.simulated_unit import Journal, Killed

FORCE: dict[str, object] = {"force": True}
TO: dict[str, object] = {"force": True, "to": "cache-003"}
SHARD: dict[str, object] = {"force": True, "node_group": "0002"}
TEST: dict[str, object] = {"force": True, "test_failover": True}
NODE: dict[str, object] = {"cluster": "cache-002", "node_ids": "0001"}
ON = ("enabled", "enabled")

whens = pytest.mark.parametrize("when", ["before", "after"])


def cache(pace: Pace | None = None, **more: Any) -> FakeElastiCache:
    return FakeElastiCache(FakeClock(), pace, **more)


def sick(pace: Pace | None = None) -> FakeElastiCache:
    """A group whose primary is down."""
    made = cache(pace)
    made.nodes["cache-001"] = "incompatible-network"
    return made


def operations(calls: list[ApiCall]) -> list[str]:
    return [call.operation for call in calls]


def undo_of(result: TargetResult) -> list[Outcome]:
    return [step.outcome for step in result.steps if step.phase is Phase.UNDO]


def later(made: FakeElastiCache, seconds: float = 3600.0) -> FakeElastiCache:
    """Let time pass."""
    made.clock.wait(SimpleQueue[None](), seconds, busy=False)
    made.settle()
    return made


def killed(cloud: FakeCloud, wish: dict[str, object], journal: Journal, **more: Any) -> bool:
    """Run until the controller dies; False where jitter made the run shorter and it came to its end."""
    try:
        run(cloud, wish, journal=journal, **more)
    except Killed:
        return True
    return False


# -- the first run, the second, and check mode


def test_a_replica_is_promoted_between_off_and_on_and_the_second_run_changes_nothing() -> None:
    cloud = FakeCloud(cache())
    first = result_of(cloud, TO)
    made = cloud.cache
    assert (first.outcome, first.verdict, made.primary, made.promotions) == (
        Outcome.CHANGED,
        Verdict.HEALTHY,
        "cache-003",
        ["cache-003"],
    ), first
    assert made.settings == ON
    assert "ElastiCache says" in first.message
    group = {"ReplicationGroupId": "cache", "ApplyImmediately": True}
    assert [call.params for call in cloud.writes] == [
        {**group, "AutomaticFailoverEnabled": False, "MultiAZEnabled": False},
        {**group, "PrimaryClusterId": "cache-003"},
        {**group, "AutomaticFailoverEnabled": True, "MultiAZEnabled": True},
    ]
    again = FakeCloud(made)
    second = result_of(again, TO)
    assert (second.outcome, second.changed, again.writes) == (Outcome.OK, False, [])
    assert operations(again.reads) == ["DescribeReplicationGroups", "DescribeCacheClusters"], "a no-op is two reads"


def test_a_sick_primary_is_left_and_the_second_run_says_that_it_just_failed_over() -> None:
    cloud = FakeCloud(sick())
    first = result_of(cloud, {})
    assert (first.outcome, first.verdict, cloud.cache.primary) == (Outcome.CHANGED, Verdict.DEGRADED, "cache-002"), first
    again = FakeCloud(cloud.cache)
    second = result_of(again, {})
    assert (second.outcome, again.writes) == (Outcome.OK, [])
    assert "has just failed over" in second.message
    assert operations(again.reads) == ["DescribeReplicationGroups", "DescribeEvents"]


def test_a_group_without_automatic_failover_is_promoted_in_one_act_and_left_without() -> None:
    cloud = FakeCloud(cache(safe=False))
    result = result_of(cloud, TO)
    assert (result.outcome, cloud.cache.primary, cloud.cache.settings) == (
        Outcome.CHANGED,
        "cache-003",
        ("disabled", "disabled"),
    )
    assert len(cloud.writes) == 1


def test_force_is_not_repeated_within_the_cooldown() -> None:
    cloud = FakeCloud(cache())
    assert result_of(cloud, FORCE).outcome is Outcome.CHANGED
    second = result_of(cloud, FORCE)
    assert (second.outcome, second.hint) == (Outcome.REFUSED, "--cooldown 0s fails over all the same")
    assert (len(cloud.writes), len(cloud.cache.promotions)) == (3, 1)


@pytest.mark.parametrize(
    ("wish", "says", "clustered"),
    [(TO, "promote cache-003", False), (TEST, "fail over cache 0001", False), (SHARD, "fail over cache 0002", True)],
)
def test_check_mode_sends_nothing_and_says_what_it_would(wish: dict[str, object], says: str, clustered: bool) -> None:
    cloud = FakeCloud(cache(clustered=clustered))
    would = run(cloud, wish, may_act=False)
    assert isinstance(would, Action)
    assert would.summary.startswith(says)
    assert (cloud.writes, would.budget, would.disturbs) == ([], "failover", False)
    assert (would.undo is not None) is (wish is TO)


def test_the_first_act_says_how_it_is_taken_back() -> None:
    would = run(FakeCloud(cache()), TO, may_act=False)
    assert isinstance(would, Action)
    assert would.undo
    assert would.undo.operation == "elasticache.settings"
    wish = decode(would.undo.args, SettingsWish)
    assert (wish.automatic_failover, wish.multi_az, wish.settle) == (True, True, 30.0)


@pytest.mark.parametrize("wish", [{}, {"to": "cache-003"}, {"test_failover": True}])
def test_what_works_is_left_alone(wish: dict[str, object]) -> None:
    cloud = FakeCloud(cache())
    result = result_of(cloud, wish)
    assert (result.outcome, result.hint, cloud.writes) == (Outcome.REFUSED, "--force fails over all the same", [])


# -- cluster mode, and AWS's test call


def test_a_shard_without_roles_is_judged_by_events() -> None:
    cloud = FakeCloud(cache(Pace(shows=False), clustered=True))
    result = result_of(cloud, SHARD)
    assert (result.outcome, cloud.cache.primaries["0002"]) == (Outcome.CHANGED, "cache-0002-002"), result
    assert operations(cloud.writes) == ["TestFailover"]
    assert cloud.writes[0].params == {"ReplicationGroupId": "cache", "NodeGroupId": "0002"}
    again = FakeCloud(cloud.cache)
    second = result_of(again, {"node_group": "2"})
    assert (second.outcome, again.writes, len(again.reads)) == (Outcome.OK, [], 2), second


def test_the_next_shard_waits_for_the_node_that_the_last_one_replaces() -> None:
    made = cache(Pace(over=60.0, shows=False), clustered=True)
    made.change(ApiCall("elasticache", "TestFailover", {"ReplicationGroupId": "cache", "NodeGroupId": "0001"}))
    later(made, 40.0)
    made._busy = False
    cloud = FakeCloud(made)
    result = result_of(cloud, SHARD)
    assert (result.outcome, made.primaries["0002"]) == (Outcome.CHANGED, "cache-0002-002"), result
    told = [message for _, _, _, message in made.events]
    assert told.index("Finished recovery for cache nodes cache-0001-001") < told.index(
        "Test Failover API called for node group 0002"
    )


def test_by_wish_the_test_call_is_used_without_cluster_mode_too() -> None:
    cloud = FakeCloud(cache())
    result = result_of(cloud, TEST)
    assert (result.outcome, operations(cloud.writes), cloud.cache.primary) == (
        Outcome.CHANGED,
        ["TestFailover"],
        "cache-002",
    ), result
    assert cloud.cache.settings == ON


@pytest.mark.parametrize("used", [14, 15])
def test_the_quota_of_a_day_counts_every_group_of_the_account(used: int) -> None:
    made = later(cache())
    for number in range(used):
        made.tell("replication-group", f"other-{number % 4}", "Test Failover API called for node group 0001", ago=80000.0)
    made.tell("replication-group", "other", "Test Failover API called for node group 0001", ago=90000.0)
    cloud = FakeCloud(made)
    result = result_of(cloud, TEST)
    assert result.outcome is (Outcome.CHANGED if used < 15 else Outcome.REFUSED), result
    assert len(cloud.writes) == (1 if used < 15 else 0)


def test_a_quota_that_aws_knows_better_is_final() -> None:
    made = cache()
    made.tests = 15
    cloud = FakeCloud(made)
    result = result_of(cloud, TEST)
    assert (result.outcome, len(cloud.writes)) == (Outcome.FAILED, 1)
    assert "APICallRateForCustomerExceeded" in result.message


def test_a_shard_of_which_no_event_tells_is_unknown() -> None:
    cloud = FakeCloud(cache(Pace(ends="nothing"), clustered=True))
    result = result_of(cloud, SHARD)
    assert (result.outcome, len(cloud.writes)) == (Outcome.UNKNOWN, 1), result


def test_without_events_no_test_is_begun() -> None:
    cloud = FakeCloud(cache(clustered=True), deny=("DescribeEvents",))
    result = result_of(cloud, SHARD)
    assert (result.outcome, cloud.writes, result.hint) == (Outcome.REFUSED, [], "elasticache:DescribeEvents must be allowed")


# -- faults


@whens
@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("lingers", [0.0, 2.0, 12.0])
def test_a_lost_answer_leads_to_one_promotion(when: str, number: int, lingers: float) -> None:
    cloud = FakeCloud(cache(Pace(lingers=lingers)), lose=(number, when))
    result = result_of(cloud, TO)
    made = cloud.cache
    assert (result.outcome, made.promotions, made.settings) == (Outcome.CHANGED, ["cache-003"], ON), result
    assert len(cloud.writes) == (4 if when == "before" else 3)


def test_throttling_delays_the_failover_and_repeats_nothing() -> None:
    cloud = FakeCloud(cache(), throttles=3)
    assert result_of(cloud, TO).outcome is Outcome.CHANGED
    assert (cloud.cache.promotions, len(cloud.writes), cloud.cache.settings) == (["cache-003"], 6, ON)


def test_stale_answers_after_each_act_are_waited_for() -> None:
    cloud = FakeCloud(cache(), stale=45.0)
    assert result_of(cloud, TO).outcome is Outcome.CHANGED
    assert (cloud.cache.promotions, len(cloud.writes), cloud.cache.settings) == (["cache-003"], 3, ON)


def test_a_failover_that_is_under_way_is_waited_for_and_none_is_added() -> None:
    made = cache()
    made.change(ApiCall("elasticache", "TestFailover", {"ReplicationGroupId": "cache", "NodeGroupId": "0001"}))
    later(made, 3.0)
    cloud = FakeCloud(made)
    result = result_of(cloud, FORCE)
    assert (result.outcome, cloud.writes, made.primary) == (Outcome.OK, [], "cache-002"), result
    assert "the failover that was under way has ended" in result.message or "not by this run" in result.message


def test_somebody_else_fails_it_over_between_look_and_act() -> None:
    cloud = FakeCloud(cache(Pace(lingers=0.0)))

    def others(call: ApiCall) -> None:
        if call.operation == "ModifyReplicationGroup" and not cloud.cache.tests:
            cloud.cache.change(
                ApiCall("elasticache", "TestFailover", {"ReplicationGroupId": "cache", "NodeGroupId": "0001"})
            )

    cloud.interfere = others
    result = result_of(cloud, FORCE)
    assert (result.outcome, len(cloud.cache.promotions), cloud.cache.settings) == (Outcome.OK, 1, ON), result
    assert "not by this run" in result.message


@pytest.mark.parametrize(
    ("ends", "says"),
    [
        ("nothing", "cache-001 is still the primary"),
        ("elsewhere", "cache-003 became the primary of cache, not cache-002"),
    ],
)
def test_whatever_comes_of_the_promotion_the_settings_come_back(ends: str, says: str) -> None:
    cloud = FakeCloud(cache(Pace(ends=ends)))
    result = result_of(cloud, {"force": True, "to": "cache-002"})
    assert (result.outcome, undo_of(result), cloud.cache.settings) == (Outcome.FAILED, [Outcome.CHANGED], ON), result
    assert says in result.message
    assert len(cloud.cache.promotions) == 1


def test_a_promotion_that_never_ends_leaves_an_undo_that_is_owed() -> None:
    cloud = FakeCloud(cache(Pace(ends="never")))
    result = result_of(cloud, TO)
    assert (result.outcome, undo_of(result)) == (Outcome.FAILED, [Outcome.FAILED])
    assert len(cloud.cache.promotions) == 1


def test_a_step_that_fails_before_the_off_shows_is_taken_back_all_the_same() -> None:
    """The undo sees the settings as they should be, and AWS has yet to switch them off: not to be believed."""

    class Broken(FakeCloud):
        def _write(self, call: ApiCall) -> dict[str, Any]:
            found = super()._write(call)
            if len(self.writes) == 1:
                self.cache.primaries["0001"] = "cache-002"
            return found

    cloud = Broken(cache(Pace(lingers=12.0)))
    result = result_of(cloud, TO)
    later(cloud.cache)
    assert (result.outcome, undo_of(result), cloud.cache.settings) == (Outcome.FAILED, [Outcome.CHANGED], ON), result


def test_a_promotion_that_is_refused_is_taken_back() -> None:
    class Refusing(FakeCloud):
        def _write(self, call: ApiCall) -> dict[str, Any]:
            if "PrimaryClusterId" in call.params:
                raise InvalidCall("elasticache:ModifyReplicationGroup: no", action="a", code="InvalidParameterValue")
            return super()._write(call)

    cloud = Refusing(cache())
    result = result_of(cloud, TO)
    assert (result.outcome, undo_of(result), cloud.cache.settings) == (Outcome.FAILED, [Outcome.CHANGED], ON)
    assert cloud.cache.promotions == []


@whens
@pytest.mark.parametrize(
    ("wish", "clustered", "promoted"),
    [(TO, False, "cache-003"), (SHARD, True, "cache-0002-002"), (TEST, False, "cache-002")],
)
def test_killed_at_every_call_and_resumed_promotes_once_and_ends_as_before(
    when: str, wish: dict[str, object], clustered: bool, promoted: str
) -> None:
    whole = FakeCloud(cache(clustered=clustered))
    result_of(whole, wish)
    assert whole.calls > 8
    for number in range(whole.calls):
        journal, cloud = Journal(), FakeCloud(cache(clustered=clustered), die_at=(number, when))
        if not killed(cloud, wish, journal):
            continue
        resumed = result_of(FakeCloud(cloud.cache), wish, journal=journal)
        made = cloud.cache
        seen = (resumed.outcome, made.promotions, made.settings)
        assert seen == (Outcome.CHANGED, [promoted], ON), f"killed {when} call {number}: {resumed}"


@whens
@pytest.mark.parametrize("ends", ["nothing", "elsewhere"])
def test_killed_at_every_call_of_a_failing_failover_and_resumed_ends_as_before(when: str, ends: str) -> None:
    """The same for failures: wherever the controller dies, in the step or in its undo, the settings come back."""
    wish: dict[str, object] = {"force": True, "to": "cache-002"}
    whole = FakeCloud(cache(Pace(ends=ends)))
    result_of(whole, wish, deadline=90.0)
    for number in range(whole.calls):
        journal, cloud = Journal(), FakeCloud(cache(Pace(ends=ends)), die_at=(number, when))
        if not killed(cloud, wish, journal, deadline=90.0):
            continue
        resumed = result_of(FakeCloud(cloud.cache), wish, journal=journal, deadline=90.0)
        made = later(cloud.cache)
        assert (resumed.outcome, made.settings) == (Outcome.FAILED, ON), f"killed {when} call {number}: {resumed}"
        # A call of which nothing came, and nobody knows that it was sent, is sent again after the settle window.
        assert len(made.promotions) <= (2 if ends == "nothing" else 1)


@settings(max_examples=50, deadline=None)
@given(
    pace=st.builds(Pace, lingers=st.floats(0, 15), over=st.floats(1, 60), shows=st.booleans()),
    lose=st.tuples(st.integers(-1, 3), st.sampled_from(["before", "after"])),
    throttles=st.integers(0, 2),
    stale=st.floats(0, 4),
    wish=st.sampled_from([TO, TEST]),
)
def test_whatever_the_pace_and_the_faults_it_promotes_once(
    pace: Pace, lose: tuple[int, str], throttles: int, stale: float, wish: dict[str, object]
) -> None:
    cloud = FakeCloud(cache(pace), lose=lose, throttles=throttles, stale=stale)
    result = result_of(cloud, wish)
    made = later(cloud.cache)
    assert (result.outcome, len(made.promotions), made.settings) == (Outcome.CHANGED, 1, ON), result


# -- settings


@pytest.mark.parametrize("settle", [0, 30])
def test_settings_that_are_as_wished_are_left_alone(settle: int) -> None:
    cloud = FakeCloud(cache())
    wish: dict[str, object] = {"automatic_failover": True, "multi_az": True, "settle": settle}
    result = result_of(cloud, wish, operation="elasticache.settings")
    assert (result.outcome, cloud.writes, cloud.cache.now) == (Outcome.OK, [], settle)
    assert settle or len(cloud.reads) == 1


@whens
def test_settings_are_set_once_whatever_becomes_of_the_controller(when: str) -> None:
    wish: dict[str, object] = {"automatic_failover": True, "multi_az": True}
    whole = FakeCloud(cache(safe=False))
    assert result_of(whole, wish, operation="elasticache.settings").outcome is Outcome.CHANGED
    assert (whole.cache.settings, len(whole.writes)) == (ON, 1)
    for number in range(whole.calls):
        journal, cloud = Journal(), FakeCloud(cache(safe=False), die_at=(number, when))
        if not killed(cloud, wish, journal, operation="elasticache.settings"):
            continue
        result = result_of(FakeCloud(cloud.cache), wish, journal=journal, operation="elasticache.settings")
        assert (result.outcome, cloud.cache.settings) == (Outcome.CHANGED, ON), f"killed {when} call {number}: {result}"


# -- reboot


def test_a_reboot_is_proved_by_its_event_and_not_repeated() -> None:
    cloud = FakeCloud(cache())
    first = result_of(cloud, NODE, operation="elasticache.reboot")
    assert (first.outcome, cloud.cache.reboots) == (Outcome.CHANGED, ["cache-002"]), first
    assert cloud.writes[0].params == {"CacheClusterId": "cache-002", "CacheNodeIdsToReboot": ["0001"]}
    again = FakeCloud(cloud.cache)
    second = result_of(again, NODE, operation="elasticache.reboot")
    assert (second.outcome, again.writes, len(again.reads)) == (Outcome.OK, [], 2), second
    assert "was rebooted within" in second.message


@whens
def test_killed_at_every_call_and_resumed_reboots_once(when: str) -> None:
    wish = {**NODE, "cooldown": "0s"}
    whole = FakeCloud(cache())
    result_of(whole, wish, operation="elasticache.reboot")
    for number in range(whole.calls):
        journal, cloud = Journal(), FakeCloud(cache(), die_at=(number, when))
        if not killed(cloud, wish, journal, operation="elasticache.reboot"):
            continue
        result = result_of(FakeCloud(cloud.cache), wish, journal=journal, operation="elasticache.reboot")
        assert (result.outcome, cloud.cache.reboots) == (Outcome.CHANGED, ["cache-002"]), f"{when} call {number}: {result}"


@pytest.mark.parametrize(("when", "writes"), [("before", 2), ("after", 1)])
def test_a_lost_answer_leads_to_one_reboot(when: str, writes: int) -> None:
    cloud = FakeCloud(cache(), lose=(0, when))
    result = result_of(cloud, NODE, operation="elasticache.reboot")
    assert (result.outcome, len(cloud.cache.reboots), len(cloud.writes)) == (Outcome.CHANGED, 1, writes), result


@pytest.mark.parametrize(("ends", "outcome"), [("nothing", Outcome.UNKNOWN), ("never", Outcome.FAILED)])
def test_an_accepted_reboot_that_leads_to_nothing_is_not_repeated(ends: str, outcome: Outcome) -> None:
    cloud = FakeCloud(cache(Pace(ends=ends)))
    result = result_of(cloud, NODE, operation="elasticache.reboot")
    assert (result.outcome, len(cloud.writes)) == (outcome, 1), result


def test_a_reboot_asks_for_consent_in_words() -> None:
    asked = RebootNodes().needs_consent(decode(NODE, RebootWish))
    assert "stampede" in asked
    assert "lost for good" in asked


# -- evidence, privileges, wishes, the choice


def test_evidence_is_asked_for_before_the_first_act_only() -> None:
    cloud = FakeCloud(cache())
    result = result_of(cloud, TO)
    assert len(result.steps[0].evidence) == 1
    assert sorted(operations(cloud.evidence)) == ["DescribeCacheClusters", "DescribeEvents", "DescribeReplicationGroups"]


def test_the_declared_calls_are_those_that_are_sent() -> None:
    runs: list[tuple[str, dict[str, object], bool]] = [
        ("elasticache.failover", TO, False),
        ("elasticache.failover", SHARD, True),
        ("elasticache.reboot", NODE, False),
        ("elasticache.settings", {"automatic_failover": False, "multi_az": False}, False),
        ("elasticache.assess", {}, False),
    ]
    sent: dict[str, set[str]] = {}
    for operation, wish, clustered in runs:
        cloud = FakeCloud(cache(clustered=clustered))
        result_of(cloud, wish, operation=operation)
        calls = {f"{call.service}:{call.operation}" for call in (*cloud.reads, *cloud.writes, *cloud.evidence)}
        sent.setdefault(operation, set()).update(calls)
    assert sent == {name: {call.action for call in find_operation(name).calls} for name in sent}  # type: ignore[attr-defined]


def test_budgets_count_the_failovers_that_events_tell_of() -> None:
    cloud = FakeCloud(cache())
    result_of(cloud, TO)
    with on_time(cloud.cache.clock):
        assert FailOver().spent(cloud, FailoverWish(), 3600.0) == 1


@pytest.mark.parametrize(
    ("wish", "kind", "says"),
    [
        ({"to": "cache 3"}, FailoverWish, "to: expected the name of a node such as cache-002, got 'cache 3'"),
        ({"node_group": "first"}, FailoverWish, "node_group: expected a number such as 0001, got 'first'"),
        ({"test_quota": -1}, FailoverWish, "test_quota: expected a number of calls"),
        ({"max_lag": "-3s"}, FailoverWish, "expected a duration"),
        ({"too": "x"}, FailoverWish, "too"),
        ({"cluster": "cache-002"}, RebootWish, "node_ids"),
        ({"cluster": "cache-002", "node_ids": "1"}, RebootWish, "node_ids: expected ids such as 0001"),
        ({"cluster": "", "node_ids": "0001"}, RebootWish, "cluster: expected the name of a member"),
        ({"automatic_failover": False, "multi_az": True}, SettingsWish, "multi_az: expected false"),
    ],
)
def test_a_wish_that_cannot_be_is_named(wish: dict[str, object], kind: type[Any], says: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=re.escape(says)):
        decode(wish, kind)


nodes = st.builds(
    Node,
    name=st.from_regex(r"[a-z]{1,5}", fullmatch=True),
    role=st.just("replica"),
    zone=st.sampled_from(["a", "b", ""]),
)


@settings(max_examples=150, deadline=None)
@given(replicas=st.lists(nodes, max_size=5, unique_by=lambda node: node.name), data=st.data())
def test_the_choice_serves_if_any_does_and_does_not_depend_on_the_order(replicas: list[Node], data: st.DataObject) -> None:
    names = st.sampled_from([node.name for node in replicas] or ["none"])
    lag = Lag(data.draw(st.dictionaries(names, st.floats(0, 100))))
    known = Nodes(data.draw(st.dictionaries(names, st.sampled_from(["available", "restore-failed"]))))
    primary = Node("primary", "primary", "a")
    chosen = choose(Shard("0001", "available", (primary, *replicas)), lag, known)
    assert (chosen is None) is (not replicas)
    serving = [node for node in replicas if known.status(node.name) == "available"]
    assert not serving or chosen in serving
    assert not any(node.zone != "a" for node in serving) or (chosen and chosen.zone != "a")
    shuffled = data.draw(st.permutations(replicas))
    assert choose(Shard("0001", "available", (*shuffled, primary)), lag, known) == chosen
