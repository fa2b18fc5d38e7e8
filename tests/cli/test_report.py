"""``--report`` and ``runs.report``: the same page, from the run and from its journal later."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Inv
from tests.unit.reports.pages import Parsed

RUN = ("check.disk", "--hosts", "web")


def test_the_page_of_a_run_is_made_again_from_its_journal(inv: Inv, tmp_path: Path) -> None:
    run = inv(*RUN, "--report", str(tmp_path / "first"))
    assert run.returncode == 4, run.stderr
    first = (tmp_path / "first/report.html").read_bytes()
    assert Parsed(first).text.count("unreachable") >= 2
    later = inv("runs.report", "last", "--report", str(tmp_path / "later"))
    assert (later.returncode, later.stderr) == (0, "")
    assert later.stdout.splitlines() == [
        str(tmp_path / "later" / name) for name in ("junit.xml", "report.html", "summary.md")
    ]
    assert (tmp_path / "later/report.html").read_bytes() == first
    code, document = inv.json("runs.report", "last", "--report", str(tmp_path / "page.html"))
    assert (code, document["written"]) == (0, [str(tmp_path / "page.html")])
    assert (tmp_path / "page.html").read_bytes() == first
    beside = inv("runs.report", "last").stdout.strip()
    assert Path(beside).parent.parent == inv.folder / "state/runs"
    assert Path(beside).read_bytes() == first
    assert inv("runs.verify", "last").returncode == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [(("nosuchrun",), "there is no run 'nosuchrun'"), (("last", "--report", ""), "expected a path")],
    ids=["unknown run", "no path"],
)
def test_what_cannot_be_reported_is_bad_input(inv: Inv, words: tuple[str, ...], said: str) -> None:
    if words[:1] == ("last",):
        inv(*RUN)
    done = inv("runs.report", *words)
    assert done.returncode == 2
    assert said in done.stderr
