"""The documentation's site: it builds without a warning, shows every page, and asks nobody outside for anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from crashcart.operations import SHIPPED
from crashcart.playbooks.library import Library
from tests.documented import CHECKOUT

_ASKED = re.compile(r"<(?:script|link|img|iframe|source|video)\b[^>]*?\b(?:src|href|srcset)=[\"']?([^\"'\s>]+)")
_IN_STYLES = re.compile(r"@import\s+[\"']([^\"']+)|url\([\"']?([^\"')]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as ``inv docs`` builds it, in a folder of the test's own."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=CHECKOUT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def asked(site: Path) -> Iterator[tuple[str, str]]:
    """Whatever a browser fetches by itself: by its page or style sheet."""
    for file in site.rglob("*"):
        if file.suffix in {".html", ".css"}:
            text = file.read_text()
            found = _ASKED.findall(text) if file.suffix == ".html" else ["".join(pair) for pair in _IN_STYLES.findall(text)]
            yield from ((str(file.relative_to(site)), address) for address in found)


def test_every_playbook_and_operation_has_a_page(site: Path) -> None:
    playbooks = [name for name in Library(None).entries if not name.startswith("drill.")]
    for path in [*(f"playbooks/{name}" for name in playbooks), *(f"operations/{name}" for name in SHIPPED), "commands"]:
        assert (site / f"reference/{path}.html").is_file(), path


def test_the_front_page_is_the_readme(site: Path) -> None:
    text = (site / "index.html").read_text()
    assert "incident runbooks" in text
    assert 'href="safety.html"' in text
    assert "docs/safety.md" not in text


def test_the_guides_are_there(site: Path) -> None:
    for guide in ("first-runbook", "from-ansible", "ci"):
        assert (site / f"{guide}.html").is_file()
    assert (site / "playbook.schema.json").is_file()


def test_no_page_asks_anybody_outside(site: Path) -> None:
    found = list(asked(site))
    assert len(found) > 100
    outside = {(page, address) for page, address in found if urlsplit(address).netloc and not address.startswith("data:")}
    assert outside == set()
