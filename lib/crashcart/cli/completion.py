"""Shell completion: what may come next on a command line. It imports little, asks no network, and never fails aloud.

    crashcart --complete bash LINE TEXT      the line up to the cursor, and what the shell takes for its last word
    crashcart --complete zsh|fish WORD...    the words up to the cursor, the last one may be empty
    crashcart --complete -- WORD...          Invoke's own protocol

One candidate per line; zsh and fish get its meaning behind a tab. Exit status: 0 these are the candidates, 1 file names
are wanted, 3 the program has other commands here than ours.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath

import msgspec

from crashcart.cli.completion_commands import Command
from crashcart.cli.completion_names import Names
from crashcart.cli.completion_sources import Sources

CANDIDATES, FILES, NOT_OURS = 0, 1, 3

_PLAIN = re.compile(r"[\w.@%+/-]*")
"""What stands for itself in every shell. Nothing else is added to a line: an inventory must not write on a prompt."""

_TERM = re.compile(r"(?P<before>(?:.*[,:])?[&!]?)(?P<text>[^,:]*)", re.DOTALL)


class Candidate(msgspec.Struct, frozen=True):
    """A word that may stand where the cursor is, and what it means."""

    word: str
    meaning: str = ""


class WantsFiles(Exception):
    """A file's name is wanted here, which the shell itself knows best."""


class _Place(msgspec.Struct, frozen=True):
    """Where the cursor is: in which command, behind which flag that waits for its value, and what was given before."""

    name: str
    waiting: str = ""
    given: dict[str, str] = {}
    has_positional: bool = False


def complete(words: Sequence[str], sources: Sources) -> list[Candidate]:
    """Return what may stand for the last word. ``words`` begin with the program. Raises ``WantsFiles``."""
    *before, current = words[1:] or [""]
    place = _locate(before, sources.commands)
    known = sources.commands[place.name]
    flag, equals, value = current.partition("=")
    if place.waiting:
        found = _values(place.waiting, current, place, sources)
    elif equals and flag.startswith("--"):
        found = [Candidate(f"{flag}={each.word}", each.meaning) for each in _values(flag, value, place, sources)]
    elif current.startswith("-") or (place.name and not _wants_positional(known, place)):
        found = _flags(known, place)
    elif place.name:
        found = _values(known.positional, current, place, sources)
    else:
        found = _commands(sources)
    return [each for each in found if each.word.startswith(current) and _PLAIN.fullmatch(each.word[len(current) :])]


def _locate(words: Iterable[str], commands: dict[str, Command]) -> _Place:
    """Walk the words as Invoke does; what it would not understand is passed over."""
    place = _Place("")
    for word in words:
        flags = commands[place.name].flags
        flag, equals, value = word.partition("=")
        if place.waiting:
            place = msgspec.structs.replace(place, waiting="", given={**place.given, place.waiting: word})
        elif word.startswith("-"):
            takes = (flag in flags and flags[flag].takes) or (flag in {"--help", "-h"} and not place.name)
            waiting = flag if takes and not equals else ""
            place = msgspec.structs.replace(place, waiting=waiting, given={**place.given, flag: value})
        elif word in commands:
            place = _Place(word)
        else:
            place = msgspec.structs.replace(place, has_positional=True)
    return place


def _wants_positional(command: Command, place: _Place) -> bool:
    return bool(command.positional) and not place.has_positional and command.positional not in place.given


def _values(flag: str, text: str, place: _Place, sources: Sources) -> list[Candidate]:
    option = sources.commands[place.name].flags.get(flag)
    if flag in {"--help", "-h"}:
        return _commands(sources)
    match option.value if option else "":
        case "path":
            raise WantsFiles
        case "hosts":
            return list(_hosts(text, sources.names(place.given.get("--inventory"))))
        case "run" if "/" in text:
            raise WantsFiles
        case "run":
            return [Candidate("last", "the newest run"), *(Candidate(run) for run in sources.runs())]
        case "fault":
            return [Candidate(name, meaning) for name, meaning in sources.faults().items()]
        case "list" if option:
            return list(_listed(text, option.values))
    return [Candidate(value) for value in option.values] if option else []


