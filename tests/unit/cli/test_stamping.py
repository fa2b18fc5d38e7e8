"""A stamp says that every declared fault was passed in one drill, and nothing less."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crashcart.cli.house import House
from crashcart.cli.scoring import declared_faults, keep_score
from crashcart.drills.score import DrillScore, VariantScore
from crashcart.drills.stamps import read_stamps

DRILL, PLAYBOOK = "drill.service-restart", "recover.service-restart"
WHOLE = ("crash", "hang", "start-limit")


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setenv("CRASHCART_STATE", str(tmp_path / "state"))
    return House(None, None)


def scored(variants: Sequence[str], *failed: str) -> DrillScore:
    scores = tuple(VariantScore(name, f"service.{name}", name not in failed) for name in variants)
    return DrillScore(DRILL, PLAYBOOK, datetime(2030, 1, 31, tzinfo=UTC), ("lab1",), scores, "1.0")


@pytest.mark.parametrize(
    ("score", "stamped"),
    [
        (scored(WHOLE), [PLAYBOOK]),
        (scored(WHOLE[:1]), []),
        (scored(()), []),
        (scored(WHOLE, "hang"), []),
    ],
    ids=["whole", "interrupted in the second", "interrupted in the first", "failed"],
)
def test_only_a_whole_drill_that_was_passed_is_stamped(
    house: House, tmp_path: Path, score: DrillScore, stamped: list[str]
) -> None:
    keep_score(house, score, tmp_path / "checkout")
    assert list(read_stamps(tmp_path / "state")) == list(read_stamps(tmp_path / "checkout")) == stamped


def test_one_drill_alone_writes_the_page_and_the_badge_of_all(house: House, tmp_path: Path) -> None:
    keep_score(house, scored(WHOLE))
    every = len(declared_faults(house))
    badge = (tmp_path / "state/drills/badge.svg").read_text()
    assert f"3 of {every} passed, {every - 3} never rehearsed" in badge
    assert "recover.asg-scale" in (tmp_path / "state/drills/drills.html").read_text()


def test_a_drill_that_cannot_be_read_costs_the_page_and_not_the_score(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CRASHCART_STATE", str(tmp_path / "state"))
    own = tmp_path / "playbooks"
    (own / "drill").mkdir(parents=True)
    (own / "drill/mine.yml").write_text("summary: x\ndrill: {playbook: a.b}\n")
    path = keep_score(House(own, tmp_path), scored(WHOLE))
    assert path.exists()
    assert "the page of drills is not written" in capsys.readouterr().err
