"""``disk.reclaim`` and ``disk.assess`` beyond their cases: properties of decisions, bad wishes, act results."""

# ruff: noqa: S108

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crashcart.errors import ConnectionLost, NotSent, SudoDenied
from crashcart.facts.disk_state import Candidate, DiskState, Found, HeldFile, Holder, Listing, LiveLog, Ranking, Stage
from crashcart.operations.base import (
    STALE,
    Act,
    Action,
    Applied,
    Decision,
    Done,
    Effect,
    Fail,
    InDoubt,
    Look,
    Memory,
    NoGoal,
    NotApplied,
    Refuse,
    Rejected,
)
from crashcart.operations.disk import AssessDisk, AssessWish, ReclaimDisk, ReclaimWish
from crashcart.operations.disk_acts import DELETE, TAIL
from crashcart.operations.disk_stages import GROUP, lacks_bytes, lacks_inodes
from crashcart.transports.fake import FakeTransport, output
from crashcart.values import decode

NOW = 1_900_000_000.0
DAY = 86400.0
RECLAIM = ReclaimDisk()
LINE_LIMIT = 128 * 1024
ROOTS = {
    Stage.PACKAGES: "/var/cache/apt/archives",
    Stage.LOGS: "/var/log",
    Stage.JOURNAL: "/var/log/journal",
    Stage.TEMP: "/tmp",
}


def candidate(stage: Stage, inode: int, age: float, size: int = 4096, last: float | None = None) -> Candidate:
    return Candidate(stage, ROOTS[stage], f"{stage}.{inode}", inode, size, NOW - age, 0, last)


CANDIDATES = st.builds(
    candidate,
    st.sampled_from(sorted(ROOTS)),
    st.integers(1, 2**63),
    st.floats(0, 90 * DAY),
    st.integers(0, 10**9),
    st.none() | st.floats(NOW - 90 * DAY, NOW + DAY),
)
HOLDERS = st.builds(Holder, st.integers(1, 99), st.integers(0, 9), st.sampled_from([0o100000, 0o102001, 0o100001, 0o102002]))
LIVE = st.builds(
    LiveLog,
    path=st.just("/var/log/api.log"),
    device=st.sampled_from([1, 2]),
    inode=st.integers(1, 3),
    size=st.sampled_from([0, 10**6]),
    length=st.integers(0, 10**6),
    links=st.sampled_from([1, 2]),
    holders=st.lists(HOLDERS, max_size=3).map(tuple),
    mapped=st.booleans(),
    trouble=st.sampled_from(["", "it is not there"]),
)
HELD = st.builds(
    HeldFile, st.just("/a"), st.integers(1, 3), st.integers(0, 10**9), st.just(7), unit=st.sampled_from(["", "a.service"])
)
LISTINGS = st.builds(
    Listing,
    now=st.just(NOW),
    candidates=st.lists(CANDIDATES, max_size=8, unique_by=lambda one: one.inode).map(tuple),
    held=st.lists(HELD, max_size=3).map(tuple),
    active_journal=st.integers(0, 10**9),
)
STATES = st.builds(
    DiskState,
    path=st.just("/var"),
    found=st.sampled_from(Found),
    device=st.just(1),
    size=st.just(10**9),
    used=st.integers(0, 10**9),
    available=st.integers(0, 10**9),
    inodes=st.sampled_from([0, 1000]),
    inodes_used=st.integers(0, 1000),
    read_only=st.booleans(),
    gnu_find=st.booleans(),
    live=st.lists(LIVE, max_size=2).map(tuple),
    listing=st.none() | LISTINGS,
    largest=st.none() | st.just(Ranking()),
    crowded=st.none() | st.just(Ranking()),
)
WISHES = st.builds(
    ReclaimWish,
    below=st.integers(1, 100).map(float),
    journal_keep=st.integers(0, 10**9),
    tmp_owner=st.sampled_from(["", "api"]),
)


def decide(state: DiskState, wish: ReclaimWish | None = None, applied: tuple[str, ...] = ()) -> Decision:
    return RECLAIM.decide(state, Memory(pin=state, goal=NoGoal(), applied=applied), wish or ReclaimWish())


