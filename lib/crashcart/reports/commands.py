"""The commands that a report tells people to type next, made from the one that they typed."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from crashcart.events import RunStarted
from crashcart.reports.hints import hint_for
from crashcart.reports.text import visible
from crashcart.results import Mode
from crashcart.secrets import MASK, is_secret_name

PROGRAMS = ("inv", "invoke", "crashcart")
_CHECK = frozenset({"--check", "--dry", "-R"})
_HOSTS = "--hosts"
_PLAN = "--plan"


class Commands:
    """Command lines to copy. Values of flags that name a secret are masked in all of them."""

    def __init__(self, words: Sequence[str], *, typed: bool = True) -> None:
        program = PurePath(words[0]).name
        self._program = program if program in PROGRAMS else PROGRAMS[0]
        self._words = [self._program, *_masked(words[1:])]
        self._typed = typed

    @classmethod
    def of(cls, started: RunStarted, typed: Sequence[str] = ()) -> Commands:
        """Take the command line as it was typed; where that is not known (a resumed run), rebuild it from the plan."""
        return cls(typed) if typed else cls(list(_rebuilt(started)), typed=False)

    @property
    def typed(self) -> str:
        """The command line as it was typed, or nothing where it is not known."""
        return _shown(self._words) if self._typed else ""

    @property
    def again(self) -> str:
        """The same command once more."""
        return _shown(self._words)

    @property
    def applying(self) -> str:
        """The same command, which now acts."""
        return _shown(list(_without(self._words, _PLAN, _CHECK)))

    @property
    def checking(self) -> str:
        """The same command, which only looks."""
        return self.again if _CHECK & set(self._words) else _shown([*self._words, "--check"])

    def on(self, names: Sequence[str]) -> Commands:
        """Return the same commands for these targets only."""
        return Commands(list(_with_hosts(self._words, ",".join(names))), typed=self._typed)

    def roomier(self, flags: str) -> str:
        """The same command with these flags (``--forks N --deadline 60s``) in place of its own ones."""
        given = shlex.split(flags)
        words = self._words
        for flag in given[::2]:
            words = list(_without(words, flag, ()))
        return _shown([*words, *given])

    def hinted(self, hint: str, names: Sequence[str]) -> str:
        """Return the command that a hint names, for these targets, as this program is called here."""
        return visible(f"{self._program} {hint_for(hint, names).removeprefix('inv ')}")

    def runs(self, verb: str, run: str) -> str:
        """Return a command on a past run, such as ``inv runs.show ID``."""
        return _shown([self._program, f"runs.{verb}", run])


def _rebuilt(started: RunStarted) -> Iterator[str]:
    plan, options = started.plan, started.options
    if plan.playbook.startswith("runs."):
        yield from (PROGRAMS[0], plan.playbook, str(plan.parameters["run"]))
    else:
        yield from (PROGRAMS[0], plan.playbook, _HOSTS, plan.pattern)
        yield from _parameter_flags(plan.parameters)
    for flag, value in (("--reason", options.reason), ("--incident", options.incident)):
        yield from (flag, value) if value else ()
    if options.mode is Mode.CHECK:
        yield "--check"


def _parameter_flags(parameters: Mapping[str, Any]) -> Iterator[str]:
    for name, value in parameters.items():
        text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        # A default that is a template renders anew for each target; so does the same command.
        if value is None or value is False or not text or "{{" in text:
            continue
        yield _flag(name)
        if value is not True:
            yield text


def _without(words: Sequence[str], valued: str, switches: Collection[str]) -> Iterator[str]:
    """Leave out switches, and a flag with its value."""
    is_value = False
    for word in words:
        if not is_value and word != valued and word not in switches and not word.startswith(f"{valued}="):
            yield word
        is_value = word == valued


def _with_hosts(words: Sequence[str], hosts: str) -> Iterator[str]:
    place = 0
    while place < len(words):
        word = words[place]
        if word == _HOSTS:
            yield from (_HOSTS, hosts)
            place += 1
        else:
            yield f"{_HOSTS}={hosts}" if word.startswith(f"{_HOSTS}=") else word
        place += 1


def _masked(words: Sequence[str]) -> Iterator[str]:
    """Mask what follows a flag with a secret's name; a switch such as ``--ask-become-pass`` has nothing to hide."""
    hide = False
    for word in words:
        name, equals, _ = word.partition("=")
        if hide and not word.startswith("-"):
            yield MASK
        else:
            yield f"{name}={MASK}" if equals and _is_secret(name) else word
        hide = not equals and _is_secret(name)


def _is_secret(flag: str) -> bool:
    return flag.startswith("--") and is_secret_name(flag[2:].replace("-", "_"))


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _shown(words: Sequence[str]) -> str:
    return visible(" ".join(word if word == MASK else shlex.quote(word) for word in words))
