"""The page and the badge of stored drill scores."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest

from crashcart.drills.score import DrillScore, VariantScore, store
from crashcart.reports.drill_scores import DeclaredFault, DrillRecord, FaultScore, History, read_history
from crashcart.reports.html_scores import MOST_SHOWN, make_scores, scores_badge, scores_html, write_scores
from crashcart.reports.tones import Tone
from tests.unit.reports.pages import Parsed
from tests.unit.reports.test_html import ATTACK

NOW = datetime(2030, 6, 1, tzinfo=UTC)


def drilled(days_ago: float, *scores: FaultScore, drill: str = "drill.disk") -> DrillRecord:
    return DrillRecord(drill, "recover.disk", NOW - timedelta(days=days_ago), ("lab1",), scores, "0.1.0")


def fault(variant: str = "full", *, passed: bool = True, recovered: float | None = 4.0, **fields: Any) -> FaultScore:
    return FaultScore(variant, "disk.fill", passed, 1.0, recovered, 0, **fields)


def declared(*variants: str, drill: str = "drill.disk") -> tuple[DeclaredFault, ...]:
    return tuple(DeclaredFault(drill, variant, "recover.disk") for variant in variants or ("full",))


def history(*records: DrillRecord) -> History:
    """What was stored, by drills that declare just that."""
    names = dict.fromkeys((record.drill, score.variant) for record in records for score in record.variants)
    return History(tuple(DeclaredFault(drill, variant, "recover.disk") for drill, variant in names), records)


def shown(badge: bytes) -> str:
    return str(ET.fromstring(badge).get("aria-label"))  # noqa: S314 -- our own output


def test_what_drills_store_is_what_the_page_reads(tmp_path: Path) -> None:
    kept = DrillScore(
        "drill.disk", "recover.disk", NOW, ("lab1",), (VariantScore("full", "disk.fill", True, 1.0, 4.0, 0),), "0.1.0"
    )
    store(kept, tmp_path)
    (record,) = read_history(tmp_path, declared()).records
    assert record == drilled(0, fault())
    assert msgspec.convert(kept, DrillRecord, from_attributes=True) == record


def test_a_score_that_cannot_be_read_is_named_and_not_taken_for_passed(tmp_path: Path) -> None:
    (tmp_path / "20300101-drill.x.json").write_text("{")
    found = read_history(tmp_path, declared())
    assert found == History(declared(), (), ("20300101-drill.x.json",))
    assert (make_scores(found, NOW).status, make_scores(found, NOW).tone) == ("not known", Tone.UNSURE)
    assert make_scores(found, NOW).unreadable == ("20300101-drill.x.json",)
    whole = History(declared(), (drilled(1, fault()),), ("x.json",))
    assert make_scores(whole, NOW).tone is Tone.UNSURE


def test_nobody_ever_drilled(tmp_path: Path) -> None:
    found = read_history(tmp_path / "drills", declared())
    assert shown(scores_badge(found, NOW)) == "drills: never drilled"
    page = Parsed(scores_html(found, NOW)).text
    assert "inv drill.all --hosts lab" in page
    assert "never rehearsed" in page


def test_the_last_rehearsal_counts_and_the_worst_comes_first() -> None:
    page = make_scores(
        history(
            drilled(120, fault("old")),
            drilled(9, fault("full", passed=False), fault("inodes")),
            drilled(8, fault("full"), fault("inodes", passed=False, problems=("97 % used",))),
        ),
        NOW,
    )
    assert [(row.variant, row.result) for row in page.rows] == [("inodes", "FAILED"), ("old", "stale"), ("full", "passed")]
    assert page.status == "1 of 3 passed, 1 stale"
    assert page.rows[0].problems == ("97 % used",)
    assert page.rows[1].age == "120 days ago, version 0.1.0"


def test_every_declared_fault_counts_whether_it_was_rehearsed_or_not() -> None:
    """After one interrupted run, one fault is known, and all others are not."""
    found = History(declared("full", "inodes", "gone"), (drilled(1, fault("full"), fault("of-old", passed=False)),))
    page = make_scores(found, NOW)
    assert (page.status, page.tone) == ("1 of 3 passed, 2 never rehearsed", Tone.WARNING)
    assert page.headline == "1 stored drill, 3 declared faults"
    assert [(row.variant, row.result) for row in page.rows] == [
        *(("gone", "never rehearsed"), ("inodes", "never rehearsed")),
        ("full", "passed"),
    ]
    assert shown(scores_badge(found, NOW)) == "drills: 1 of 3 passed, 2 never rehearsed"
    assert b"#1a6b3c" not in scores_badge(found, NOW)


def test_the_trend_has_the_newest_rehearsals_and_compares_with_the_one_before() -> None:
    times = [float(place + 1) for place in range(MOST_SHOWN + 5)]
    records = [drilled(80 - place, fault(recovered=time, passed=place != 20)) for place, time in enumerate(times)]
    (row,) = make_scores(history(*records), NOW).rows
    assert len(row.trend) == len(row.history) == MOST_SHOWN
    assert [column.passed for column in row.trend].count(False) == 1
    assert max(row.trend, key=lambda column: column.height).x >= 0
    assert (row.change, row.recovered) == ("+1.0 s", "35 s")
    assert row.trend_text == "29 of the last 30 passed, recovered in 6.0 s to 35 s"


@pytest.mark.parametrize(
    ("records", "said", "colour"),
    [
        ([drilled(1, fault())], "drills: 1 of 1 passed", "#1a6b3c"),
        ([drilled(1, fault(passed=False))], "drills: 0 of 1 passed", "#b3261e"),
        ([drilled(91, fault())], "drills: 0 of 1 passed, 1 stale", "#855000"),
        ([], "drills: never drilled", "#58616b"),
    ],
    ids=["passed", "failed", "stale", "never"],
)
def test_the_badge_is_green_only_when_all_is_well_and_recent(records: Sequence[DrillRecord], said: str, colour: str) -> None:
    badge = scores_badge(history(*records), NOW)
    assert shown(badge) == said
    assert colour.encode() in badge


def test_the_page_and_the_badge_are_written_whole(tmp_path: Path) -> None:
    found = history(drilled(1, fault()))
    assert write_scores(tmp_path, found, NOW) == []
    assert (tmp_path / "drills.html").read_bytes() == scores_html(found, NOW)
    assert (tmp_path / "badge.svg").read_bytes() == scores_badge(found, NOW)
    (note, _) = write_scores(tmp_path / "gone", found, NOW)
    assert "drills.html cannot be written" in note


def test_hostile_texts_are_escaped() -> None:
    score = fault(ATTACK, collateral=ATTACK, undo=ATTACK, problems=(ATTACK,), passed=False)
    page = Parsed(scores_html(History(declared(ATTACK, drill=ATTACK), (drilled(1, score, drill=ATTACK),), (ATTACK,)), NOW))
    assert page.attributes("script") == []
    assert not any(key.startswith("on") for _, found in page.elements for key in found)
