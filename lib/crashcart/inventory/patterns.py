"""``--hosts``: Ansible's patterns over an inventory.

A pattern is a list of terms, separated by ``,`` or ``:``. What the plain terms name is united, then what each ``&term``
names is intersected, then what each ``!term`` names is taken away, in this order wherever they stand. A term is a group or
a host, a glob, or a regular expression after ``~``; ``[2]``, ``[-1]`` or ``[0:2]`` behind it takes some of what it matches,
by position. Unlike in Ansible, a term that matches nothing is never passed over, and ``all`` is never implied.
"""

from __future__ import annotations

import re
import shlex
import warnings
from collections.abc import Iterable
from fnmatch import translate

import msgspec

from crashcart.errors import BadInput, Refused, nearest
from crashcart.inventory.hostnames import is_host, split_port
from crashcart.inventory.model import Inventory
from crashcart.inventory.wellknown import is_decisive
from crashcart.targets import Selection

LAB, LAB_AWS = "lab", "lab_aws"
"""The groups of the practice fleet, hosts and AWS: nothing outside them is ever selected together with them."""

_SUBSCRIPT = re.compile(r"(?P<rest>.+)\[(?:(?P<index>-?\d+)|(?P<first>\d+)[:-](?P<last>\d*))\]", re.ASCII | re.DOTALL)
_TERM = re.compile(r"(?:[^\s:\[\]]|\[[^\]]*\])+")
_SIGNS = "&!"


class Term(msgspec.Struct, frozen=True):
    """One term of a pattern: its sign (none, ``&`` or ``!``) and what it names."""

    sign: str
    text: str


def select(inventory: Inventory, pattern: str) -> Selection:
    """Return the targets that a pattern names, in inventory order, each once.

    Raises ``BadInput`` with the nearest names for a name that is unknown, and ``Refused`` with what would pass for a pattern
    that selects nothing, that means all without saying so, or that spans the lab and anything else.
    """
    terms = split_pattern(pattern, _literals(inventory))
    _check_terms(pattern, terms)
    matcher = _Matcher(inventory)
    chosen = _evaluate(terms, matcher)
    targets = tuple(target for target in inventory.targets if target.name in chosen)
    if not targets:
        raise Refused(f"--hosts {pattern!r} selects nothing{_why_empty(inventory, terms)}", hint=matcher.hint(terms))
    _check_lab(inventory, pattern, chosen)
    _check_decisive(inventory, chosen)
    return Selection(pattern, targets)


def split_pattern(pattern: str, literals: Iterable[str] = ()) -> list[Term]:
    """Split a pattern into its terms. A whole pattern that is one of the ``literals`` is one term, colons and all."""
    text = pattern.strip()
    if text in literals:
        return [Term("", text)]
    if "," in text:
        return [_term(part.strip()) for part in text.split(",") if part.strip()]
    if is_host(split_port(text)[0]):
        return [_term(text)]  # an IPv6 address, or a name with a range of positions
    if _TERM.sub("", text).strip(": \t\n"):
        raise BadInput(f"--hosts {pattern!r}: a bracket stands alone", hint="for example web[0:2]")
    return [_term(part) for part in _TERM.findall(text)]


def _term(part: str) -> Term:
    sign = part[0] if part[0] in _SIGNS else ""
    return Term(sign, part.removeprefix(sign))


def _literals(inventory: Inventory) -> set[str]:
    return {*inventory.groups, *(target.name for target in inventory.targets)}


def _check_terms(pattern: str, terms: list[Term]) -> None:
    if not terms:
        raise Refused(f"--hosts {pattern!r} selects nothing", hint="name a group or hosts, or write --hosts all")
    if not all(term.text.removeprefix("~") for term in terms):
        raise BadInput(f"--hosts {pattern!r}: &, ! and ~ need something behind them", hint="for example 'web:!web1'")
    if all(term.sign for term in terms):
        wanted = shlex.quote(f"all{',' if ',' in pattern else ':'}{pattern}")
        raise Refused(f"--hosts {pattern!r} means all targets without saying so", hint=f"write --hosts {wanted}")


def _evaluate(terms: list[Term], matcher: _Matcher) -> set[str]:
    def named(sign: str) -> list[set[str]]:
        return [matcher.names(term) for term in terms if term.sign == sign]

    return set[str]().union(*named("")).intersection(*named("&")).difference(*named("!"))


