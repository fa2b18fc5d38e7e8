"""What a terminal shows after a stream was written to it, as far as the live console's control codes go."""

from __future__ import annotations

import re

_CODE = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])")
_PIECE = re.compile(r"\x1b\[\??[0-9;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+|\x1b")


class Screen:
    """An endless sheet of lines; colours are dropped, anything unknown is an error."""

    def __init__(self, text: str) -> None:
        self._lines: list[str] = [""]
        self._row = self._column = 0
        self.cursor_shown = True
        for piece in _PIECE.findall(text):
            self._take(piece)

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self._lines)

    def _take(self, piece: str) -> None:
        code = _CODE.fullmatch(piece)
        if code:
            self._control(code[1], code[2], code[3])
        elif piece == "\n":
            self._row, self._column = self._row + 1, 0
            self._lines += [""] * (self._row - len(self._lines) + 1)
        elif piece == "\r":
            self._column = 0
        else:
            assert not piece.startswith("\x1b"), "an escape that is no control sequence"
            line = self._lines[self._row].ljust(self._column)
            self._lines[self._row] = line[: self._column] + piece + line[self._column + len(piece) :]
            self._column += len(piece)

    def _control(self, private: str, numbers: str, letter: str) -> None:
        if private:
            self.cursor_shown = {"h": True, "l": False}[letter]
        elif letter == "A":
            self._row -= int(numbers or 1)
            assert self._row >= 0
        elif letter == "K":
            assert numbers == "2"
            self._lines[self._row] = ""
        else:
            assert letter == "m", f"unknown control code {letter}"
