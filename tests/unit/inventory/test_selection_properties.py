"""``--hosts`` as sets: whatever the terms and their order, the selection is what the rules give, never a silent nothing."""

from __future__ import annotations

import random
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crashcart.errors import BadInput, Refused
from crashcart.inventory import Group, Inventory, select
from crashcart.targets import Target

HOSTS = ("web1", "web2", "web3", "db1", "db2", "cache1")
GROUPS = ("a", "b", "c")
TERMS = (*GROUPS, *HOSTS[:4], "all", "web*", "*1", "[ab]")
"""Names of groups and hosts, and globs that always match something."""

SIGNS = ("", "", "&", "!")


@st.composite
def inventories(draw: st.DrawFn, *, least: int = 1) -> Inventory:
    hosts = draw(st.permutations(HOSTS))
    members = st.lists(st.sampled_from(HOSTS), unique=True, min_size=least)
    groups = {"all": tuple(hosts)} | {name: tuple(draw(members)) for name in GROUPS}
    targets = tuple(Target(name) for name in hosts)
    return Inventory(targets, {name: Group(name, members) for name, members in groups.items()})


def terms(signs: tuple[str, ...] = SIGNS) -> st.SearchStrategy[list[tuple[str, str]]]:
    return st.lists(st.tuples(st.sampled_from(signs), st.sampled_from(TERMS)), min_size=1, max_size=5)


def written(chosen: list[tuple[str, str]], separator: str) -> str:
    return separator.join(sign + text for sign, text in chosen)


def meant(inventory: Inventory, text: str) -> set[str]:
    """What one term names: groups' members and hosts whose names it is, or matches."""
    found = {host for host in HOSTS if fnmatchcase(host, text)}
    return found.union(*(group.members for name, group in inventory.groups.items() if fnmatchcase(name, text)))


def named(inventory: Inventory, chosen: list[tuple[str, str]], sign: str) -> list[set[str]]:
    return [meant(inventory, text) for each, text in chosen if each == sign]


def expected(inventory: Inventory, chosen: list[tuple[str, str]]) -> list[str]:
    """Union of the plain terms, intersected with each ``&``, without each ``!``; in the inventory's order."""
    found = set[str]().union(*named(inventory, chosen, ""))
    found = found.intersection(*named(inventory, chosen, "&")).difference(*named(inventory, chosen, "!"))
    return [target.name for target in inventory.targets if target.name in found]


def names(inventory: Inventory, pattern: str) -> list[str]:
    return [target.name for target in select(inventory, pattern).targets]


def names_or_refusal(inventory: Inventory, pattern: str) -> list[str] | str:
    try:
        return names(inventory, pattern)
    except Refused as refusal:
        return refusal.hint


@pytest.mark.parametrize("separator", [":", ","])
@given(inventory=inventories(), chosen=terms())
def test_a_pattern_selects_what_the_rules_give_or_is_refused_with_what_would_pass(
    separator: str, inventory: Inventory, chosen: list[tuple[str, str]]
) -> None:
    found = names_or_refusal(inventory, written(chosen, separator))
    if all(sign for sign, _ in chosen):
        assert isinstance(found, str), "all is never implied"
        assert "all" in found
    elif expected(inventory, chosen):
        assert found == expected(inventory, chosen)
    else:
        assert isinstance(found, str), "nothing is never selected silently"
        assert found


@given(inventory=inventories(), chosen=terms(), order=st.randoms(use_true_random=False))
def test_the_order_of_terms_does_not_matter_and_neither_does_saying_it_twice(
    inventory: Inventory, chosen: list[tuple[str, str]], order: random.Random
) -> None:
    once = names_or_refusal(inventory, written(chosen, ","))
    mixed = [*chosen, *chosen]
    order.shuffle(mixed)
    again = names_or_refusal(inventory, written(mixed, ","))
    assert isinstance(again, str) if isinstance(once, str) else again == once


@given(inventory=inventories(), chosen=terms(("",)), more=terms())
def test_union_adds_intersection_and_difference_take_away(
    inventory: Inventory, chosen: list[tuple[str, str]], more: list[tuple[str, str]]
) -> None:
    before = set(names(inventory, written(chosen, ",")))
    for sign in ("", "&", "!"):
        found = names_or_refusal(inventory, written([*chosen, *((sign, text) for _, text in more)], ","))
        if not isinstance(found, str):
            assert before <= set(found) if sign == "" else before >= set(found)


@given(inventory=inventories(least=0), chosen=terms())
def test_the_selection_is_distinct_ordered_and_never_empty(inventory: Inventory, chosen: list[tuple[str, str]]) -> None:
    found = names_or_refusal(inventory, written(chosen, ":"))
    assert found, "neither an empty selection nor a refusal without what would pass"
    if not isinstance(found, str):
        order = [target.name for target in inventory.targets]
        assert found == sorted(set(found), key=order.index)


@given(inventory=inventories(), chosen=terms(), place=st.integers(0, 5), sign=st.sampled_from(SIGNS))
def test_one_unknown_name_anywhere_is_bad_input_and_selects_nothing(
    inventory: Inventory, chosen: list[tuple[str, str]], place: int, sign: str
) -> None:
    chosen = [*chosen[:place], (sign, "wbe1"), *chosen[place:]]
    if all(sign for sign, _ in chosen):
        return
    with pytest.raises(BadInput, match="'wbe1'") as caught:
        select(inventory, written(chosen, ","))
    assert "web1" in caught.value.hint