class _Matcher:
    """Finds what one term names."""

    def __init__(self, inventory: Inventory) -> None:
        self._groups = inventory.groups
        self._hosts = {target.name: None for target in inventory.targets}

    def names(self, term: Term) -> set[str]:
        """Return the hosts that a term names. Raises ``BadInput`` and ``Refused`` when it matches neither group nor host."""
        if term.text in self._hosts and not term.sign:
            return {term.text}
        subscript = None if term.text.startswith("~") else _SUBSCRIPT.fullmatch(term.text)
        if not subscript or term.text in self._groups:
            return set(self._match(term.text))
        found = self._match(subscript["rest"])
        chosen = _positions(found, subscript)
        if found and not chosen:
            last = shlex.quote(f"{subscript['rest']}[{len(found) - 1}]")
            raise Refused(f"--hosts: {term.text!r} selects nothing", hint=f"--hosts {last} is the last of {len(found)}")
        return set(chosen)

    def hint(self, terms: list[Term]) -> str:
        """Say what would select something where these terms do not."""
        if LAB in _wanted(terms) and LAB in self._groups and not self._groups[LAB].members:
            return "inv lab.up"
        plain = [term for term in terms if not term.sign]
        found = set[str]().union(*map(self.names, plain))
        if found and len(plain) < len(terms):
            return f"--hosts {shlex.quote(','.join(term.text for term in plain))} selects {len(found)}"
        return f"there are {self._some_groups()}"

    def _match(self, text: str) -> list[str]:
        if text.startswith("~"):
            return self._search(text, _compile(text[1:]))
        if any(special in text for special in "*?["):
            return self._search(text, _quietly(translate(text)))
        if text in self._groups:
            return list(self._groups[text].members)
        if text in self._hosts:
            return [text]
        raise self._unknown(text)

    def _search(self, text: str, expression: re.Pattern[str]) -> list[str]:
        """Return the members of matching groups, then matching hosts."""
        groups = [group for name, group in self._groups.items() if expression.match(name)]
        hosts = [name for name in self._hosts if expression.match(name)]
        if not groups and not hosts:
            raise Refused(f"--hosts: {text!r} matches no group and no host", hint=f"there are {self._some_groups()}")
        return list(dict.fromkeys([*(member for group in groups for member in group.members), *hosts]))

    def _unknown(self, text: str) -> BadInput:
        name, port = split_port(text)
        if port is not None and (name in self._groups or name in self._hosts):
            hint = f"a pattern has no port; did you mean {name}?"
        elif not is_host(text) and any(separator in text for separator in (":", " ")):
            hint = "use either commas or colons between names, not both"
        else:
            known = [*self._groups, *self._hosts]
            hint = nearest(text, known) or nearest(text.lower(), known) or f"there are {self._some_groups()}"
        return BadInput(f"--hosts: there is no group or host {text!r}", hint=hint)

    def _some_groups(self) -> str:
        names = [name for name, group in self._groups.items() if group.members and name != "all"]
        more = f" and {len(names) - 8} more" if names[8:] else ""
        return f"the groups {', '.join(names[:8])}{more}" if names else "no targets at all in this inventory"


def _compile(text: str) -> re.Pattern[str]:
    try:
        return _quietly(text)
    except re.error as error:
        raise BadInput(f"--hosts: ~{text} is not a regular expression: {error}", hint="quote it for the shell") from error


def _quietly(text: str) -> re.Pattern[str]:
    """Compile without Python's advice on what a later version may read in another way: it would be no user's business."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return re.compile(text)


def _positions(names: list[str], subscript: re.Match[str]) -> list[str]:
    """Take names by position, as Ansible counts: from 0, from the end if negative, the last of a range included."""
    if subscript["index"] is not None:
        index = int(subscript["index"])
        return names[index : index + 1 or None] if -len(names) <= index else []
    last = int(subscript["last"]) + 1 if subscript["last"] else None
    return names[int(subscript["first"]) : last]


def _why_empty(inventory: Inventory, terms: list[Term]) -> str:
    empty = [name for name in _wanted(terms) if name in inventory.groups and not inventory.groups[name].members]
    if LAB in empty:
        return ": the lab is down"
    return f": group {empty[0]!r} is empty" if empty else ""


def _wanted(terms: list[Term]) -> list[str]:
    """Return the names behind the terms that are not taken away, without positions."""
    return [term.text.split("[", maxsplit=1)[0] for term in terms if term.sign != "!"]


def _check_lab(inventory: Inventory, pattern: str, chosen: set[str]) -> None:
    """Refuse a selection that holds targets of the lab and others: practice and the real thing never mix."""
    lab = {name for group in (LAB, LAB_AWS) if group in inventory.groups for name in inventory.groups[group].members}
    if chosen & lab and chosen - lab:
        separator = "," if "," in pattern else ":"
        both = f"the lab ({len(chosen & lab)}) and other targets ({len(chosen - lab)})"
        hint = f"--hosts {shlex.quote(f'{pattern}{separator}!{LAB}')}, or --hosts {LAB}"
        raise Refused(f"--hosts {pattern!r} spans {both}", hint=hint)


def _check_decisive(inventory: Inventory, chosen: set[str]) -> None:
    """Stop at a target that is set up with a variable that has no value: without it, it would be taken for another one."""
    for host, reasons in inventory.left_out.items():
        decisive = [name for name in reasons if host in chosen and is_decisive(name)]
        if decisive:
            message = f"{host}: variable {decisive[0]!r} has no value: {reasons[decisive[0]]}"
            raise BadInput(message, hint=f"correct it, or select without {host}")
