"""What mkdocs calls: it is given the generated pages, README.md as the front page, and links that lead there."""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
DOCS = CHECKOUT / "docs"
sys.path.insert(0, str(CHECKOUT))  # mkdocs loads this file by its path, from wherever it was started

from mkdocs.config.defaults import MkDocsConfig  # noqa: E402
from mkdocs.structure.files import File, Files  # noqa: E402
from mkdocs.structure.pages import Page  # noqa: E402

from website import commands, operations, playbooks  # noqa: E402
from website.reference import generated_pages  # noqa: E402

_TO_README = re.compile(r"\]\((?:\.\./)+README\.md(#[\w-]*)?\)")
_TO_DOCS = re.compile(r"\]\(docs/")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Complete the navigation: the generated pages, and below ``More`` whatever mkdocs.yml does not name."""
    named = config.nav or []
    others = [{"More": unnamed}] if (unnamed := _unnamed(named)) else []
    config.nav = [*named, *others, {"Reference": _navigation()}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages and the front page."""
    for path, text in generated_pages().items():
        files.append(File.generated(config, path, content=text))
    files.append(File.generated(config, "index.md", content=front_page()))
    return files


def on_page_markdown(markdown: str, page: Page, **_others: object) -> str:
    """Lead links to README.md, which is outside the site's folder, to the front page."""
    home = posixpath.relpath("index.md", posixpath.dirname(page.file.src_uri))
    return _TO_README.sub(lambda found: f"]({home}{found[1] or ''})", markdown)


def front_page() -> str:
    """Return README.md with links as they are inside the site."""
    return _TO_DOCS.sub("](", (CHECKOUT / "README.md").read_text())


def _unnamed(nav: list[Any]) -> list[str]:
    found = (str(path.relative_to(DOCS)) for path in sorted(DOCS.rglob("*.md")))
    return [path for path in found if path not in set(_paths(nav))]


def _paths(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    for part in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ():
        yield from _paths(part)


def _navigation() -> list[Any]:
    pages = sorted(generated_pages())
    return [
        {"Commands": commands.PATH},
        {"Playbooks": _named(pages, playbooks.FOLDER)},
        {"Operations": _named(pages, operations.FOLDER)},
    ]


def _named(pages: list[str], folder: str) -> list[Any]:
    inside = [path for path in pages if path.startswith(f"{folder}/") and not path.endswith("/index.md")]
    return [f"{folder}/index.md", *({Path(path).stem: path} for path in inside)]
