"""The report folder: checked before anything is contacted, its files whole and for everybody to read."""

from __future__ import annotations

from pathlib import Path

import pytest

from crashcart.errors import BadInput
from crashcart.reports.folder import REPORTS, check_report_folder, report_files, write_report, write_reports
from crashcart.results import Outcome
from tests.unit.reports.runs import result
from tests.unit.reports.test_junit import HOSTILE, past

RUN = past([result("web1", Outcome.FAILED, HOSTILE)])


def test_every_report_appears_whole_and_readable(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "reports"
    check_report_folder(folder)
    assert list(folder.iterdir()) == []
    assert write_reports(folder, RUN) == []
    assert {path.name for path in folder.iterdir()} == set(REPORTS) == {"junit.xml", "report.html", "summary.md"}
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in folder.iterdir())
    assert all(path.read_bytes() == make(RUN) for path, make in ((folder / name, REPORTS[name]) for name in REPORTS))


def test_reports_of_an_earlier_run_are_replaced(tmp_path: Path) -> None:
    write_reports(tmp_path, RUN)
    write_reports(tmp_path, past([result("web9", Outcome.OK)]))
    assert "web9" in (tmp_path / "summary.md").read_text()
    assert "web1" not in (tmp_path / "summary.md").read_text()


def test_a_folder_that_cannot_be_made_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"--report: .*file/reports cannot be written: Not a directory"):
        check_report_folder(tmp_path / "file" / "reports")
    with pytest.raises(BadInput, match="--report"):
        check_report_folder(tmp_path / "file")


def test_a_report_whose_place_is_taken_by_a_folder_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").mkdir()
    with pytest.raises(BadInput, match=r"junit\.xml is a folder"):
        check_report_folder(tmp_path)


def test_what_cannot_be_written_after_the_run_is_said_and_leaves_nothing_half(tmp_path: Path) -> None:
    """The run is over: its exit code stays, and the other report is written."""
    (tmp_path / "junit.xml").mkdir()
    (note,) = write_reports(tmp_path, RUN)
    assert "junit.xml cannot be written" in note
    assert sorted(path.name for path in tmp_path.iterdir()) == ["junit.xml", "report.html", "summary.md"]
    assert len(write_reports(tmp_path / "gone", RUN)) == len(REPORTS)


def test_a_place_is_one_file_by_its_ending_or_a_folder(tmp_path: Path) -> None:
    assert report_files(tmp_path / "x/page.html") == [tmp_path / "x/page.html"]
    assert report_files(tmp_path / "out") == [tmp_path / "out" / name for name in REPORTS]
    (tmp_path / "folder.md").mkdir()
    assert report_files(tmp_path / "folder.md") == [tmp_path / "folder.md" / name for name in REPORTS]
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        report_files(tmp_path / "file/report.html")


@pytest.mark.parametrize("name", REPORTS)
def test_the_ending_of_a_file_says_which_report_it_is(tmp_path: Path, name: str) -> None:
    file = (tmp_path / "mine").with_suffix(Path(name).suffix)
    assert write_report(file, RUN) == ""
    assert file.read_bytes() == REPORTS[name](RUN)
    assert "--report: " in write_report(tmp_path / "gone" / name, RUN)
