"""One browser for all tests of pages. Without one they are skipped, but never in CI, where it is installed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crashcart.journal.recall import PastRun
from crashcart.reports.html import html
from tests.browser.chromium import BROWSER, DRIVER, Chromium

Written = Callable[[Callable[[], PastRun]], Path]


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    if not (BROWSER and DRIVER):
        missing = "no chromium with its driver is installed: apt-get install chromium chromium-driver"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    browser = Chromium(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Writes the report of a scene, once."""
    folder = tmp_path_factory.mktemp("pages")

    def write(scene: Callable[[], PastRun]) -> Path:
        page = folder / f"{scene.__name__}.html"
        if not page.exists():
            page.write_bytes(html(scene()))
        return page

    return write
