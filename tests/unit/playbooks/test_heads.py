"""Heads of playbooks: every command reads them all, so no file may bring a command down."""

from __future__ import annotations

from pathlib import Path

import pytest

from crashcart.playbooks.heads import read_head


@pytest.mark.parametrize(
    "text",
    [
        b"summary: x\nparams: " + b"[" * 100_000,  # so deep that libyaml overflows the stack
        b"summary: [",
        b"summary: 1",
        b"",
        b"\xff\xfe\x00",
        b"summary: x\nparams: 3",
    ],
    ids=["deep", "open", "number", "empty", "binary", "params"],
)
def test_a_file_that_cannot_be_read_has_a_head_that_says_so(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "lamp.yml"
    file.write_bytes(text)
    assert read_head(file).summary == "(cannot be read; running it says why)"
    assert read_head(tmp_path / "gone.yml").summary == "(cannot be read; running it says why)"
