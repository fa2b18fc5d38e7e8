"""A run as Markdown: ``summary.md``, and the step summary of a CI job. It says what the console says, worst first.

Whatever comes from elsewhere stands in a code span. That is the one place where Markdown, HTML, links, mentions and
references to issues all mean nothing: a backslash keeps neither GitHub from linking ``@alice`` or ``#1``, nor its parser
from linking an e-mail address.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from crashcart.journal.recall import PastRun
from crashcart.reports.banner import make_banner
from crashcart.reports.closing import Closing, make_closing
from crashcart.reports.commands import Commands
from crashcart.reports.text import counted, visible
from crashcart.reports.tones import urgency
from crashcart.reports.undoing import owed_undos, standing_undos
from crashcart.results import GOOD, Phase, StepResult, TargetResult

MOST_TARGETS = 100
"""Targets, and undos, that are listed, those first that need attention most."""

LONGEST = 300
"""Characters of one text of a host; the journal has the whole."""

Row = Sequence[str]


def markdown(past: PastRun) -> str:
    """Return the run as GitHub-flavoured Markdown."""
    first, commands = past.started, Commands.of(past.started)
    closing = make_closing(first, past.results, past.finished, commands, owed_undos(past), standing_undos(past))
    blocks = (
        _head(past, commands, closing),
        _targets(past),
        _undos(past.results),
        _standing(closing),
        _next(closing),
        _record(past),
    )
    return "\n".join(chain.from_iterable((*block, "") for block in map(list, blocks) if block))


def code(text: str, limit: int = LONGEST) -> str:
    """Return foreign text as a code span on one line; nothing at all for nothing."""
    # A fence that is longer than any run of backticks inside would do, but parsers know fences up to a length only.
    shown = visible(text, limit).replace("`", "'")
    return f"`{shown}`" if shown else ""


def _head(past: PastRun, commands: Commands, closing: Closing) -> Iterator[str]:
    banner = make_banner(past.started, past.lines[0].head.time, commands)
    yield f"## {code(closing.title)}"
    yield ""
    for notice in closing.owed[:MOST_TARGETS]:
        yield f"**{notice.word}** {code(notice.sentence)}: {code(notice.hint)}\n"
    if closing.ended:
        yield f"**{code(closing.ended)}**\n"
    counts = closing.verdicts or closing.counts
    yield ", ".join(f"{count} {word.value}" for word, count in counts.items() if count) or "no targets"
    yield ""
    yield from _table((banner.mode, banner.promise), [(label, code(value)) for label, value in banner.rows])


def _targets(past: PastRun) -> Iterator[str]:
    read_only = past.started.plan.read_only
    results = sorted(past.results, key=lambda result: urgency(result, by_verdict=read_only))
    if results:
        rows = [_row(result) for result in results[:MOST_TARGETS]]
        yield from _table(("target", "outcome", "verdict", "message"), rows)
    yield from _left_out(results, "target")


def _row(result: TargetResult) -> Row:
    verdict = result.verdict.value if result.verdict else ""
    return code(result.name), result.outcome.value, verdict, code(result.message)


def _undos(results: Sequence[TargetResult]) -> Iterator[str]:
    undos = [(result.name, step) for result in results for step in result.steps if step.phase is Phase.UNDO]
    undos.sort(key=lambda pair: pair[1].outcome in GOOD)
    if undos:
        yield from _table(("target", "undo", "outcome", "message"), [_undo(*pair) for pair in undos[:MOST_TARGETS]])
    yield from _left_out(undos, "undo")


def _undo(target: str, step: StepResult) -> Row:
    taken = "taken back" if step.outcome in GOOD else f"**NOT TAKEN BACK** ({step.outcome.value})"
    return code(target), code(step.name), taken, code(step.message)


def _standing(closing: Closing) -> Iterator[str]:
    """Yield how what was done, and stands, would be taken back."""
    if closing.undos:
        rows = [(code(notice.subject), code(notice.message)) for notice in closing.undos]
        yield from _table(("target", "to take it back"), rows)


def _left_out(things: Sequence[object], thing: str) -> Iterator[str]:
    if len(things) > MOST_TARGETS:
        yield f"\n{counted(len(things) - MOST_TARGETS, f'more {thing}')} in the JSON document and in the journal."


def _next(closing: Closing) -> Iterator[str]:
    """Yield what to type next, to be copied; each line begins with a program's name, so none can end the block."""
    yield "```sh"
    yield from (f"{step.command}  # {step.purpose}" for step in closing.following)
    yield "```"


def _record(past: PastRun) -> Iterator[str]:
    yield f"journal {code(str(past.path))} sha256 {code(past.lines[-1].hash)}"


def _table(head: Row, rows: Sequence[Row]) -> Iterator[str]:
    yield _line(head)
    yield _line(["---"] * len(head))
    yield from map(_line, rows)


def _line(cells: Row) -> str:
    # In a table a bar must be escaped even within a code span, where it is then shown without its backslash.
    return "".join(f"| {cell.replace('|', chr(92) + '|')} " for cell in cells) + "|"
