"""Heads of playbooks: every command reads them all, so no file may bring a command down."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from crashcart.cli.playbookflags import playbook_flags
from crashcart.decoding import convert
from crashcart.playbooks.heads import ParamHead, read_head
from crashcart.playbooks.library import SHIPPED


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


def test_a_head_is_that_of_the_whole_file() -> None:
    """A head passes over what is not shown: of every shipped file, it is what reading all of it gives."""
    for file in SHIPPED.glob("*/*.yml"):
        whole = yaml.safe_load(file.read_text())
        head = read_head(file)
        assert head.summary == whole["summary"]
        assert head.params == convert(whole.get("params", {}), dict[str, ParamHead])
        variants = whole["drill"]["variants"] if "drill" in whole else None
        assert list(playbook_flags(head)[0].values) == list(map(str, variants)) if variants else head.drill is None


def test_variants_that_are_a_list(tmp_path: Path) -> None:
    file = tmp_path / "lamp.yml"
    file.write_text("summary: x\ndrill: {variants: [full, 2], playbook: {a: 1}}\nsteps: [{a: {b: 1}}]\n")
    assert read_head(file).drill["variants"] == ["full", 2]
