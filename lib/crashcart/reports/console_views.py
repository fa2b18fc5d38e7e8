"""What the live console draws, as rich renderables. Texts are never read as markup; every colour has its word beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from rich.cells import cell_len, set_cell_size
from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from crashcart.reports.banner import Banner
from crashcart.reports.board import Board, Row, clock_face
from crashcart.reports.closing import Closing, Notice
from crashcart.reports.console import WORD_WIDTH
from crashcart.reports.story import Line
from crashcart.reports.tones import OUTCOME_TONES, VERDICT_TONES, Tone
from crashcart.results import Outcome, Verdict

STYLES = {
    Tone.PLAIN: "",
    Tone.QUIET: "dim",
    Tone.GOOD: "green",
    Tone.CHANGED: "yellow",
    Tone.WOULD: "cyan",
    Tone.WARNING: "bold yellow",
    Tone.BAD: "bold red",
    Tone.UNSURE: "bold magenta",
}
"""The colour of each tone, from the terminal's own sixteen so that its theme keeps them readable."""

_LOUD = {Tone.GOOD: "bold black on green", Tone.WOULD: "bold black on cyan", Tone.BAD: "bold white on red"}
_NAME_WIDTH = 28


def banner_view(banner: Banner) -> RenderableType:
    """Draw the banner: a coloured bar, and what is about to be done."""
    bar = Text(f" {banner.mode}: {banner.promise} ", style=_LOUD.get(banner.tone, "reverse"), justify="center")
    return Group(_Bar(bar), _labelled((label, Text(value)) for label, value in banner.rows), Text())


