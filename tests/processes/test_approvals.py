"""Approvals: who counts, who does not, and why; with real keys. Then the command itself, through Invoke."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invoke import Collection
from msgspec.structs import replace

from crashcart.actors import is_author
from crashcart.cli.approvals import approve_task, plan_text
from crashcart.cli.house import House
from crashcart.cli.taming import Tamed
from crashcart.errors import BadInput, Refused
from crashcart.operations.base import Action, Effect
from crashcart.plan import Plan, PlannedStep, TargetPlan
from crashcart.results import Phase
from crashcart.safety.approvals import (
    Approver,
    Signers,
    Standing,
    check_age,
    check_approved,
    needed_rule,
    parse_approval,
    rules_of,
    signed_text,
    signers_path,
    standing,
)
from crashcart.safety.planfile import SHORT, ApprovalRule, PlanDocument, Wanted, plan_hash, write_plan
from crashcart.safety.signatures import KeyTool, Signature, add_signature, read_signatures
from crashcart.targets import Target
from crashcart.transports.base import Command

NOW = datetime(2030, 1, 1, 3, 0, tzinfo=UTC)
STEP = PlannedStep("restart", "systemd.restart", Phase.STEP, {"unit": "api.service"})
ACTION = Action(
    "restart", Effect.ONCE, "restart api", "InvocationID=1f", Command('systemctl restart -- "$1"', ("api.service",))
)
PLAN = Plan("recover.x", "Restart X", "prod", (TargetPlan(Target("db1", groups=("all", "prod")), (STEP,)),))
TOOL = KeyTool()


def document(rule: ApprovalRule | None = None, *, author: str = "alice", created: datetime = NOW) -> PlanDocument:
    wanted = (Wanted.of("db1", "restart", "systemd.restart", ACTION),)
    return PlanDocument(PLAN, wanted, author, created, "1.0", "it hangs", approval=rule)


DOCUMENT = document()


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("keys")
    names = ("alice", "bob", "bob2", "carol", "stranger", "locked")
    for name in names:
        words = ("-N", "open sesame" if name == "locked" else "", "-C", name, "-f", folder / name)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", *words], check=True)
    return {name: folder / name for name in names}


Make = Callable[..., Path]


@pytest.fixture
def allow(tmp_path: Path, keys: dict[str, Path]) -> Make:
    """Write an allowed signers file: ``allow(alice="alice@example.com")`` gives alice's key that name."""

    def make(**heads: str) -> Path:
        path = tmp_path / "allowed_signers"
        path.write_text("".join(f"{head} {keys[name].with_suffix('.pub').read_text()}" for name, head in heads.items()))
        path.chmod(0o644)
        return path

    return make


@pytest.fixture
def everyone(allow: Make) -> Path:
    return allow(alice="alice@example.com", bob="bob", bob2="bob", carol="carol", locked="locked")


def sign(key: Path, doc: PlanDocument = DOCUMENT) -> Signature:
    return Signature(f"{key.name}.sig", TOOL.sign(signed_text(plan_hash(doc)), key))


def check(path: Path, count: int, *signatures: Signature, doc: PlanDocument = DOCUMENT) -> tuple[Approver, ...]:
    return check_approved(doc, signatures, ApprovalRule(count, str(path)), "alice", plan=Path("plan.json"), now=NOW)


def test_two_others_are_enough(everyone: Path, keys: dict[str, Path]) -> None:
    found = check(everyone, 2, sign(keys["bob"]), sign(keys["carol"]))
    assert [approver.name for approver in found] == ["bob", "carol"]


@pytest.mark.parametrize(
    ("signers", "told"),
    [
        ([], ["0 of 2 approvals", "may still approve: bob, carol"]),
        (["bob"], ["1 of 2 approvals (bob)", "may still approve: carol"]),
        (["bob", "bob"], ["1 of 2 approvals (bob)"]),
        (["bob", "bob2"], ["1 of 2 approvals (bob)"]),
        (["bob", "alice"], ["1 of 2 approvals (bob)", "alice@example.com is the author, whose own approval does not count"]),
        (["bob", "stranger"], ["1 of 2 approvals (bob)", "stranger.sig: SHA256:", "is nobody's key"]),
    ],
)
def test_too_few(everyone: Path, keys: dict[str, Path], signers: list[str], told: list[str]) -> None:
    with pytest.raises(Refused) as error:
        check(everyone, 2, *(sign(keys[name]) for name in signers))
    assert all(text in error.value.message for text in told), error.value.message
    assert error.value.hint.startswith("inv runs.approve plan.json")


