"""``--hosts``: what is selected, and what is not selected because it would be a mistake."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crashcart.errors import BadInput, Refused
from crashcart.inventory import Group, Inventory, select
from crashcart.inventory.patterns import Term, split_pattern
from crashcart.targets import Target

GROUPS = {
    "all": ("bastion", "web1", "web2", "web3", "db1", "db2", "2001:db8::1"),
    "ungrouped": ("bastion",),
    "web": ("web1", "web2", "web3"),
    "db": ("db1", "db2"),
    "eu": ("db1", "web1"),
    "hollow": (),
    "net": ("2001:db8::1",),
}


def make(groups: dict[str, tuple[str, ...]]) -> Inventory:
    targets = tuple(Target(name) for name in groups["all"])
    return Inventory(targets, {name: Group(name, members) for name, members in groups.items()})


def names(inventory: Inventory, pattern: str) -> list[str]:
    return [target.name for target in select(inventory, pattern).targets]


@pytest.fixture
def inventory() -> Inventory:
    return make(GROUPS)


def test_order_is_the_inventory_s_whatever_the_pattern_s(inventory: Inventory) -> None:
    assert names(inventory, "db2,web,db1,web1") == ["web1", "web2", "web3", "db1", "db2"]


def test_the_selection_keeps_its_pattern(inventory: Inventory) -> None:
    assert select(inventory, " web ").pattern == " web "


@pytest.mark.parametrize(
    ("pattern", "terms"),
    [
        ("a:b", ["a", "b"]),
        ("a,b:c", ["a", "b:c"]),
        ("a:&b:!c", ["a", "&b", "!c"]),
        ("web[0:2]", ["web[0:2]"]),
        ("web[0:2]:db", ["web[0:2]", "db"]),
        ("2001:db8::1", ["2001:db8::1"]),
        ("2001:db8::1,web", ["2001:db8::1", "web"]),
        (" a , , b ", ["a", "b"]),
        ("~a[1:3]b:c", ["~a[1:3]b", "c"]),
    ],
)
def test_terms(pattern: str, terms: list[str]) -> None:
    assert [f"{term.sign}{term.text}" for term in split_pattern(pattern)] == terms


def test_a_name_with_colons_is_one_term() -> None:
    arn = "arn:aws:elasticloadbalancing:eu-central-1:1:targetgroup/api/1"
    assert split_pattern(arn, {arn}) == [Term("", arn)]
    assert names(make({"all": (arn, "x")}), arn) == [arn]
    assert names(make({"all": (arn, "x")}), f"all,!{arn}") == ["x"]


@pytest.mark.parametrize(
    ("pattern", "message", "hint"),
    [
        ("weeb", "no group or host 'weeb'", "did you mean web"),
        ("all:!db3", "no group or host 'db3'", "did you mean db or db2 or db1"),
        ("WEB", "no group or host 'WEB'", "did you mean web"),
        ("cache", "no group or host 'cache'", "there are the groups ungrouped, web, db, eu, net"),
        ("nowhere[0]", "no group or host 'nowhere'", ""),
        ("web1:22", "'web1:22'", "a pattern has no port; did you mean web1"),
        ("web:db,eu", "'web:db'", "either commas or colons"),
        ("web[", "a bracket stands alone", "web[0:2]"),
        ("~[", "a bracket stands alone", ""),
        ("~(web", "not a regular expression", ""),
        ("web:!", "need something behind them", ""),
        ("~", "need something behind them", ""),
    ],
)
def test_bad_input(inventory: Inventory, pattern: str, message: str, hint: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        select(inventory, pattern)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("pattern", "message", "hint"),
    [
        ("", "'' selects nothing", "or write --hosts all"),
        (",", "',' selects nothing", "or write --hosts all"),
        (" : ", "selects nothing", "or write --hosts all"),
        ("web:!web", "selects nothing", "--hosts web selects 3"),
        ("web:&db", "selects nothing", "--hosts web selects 3"),
        ("web,!~web", "selects nothing", "--hosts web selects 3"),
        ("hollow", "selects nothing: group 'hollow' is empty", "there are the groups"),
        ("web*x", "'web*x' matches no group and no host", "there are the groups"),
        ("web,api*", "'api*' matches no group and no host", "there are the groups"),
        ("all:!canary*", "'canary*' matches no group", ""),
        ("~api", "'~api' matches no group", ""),
        ("web[3]", "'web[3]' selects nothing", "--hosts 'web[2]' is the last of 3"),
        ("web[-4]", "'web[-4]' selects nothing", "--hosts 'web[2]'"),
        ("web[2:1]", "'web[2:1]' selects nothing", ""),
        ("!web", "means all targets without saying so", "write --hosts 'all:!web'"),
        ("&web,!db", "means all targets without saying so", "write --hosts 'all,&web,!db'"),
    ],
)
def test_refused(inventory: Inventory, pattern: str, message: str, hint: str) -> None:
    with pytest.raises(Refused) as caught:
        select(inventory, pattern)
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize("pattern", ["lab", "lab[0]", "lab:!web1"])
def test_a_lab_that_is_down(pattern: str) -> None:
    with pytest.raises(Refused, match="the lab is down") as caught:
        select(make({"all": ("web1",), "lab": ()}), pattern)
    assert caught.value.hint == "inv lab.up"


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("all", "--hosts 'all:!lab', or --hosts lab"),
        ("web1,lab1", "--hosts 'web1,lab1,!lab', or --hosts lab"),
        ("~.*1", "--hosts '~.*1:!lab', or --hosts lab"),
    ],
)
def test_the_lab_never_mixes(pattern: str, hint: str) -> None:
    inventory = make({"all": ("web1", "lab1", "lab2"), "lab": ("lab1", "lab2")})
    with pytest.raises(Refused, match="spans the lab") as caught:
        select(inventory, pattern)
    assert caught.value.hint == hint
    assert names(inventory, f"{pattern}{',' if ',' in pattern else ':'}!lab") == ["web1"]
    assert names(inventory, "lab") == ["lab1", "lab2"]


def test_all_may_be_the_lab() -> None:
    assert names(make({"all": ("lab1",), "lab": ("lab1",)}), "all") == ["lab1"]


def test_a_target_without_a_decisive_variable_is_not_selected() -> None:
    left_out = {"web1": {"motd": "x"}, "web2": {"protected": "'stage' is undefined"}}
    inventory = Inventory((Target("web1"), Target("web2")), make({"all": ("web1", "web2")}).groups, (), left_out)
    assert names(inventory, "web1") == ["web1"]
    with pytest.raises(BadInput, match="web2: variable 'protected' has no value: 'stage' is undefined"):
        select(inventory, "all")


HOSTS = tuple(f"h{number}" for number in range(8))


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    members = st.lists(st.sampled_from(HOSTS), unique=True, min_size=1)
    return make({"all": HOSTS} | {name: tuple(draw(members)) for name in ("a", "b", "c")})


def chosen(inventory: Inventory, pattern: str) -> list[str]:
    try:
        return names(inventory, pattern)
    except Refused:
        return []


LAWS: list[tuple[str, Callable[..., set[str]]]] = [
    ("a{0}b", lambda a, b, c: a | b),
    ("a{0}&b", lambda a, b, c: a & b),
    ("a{0}!b", lambda a, b, c: a - b),
    ("!a{0}b{0}&c", lambda a, b, c: (b & c) - a),
    ("&c{0}a{0}!b{0}b", lambda a, b, c: ((a | b) & c) - b),
    ("a{0}&b{0}&c", lambda a, b, c: a & b & c),
    ("all{0}!a{0}!b", lambda a, b, c: set(HOSTS) - a - b),
    ("a{0}b{0}c{0}a", lambda a, b, c: a | b | c),
]


@pytest.mark.parametrize(("pattern", "law"), LAWS)
@pytest.mark.parametrize("separator", [":", ","])
@given(inventory=inventories())
def test_patterns_are_sets_in_inventory_order(
    pattern: str, law: Callable[..., set[str]], separator: str, inventory: Inventory
) -> None:
    members = {name: set(inventory.groups[name].members) for name in ("a", "b", "c")}
    expected = law(**members)
    assert chosen(inventory, pattern.format(separator)) == [host for host in HOSTS if host in expected]


@given(inventory=inventories(), first=st.integers(0, 9), last=st.integers(0, 9))
def test_positions_are_those_of_the_group(inventory: Inventory, first: int, last: int) -> None:
    members = inventory.groups["a"].members
    assert set(chosen(inventory, f"a[{first}:{last}]")) == set(members[first : last + 1])
    assert set(chosen(inventory, f"a[{first}:]")) == set(members[first:])
    assert set(chosen(inventory, f"a[-{first + 1}]")) == set(members[-first - 1 :][:1] if first < len(members) else ())


@given(inventory=inventories(), pattern=st.text(alphabet="abch01,:!&~*?[]-. ", max_size=20))
def test_any_pattern_selects_is_refused_or_is_bad_input(inventory: Inventory, pattern: str) -> None:
    try:
        found = names(inventory, pattern)
    except (BadInput, Refused):
        return
    assert found
    assert found == [host for host in HOSTS if host in found]