def _hosts(text: str, names: Names) -> Iterator[Candidate]:
    """Complete the last term of a pattern with groups and targets that it does not name yet."""
    term = _TERM.fullmatch(text)
    before = term["before"] if term else ""
    named = set(re.split(r"[,:]", before))
    for group, count in names.groups.items():
        if group not in named:
            yield Candidate(before + group, f"group, {count} target{'' if count == 1 else 's'}")
    yield from (Candidate(before + name, "target") for name in names.targets if name not in named)


def _listed(text: str, values: Iterable[str]) -> Iterator[Candidate]:
    before = text[: text.rfind(",") + 1]
    yield from (Candidate(before + value) for value in values if value not in before.split(","))


def _flags(command: Command, place: _Place) -> list[Candidate]:
    return [Candidate(flag, option.help) for flag, option in command.flags.items() if flag not in place.given]


def _commands(sources: Sources) -> list[Candidate]:
    return [Candidate(name, command.help) for name, command in sources.commands.items() if name]


def main(arguments: Sequence[str]) -> int:
    """Answer one Tab on stdout and return the exit status. Whatever goes wrong, nothing is said: this is a prompt."""
    try:
        return _answer(arguments)
    except (Exception, SystemExit):  # noqa: BLE001 -- a traceback in the middle of a prompt helps nobody; running the command says it
        return CANDIDATES


def _answer(arguments: Sequence[str]) -> int:
    shell, *rest = arguments
    words = split_line(rest[0]) if shell == "bash" else _unquoted(rest or [""])
    sources = Sources(PurePath(words[0]).name.replace("invoke", "inv"), Path.cwd())
    if not sources.is_ours or _names_other_tasks(words):
        return NOT_OURS
    try:
        found = complete(words, sources)
    except WantsFiles:
        return FILES
    cut = _cut(words[-1], rest[1]) if shell == "bash" else 0
    for each in found:
        meaning = f"\t{_one_line(each.meaning)}" if each.meaning and shell in {"zsh", "fish"} else ""
        print(f"{each.word[cut:]}{meaning}")
    return CANDIDATES


def split_line(line: str) -> list[str]:
    """Split a command line up to the cursor into words as a shell would; the last one may be empty, or an open quotation."""
    for closing in ("", "'", '"'):
        lexer = shlex.shlex(line + closing, posix=True, punctuation_chars=False)
        lexer.whitespace_split, lexer.commenters = True, ""
        try:
            words = list(lexer)
        except ValueError:
            continue
        return [*words, ""] if not closing and line[-1:].isspace() else words or [""]
    return [*line.split(), ""]


def _unquoted(words: Sequence[str]) -> list[str]:
    """Take the quotation mark off that zsh and fish leave on a last word whose quotation is still open."""
    return [*words[:-1], words[-1].lstrip("'\"")]


def _cut(word: str, text: str) -> int:
    """Return how much of the word stands before what bash will replace: it breaks words at ``:`` and ``=`` too."""
    text = text.lstrip("'\"")
    return len(word) - len(text) if word.endswith(text) else 0


def _names_other_tasks(words: Sequence[str]) -> bool:
    """Whether Invoke is told to take its tasks from elsewhere."""
    return any(word.split("=")[0] in {"-c", "--collection", "-r", "--search-root"} for word in words[1:])


def _one_line(text: str) -> str:
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def answer_invoke(program: str, remainder: str) -> list[str]:
    """Answer Invoke's own protocol. It loses an empty last word, so a whole word counts as finished and as unfinished."""
    words = split_line(remainder)
    if PurePath(words[0]).name != program:
        words.insert(0, program)
    sources = Sources(program, Path.cwd())
    found = _found(words, sources)
    is_whole = words[-1] in sources.commands or words[-1] in found
    return [*found, *(_found([*words, ""], sources) if is_whole else ())]


def _found(words: Sequence[str], sources: Sources) -> list[str]:
    try:
        return [candidate.word for candidate in complete(words, sources)]
    except WantsFiles:
        return []
