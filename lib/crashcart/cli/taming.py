"""Invoke, tamed: its program under our contract, and the one patch that makes ``inv`` keep the same one.

Invoke exits 1 on a parse error, takes its own core flags behind a task and hands them to nobody, and runs several tasks in a
row. Here a parse error is bad input (2), one command line runs one playbook, and core flags behind it are refused by name.
"""

from __future__ import annotations

from typing import Any

from invoke import Exit, Program
from invoke.exceptions import ParseError
from invoke.parser import Parser, ParserContext

from crashcart.cli.pipes import while_read
from crashcart.errors import BadInput, nearest
from crashcart.results import EXIT_BAD_INPUT

OURS_FOR = {
    "dry": "--check",
    "echo": "runs.show: every command is in the journal",
    "config": "--inventory",
    "command-timeout": "--deadline",
    "prompt-for-sudo-password": "--ask-become-pass",
    "hide": "--output json",
    "warn-only": "--max-failures",
}
"""What to write instead of an Invoke core flag behind a playbook."""

_ALLOWED_BEHIND = {"help", "list", "dry", "complete"}


class Tamed(Program):
    """``invoke.Program`` under the command-line contract."""

    def _make_parser(self) -> Parser:
        return make_parser(self)

    def parse_tasks(self) -> None:
        """Parse the command line; every error in it is bad input."""
        _complete(self)
        _move_help(self)
        parse_strictly(self, super().parse_tasks)

    def parse_cleanup(self) -> None:
        """Answer ``--help`` and ``--list``; an unknown name there is bad input."""
        parse_strictly(self, super().parse_cleanup, check=False)


def tame_invoke() -> None:
    """Give ``inv`` the same contract. It has loaded tasks.py by now and goes on to parse, so its class is patched."""
    if Program.parse_tasks.__module__ == __name__:
        return
    parse_tasks, parse_cleanup, execute = Program.parse_tasks, Program.parse_cleanup, Program.execute

    def strict_tasks(self: Program) -> None:
        _complete(self)
        _move_help(self)
        parse_strictly(self, lambda: parse_tasks(self))

    def strict_cleanup(self: Program) -> None:
        while_read(lambda: parse_strictly(self, lambda: parse_cleanup(self), check=False))

    def execute_while_read(self: Program) -> None:
        while_read(lambda: execute(self))

    Program.parse_tasks, Program.parse_cleanup = strict_tasks, strict_cleanup  # type: ignore[method-assign]
    Program.execute = execute_while_read  # type: ignore[method-assign]
    Program._make_parser = make_parser  # type: ignore[assignment]  # noqa: SLF001 -- no public stage comes before it


def make_parser(program: Program) -> Parser:
    """Return Invoke's parser of the tasks that the command line names.

    Invoke's own knows every task and copies each of them, which takes longer than all else that a command begins with.
    """
    words = {*program.core.unparsed, program.args.help.value}
    named = {
        name: aliases for name, aliases in program.collection.task_names.items() if not words.isdisjoint((name, *aliases))
    }
    lenient = program.config.tasks.ignore_unknown_help
    contexts = [
        ParserContext(name, aliases, program.collection[name].get_arguments(ignore_unknown_help=lenient))
        for name, aliases in named.items()
    ]
    return Parser(initial=program.initial_context, contexts=contexts)


def parse_strictly(program: Program, parse: Any, *, check: bool = True) -> None:
    """Run one of Invoke's parse stages and turn what is wrong into exit 2 with one clear message."""
    try:
        parse()
        if check:
            _check_values(program)
            _check_core_flags(program)
            _check_one_playbook(program)
    except (ParseError, ValueError, BadInput, IndexError) as error:
        raise _exit(program, _swallowed(getattr(error, "context", None)) or error) from error


def _complete(program: Program) -> None:
    """Answer ``--complete`` with our candidates. Raises ``Exit``."""
    if program.args.complete.value:
        from crashcart.cli.completion import answer_invoke

        print("\n".join(answer_invoke(program.called_as, program.core.remainder)))
        raise Exit


def _move_help(program: Program) -> None:
    """Put ``--help`` right behind a task before it: Invoke would take it for the value that may stand alone there."""
    name, *words = program.core.unparsed or [""]
    if words[:1] and words[0] in {"--help", "-h"}:
        program.core[0].args.help.value, program.core.unparsed = name, []


def _swallowed(context: Any) -> ParseError | None:
    """Return the error of a flag that a task does not have, and that Invoke took for the value which may stand alone."""
    arguments = context.args.values() if context is not None else ()
    words = [str(argument.value or "") for argument in arguments if argument.positional]
    return next((ParseError(f"No idea what {word!r} is!", context) for word in words if word.startswith("-")), None)


def _check_values(program: Program) -> None:
    for context in program.tasks:
        if error := _swallowed(context):
            raise error


def _check_core_flags(program: Program) -> None:
    behind = [arg.name for arg in program.core_via_tasks.args.values() if arg.got_value and arg.name not in _ALLOWED_BEHIND]
    if behind and program.tasks:
        ours = OURS_FOR.get(behind[0], f"it before {program.tasks[0].name}")
        raise BadInput(f"--{behind[0]} is a flag of Invoke and does nothing behind a task", hint=f"use {ours}")
    if program.core.remainder or getattr(program.core_via_tasks, "remainder", ""):
        raise BadInput("words behind -- are not passed on to anything", hint="leave them out")


def _check_one_playbook(program: Program) -> None:
    names = [context.name for context in program.tasks if context.name]
    playbooks = [name for name in names if program.collection[name].body.__module__.endswith("cli.playbook")]
    if len(playbooks) > 1:
        raise BadInput(f"one command line runs one playbook, got {' and '.join(playbooks)}", hint="run them one by one")


def _exit(program: Program, error: Exception) -> Exit:
    from crashcart.cli.ending import refuse

    message = error if isinstance(error, BadInput) else BadInput(_in_words(error), hint=_hint(program, error))
    words = program.argv
    as_json = any(word == "--output=json" or words[i : i + 2] == ["--output", "json"] for i, word in enumerate(words))
    return refuse(message, EXIT_BAD_INPUT, as_json=as_json)


def _in_words(error: Exception) -> str:
    text = str(error)
    unknown = _unknown_word(text)
    if unknown is None:
        return text
    return f"unknown flag {unknown}" if unknown.startswith("-") else f"unknown command or value {unknown!r}"


def _hint(program: Program, error: Exception) -> str:
    unknown = _unknown_word(str(error))
    if unknown is None:
        return ""
    context = getattr(error, "context", None)
    flags = list(context.flags) if context is not None and unknown.startswith("-") else []
    hint = nearest(unknown, flags or list(program.collection.task_names))
    name = getattr(context, "name", None)
    return hint or (f"{program.called_as} --help {name}" if name else f"{program.called_as} --list")


def _unknown_word(text: str) -> str | None:
    """Invoke says ``No idea what '--chekc' is!``; return the word."""
    prefix, suffix = "No idea what ", " is!"
    return text[len(prefix) : -len(suffix)].strip("'\"") if text.startswith(prefix) and text.endswith(suffix) else None