def full(*candidates: Candidate, **facts: Any) -> DiskState:
    known: dict[str, Any] = {"path": "/var", "device": 1, "size": 1000, "used": 970, "available": 30, **facts}
    return DiskState(listing=Listing(now=NOW, candidates=candidates), **known)


def act_on(*candidates: Candidate, wish: ReclaimWish | None = None, applied: tuple[str, ...] = ()) -> Action:
    decision = decide(full(*candidates), wish, applied)
    assert isinstance(decision, Act)
    return decision.action


@given(STATES, WISHES, st.lists(st.sampled_from(["logs:1", "packages:2", "live:1:1:5"]), max_size=3).map(tuple))
def test_decisions_keep_their_promises(state: DiskState, wish: ReclaimWish, applied: tuple[str, ...]) -> None:
    decision = decide(state, wish, applied)
    assert decide(state, wish, applied) == decision
    lacks = lacks_bytes(state, wish) or lacks_inodes(state, wish)
    assert isinstance(decision, Refuse) is (state.found is not Found.DIRECTORY)
    assert isinstance(decision, Refuse) or isinstance(decision, Done) is not lacks
    if isinstance(decision, Act):
        check_act(decision.action, state, wish)
    if isinstance(decision, Look) and state.listing:
        assert decision.what != "candidates", "what is known is not asked for again"
    if isinstance(decision, Fail):
        assert decision.why
        assert decision.hint


def check_act(action: Action, state: DiskState, wish: ReclaimWish) -> None:
    assert state.listing
    assert action.only_if == RECLAIM.token(state)
    assert action.summary
    assert action.changes
    stage = action.key.partition(":")[0]
    if action.effect is Effect.DESTROY:
        assert stage == "live"
        assert RECLAIM.evidence(action, wish)
        return
    assert action.proof
    chosen = {int(number) for number in action.command.args[6].split()}
    listed = {one.inode: one for one in state.listing.of(Stage(stage))}
    assert chosen <= set(listed)
    window = NOW - wish.incident_window
    if stage == "journal":
        assert all((listed[number].last_entry or NOW) < window for number in chosen)
        total = sum(one.size for one in listed.values()) + state.listing.active_journal
        assert total - sum(listed[number].size for number in chosen) >= min(wish.journal_keep, total)


def test_stages_come_in_the_order_of_their_harm() -> None:
    files = [candidate(stage, number, 30 * DAY, last=NOW - 30 * DAY) for number, stage in enumerate(ROOTS, 1)]
    wish = ReclaimWish(tmp_owner="api", journal_keep=0)  # type: ignore[arg-type]
    order: list[str] = []
    applied: tuple[str, ...] = ()
    for _ in ROOTS:
        action = act_on(*files, wish=wish, applied=applied)
        order.append(action.key.partition(":")[0])
        applied += (action.key, action.key)
    assert order == ["packages", "logs", "journal", "temp"]


def test_a_group_is_bounded_and_the_oldest_go_first() -> None:
    files = [candidate(Stage.LOGS, 2**63 + number, 8 * DAY + number) for number in range(GROUP + 500)]
    action = act_on(*files)
    chosen = [int(number) for number in action.command.args[6].split()]
    assert chosen == sorted(2**63 + number for number in range(500, GROUP + 500))
    assert len(action.command.script) + sum(map(len, action.command.args)) < LINE_LIMIT * 0.75
    assert len(action.proof[0].lines) == 1002
    assert action.proof[0].lines[-1] == "... and 1500 more"


def test_the_act_repeats_what_the_look_demanded() -> None:
    wish = ReclaimWish(max_age=7 * DAY, tmp_owner="api", tmp_globs=("/tmp/a*", "/tmp/b?", "/var/tmp/*"))  # type: ignore[arg-type]
    logs = act_on(candidate(Stage.LOGS, 9, 30 * DAY), candidate(Stage.LOGS, 10, 8 * DAY), wish=wish)
    assert logs.command.args == ("/", "1", "logs", str(int(NOW - 7 * DAY)), "0", "/var/log", "9 10", "1", "*")
    packages = act_on(candidate(Stage.PACKAGES, 9, 0), wish=wish)
    assert packages.command.args[3] == str(int(NOW) + 1), "not what has changed since the look"
    temp = act_on(msgspec.structs.replace(candidate(Stage.TEMP, 9, 30 * DAY), owner=1000), wish=wish)
    assert temp.command.args[2:] == ("temp", str(int(NOW - 7 * DAY)), "1000", "/tmp", "9", "2", "a*", "b?")
    assert {action.command.script for action in (logs, packages, temp)} == {DELETE}


