"""The emulator as the lab sees it: a child process that is started, asked, reset and stopped. Needs no moto itself.

Whether it runs is known from an answer on its port, never from a file.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from crashcart.decoding import from_json
from crashcart.errors import BadInput, LabError
from crashcart.lab.aws.account import PARTS
from crashcart.lab.aws.compute_seed import LabInstance
from crashcart.lab.aws.whereabouts import ADDRESS, Whereabouts, find, forget

MOTO = "5.2.5"
"""The behaviour layer uses parts of moto that are not its public interface; it is tested with this version."""

_ASK, _RESET = 5.0, 60.0
_PATIENCE = 45.0


class AwsStatus(msgspec.Struct, frozen=True):
    """The emulator as it is now. ``note`` says what keeps it from running."""

    url: str = ""
    pid: int = 0
    requests: int = 0
    writes: int = 0
    faults: int = 0
    note: str = ""

    @property
    def running(self) -> bool:
        """Whether it answers."""
        return bool(self.url)

    @property
    def text(self) -> str:
        """It in one line."""
        if not self.running:
            return f"aws      down     {self.note}"
        counted = f"{self.requests} requests, {self.writes} of them writes"
        return f"aws      up       {self.url} ({counted}{f', {self.faults} faults' if self.faults else ''})"


class AwsEmulator:
    """The emulator of one lab, with its files in a folder of its own."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._starting: subprocess.Popen[bytes] | None = None

    def status(self) -> AwsStatus:
        """Ask how it is. Changes nothing."""
        where = find(self._state)
        if where:
            with suppress(LabError):
                told = self._ask(where, "GET", "status", timeout=_ASK)
                return AwsStatus(where.url, told["pid"], told["requests"], told["writes"], told["faults"])
        return AwsStatus(note=why_not() or "inv lab.up starts it")

    def start(self) -> bool:
        """Begin to start it, if it does not run and can; tell whether ``ready`` has something to wait for."""
        if self.status().running or why_not():
            return False
        old = find(self._state)
        self._end_silent()
        forget(self._state)
        self._state.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The old port, so that whoever noted it finds the emulator again.
        port = old.port if old and _is_free(old.port) else 0
        command = [sys.executable, "-m", "crashcart.lab.aws.server", "--port", str(port), "--state", str(self._state)]
        with self._log.open("wb") as log:
            self._starting = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_clean_environment(),
                start_new_session=True,
            )
        # It outlives this object, and must not stay a zombie when it ends before this process does.
        threading.Thread(target=self._starting.wait, daemon=True).start()
        return True

    def ready(self) -> AwsStatus:
        """Wait until what ``start`` began serves, with the first state of the account. What goes wrong is in the status."""
        process, self._starting = self._starting, None
        deadline = time.monotonic() + _PATIENCE
        while process and not self.status().running:
            if process.poll() is not None or time.monotonic() > deadline:
                with suppress(OSError):
                    process.kill()
                process.wait()
                return AwsStatus(note=f"the AWS emulator does not start: {self._last_words()}")
            time.sleep(0.05)
        return self.status()

    def reset(
        self, hosts: Sequence[LabInstance] | None = None, parts: Collection[str] = PARTS, *, behind: float = 0.0
    ) -> None:
        """Begin anew: no faults, the first state of the account, an empty log. Raises ``LabError`` when it is down.

        Without ``hosts`` the lab hosts are those that it knew before. ``behind`` is how many seconds in the past the lab's
        time begins.
        """
        self.admin("POST", "reset", {"seed": parts, "hosts": hosts, "behind": behind}, timeout=_RESET)

    def add_hosts(self, hosts: Sequence[LabInstance] = ()) -> dict[str, str]:
        """Make instances of lab hosts that are new; tell every lab host's instance, by name. Raises ``LabError``."""
        told: dict[str, str] = self.admin("POST", "hosts", hosts, timeout=_RESET)
        return told

    def stop(self) -> bool:
        """Stop it; tell whether it ran."""
        where, ran = find(self._state), self.status().running
        if where:
            with suppress(LabError):  # it may be gone before its answer is
                self._ask(where, "POST", "shutdown", timeout=_ASK)
            self._wait_until_gone(where)
        self._end_silent()
        forget(self._state)
        return ran

    def admin(self, method: str, name: str, body: Any = None, *, timeout: float = _ASK, **query: Any) -> Any:
        """Use the emulator's own API. Raises ``BadInput`` for what it refuses, ``LabError`` when it is down."""
        where = find(self._state)
        if where is None:
            raise LabError("the AWS emulator is down", hint=why_not() or "inv lab.up")
        return self._ask(where, method, name, body, timeout=timeout, **query)

    @property
    def _log(self) -> Path:
        return self._state / "server.log"

    def _ask(self, where: Whereabouts, method: str, name: str, body: Any = None, *, timeout: float, **query: Any) -> Any:
        connection = http.client.HTTPConnection(ADDRESS, where.port, timeout=timeout)
        path = f"/crashcart/{name}" + (f"?{urlencode(query)}" if query else "")
        try:
            connection.request(method, path, None if body is None else msgspec.json.encode(body))
            answer = connection.getresponse()
            told = from_json(answer.read() or b"{}")
        except (OSError, http.client.HTTPException, msgspec.MsgspecError) as error:
            raise LabError(f"the AWS emulator does not answer on {where.url}: {error}", hint="inv lab.up") from error
        finally:
            connection.close()
        if answer.status == 400:
            raise BadInput(told["error"], hint=told["hint"])
        if answer.status != 200:
            raise LabError(f"the AWS emulator answered {answer.status} to {method} {name}", hint=str(self._log))
        return told

    def _end_silent(self) -> None:
        """End what does not answer: a hung emulator, and one whose starter was killed before it said where it is."""
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (folder / "cmdline").read_bytes().split(b"\0")
                if b"crashcart.lab.aws.server" in command and os.fsencode(self._state) in command:
                    os.kill(int(folder.name), signal.SIGKILL)

    def _wait_until_gone(self, where: Whereabouts) -> None:
        deadline = time.monotonic() + _ASK
        while time.monotonic() < deadline and not _is_free(where.port):
            time.sleep(0.02)

    def _last_words(self) -> str:
        with suppress(OSError):
            lines = self._log.read_text(errors="replace").strip().splitlines()
            return f"{lines[-1] if lines else 'it said nothing'} ({self._log})"
        return str(self._log)


def why_not() -> str:
    """Say why the emulator cannot run here, or nothing."""
    install = "pip install 'crashcart[lab]'"
    try:
        found = version("moto")
    except PackageNotFoundError:
        return f"moto is not installed: {install}"
    return "" if found == MOTO else f"moto is {found}, and the lab is made for {MOTO}: {install}"


def _is_free(port: int) -> bool:
    """Tell whether nobody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex((ADDRESS, port)) != 0


def _clean_environment() -> dict[str, str]:
    """The environment without the user's AWS, proxy and moto settings, which are not for an emulator."""
    foreign = ("AWS_", "MOTO_")
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(foreign) and not name.lower().endswith("_proxy")
    }