def test_a_signature_on_another_plan(everyone: Path, keys: dict[str, Path]) -> None:
    with pytest.raises(Refused, match=r"0 of 1 approvals; bob\.sig: a signature on another plan"):
        check(everyone, 1, sign(keys["bob"], document(author="mallory")))


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ('bob valid-before="20200101"', "the key of bob does not count: .*expired"),
        ('bob namespaces="git"', "the key of bob does not count: .*not permitted"),
        ("*@example.com", "is nobody's key"),
        ("# bob", "is nobody's key"),
        ("bob cert-authority", "the key of bob does not count"),
    ],
)
def test_entries_that_do_not_allow_it(allow: Make, keys: dict[str, Path], head: str, told: str) -> None:
    with pytest.raises(Refused, match=told):
        check(allow(bob=head), 1, sign(keys["bob"]))


def test_an_alias_of_the_author_is_the_author(allow: Make, keys: dict[str, Path]) -> None:
    with pytest.raises(Refused, match="is the author"):
        check(allow(bob="deputy,Alice@Example.com"), 1, sign(keys["bob"]))
    on_two_lines = allow(bob="deputy")
    line = on_two_lines.read_text()
    on_two_lines.write_text(line + line.replace("deputy", 'alice valid-before="20200101"'))
    with pytest.raises(Refused, match=r"0 of 1 approvals; deputy is the author"):
        check(on_two_lines, 1, sign(keys["bob"]))


def test_whoever_shares_a_name_is_one_person(allow: Make, keys: dict[str, Path]) -> None:
    path = allow(bob="bob,robert", carol="robert,rob", bob2="rob")
    with pytest.raises(Refused, match=r"1 of 2 approvals \(bob\)"):
        check(path, 2, *(sign(keys[name]) for name in ("bob", "bob2", "carol")))


def test_quoted_names_and_comments(allow: Make, keys: dict[str, Path]) -> None:
    path = allow(bob='"bob,robert" namespaces="crashcart-plan,git"')
    path.write_text(f"# who may approve\n\n{path.read_text()}")
    assert check(path, 1, sign(keys["bob"]))[0].names == ("bob", "robert")


@pytest.mark.parametrize(("mode", "told"), [(0o664, "others can change"), (0o646, "others can change")])
def test_a_signers_file_that_others_can_change(everyone: Path, keys: dict[str, Path], mode: int, told: str) -> None:
    everyone.chmod(mode)
    with pytest.raises(Refused, match=told) as error:
        check(everyone, 1, sign(keys["bob"]))
    assert error.value.hint == f"chmod go-w {everyone}"


def test_no_signers_file_is_refused_with_how_to_make_one(tmp_path: Path, keys: dict[str, Path]) -> None:
    with pytest.raises(Refused, match="nobody may approve") as error:
        check(tmp_path / "none", 1, sign(keys["bob"]))
    assert f"{tmp_path / 'none'}: NAME ssh-ed25519" in error.value.hint
    with pytest.raises(Refused, match="no allowed signers file"):
        Signers.read(Path("/dev/null"))


def test_where_the_signers_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert signers_path(ApprovalRule(1, "/etc/a"), {"CRASHCART_SIGNERS": "/b"}) == Path("/etc/a")
    assert signers_path(ApprovalRule(1), {"CRASHCART_SIGNERS": "/b"}) == Path("/b")
    assert signers_path(ApprovalRule(1), {}) == tmp_path / "crashcart" / "allowed_signers"


def test_a_plan_gets_old() -> None:
    rule = ApprovalRule(1, max_age=3600)
    check_age(DOCUMENT, rule, NOW + timedelta(minutes=59))
    with pytest.raises(Refused, match=r"2 h old; it may be 60 min at most") as error:
        check_age(DOCUMENT, rule, NOW + timedelta(hours=2))
    assert "--plan FILE" in error.value.hint
    with pytest.raises(Refused, match="in the future"):
        check_age(DOCUMENT, rule, NOW - timedelta(hours=1))


def test_an_approval_is_parsed() -> None:
    assert parse_approval({"count": 2}, "x") == ApprovalRule(2)
    assert parse_approval({"count": 1, "signers": "~/s", "max_age": "2h"}, "x") == ApprovalRule(1, "~/s", 7200)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (2, "expected a mapping"),
        ({}, "count: expected a whole number from 1 to 20, got None"),
        ({"count": 0}, "got 0"),
        ({"count": True}, "got True"),
        ({"count": "2"}, "got '2'"),
        ({"count": 99}, "got 99"),
        ({"count": 2, "signer": "/x"}, "unknown key 'signer'\n  hint: did you mean signers"),
        ({"count": 2, "signers": "allowed"}, "begins with / or ~/"),
        ({"count": 2, "signers": ["/a"]}, "begins with / or ~/"),
        ({"count": 2, "signers": ""}, "begins with / or ~/"),
        ({"count": 2, "max_age": "long"}, "max_age: expected a duration"),
    ],
)
def test_a_wrong_approval_is_bad_input(raw: object, told: str) -> None:
    with pytest.raises(BadInput) as error:
        parse_approval(raw, "group prod")
    assert str(error.value).startswith("group prod: approval: ")
    assert told in str(error.value)


