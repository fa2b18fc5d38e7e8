"""Stamps of drills: the newest counts, they grow old, and an edited playbook is another one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crashcart.drills.stamps import FILE, GOOD_FOR, Stamp, digest_of, newest, read_stamps, set_stamp, warning
from crashcart.errors import BadInput

NOW = datetime(2030, 1, 31, 3, 0, tzinfo=UTC)
DIGEST = "0123456789abcdef"


def stamped(age: timedelta, digest: str = DIGEST) -> Stamp:
    return Stamp(NOW - age, "1.0", "lab", digest)


def test_stamps_are_kept_beside_each_other(tmp_path: Path) -> None:
    assert read_stamps(tmp_path) == {}
    set_stamp(tmp_path / "drills", "recover.b", stamped(timedelta(1)))
    set_stamp(tmp_path / "drills", "recover.a", stamped(timedelta(2)))
    assert list(read_stamps(tmp_path / "drills")) == ["recover.a", "recover.b"]


def test_a_broken_file_is_said_and_not_taken_for_none(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("{")
    with pytest.raises(BadInput, match=FILE):
        read_stamps(tmp_path)


def test_the_newest_stamp_counts() -> None:
    old, new = stamped(timedelta(5)), stamped(timedelta(1))
    assert newest({"a": old}, {"a": new}) == newest({"a": new}, {"a": old}) == {"a": new}


@pytest.mark.parametrize(
    ("stamp", "said"),
    [
        (None, "was never drilled: inv drill.x --hosts lab"),
        (stamped(timedelta(0)), ""),
        (stamped(GOOD_FOR), ""),
        (stamped(GOOD_FOR + timedelta(days=1)), "was last drilled 91 days ago (2029-11-01, 1.0, lab)"),
        (stamped(timedelta(1), "fedcba9876543210"), "was changed since it was last drilled (2030-01-30)"),
    ],
)
def test_what_is_not_rehearsed_is_said(stamp: Stamp | None, said: str) -> None:
    told = warning("recover.x", "drill.x", stamp, NOW, DIGEST)
    assert said in told
    assert bool(told) is bool(said)


def test_a_digest_is_of_the_content(tmp_path: Path) -> None:
    one, other = tmp_path / "a.yml", tmp_path / "b.yml"
    one.write_text("x: 1")
    other.write_text("x: 1")
    assert digest_of(one) == digest_of(other)
    other.write_text("x: 2")
    assert digest_of(one) != digest_of(other)