def test_planned_changes_are_told_before_and_after() -> None:
    action = act_on(candidate(Stage.LOGS, 9, 30 * DAY, size=500))
    assert [(change.what, change.before, change.after) for change in action.changes] == [
        ("/ bytes", "97 % (970 B)", "about 47 % (470 B)")
    ]


def test_the_token_names_the_files_not_the_use() -> None:
    one = full(candidate(Stage.LOGS, 9, 0))
    assert RECLAIM.token(one) == RECLAIM.token(msgspec.structs.replace(one, used=960))
    assert RECLAIM.token(one) != RECLAIM.token(full(candidate(Stage.LOGS, 8, 0)))
    assert RECLAIM.token(DiskState(device=1, used=2, inodes_used=3)) == "1:2:3"


def live_action(size: int = 900) -> tuple[DiskState, Action]:
    log = LiveLog("/var/log/api.log", 1, 5, size, size, holders=(Holder(7, 3, 0o102001, "api"),))
    state = full(live=(log,))
    decision = decide(state, ReclaimWish(truncate_open=("/var/log/api.log",)))  # type: ignore[arg-type]
    assert isinstance(decision, Act)
    return state, decision.action


def test_the_effect_on_a_log_is_seen_by_its_length() -> None:
    state, action = live_action()
    emptied = msgspec.structs.replace(state, listing=None, live=(msgspec.structs.replace(state.live[0], length=3),))
    assert not RECLAIM.effect_seen(state, action)
    assert RECLAIM.effect_seen(emptied, action)
    assert not RECLAIM.effect_seen(emptied, msgspec.structs.replace(action, key="live:1:6:900"))
    assert not RECLAIM.effect_seen(emptied, act_on(candidate(Stage.LOGS, 9, 30 * DAY)))


def test_a_destroying_wish_needs_consent_and_keeps_evidence() -> None:
    _, action = live_action()
    tail = RECLAIM.evidence(action, ReclaimWish())
    assert tail
    assert (tail.script, tail.args) == (TAIL, ("1:5", "7", "3"))
    assert RECLAIM.evidence(act_on(candidate(Stage.LOGS, 9, 30 * DAY)), ReclaimWish()) is None
    assert "/var/log/api.log" in RECLAIM.needs_consent(ReclaimWish(truncate_open=("/var/log/api.log",)))  # type: ignore[arg-type]
    assert RECLAIM.needs_consent(ReclaimWish()) == ""


def test_what_was_chosen_still_holds_while_anything_lacks() -> None:
    action = act_on(candidate(Stage.LOGS, 9, 30 * DAY))
    plain = msgspec.structs.replace(full(), listing=None)
    assert RECLAIM.still_holds(plain, action, ReclaimWish())
    assert not RECLAIM.still_holds(msgspec.structs.replace(plain, used=10, available=990), action, ReclaimWish())
    assert not RECLAIM.still_holds(DiskState(found=Found.MISSING), action, ReclaimWish())


AFTER = "failed find: cannot delete './a': Operation not permitted\n\0volume 1 /var\n\0space 1 10 5 5 0 0 ext4\n\0end\n\0"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (output(AFTER), Applied),
        (output("cut off"), Applied),
        (output(status=STALE), NotApplied),
        (output(status=1, stderr="truncate: failed"), Rejected),
        (NotSent("no"), NotApplied),
        (ConnectionLost("gone"), InDoubt),
        (SudoDenied("no"), Rejected),
    ],
)
def test_what_came_of_an_act(reply: Any, kind: type[Any]) -> None:
    host = FakeTransport()
    host.on("delete", reply)
    result = RECLAIM.act(host, act_on(candidate(Stage.LOGS, 9, 30 * DAY)), ReclaimWish())
    assert isinstance(result, kind)


