"""The command-line contract, through the real ``inv``: flags, exit codes, JSON; bad input contacts nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import CHECKOUT, Inv, MakePlaybook

RUN_KEYS = {
    *("id", "playbook", "mode", "started", "finished", "duration_s", "status", "exit_code", "message"),
    *("actor", "reason", "incident", "selection", "parameters", "journal"),
}
OUTCOMES = {"ok", "changed", "would_change", "skipped", "refused", "failed", "unreachable", "unknown"}

COMMANDS = (
    *("recover.disk-space", "recover.service-restart", "check.disk", "check.service"),
    *("drill.disk-space", "drill.service-restart", "lab.up", "lab.down", "lab.status", "lab.reset"),
    *("inventory.show", "inventory.ping", "runs.list", "runs.show", "runs.resume", "runs.verify", "test", "check-code"),
)


def test_list_shows_everything(inv: Inv) -> None:
    done = inv("--list")
    assert done.returncode == 0
    for name in COMMANDS:
        assert name in done.stdout


def test_help_shows_flags_types_and_defaults(inv: Inv) -> None:
    text = inv("--help", "recover.disk-space").stdout
    for word in ("--max-age", "duration", "default: 7d", "--hosts", "--forks", "--break-glass", "--accept-new-host-keys"):
        assert word in text


BAD_INPUT = [
    (("recover.disk-space",), "--hosts is required"),
    (("recover.disk-space", "--hosts", "web", "--below", "lots"), "--below: expected a percentage"),
    (("recover.disk-space", "--hosts", "web", "--below", "-5"), "--below: expected a percentage"),
    (("recover.disk-space", "--hosts", "web", "--path", "/etc"), "/etc"),
    (("recover.disk-space", "--hosts", "web", "--path", "relative"), "--path: expected an absolute path"),
    (("recover.disk-space", "--hosts", "web", "--forks", "abc"), "--forks: expected a whole number"),
    (("recover.disk-space", "--hosts", "web", "--chekc"), "did you mean --check"),
    (("runs.show", "--outptu", "json"), "did you mean --output"),
    (("runs.undo", "--yess"), "did you mean --yes"),
    (("recover.disk-spce", "--hosts", "web"), "did you mean recover.disk-space"),
    (("--help", "recover.disk-spce"), "did you mean recover.disk-space"),
    (("recover.disk-space", "--hosts"), "hosts"),
    (("recover.disk-space", "--hosts", "wbe"), "did you mean web"),
    (("recover.disk-space", "--hosts", "web3"), "web"),
    (("recover.disk-space", "--hosts", "web", "--echo"), "flag of Invoke"),
    (("recover.disk-space", "--hosts", "web", "-f", "x"), "--inventory"),
    (("recover.disk-space", "--hosts", "web", "-T", "5"), "--deadline"),
    (("recover.disk-space", "--hosts", "web", "-T", "abc"), "abc"),
    (("recover.disk-space", "--hosts", "web", "--", "x"), "behind --"),
    (("recover.disk-space", "--hosts", "web", "recover.service-restart", "--hosts", "web"), "one playbook"),
    (("recover.disk-space", "--hosts", "web", "--inventory", "/nonexistent.yml"), "/nonexistent.yml"),
    (("recover.disk-space", "--hosts", "keyless"), "/nonexistent/key"),
    (("recover.service-restart", "--hosts", "web"), "unit"),
    (("recover.service-restart", "--hosts", "web", "--unit", "a;b"), "--unit: expected a systemd unit"),
    (("recover.service-restart", "--hosts", "web", "--unit", "a", "--since", "soon"), "--since: expected a time"),
    (("recover.disk-space", "--hosts", "web", "--output", "xml"), "--output: expected text or json"),
    (("drill.disk-space", "--hosts", "web", "--variant", "ful"), "did you mean full"),
    (("drill.disk-space", "--hosts", "web", "--check"), "no check mode"),
    (("lab.up", "--count", "many"), "--count: expected a whole number"),
    (("runs.show", "nothing"), "there is no run 'nothing'"),
    (("runs.resume",), "required positional arguments: 'run'"),
]


@pytest.mark.parametrize(("words", "said"), BAD_INPUT, ids=[" ".join(words) for words, _ in BAD_INPUT])
def test_bad_input_is_one_clear_message(inv: Inv, words: tuple[str, ...], said: str) -> None:
    done = inv(*words)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not inv.contacted


REFUSED = [
    (("recover.disk-space", "--hosts", ""), "selects nothing"),
    (("recover.disk-space", "--hosts", ","), ""),
    (("recover.disk-space", "--hosts", "web:!web"), ""),
    (("recover.disk-space", "--hosts", "empty"), ""),
    (("recover.disk-space", "--hosts", "nope*"), ""),
    (("recover.disk-space", "--hosts", "prod"), "--reason"),
    (("recover.disk-space", "--hosts", "prod", "--reason", "INC-1"), "--yes"),
    (("drill.disk-space", "--hosts", "web"), "drill: true"),
]


@pytest.mark.parametrize(("words", "said"), REFUSED, ids=[" ".join(words) for words, _ in REFUSED])
def test_refused_before_anything_is_contacted(inv: Inv, words: tuple[str, ...], said: str) -> None:
    done = inv(*words)
    assert done.returncode == 3, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not inv.contacted


@pytest.mark.parametrize(
    ("words", "code", "status"),
    [
        (("recover.disk-space", "--hosts", "wbe"), 2, "invalid"),
        (("recover.disk-space", "--hosts", "web", "--chekc"), 2, "invalid"),
        (("recover.disk-space", "--hosts", "prod"), 3, "refused"),
        (("check.disk", "--hosts", "web"), 4, "unreachable"),
        (("check.disk", "--hosts", "clouds"), 3, "skipped"),
    ],
)
def test_json_is_exactly_one_document_with_all_keys(inv: Inv, words: tuple[str, ...], code: int, status: str) -> None:
    exit_code, document = inv.json(*words)
    assert exit_code == code
    assert document["schema"] == 1
    assert set(document["run"]) >= RUN_KEYS
    assert (document["run"]["exit_code"], document["run"]["status"]) == (code, status)
    assert set(document["summary"]) == OUTCOMES
    if code == 2:
        assert document["targets"] == []


def test_every_selected_target_is_in_the_result(inv: Inv) -> None:
    code, document = inv.json("check.disk", "--hosts", "web:clouds")
    assert code == 4
    assert {target["name"]: target["outcome"] for target in document["targets"]} == {
        "web1": "unreachable",
        "web2": "unreachable",
        "cl": "skipped",
    }
    assert "127.0.0.1:1 refuses the connection" in document["targets"][0]["message"]


@pytest.mark.parametrize("dry", [("--check",), ("--dry",), ("-R",)])
def test_dry_means_check(inv: Inv, dry: tuple[str, ...]) -> None:
    _, document = inv.json("recover.disk-space", "--hosts", "web", *dry)
    assert document["run"]["mode"] == "check"


def test_dry_from_the_environment_means_check(inv: Inv) -> None:
    _, document = inv.json("recover.disk-space", "--hosts", "web", INVOKE_RUN_DRY="1")
    assert document["run"]["mode"] == "check"


def test_inventory_show(inv: Inv) -> None:
    code, document = inv.json("inventory.show", "--hosts", "web")
    assert code == 0
    assert [target["name"] for target in document["targets"]] == ["web1", "web2"]
    assert document["targets"][0]["address"] == "127.0.0.1"
    assert document["targets"][0]["port"] == 1


def test_a_run_is_listed_shown_and_verified(inv: Inv) -> None:
    inv("check.disk", "--hosts", "web")
    assert "check.disk" in inv("runs.list").stdout
    code, document = inv.json("runs.show", "last")
    assert (code, document["run"]["playbook"]) == (0, "check.disk")
    assert inv("runs.verify", "last").returncode == 0
    assert inv("runs.resume", "last").returncode == 4


BROKEN_PLAYBOOKS = [
    (
        "summary: x\nkinds: [linux]\nsteps:\n  - disk.reclam: {}\n",
        "mine.yml:4:5: unknown operation 'disk.reclam'",
        "disk.reclaim",
    ),
    ("summary: x\nkinds: [linux]\nstep:\n  - disk.reclaim: {}\n", "mine.yml:3:1: unknown key 'step'", "steps"),
    (
        "summary: x\nkinds: [linux]\nparams:\n  a: {type: prcent, help: x}\nsteps:\n  - disk.reclaim: {}\n",
        "mine.yml:4:",
        "percent",
    ),
    ("summary: x\nkinds: [linux]\nsteps:\n  - disk.reclaim: {belw: 5}\n", "mine.yml:4:5", "belw"),
    ("summary: x\nkinds: [linux]\nsteps:\n  - disk.reclaim: {below: '{{ nope }}'}\n", "mine.yml:4:5", "nope"),
    ("summary: x\n  kinds: [linux]\n", "mine.yml:2:", ""),
    ("", "mine.yml", ""),
]


@pytest.mark.parametrize(("text", "said", "nearest"), BROKEN_PLAYBOOKS)
def test_a_broken_playbook_is_named_by_line_and_the_others_work(
    inv: Inv, own_checkout: MakePlaybook, text: str, said: str, nearest: str
) -> None:
    folder = own_checkout(text)
    done = inv("recover.mine", "--hosts", "web", cwd=folder)
    assert done.returncode == 2
    assert said in done.stderr
    assert nearest in done.stderr
    assert "Traceback" not in done.stderr
    assert not inv.contacted
    assert inv("--list", cwd=folder).returncode == 0


def test_a_malformed_inventory_is_named_by_line(inv: Inv) -> None:
    inv.inventory.write_text("all:\n  hosts:\n    a: {}\n  childen: {}\n")
    done = inv("check.disk", "--hosts", "all")
    assert done.returncode == 2
    assert "hosts.yml:4:3" in done.stderr
    assert "children" in done.stderr


@pytest.mark.parametrize("words", [("runs.undo", "--help"), ("runs.undo", "-h"), ("--help", "runs.undo")], ids=" ".join)
def test_help_is_help_wherever_it_stands(inv: Inv, words: tuple[str, ...]) -> None:
    done = inv(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--run=STRING" in done.stdout


def test_the_crashcart_program_keeps_the_same_contract(inv: Inv, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("crashcart")
    done = subprocess.run(
        [program, "no.such"], cwd=CHECKOUT, env=inv.environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "unknown command" in done.stderr


def test_a_named_inventory_that_is_missing_is_never_replaced_by_the_labs(inv: Inv, tmp_path: Path) -> None:
    labs = tmp_path / "data/crashcart/lab/inventory.yml"
    labs.parent.mkdir(parents=True)
    labs.write_text(inv.inventory.read_text())
    done = inv("check.disk", "--hosts", "all", CRASHCART_INVENTORY=str(tmp_path / "gone.yml"))
    assert done.returncode == 2
    assert "gone.yml" in done.stderr


def test_resuming_a_run_that_nobody_confirmed_still_asks(inv: Inv) -> None:
    """Killed before the confirmation: the journal ends with the survey."""
    words = ("recover.disk-space", "--hosts", "prod", "--reason", "INC-1", "--yes")
    assert inv(*words).returncode == 4
    journal = next((inv.folder / "state/runs").glob("2*/events.jsonl"))
    first = journal.read_bytes().split(b"\n")[0]
    journal.write_bytes(first.replace(b'"yes":true', b'"yes":false') + b"\n")
    done = inv("runs.resume", "last")
    assert done.returncode == 3, done.stderr
    assert "inv recover.disk-space --hosts 'prod' --yes" in done.stderr
