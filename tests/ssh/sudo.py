"""A machine with users and sudo of its own, made of a mount namespace: the real one stays as it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from crashcart.targets import Target
from tests.ssh.sshd import Sshd

USER = "ccops"
PASSWORD = "correct horse"  # noqa: S105 - of a user that exists in the tests only
_UID = 42042
_FILES = ("passwd", "shadow", "group", "sudoers")
_ENTER = 'cd "$1"; shift; for f in passwd shadow group sudoers; do mount --bind $f /etc/$f || exit 1; done; exec "$@"'


def available() -> bool:
    """Tell whether this machine lets us make one: root, sudo, and mount namespaces."""
    if os.geteuid() != 0 or shutil.which("sudo") is None or shutil.which("openssl") is None:
        return False
    return subprocess.run(["unshare", "-m", "mount", "--bind", "/etc/passwd", "/etc/passwd"], check=False).returncode == 0


class SudoMachine:
    """A host where ``ccops`` logs in and may do what ``allow`` says."""

    def __init__(self) -> None:
        # Not in pytest's folder, which only its owner may enter: sshd reads the keys as the user who logs in.
        self.folder = Path(tempfile.mkdtemp())
        self.folder.chmod(0o755)
        home = self.folder / "home"
        home.mkdir()
        os.chown(home, _UID, _UID)
        self._write_accounts(home)
        self.allow("")
        enter = ("unshare", "-m", "sh", "-c", _ENTER, "sh", str(self.folder))
        self.sshd = Sshd(self.folder / "sshd", environment="SHLVL=9", prefix=enter)
        (self.folder / "sshd").chmod(0o755)

    def target(self, **variables: Any) -> Target:
        """Return the machine as a target."""
        return self.sshd.target(ansible_user=USER, **variables)

    def allow(self, *lines: str) -> None:
        """Replace the sudoers file."""
        path = self.folder / "sudoers"
        with path.open("w") as file:
            file.write("\n".join(["root ALL=(ALL:ALL) ALL", *lines, ""]))
        path.chmod(0o440)

    def stop(self) -> None:
        """End the machine."""
        self.sshd.stop()
        shutil.rmtree(self.folder)

    def _write_accounts(self, home: Path) -> None:
        hashed = subprocess.run(["openssl", "passwd", "-6", PASSWORD], check=True, capture_output=True, text=True)
        lines = {
            "passwd": f"{USER}:x:{_UID}:{_UID}::{home}:/bin/sh",
            "shadow": f"{USER}:{hashed.stdout.strip()}:19000:0:99999:7:::",
            "group": f"{USER}:x:{_UID}:",
        }
        for name, line in lines.items():
            file = self.folder / name
            file.write_text(f"{Path('/etc', name).read_text()}{line}\n")
            file.chmod(0o640 if name == "shadow" else 0o644)
