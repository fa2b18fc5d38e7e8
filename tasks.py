"""The checkout's front door: ``inv --list`` shows what is behind it."""

from pathlib import Path

from crashcart.cli.namespace import build_namespace

HERE = Path(__file__).resolve().parent

namespace = build_namespace(HERE / "playbooks", HERE)
