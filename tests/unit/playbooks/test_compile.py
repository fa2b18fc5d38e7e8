"""From a playbook and a selection to a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crashcart.errors import BadInput
from crashcart.playbooks.compile import Compiler
from crashcart.playbooks.library import Library
from crashcart.playbooks.load import load_document
from crashcart.playbooks.schema import Drill, Playbook
from crashcart.results import Phase
from crashcart.targets import Selection, Target

CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture
def library() -> Library:
    return Library(CHECKOUT / "playbooks")


def compile_for(playbook: Playbook, given: dict[str, Any], **variables: object) -> Any:
    target = Target("h1", playbook.kinds[0], variables=dict(variables), groups=("all", "web"))
    return Compiler(playbook, given).plan(Selection("web", (target,)), playbook.rollout)


REQUIRED = {
    "check.deploy": {"path": "/srv/api"},
    "check.network": {"dependencies": "db.example.com:5432"},
    "recover.asg-restore": {"desired": "2"},
    "recover.asg-scale": {"at_least": "6"},
    "recover.service-limits": {"memory_max": "2G"},
    "recover.target-deregister": {"member": "i-0123456789abcdef0"},
    "recover.target-register": {"member": "i-0123456789abcdef0"},
    "recover.elasticache-reboot": {"cluster": "cache-002", "node_ids": "0001"},
}
"""Parameters without a default, of the playbooks that have such."""


def test_every_shipped_playbook_compiles(library: Library) -> None:
    for name in library.entries:
        found = library.get(name)
        if isinstance(found, Playbook):
            scripts = [{"path": "/opt/checks/smoke", "sha256": "0" * 64}]
            variables = {"unit": "api", "health_url": "http://127.0.0.1/", "check_scripts": scripts}
            plan = compile_for(found, REQUIRED.get(name, {}), **variables)
            assert plan.targets[0].steps, name
        else:
            assert library.playbook(found.playbook)
            for variant in found.variants.values():
                assert library.playbook(variant.check.playbook)


def test_a_flag_wins_over_the_default_and_keeps_its_text(library: Library) -> None:
    plan = compile_for(library.playbook("recover.disk-space"), {"below": "70%", "log_dirs": "/var/log,/srv/a/log"})
    args = plan.targets[0].steps[0].args
    assert args["below"] == "70%"
    assert args["log_dirs"] == ["/var/log", "/srv/a/log"]
    assert plan.parameters["below"] == "70%"


def test_a_variable_of_the_same_name_redirects_nothing(library: Library) -> None:
    plan = compile_for(library.playbook("recover.disk-space"), {}, path="/mnt/evil")
    assert plan.targets[0].steps[0].args["path"] == "/"


def test_a_default_may_use_the_targets_variables(library: Library) -> None:
    plan = compile_for(library.playbook("recover.service-restart"), {}, unit="web", health_url="http://h/")
    step = next(step for step in plan.targets[0].steps if step.operation == "systemd.restart")
    assert step.args["unit"] == "web"


def test_when_decides_about_a_step(library: Library) -> None:
    playbook = library.playbook("recover.disk-space")
    without = compile_for(playbook, {}).targets[0].steps[1]
    with_url = compile_for(playbook, {}, health_url="http://h/").targets[0].steps[1]
    assert (without.phase, without.skip) == (Phase.VERIFY, "does not apply: health_url is defined")
    assert (with_url.skip, with_url.args) == ("", {"url": "http://h/"})


def test_a_variable_that_could_not_be_read_is_not_quietly_defaulted(library: Library) -> None:
    playbook = library.playbook("recover.service-restart")
    left_out = {"h1": {"health_url": "it is encrypted with ansible-vault"}}
    selection = Selection("x", (Target("h1", variables={"unit": "api"}),))
    with pytest.raises(BadInput, match="h1: variable 'health_url' is used by recover"):
        Compiler(playbook, {}, left_out).plan(selection, playbook.rollout)
    given = {"health_url": "http://h/"}
    assert Compiler(playbook, given, left_out).plan(selection, playbook.rollout).targets[0].steps


def test_other_kinds_are_left_alone(library: Library) -> None:
    playbook = library.playbook("recover.disk-space")
    plan = Compiler(playbook, {}).plan(Selection("x", (Target("cl", kind="rds_cluster"),)), playbook.rollout)
    assert plan.targets[0].skip == "recover.disk-space acts on linux, this is rds_cluster"


def test_checks_are_read_only_and_recoveries_are_not(library: Library) -> None:
    assert compile_for(library.playbook("check.disk"), {}).read_only
    assert not compile_for(library.playbook("recover.disk-space"), {}).read_only


def test_a_required_parameter_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "p.yml"
    path.write_text(
        "summary: x\nkinds: [linux]\nparams:\n  the_unit: {type: unit, help: which}\n"
        "steps:\n  - systemd.assess: {unit: '{{ the_unit }}'}\n"
    )
    playbook = load_document(path, "check.p")
    assert isinstance(playbook, Playbook)
    with pytest.raises(BadInput, match=r"check\.p needs --the-unit"):
        compile_for(playbook, {})


HEAD = "summary: x\nkinds: [linux]\n"


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (HEAD + "steps: []\n", ":3:1", "expected a list"),
        (HEAD + "steps: [x]\n", ":3:9", "expected a mapping"),
        (HEAD + "steps:\n  - {a.b: {}, c.d: {}}\n", ":4:5", "exactly one operation"),
        (HEAD + "steps:\n  - {a.b: {}, wen: x}\n", ":4:15", "unknown key 'wen'"),
        (HEAD + "steps:\n  - {a.b: {}}\n  - {a.b: {}}\n", ":5:5", "two steps are called 'a.b'"),
        (HEAD + "steps:\n  - {a.b: {}, retry: {attempts: x}}\n", ":4:23", "Expected `int`"),
        (HEAD + "steps:\n  - {a.b: {}, retry: {deadline: soon}}\n", ":4:23", "expected a duration"),
        (HEAD + "params:\n  Bad: {type: int, help: x}\nsteps: [{a.b: {}}]\n", ":4:3", "lower case"),
        (HEAD + "params:\n  a: {type: int}\nsteps: [{a.b: {}}]\n", ":4:3", "help"),
        (HEAD + "rollout: {batchs: [1]}\nsteps: [{a.b: {}}]\n", ":3:11", "batchs"),
        ("summary: x\nsteps: [{a.b: {}}]\n", ":1:1", "'kinds' is missing"),
        ("summary: x\ndrill: {playbook: a.b}\n", ":2:1", "'variants' is missing"),
        ("- x\n", ":1:1", "expected a mapping"),
        (HEAD + "summary: y\nsteps: [{a.b: {}}]\n", ":3:1", "twice"),
    ],
)
def test_what_is_wrong_is_named_by_place(tmp_path: Path, text: str, place: str, said: str) -> None:
    path = tmp_path / "p.yml"
    path.write_text(text)
    with pytest.raises(BadInput) as raised:
        load_document(path, "recover.p")
    assert str(path) + place in raised.value.message
    assert said in raised.value.message


def test_own_playbooks_override_shipped_ones_and_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crashcart.playbooks.library.SHIPPED", CHECKOUT / "playbooks")
    own = tmp_path / "playbooks"
    (own / "check").mkdir(parents=True)
    (own / "check/disk.yml").write_text(HEAD + "steps: [{host.ping: {}}]\n")
    library = Library(own)
    assert library.entries["check.disk"].overrides == CHECKOUT / "playbooks/check/disk.yml"
    assert "overrides the shipped one" in library.entries["check.disk"].note
    assert library.entries["check.service"].note == ""
    assert not isinstance(library.get("check.disk"), Drill)
