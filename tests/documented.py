"""The commands that README.md and docs/ show, and how each is tested.

A block of ``sh`` or ``console`` code is tested as the HTML comment right before it says; the comment is in the file and not
on the page:

    <!-- commands: run -->     each line is run for real, in order, on this machine alone (tests/cli/test_docs_commands.py)
    <!-- commands: lab -->     each line is run for real on the lab (tests/lab/test_docs_commands.py)
    <!-- commands: aws -->     each line is run for real on the emulated AWS (tests/aws/test_docs_commands.py)

    <!-- commands: refused --> the one line is run for real, is bad input, and says what the block says

    <!-- commands: parse, since REASON -->   no line is run, and why: a block with a command of ours is run or says so
    <!-- commands: lab, after COMMAND -->    the lines are run as said, behind a command that makes what they speak of

Whatever is said, each ``inv`` and ``crashcart`` line is parsed by the real command line: the command exists, so do its
flags, their values are of their type, and a playbook compiles with them; other programs' lines are read by ``sh -n``
(tests/cli/test_docs_parsed.py). A YAML block that begins with a comment ``# playbooks/…`` is a file that the commands
around it may use.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path

import msgspec

CHECKOUT = Path(__file__).parents[1]
PAGES = (CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md")))

_BLOCK = re.compile(
    r"(?:<!-- commands: (?P<how>\w+)(?:, since (?P<since>[^\n]+?))?(?:, after (?P<after>[^\n]+?))? -->\n)?"
    r"^```(?P<language>\w+)[^\n]*\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_COMMENT = re.compile(r"<!-- commands:.*")
_FILE = re.compile(r"# (playbooks/[\w/.-]+\.yml)\b.*\n")
_INLINE = re.compile(r"(?<!`)`((?:inv|crashcart) [^`]+)`(?!`)")
_INDENTED = re.compile(r"(?: {4}|\t)(?:inv|crashcart|eval) ")
_OURS = {"inv", "crashcart"}


class How(StrEnum):
    """How a block is tested."""

    PARSE = "parse"
    RUN = "run"
    LAB = "lab"
    AWS = "aws"
    REFUSED = "refused"


class Block(msgspec.Struct, frozen=True):
    """A fenced block: where it is, and what is in it; ``since`` is why it is not run, ``after`` what is run before it."""

    page: Path
    line: int
    language: str
    text: str
    how: How = How.PARSE
    since: str = ""
    after: str = ""

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(CHECKOUT)}:{self.line}"

    @property
    def script(self) -> str:
        """Its commands, without what they print, behind the one that they need."""
        before = f"{self.after}\n" if self.after else ""
        if self.language != "console":
            return before + self.text
        return before + "".join(f"{line[2:]}\n" for line in self.text.splitlines() if line.startswith("$ "))

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        """The words behind ``inv`` or ``crashcart`` of each of its commands that is ours."""
        return tuple(words[1:] for words in _simple_commands(self.script) if Path(words[0]).name in _OURS)


class Place:
    """A checkout with the playbooks that a page gives, where its commands are run."""

    def __init__(self, page: Path, folder: Path, inventory: str) -> None:
        self.folder = folder
        shutil.copytree(CHECKOUT / "playbooks", folder / "playbooks")
        shutil.copy(CHECKOUT / "tasks.py", folder)
        (folder / "inventories").mkdir()
        (folder / "inventories/hosts.yml").write_text(inventory)
        for path, text in files(page).items():
            (folder / path).write_text(text)

    def run(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a script as it is shown, with stdout and stderr as one."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        own = {"PATH": path, "NO_COLOR": "1", "CRASHCART_STATE": str(self.folder / "state")}
        return subprocess.run(
            ["sh", "-e", "-c", script],
            cwd=self.folder,
            env={name: value for name, value in os.environ.items() if name != "CRASHCART_INVENTORY"} | own | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )


def blocks(pages: Iterable[Path] = PAGES) -> Iterator[Block]:
    """All blocks of code of these pages."""
    for page in pages:
        text = page.read_text()
        for found in _BLOCK.finditer(text):
            line = text[: found.start("language")].count("\n") + 1
            how = How(found["how"] or How.PARSE)
            yield Block(page, line, found["language"], found["text"], how, found["since"] or "", found["after"] or "")


def shell_blocks(*how: How) -> list[Block]:
    """All blocks of commands that are tested in one of these ways."""
    return [block for block in blocks() if block.language in {"sh", "console"} and block.how in how]


def files(page: Path) -> dict[str, str]:
    """The playbooks that a page gives whole, by their path in a checkout."""
    return {found[1]: block.text for block in blocks([page]) if (found := _FILE.match(block.text))}


def inline_commands(page: Path) -> list[tuple[str, ...]]:
    """The words of commands in running text; one with an ellipsis in its name is not one."""
    texts = (" ".join(found[1].split()) for found in _INLINE.finditer(page.read_text()))
    return [tuple(shlex.split(text)[1:]) for text in texts if "…" not in text]


def indented_commands(page: Path) -> list[str]:
    """Commands of ours in blocks without a fence, which nothing here would find."""
    outside = _BLOCK.sub("", page.read_text())
    return [line for line in outside.splitlines() if _INDENTED.match(line)]


def stray_comments(page: Path) -> list[str]:
    """Comments that look like ours and are not right before a block, so that they would do nothing."""
    text = page.read_text()
    right = sum(1 for found in _BLOCK.finditer(text) if found["how"])
    found = _COMMENT.findall(text)
    return found if len(found) != right else []


def _simple_commands(script: str) -> Iterator[tuple[str, ...]]:
    """Split a script into its commands, without assignments before them and redirections."""
    for line in script.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        for token in [*lexer, ";"]:
            if set(token) <= set("();<>|&"):
                if words:
                    yield tuple(words)
                words = []
            elif words or not re.fullmatch(r"\w+=.*", token):
                words.append(token)