def test_rules_come_from_the_playbook_and_from_targets_that_are_acted_on() -> None:
    targets = (
        TargetPlan(Target("a", variables={"approval": {"count": 2}})),
        TargetPlan(Target("b", variables={"approval": {"count": 2}})),
        TargetPlan(Target("c", variables={"approval": {"count": 9}}), skip="not a host"),
    )
    plan = replace(PLAN, targets=targets)
    assert rules_of(plan, {"count": 1}) == (ApprovalRule(1), ApprovalRule(2))
    assert rules_of(replace(plan, read_only=True)) == ()
    assert needed_rule(rules_of(PLAN)) is None


@settings(max_examples=30, deadline=None)
@given(st.lists(st.builds(ApprovalRule, st.integers(1, 20), st.sampled_from(["", "/s"]), st.floats(1, 9e5)), min_size=1))
def test_the_strictest_rule_counts(rules: list[ApprovalRule]) -> None:
    found = needed_rule(rules)
    assert found is not None
    assert all(found.count >= rule.count and found.max_age <= rule.max_age for rule in rules)
    assert found.signers == max(rule.signers for rule in rules)


def test_different_signers_cannot_stand_for_each_other() -> None:
    with pytest.raises(BadInput, match=r"different signers: /a and /b"):
        needed_rule([ApprovalRule(1, "/a"), ApprovalRule(3, "/b")])


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("alice", True),
        ("Alice", True),
        ("alice@x.org", True),
        ("github:alice", True),
        ("bob", False),
        ("alice2", False),
        ("", False),
    ],
)
def test_who_is_the_author(name: str, same: bool) -> None:
    assert is_author([name], "alice") is same
    assert is_author([name], "github:alice") is same


def test_everybody_who_counts_is_told() -> None:
    found = Standing(2, (Approver(("bob",), ()), Approver(("carol",), ())), (), ("dave",))
    assert found.text == "2 of 2 approvals (bob, carol)"


def test_no_ssh_keygen_is_refused_not_ignored(everyone: Path, keys: dict[str, Path]) -> None:
    signature, tool = sign(keys["bob"]), KeyTool("/nonexistent/ssh-keygen")
    with pytest.raises(Refused, match="cannot run"):
        standing(DOCUMENT, [signature], ApprovalRule(1), "alice", Signers.read(everyone), tool)


class Desk:
    """A folder with a plan, and the command that approves it, without a terminal."""

    def __init__(self, folder: Path, plan: PlanDocument) -> None:
        self.plan = folder / "plan.json"
        self.hash = write_plan(self.plan, plan)

    def __call__(self, *words: str) -> int:
        program = Tamed(namespace=Collection(approve_task(House(None, None))))
        try:
            program.run(["inv", "approve", *words])
        except SystemExit as end:
            return int(end.code or 0)
        return 0


@pytest.fixture
def desk(tmp_path: Path, everyone: Path) -> Desk:
    return Desk(tmp_path, document(ApprovalRule(2, str(everyone)), created=datetime.now(UTC)))


def test_approving(desk: Desk, keys: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    before = desk.plan.read_bytes()
    assert desk(str(desk.plan), "--key", str(keys["bob"]), "--yes") == 0
    said = capsys.readouterr().out
    assert "1 of 2 approvals (bob); may still approve: carol, locked\nit may not run yet" in said
    assert desk(str(desk.plan), "--key", str(keys["carol"]), "--yes", "--output", "json") == 0
    assert '"standing": "2 of 2 approvals' in capsys.readouterr().out
    assert len(read_signatures(desk.plan)) == 2
    assert desk.plan.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ([], 2, "'file'"),
        (["/nonexistent", "--yes"], 2, "cannot be read"),
        (["PLAN", "--key", "bob"], 3, "--yes"),
        (["PLAN", "--yes", "--key", "/nonexistent"], 2, "there is no key"),
        (["PLAN", "--yes", "--key", "alice"], 3, "is the author of this plan"),
        (["PLAN", "--yes", "--key", "stranger"], 3, "is nobody's key"),
        (["PLAN", "--yes", "--key", "locked"], 3, "passphrase"),
        (["PLAN", "--yes", "--output", "xml"], 2, "text or json"),
    ],
)
def test_what_is_not_signed(
    desk: Desk, keys: dict[str, Path], capsys: pytest.CaptureFixture[str], words: list[str], code: int, told: str
) -> None:
    real = {"PLAN": str(desk.plan), **{name: str(path) for name, path in keys.items()}}
    assert desk(*(real.get(word, word) for word in words)) == code
    assert told in capsys.readouterr().err
    assert read_signatures(desk.plan) == ()


