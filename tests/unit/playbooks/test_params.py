"""Parameter values, and templates over variables."""

from __future__ import annotations

from typing import Any

import pytest

from crashcart.playbooks.params import parse_value, unknown_type
from crashcart.playbooks.render import Renderer


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("str", 5, "5"),
        ("int", " 7 ", 7),
        ("bool", "yes", True),
        ("bool", False, False),
        ("duration", "7d", "7d"),
        ("percent", 80, "80"),
        ("url", "", ""),
        ("list[path]", "/a, /b", ["/a", "/b"]),
        ("list[path]", ["/a"], ["/a"]),
        ("list[path]", [], []),
        ("list[int]", "1,2", [1, 2]),
    ],
)
def test_values(kind: str, raw: object, value: Any) -> None:
    assert parse_value(kind, raw) == value


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("int", "x"),
        ("bool", "maybe"),
        ("percent", "120"),
        ("path", "rel"),
        ("list[path]", "/a,b"),
        ("str", ["x"]),
        ("str", True),
    ],
)
def test_bad_values(kind: str, raw: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_value(kind, raw)


def test_unknown_types_name_the_nearest() -> None:
    assert unknown_type("path") == ""
    assert unknown_type("list[path]") == ""
    assert "percent" in unknown_type("prcent")
    assert "known are" in unknown_type("zzz")


CONTEXT = {"n": 5, "items": ["a"], "text": "x", "evil": "{{ n }}"}


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("plain", "plain"),
        ("{{ items }}", ["a"]),
        ("{{ n }}", 5),
        ("n is {{ n }}", "n is 5"),
        ("{{ nothing | default('') }}", ""),
        ("{{ n }}{{ n }}", "55"),
        ("{% if n %}yes{% endif %}", "yes"),
        ({"a": ["{{ n }}"]}, {"a": [5]}),
        ("{{ evil }}", "{{ n }}"),
        (7, 7),
    ],
)
def test_rendering(template: Any, value: Any) -> None:
    assert Renderer().render(template, CONTEXT) == value


@pytest.mark.parametrize(
    "template",
    [
        "{{ nothing }}",
        "a {{ nothing }}",
        "{{ n",
        "{% for %}",
        "{{ n / 0 }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ items.append(1) }}x{{ nothing.x }}",
    ],
)
def test_templates_that_cannot_be_rendered(template: str) -> None:
    with pytest.raises(ValueError, match="template"):
        Renderer().render(template, CONTEXT)


def test_conditions() -> None:
    renderer = Renderer()
    assert renderer.holds("n is defined", CONTEXT)
    assert not renderer.holds("health_url is defined", CONTEXT)
    with pytest.raises(ValueError, match="nothing"):
        renderer.holds("nothing > 5", CONTEXT)