def test_an_act_shows_the_next_state() -> None:
    seen = RECLAIM.seen(output(AFTER), ReclaimWish())
    assert seen
    assert (seen.path, seen.percent, seen.failures) == ("/", 50, ("cannot delete './a': Operation not permitted",))
    assert RECLAIM.seen(output("cut off"), ReclaimWish()) is None


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        *(
            ({"path": path}, f"{path} is never relieved")
            for path in ("/etc", "/usr/local", "/boot", "/proc/1", "/sys", "/dev")
        ),
        *(({"path": path}, "such as / or /var") for path in ("/root", "/bin", "/lib/x", "/lib64", "/sbin", "/run/lock")),
        ({"path": "relative"}, "absolute path"),
        ({"path": "/var/../etc"}, "'..'"),
        ({"below": 0}, "below: nothing is ever less than 0 % full"),
        ({"inodes_below": "0%"}, "inodes_below"),
        ({"below": 101}, "percentage from 0 to 100"),
        ({"max_age": "soon"}, "duration"),
        ({"journal_keep": "much"}, "size"),
        *(
            ({"log_dirs": [path]}, "is not on the allow-list, which is /var/log")
            for path in ("/etc", "/var/lib/x", "/var/logs")
        ),
        *(({"log_dirs": [path]}, "allow-list") for path in ("/", "/srv/log", "/opt/a/b/log", "/home/log", "/root/log")),
        *(({"log_dirs": [f"/var/log/{name}"]}, "never touched") for name in ("audit", "mysql", "journal", "x/containers")),
        ({"log_dirs": ["/srv/postgres/log"]}, "never touched"),
        ({"log_dirs": ["/var/log/a b"]}, "a space or a character of shell patterns"),
        ({"log_dirs": ["/var/log/*"]}, "a space or a character of shell patterns"),
        ({"log_dirs": [f"/var/log/{number}" for number in range(33)]}, "33 places"),
        *(({"tmp_globs": [glob]}, "/tmp or /var/tmp") for glob in ("/run/x", "/home/a/*", "*", "/tmp*", "/tmpx/a")),
        *(({"tmp_globs": [glob]}, "/tmp or /var/tmp") for glob in ("/tmp/*/x", "/tmp/../etc/*", "/tmp//x", "/tmp/a b/*")),
        *(({"tmp_globs": [glob]}, "does not end in a pattern") for glob in ("/tmp/", "/tmp/..", "/tmp/.", "/tmp/a\\*")),
        *(({"tmp_owner": owner}, "is no user name or number") for owner in ("a b", "-1", "$(id)", "../x")),
        ({"truncate_open": ["/srv/a/log/x.log"]}, "is not in a directory of log_dirs (/var/log)"),
        ({"truncate_open": ["/var/log"]}, "is not in a directory of log_dirs"),
        ({"truncate_open": ["/var/log/auth.log"]}, "never touched"),
        ({"truncate_open": ["/var/log/mysql/slow.log"]}, "never touched"),
        ({"pth": "/"}, "pth"),
    ],
)
def test_bad_wishes_say_what_would_do(raw: dict[str, Any], says: str) -> None:
    with pytest.raises(msgspec.ValidationError) as raised:
        decode(raw, ReclaimWish)
    assert says in str(raised.value)


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"path": "/var/", "below": "75%", "max_age": "36h", "journal_keep": "1G"},
        {"log_dirs": ["/var/log/nginx", "/srv/api/log", "/opt/api/logs/old", "/var/opt/a/log", "/home/api/logs"]},
        {"log_dirs": [], "tmp_globs": []},
        {"tmp_globs": ["/tmp/pynomaly_*", "/var/tmp/a/b/[a-z]*.tmp", "/tmp/.hidden", "/tmp/a b*"], "tmp_owner": "www-data"},
        {"tmp_owner": "1000"},
        {"truncate_open": ["/var/log/api/a b.log"], "log_dirs": ["/var/log"]},
    ],
)
def test_good_wishes(raw: dict[str, Any]) -> None:
    assert isinstance(decode(raw, ReclaimWish), ReclaimWish)


def test_a_check_with_its_limits_in_disorder_is_bad_input() -> None:
    with pytest.raises(msgspec.ValidationError, match="degraded_above"):
        decode({"degraded_above": 96}, AssessWish)


def test_assess_reads_only() -> None:
    assert AssessDisk.reads_only
    assert not ReclaimDisk.reads_only