def test_where_nobody_can_tell_who_counts_it_is_signed_all_the_same(
    tmp_path: Path, keys: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Desk(tmp_path, document(ApprovalRule(1, str(tmp_path / "elsewhere")), created=datetime.now(UTC)))
    assert desk(str(desk.plan), "--key", str(keys["bob"]), "--yes") == 0
    assert "who counts cannot be told here" in capsys.readouterr().out
    assert len(read_signatures(desk.plan)) == 1


def test_an_old_plan_is_not_signed(tmp_path: Path, everyone: Path, keys: dict[str, Path]) -> None:
    desk = Desk(tmp_path, document(ApprovalRule(1, str(everyone)), created=NOW.replace(year=2020)))
    assert desk(str(desk.plan), "--key", str(keys["bob"]), "--yes") == 3


def on_a_terminal(desk: Desk, key: Path, typed: Callable[[str], str]) -> tuple[int, str]:
    code = "import sys; from invoke import Collection, Program; from crashcart.cli.approvals import approve_task\n"
    code += "from crashcart.cli.house import House\n"
    code += "Program(namespace=Collection(approve_task(House(None, None)))).run(['inv', 'approve', *sys.argv[1:]])"
    child, terminal = pty.fork()
    if child == 0:
        words = [sys.executable, "-c", code, str(desk.plan), "--key", str(key)]
        os.execv(sys.executable, words)  # noqa: S606 -- in the child of pty.fork
    said = ""
    while not re.search(r"Type [0-9a-f]+ to sign this plan: ", said):
        said += os.read(terminal, 4096).decode()
    os.write(terminal, f"{typed(said)}\n".encode())
    said += _rest(terminal)
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), said


def _rest(terminal: int) -> str:
    """Read to the end; a terminal whose other side is closed is an error on Linux."""
    said = b""
    try:
        while data := os.read(terminal, 4096):
            said += data
    except OSError:
        pass
    return said.decode()


def test_the_hash_is_typed_on_a_terminal(desk: Desk, keys: dict[str, Path]) -> None:
    code, said = on_a_terminal(desk, keys["bob"], lambda said: "yes")
    assert (code, read_signatures(desk.plan)) == (3, ()), said
    code, said = on_a_terminal(desk, keys["bob"], lambda said: desk.hash[:SHORT])
    assert (code, len(read_signatures(desk.plan))) == (0, 1), said
    assert "1 of 2 approvals (bob)" in said


def test_the_plan_is_told_whole_and_cannot_forge_lines() -> None:
    act = replace(ACTION, summary="restart\x1b[2K\nhash 000", call=Command("one\n\x1b[1Atwo", ("a b",)))
    shown = plan_text(replace(DOCUMENT, wanted=(Wanted.of("db1", "restart", "systemd.restart", act),)), "f" * 64)
    for text in ("db1", 'script 1 as root with ["a b"]', "  | one", "only if: InvocationID=1f", "undo: none", "f" * 64):
        assert text in shown
    assert "\x1b" not in shown
    assert "\nhash 000" not in shown


def test_signatures_made_by_hand_count_too(tmp_path: Path, everyone: Path, keys: dict[str, Path]) -> None:
    """What docs/approvals.md shows for checking by hand is the same as what is checked."""
    plan = tmp_path / "p.json"
    digest = write_plan(plan, DOCUMENT)
    command = f"sha256sum < {plan} | cut -c-64 | ssh-keygen -q -Y sign -n crashcart-plan -f {keys['bob']}"
    made = subprocess.run(["sh", "-c", command], check=True, capture_output=True, text=True)
    add_signature(plan, digest, "SHA256:x", made.stdout)
    assert check(everyone, 1, *read_signatures(plan))[0].name == "bob"


def test_rules_are_plain_values() -> None:
    raw: Any = {"count": 2, "signers": "/s"}
    assert parse_approval(raw, "x") == parse_approval(dict(raw), "y")
