"""Variables: templates, secrets, and values that cannot be had."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from crashcart.errors import BadInput
from crashcart.inventory import select
from crashcart.secrets import Secret
from crashcart.targets import Target
from tests.unit.inventory.conftest import Load


def only(load_text: Load, variables: str, **files: str) -> Target:
    target: Target = load_text(f"all: {{hosts: {{web1.example.com: {variables}}}}}", **files).targets[0]
    return target


def test_secrets_by_name_are_wrapped_however_deep(load_text: Load) -> None:
    target = only(
        load_text,
        "{ansible_password: p, api_tokens: {a: t, b: true, c: null}, users: [{name: n, password: 12}], key_file: /k}",
    )
    assert target.variables == {
        "ansible_password": Secret("p"),
        "api_tokens": {"a": Secret("t"), "b": True, "c": None},
        "users": [{"name": "n", "password": Secret("12")}],
        "key_file": "/k",
    }


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("pg://app:{{ db_password }}@db", Secret("pg://app:s3cret@db")),
        ("{{ db_password }}", Secret("s3cret")),
        ("{{ [db_password, 'x'] }}", [Secret("s3cret"), Secret("x")]),
        ("{{ conf.password | upper }}", Secret("PW")),
        ("{{ {'s3cret': {'n': 1}}[db_password] }}", {"n": Secret("1")}),
        ("{{ conf.host }}", "h"),
        ("{{ db_password is defined }}", True),
        ("{{ 'set' if db_password else 'unset' }}", "set"),
    ],
)
def test_what_a_template_makes_of_a_secret_is_secret(load_text: Load, template: str, value: Any) -> None:
    target = only(load_text, f'{{db_password: s3cret, conf: {{password: pw, host: h}}, it: "{template}"}}')
    assert target.variables["it"] == value


def test_values_are_plain_json(load_text: Load) -> None:
    target = only(
        load_text, '{ports: {80: http}, day: 2024-01-01, raw: !unsafe "{{ x }}", m: "{{ [1, 2] | map(\'string\') }}"}'
    )
    assert target.variables == {"ports": {"80": "http"}, "day": "2024-01-01", "raw": "{{ x }}", "m": ["1", "2"]}
    assert type(target.variables["raw"]) is str


@pytest.mark.parametrize(
    ("variables", "missing", "reason"),
    [
        ("x: '{{ nope }}'", "x", "'nope' is undefined"),
        ("x: ['{{ nope.deeper }}']", "x", "'nope' is undefined"),
        ("x: \"{{ lookup('env', 'HOME') }}\"", "x", "'lookup' is undefined"),
        ("x: '{{ 1 | ipaddr }}'", "x", "No filter named 'ipaddr'"),
        ("x: '{{ unclosed'", "x", "unexpected end of template"),
        ("x: '{{ 1 / 0 }}'", "x", "division by zero"),
        ("x: '{{ x }}'", "x", "it refers to itself"),
        ("x: '{{ ().__class__ }}'", "x", "unsafe"),
        ("x: '{{ cycler(1) }}'", "x", "the result is a Cycler, not a plain value"),
        ("x: !vault y", "x", "encrypted with ansible-vault"),
        ("x: {a: !vault y}", "x.a", "encrypted with ansible-vault"),
        ("db_password: s3cret, x: '{{ db_password + 1 }}'", "x", "TypeError in a template that uses a secret"),
    ],
)
def test_a_variable_without_a_value_is_left_out_and_noted(
    load_text: Load, variables: str, missing: str, reason: str
) -> None:
    inventory = load_text(f"web: {{vars: {{{variables}}}, hosts: {{a: , b: , c: }}}}")
    assert f"variable {missing!r} of a and 2 more is left out: " in inventory.notes[0]
    assert reason in inventory.notes[0]
    assert len(inventory.notes) == 1
    assert reason in inventory.left_out["b"][missing]
    assert missing not in inventory.targets[0].variables
    assert "s3cret" not in str(inventory.notes)


def test_a_cycle_of_templates_ends(load_text: Load) -> None:
    inventory = load_text("web: {vars: {a: '{{ b }}', b: '{{ a }}', c: '{{ a }}', d: 1}, hosts: {h: }}")
    assert inventory.targets[0].variables == {"d": 1}
    assert set(inventory.left_out["h"]) == {"a", "b", "c"}


def test_templates_cannot_change_what_hosts_share(load_text: Load) -> None:
    inventory = load_text("web: {vars: {l: [1], x: '{{ l.append(2) }}'}, hosts: {h: , i: }}")
    assert [target.variables for target in inventory.targets] == [{"l": [1]}, {"l": [1]}]


def test_without_templates_jinja_is_not_imported(load_text: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("jinja2", "crashcart.inventory.templates"))]:
        monkeypatch.delitem(sys.modules, name)
    load_text("web: {vars: {a: 1, b: 'x {y}'}, hosts: {h: }}")
    assert "jinja2" not in sys.modules


@pytest.mark.parametrize("variable", ["ansible_host", "protected", "kind_of_nothing", "aws_region", "ssh_host_key"])
def test_a_decisive_variable_must_have_its_value(load_text: Load, variable: str) -> None:
    inventory = load_text(f"web: {{hosts: {{a: {{{variable}: '{{{{ nope }}}}'}}, b: }}}}")
    assert select(inventory, "b")
    if variable == "kind_of_nothing":
        assert select(inventory, "a")
    else:
        with pytest.raises(BadInput, match=f"a: variable '{variable}' has no value"):
            select(inventory, "web")


def test_an_encrypted_password_stops_nobody(load_text: Load) -> None:
    assert select(load_text("web: {hosts: {a: {ansible_become_password: !vault x}}}"), "a")


def test_foreign_ansible_variables_are_named_once(load_text: Load) -> None:
    inventory = load_text(
        "web: {vars: {ansible_shell_type: sh, ansible_user: x, ansible_become: true, ansible_python_interpreter: p},"
        " hosts: {a: , b: {ansible_winrm_port: 1}}}"
    )
    assert [note.split(" ")[0] for note in inventory.notes] == ["ansible_shell_type", "ansible_winrm_port"]
    assert inventory.notes[0].endswith("hosts.yml:1:14)")


def test_older_spellings_fill_the_newer_ones(load_text: Load) -> None:
    target = only(load_text, "{ansible_ssh_host: 10.0.0.1, ansible_ssh_user: ops, ansible_user: root}")
    assert target.variable("ansible_host") == "10.0.0.1"
    assert target.variable("ansible_user") == "root"


def test_a_folder_of_variables_without_permission(load_text: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.listdir", refuse)
    with pytest.raises(BadInput, match="group_vars: cannot be read: Permission denied"):
        only(load_text, "{}", **{"group_vars/all.yml": "a: 1"})


@pytest.mark.parametrize("text", ["- a", "text"])
def test_files_of_variables_are_mappings(load_text: Load, text: str) -> None:
    with pytest.raises(BadInput, match=r"group_vars/all.yml:1:1: a file of variables is a mapping"):
        only(load_text, "{}", **{"group_vars/all.yml": text})


def test_an_encrypted_file_of_variables_is_noted(load_text: Load) -> None:
    files = {"group_vars/web/vault.yml": "$ANSIBLE_VAULT;1.1;AES256\n61\n", "group_vars/web/x.yml": "x: 1"}
    inventory = load_text("web: {hosts: {a: , b: }}", **files)
    assert inventory.targets[1].variables == {"x": 1}
    assert len(inventory.notes) == 1
    assert "vault.yml is encrypted" in inventory.notes[0]


def test_a_file_behind_a_folder_is_noted(load_text: Load) -> None:
    inventory = load_text("web: {hosts: {a: }}", **{"group_vars/web/x.yml": "x: 1", "group_vars/web.yml": "x: 2"})
    assert inventory.notes[0].endswith("group_vars/web.yml is not read: web beside it counts")