def line_view(line: Line, moment: datetime, width: int) -> Text:
    """Draw one line of the story; it is cut at the width of the terminal, but for a diff, which is there to be read."""
    is_diff = line.word == "change"
    return Text.assemble(
        (f"{moment:%H:%M:%S} ", "dim"),
        (f"{line.word:<{WORD_WIDTH}} ", STYLES[line.tone]),
        (shortened(line.subject, max(_NAME_WIDTH, width // 3)), "bold"),
        (": " if line.subject and line.text else ""),
        (line.text, STYLES[line.tone] if is_diff else ""),
        no_wrap=not is_diff,
        overflow="fold" if is_diff else "ellipsis",
    )


def shortened(name: str, width: int) -> str:
    """Return a name in at most so many cells; the middle is left out, because names differ at their ends."""
    if cell_len(name) <= width:
        return name
    head = (width - 1) // 2
    tail = name
    while cell_len(tail) > width - 1 - head:
        tail = tail[1:]
    return f"{set_cell_size(name, head).rstrip()}…{tail}"


def board_view(board: Board, banner: Banner, now: float, height: int) -> RenderableType:
    """Draw the table of targets and a line that says how far the run is; never higher than the terminal."""
    # Half of the terminal is for the lines that scroll by above.
    rows, left_out = board.rows(max(1, height // 2 - 3))
    table = Table(box=None, pad_edge=False, expand=True, header_style="dim")
    table.add_column("target", no_wrap=True, max_width=_NAME_WIDTH, overflow="ellipsis")
    table.add_column("state", no_wrap=True, min_width=WORD_WIDTH)
    table.add_column("for", no_wrap=True, justify="right", min_width=5)
    table.add_column("what", no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows:
        table.add_row(*_cells(row, now))
    more = ", ".join(f"{count} {state}" for state, count in left_out.items())
    rest = [Text(f"... and {more}" if rows else more, style="dim", no_wrap=True, overflow="ellipsis")] if more else []
    return Group(Text(), *([table] if rows else []), *rest, _progress(board, banner, now))


def closing_view(closing: Closing) -> RenderableType:
    """Draw the end of the report, up to what to do next."""
    rule = Rule(style=STYLES[closing.tone], characters="-")
    parts: list[RenderableType] = [Text(), rule, Text(closing.title, style="bold")]
    if closing.ended:
        parts.append(Text(closing.ended, style=STYLES[Tone.WARNING]))
    parts.append(_counts((outcome, count, OUTCOME_TONES[outcome]) for outcome, count in closing.counts.items()))
    if closing.verdicts:
        parts.append(_counts((verdict, count, VERDICT_TONES[verdict]) for verdict, count in closing.verdicts.items()))
    parts.extend(_section("Would change", closing.wishes))
    parts.extend(_section("Needs attention", closing.notices))
    parts.extend(_section("Can be taken back", closing.undos))
    return Group(*parts)


def following_lines(closing: Closing) -> Iterator[Text]:
    """Draw what to do next: purpose and command each on a line of its own, so that a command can be copied whole."""
    yield Text("\nNext", style="bold")
    for step in closing.following:
        yield Text(f"  {step.purpose}", style="dim")
        yield Text(f"    {step.command}", style="cyan")


def owed_view(closing: Closing) -> Iterator[RenderableType]:
    """Draw what was not taken back, as loud as the terminal can: each on a bar of its own."""
    for notice in closing.owed:
        text = Text(f" {notice.word} {notice.sentence} ", style=_LOUD[Tone.BAD])
        yield Group(_Bar(text), Text(f"    {notice.hint}", style="cyan"))


class _Bar:
    """A text in the middle of a bar of its own colour, as wide as the terminal."""

    def __init__(self, text: Text) -> None:
        self._text = text

    def __rich__(self) -> RenderableType:
        table = Table.grid(expand=True)
        table.add_column(justify="center", style=self._text.style)
        table.add_row(self._text)
        return table


def _labelled(rows: Iterable[tuple[str, Text]]) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(style="dim", min_width=WORD_WIDTH, no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in rows:
        table.add_row(label, value)
    return table


def _cells(row: Row, now: float) -> Iterator[Text]:
    style = STYLES[row.tone]
    yield Text(shortened(row.name, _NAME_WIDTH), style="bold" if not row.finished else "")
    yield Text(row.state, style=style)
    yield Text("" if row.finished else clock_face(now - row.since), style="dim")
    yield Text(row.detail, style="dim" if row.finished else "")


def _progress(board: Board, banner: Banner, now: float) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f" {banner.mode} ", style=_LOUD.get(banner.tone, "reverse"))
    text.append(f" {board.finished} of {board.total} finished, {clock_face(now - board.began)}")
    for outcome, tone in OUTCOME_TONES.items():
        if board.outcomes[outcome]:
            text.append(f"  {outcome.value} {board.outcomes[outcome]}", style=STYLES[tone])
    text.append(f"  {board.phase}", style="dim")
    return text


def _counts(counts: Iterable[tuple[Outcome | Verdict, int, Tone]]) -> Text:
    shown = [Text(f"{word.value} {count}", style=STYLES[tone]) for word, count, tone in counts if count]
    return Text("   ").join(shown)


def _section(title: str, notices: Iterable[Notice]) -> Iterator[RenderableType]:
    rows = [(notice.word, _notice(notice), notice.tone) for notice in notices]
    if not rows:
        return
    table = Table.grid(padding=(0, 1))
    table.add_column(min_width=WORD_WIDTH, no_wrap=True)
    table.add_column(overflow="fold")
    for word, text, tone in rows:
        table.add_row(Text(word, style=STYLES[tone]), text)
    yield from (Text(f"\n{title}", style="bold"), table)


def _notice(notice: Notice) -> Text:
    text = Text.assemble((notice.subject, "bold"), f": {notice.message}" if notice.message else "")
    for detail in notice.details:
        text.append(f"\n{detail}", style="dim")
    if notice.undo:
        text.append(f"\nundo: {notice.undo}", style="dim")
    if notice.hint:
        text.append(f"\nhint: {notice.hint}", style="cyan")
    return text
