"""YAML files: their values, the position of every part, and one clear error for everything that can be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from crashcart.errors import BadInput
from crashcart.yamlfile import MAX_BYTES, Unsafe, Vault, load, parse

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
LAUGHS = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{name}: &{name} [{','.join(10 * [f'*{previous}'])}]\n" for previous, name in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: {b: [1, x, 1.5, yes, ~]}", {"a": {"b": [1, "x", 1.5, True, None]}}),
        ("when: 2024-01-01", {"when": "2024-01-01"}),
        ("b: &b {x: 1, y: 2}\nc: {<<: *b, y: 3}", {"b": {"x": 1, "y": 2}, "c": {"x": 1, "y": 3}}),
        (
            "b: &b {x: 1}\nc: &c {x: 2, z: 3}\nd: {<<: [*b, *c]}",
            {"b": {"x": 1}, "c": {"x": 2, "z": 3}, "d": {"x": 1, "z": 3}},
        ),
        ('{\n\t"json": [true,\n\t1]}', {"json": [True, 1]}),
        ("\ufeffa: 1", {"a": 1}),
        ("8080: port", {8080: "port"}),
    ],
)
def test_values(text: str, value: Any) -> None:
    assert parse(text, "f.yml").value == value


@given(VALUES)
def test_reads_what_yaml_writes(value: Any) -> None:
    assert parse(yaml.safe_dump({"it": value}), "f.yml").value == {"it": value}


def test_vault_and_unsafe_are_marked() -> None:
    value = parse('p: !vault |\n  $ANSIBLE_VAULT;1.1\nu: !unsafe "{{ x }}"\nd: !unsafe {k: ["{{ y }}", 1]}\n', "f").value
    assert isinstance(value["p"], Vault)
    assert isinstance(value["u"], Unsafe)
    assert isinstance(value["d"]["k"][0], Unsafe)
    assert value["d"] == {"k": ["{{ y }}", 1]}


@pytest.mark.parametrize(
    ("place", "position"),
    [
        ((), (1, 1)),
        (("all", "hosts", "web1"), (3, 5)),
        (("all", "hosts", "web1", "ports", 1), (3, 24)),
        (("all", "hosts", "web2", "x"), (5, 7)),
        (("all", "hosts", "web2", "y"), (6, 7)),
        (("all", "nowhere", "web2"), (1, 1)),
        (("all", "hosts", "web2", "x", "deeper"), (5, 7)),
    ],
)
def test_positions(place: tuple[Any, ...], position: tuple[int, int]) -> None:
    document = parse("all:\n  hosts:\n    web1: {ports: [80, 443]}\n    web2:\n      x: &x {z: 1}\n      y: {<<: *x}\n", "f")
    assert document.at(place) == position


def test_the_position_of_a_merged_key_is_where_it_is_written() -> None:
    assert parse("a: &a\n  x: 1\nb: {<<: *a}\n", "f").at(("b", "x")) == (2, 3)


def test_an_error_points_at_its_place() -> None:
    error = parse("a:\n  b: 1\n", "f.yml").error(("a", "b"), "is wrong", "right it")
    assert (str(error), error.line, error.column) == ("f.yml:2:3: is wrong\n  hint: right it", 2, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "f.yml:3:1: 'a' is given twice, first on line 1"),
        ("a: &x [*x]", "f.yml:1:4: the value contains itself"),
        ("a:\n\t- b", "f.yml:2:1: .*\n  hint: indent with spaces"),
        ("a: {{ x }}", 'f.yml:1:5: a key must be a single value\n  hint: quote a value .*"{{ ... }}"'),
        ("a: {{ x }}/y", "f.yml:1:11: .*\n  hint: quote a value"),
        ("a: 1\n---\nb: 2", "f.yml:2:1: expected a single document"),
        ("é: 1\nb: é\x07", "f.yml:2:5: the file holds a control character"),
        ("", "f.yml: the file is empty"),
        ("# nothing", "f.yml: the file is empty"),
        ("a: b: c", "f.yml:1:5: mapping values are not allowed"),
        ("a: *nope", "f.yml:1:4: found undefined alias"),
        ("a: !!int x", "f.yml:1:4: 'x' is not what its type int asks for"),
        ("a: !!bool x", "f.yml:1:4: 'x' is not what its type bool"),
        ("a: !!timestamp x\nb: !secret x", "f.yml:2:4: the tag !secret is not known here"),
        ("a: !!set {x}", "f.yml:1:4: the tag !!set"),
        ("!!python/object:os.system {}", "f.yml:1:1: the tag !!python/object:os.system"),
        ("!vault a: 1", "f.yml:1:1: a key cannot be encrypted"),
        ("<<: 3", "f.yml:1:5: << needs a mapping"),
        ("[" * 100_000, "f.yml:1:101: nested deeper than 100 levels"),
        ("- " * 100_000 + "x", "f.yml:1:201: nested deeper"),
        (LAUGHS, "f.yml:6:4: more than 1000000 values"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        parse(text, "f.yml")


@given(st.text(alphabet="ab:- \n\t{}[]&*!|>'\"#%?,<0~", max_size=60))
def test_any_text_is_a_value_or_bad_input(text: str) -> None:
    try:
        document = parse(text, "f.yml", may_be_empty=True)
    except BadInput:
        return
    assert document.at(("a", 0)) >= (1, 1)


def test_an_empty_file_may_be_allowed() -> None:
    document = parse("# nothing\n", "f.yml", may_be_empty=True)
    assert document.value is None
    assert document.at(("x",)) == (1, 1)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.yml").write_bytes("a: 1\nb: é\n".encode("latin-1"))
    (tmp_path / "huge.yml").write_bytes(b"#" * (MAX_BYTES + 1))
    for name, message in {
        "missing.yml": "missing.yml: cannot be read: No such file",
        "": "cannot be read: Is a directory",
        "latin.yml": "latin.yml:2:4: the file is not UTF-8 text",
        "huge.yml": "huge.yml: the file is larger than 10 MB",
        "nul\0.yml": "cannot be read",
    }.items():
        with pytest.raises(BadInput, match=message):
            load(tmp_path / name)


def test_permission_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(BadInput, match="cannot be read: Permission denied"):
        load(tmp_path / "f.yml")


def test_load_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "f.yml"
    path.write_text("a: [1\n")
    with pytest.raises(BadInput) as caught:
        load(path)
    assert (caught.value.file, caught.value.line) == (path, 2)


# ---- what is passed over -----------------------------------------------------------------------------------------------


def is_x(place: Sequence[str | int]) -> bool:
    return place[-1] == "x"


def without_x(value: Any) -> Any:
    match value:
        case dict():
            return {key: None if key == "x" else without_x(inner) for key, inner in value.items()}
        case list():
            return [without_x(inner) for inner in value]
    return value


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("wxyz") | st.text(), inner),
        max_leaves=20,
    )
)
def test_what_is_passed_over_is_null_and_all_else_as_ever(value: Any) -> None:
    text = yaml.safe_dump(value)
    assert parse(text, "x", may_be_empty=True, skip=is_x).value == without_x(value)


def test_a_path_of_keys_is_asked_for_as_it_is_written() -> None:
    asked = []

    def skip(place: Sequence[str | int]) -> bool:
        asked.append(tuple(place))
        return place[-1] in {"08", 1}

    document = parse("a: [x, {b: 1}, {c: 2}]\n08: {d: 1}\ne:\n", "x", skip=skip)
    assert document.value == {"a": ["x", None, {"c": 2}], "08": None, "e": None}
    assert asked == [("a",), ("a", 0), ("a", 1), ("a", 2), ("a", 2, "c"), ("08",), ("e",)]
    assert document.at(("a", 2, "c")) == (1, 17)
    assert document.at(("e",)) == (3, 1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x: &b {x: {x: 1}}\nc: *b", {"x": {"x": {"x": 1}}, "c": {"x": {"x": 1}}}),
        ("x: {y: [1, &b {x: 1}]}\nc: *b\nx2: [*b]", {"x": None, "c": {"x": 1}, "x2": [{"x": 1}]}),
        ("x: {y: &b 1, *b : *b}\nc: *b", {"x": None, "c": 1}),
        ("x: {y: &b {z: &c {x: 1}}}\nc: *c\nd: *b", {"x": None, "c": {"x": 1}, "d": {"z": {"x": 1}}}),
        ("a: {<<: {x: {y: 1}}, x: {z: 1}}", {"a": {"x": None}}),
        ("a: {<<: {x: {y: 1}}, z: 1}", {"a": {"x": {"y": 1}, "z": 1}}),
        ("&x x: 1\n? [x]\n: 1", None),
        ("x: {<<: 1, a: 1, a: 2, !unknown b: !unknown {}, ? {c: d} : e}", {"x": None}),
        ("x: *unknown", None),
        ("x: [*unknown]", {"x": None}),
        ("x:\n--- b", None),
    ],
)
def test_what_others_may_refer_to_is_not_passed_over(text: str, value: Any) -> None:
    if value is None:
        with pytest.raises(BadInput):
            parse(text, "x", skip=is_x)
    else:
        assert parse(text, "x", skip=is_x).value == value


@pytest.mark.parametrize(
    "text",
    [
        "x: [",
        "x: }",
        "x: {a: \x01}",
        "x: " + "[" * 100_000,
        "x: " + "[" * 100 + "]" * 100,
        "x: [&a " + "[" * 100 + "]" * 100,
    ],
)
def test_what_is_passed_over_must_still_be_yaml_and_not_too_deep(text: str) -> None:
    with pytest.raises(BadInput):
        parse(text, "x", skip=is_x)
    assert parse("x: " + "[" * 98 + "]" * 98, "x", skip=is_x).value == {"x": None}
