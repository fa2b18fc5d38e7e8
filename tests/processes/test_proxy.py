"""Programs that stand for a connection: one that does not want to end is ended."""

from __future__ import annotations

from pathlib import Path

from crashcart.transports.wire import ProxyWire


def test_a_proxy_program_that_stays_is_ended(tmp_path: Path) -> None:
    wire = ProxyWire(f"sh -c 'echo $$ >{tmp_path}/pid; echo; trap \"\" TERM; while :; do sleep 1; done'")
    assert wire.recv(1) == b"\n"
    wire.close()
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()
