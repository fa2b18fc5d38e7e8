"""SSH signatures through ``ssh-keygen -Y``, and the folder beside a plan file that holds them.

A signature is a file of its own in ``FILE.sigs/``: two persons who approve at once cannot lose each other's, version control
merges them without conflict, and ``ssh-keygen -Y verify`` reads each as it lies there.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

import msgspec

from crashcart.errors import BadInput, Refused

NAMESPACE = "crashcart-plan"
"""What the signatures are for: one made for anything else (git, mail) is worth nothing here."""

MOST_SIGNATURES = 100
MOST_BYTES = 64 * 1024

_KEY = re.compile(r"key (SHA256:[A-Za-z0-9+/]+)")
_NO_SIGNING = re.compile(r"(unknown|illegal|invalid) option -- '?Y")
_MEANINGS = (
    ("incorrect passphrase", "the key has a passphrase, which was not given", "ssh-add {key}, or sign on a terminal"),
    ("UNPROTECTED PRIVATE KEY", "others can read the key, so ssh-keygen ignores it", "chmod 600 {key}"),
    ("bad permissions", "others can read the key, so ssh-keygen ignores it", "chmod 600 {key}"),
    ("Permission denied", "the key may not be read", "--key KEYFILE names another one"),
    ("No private key found", "there is only a public key, and no agent has its private one", "ssh-add the private key"),
    ("agent refused", "the ssh agent refused to sign", "unlock it, or confirm the use of the key there"),
    ("Couldn't load public key", "that is not an SSH key", "--key KEYFILE; ssh-keygen -t ed25519 makes one"),
    ("invalid format", "that is not an SSH key", "--key KEYFILE; ssh-keygen -t ed25519 makes one"),
)
"""What ssh-keygen says, what it means, and what helps."""


class Signature(msgspec.Struct, frozen=True):
    """One signature as it lies beside a plan: the file's name, and the armored text."""

    file: str
    armored: str


class NotSigned(Refused):
    """A signature that does not count, and why; other refusals of this file mean that it could not be told."""


class _Answer(msgspec.Struct, frozen=True):
    status: int
    out: str
    said: str


class KeyTool(msgspec.Struct, frozen=True):
    """``ssh-keygen``, bounded: ``limit`` in seconds without a person, ``patience`` where one types a passphrase.

    Whatever it cannot decide is ``Refused``: no tool, one older than OpenSSH 8.1, no answer in time.
    """

    program: str = "ssh-keygen"
    limit: float = 20.0
    patience: float = 120.0

    def sign(self, text: bytes, key: Path, *, interactive: bool = False) -> str:
        """Sign with a private key, or with the agent's for a public key; returns the armored signature.

        Only with ``interactive`` may ssh-keygen ask for a passphrase, on the terminal. Raises ``BadInput`` for a key that is
        not there, ``Refused`` when it cannot sign.
        """
        if not key.is_file():
            raise BadInput(f"there is no key {key}", hint="--key KEYFILE; ssh-keygen -t ed25519 makes one")
        with tempfile.TemporaryDirectory(prefix="crashcart-") as folder:
            message = Path(folder) / "plan"
            message.write_bytes(text)
            # A message on stdin would take ssh-keygen's terminal away.
            words = ("-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(key), str(message))
            answer = self._run(words, interactive=interactive)
            made = message.with_name("plan.sig")
            if answer.status == 0 and made.is_file():
                return made.read_text()
        raise _cannot_sign(key, answer.said)

    def signer(self, text: bytes, armored: str) -> str:
        """Return the fingerprint of the key that signed exactly this text. Raises ``NotSigned`` saying what is wrong."""
        answer = self._check("check-novalidate", text, armored)
        found = _KEY.search(answer.out)
        if answer.status == 0 and found:
            return found[1]
        if "namespace" in answer.said:
            raise NotSigned("a signature, but not one for plans")
        other = "incorrect signature" in answer.said
        raise NotSigned("a signature on another plan" if other else "not an SSH signature that can be read")

    def verify(self, text: bytes, armored: str, principal: str, allowed: Path) -> None:
        """Check that a principal of an ``allowed_signers`` file signed this text. Raises ``NotSigned`` with its reason."""
        answer = self._check("verify", text, armored, "-f", str(allowed), "-I", principal)
        if answer.status == 0 and answer.out.startswith("Good "):
            return
        own = [line for line in answer.said.splitlines() if line.startswith(f"{allowed}:") and "invalid key" not in line]
        raise NotSigned(own[-1] if own else f"{allowed} does not allow it")

    def _check(self, what: str, text: bytes, armored: str, *words: str) -> _Answer:
        with tempfile.TemporaryDirectory(prefix="crashcart-") as folder:
            signature = Path(folder) / "sig"
            signature.write_text(armored)
            return self._run(("-Y", what, "-n", NAMESPACE, "-s", str(signature), *words), text=text)

    def _run(self, words: tuple[str, ...], *, text: bytes | None = None, interactive: bool = False) -> _Answer:
        limit = self.patience if interactive else self.limit
        try:
            done = subprocess.run(
                [self.program, *words],
                input=text,
                stdin=subprocess.DEVNULL if text is None and not interactive else None,
                stdout=subprocess.PIPE,
                stderr=None if interactive else subprocess.PIPE,
                env=_environment(interactive=interactive),
                # Without a terminal of its own it cannot ask.
                start_new_session=not interactive,
                timeout=limit,
                check=False,
            )
        except OSError as error:
            raise Refused(
                f"cannot run {self.program}: {error.strerror}", hint="install OpenSSH's client (8.1 or later)"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise Refused(
                f"{self.program} did not answer within {limit:.0f} s", hint="try again; is an agent stuck?"
            ) from error
        answer = _Answer(
            done.returncode, done.stdout.decode(errors="replace"), (done.stderr or b"").decode(errors="replace")
        )
        if done.returncode and _NO_SIGNING.search(answer.said):
            raise Refused(f"{self.program} is too old to sign or verify", hint="install OpenSSH 8.1 or later")
        return answer


def signatures_folder(plan: Path) -> Path:
    """Return the folder with the signatures of a plan file."""
    return plan.with_name(f"{plan.name}.sigs")


def read_signatures(plan: Path) -> tuple[Signature, ...]:
    """Read the signatures beside a plan file. Raises ``Refused`` when they cannot be read: unknown is not none."""
    folder = signatures_folder(plan)
    try:
        files = sorted(folder.glob("*.sig"))
        if len(files) > MOST_SIGNATURES:
            raise Refused(f"{folder} holds more than {MOST_SIGNATURES} signatures", hint="leave those of this plan there")
        return tuple(Signature(file.name, _text(file)) for file in files)
    except OSError as error:
        raise Refused(f"cannot read the signatures in {folder}: {error.strerror}") from error


def add_signature(plan: Path, digest: str, fingerprint: str, armored: str) -> Path:
    """Put a signature beside a plan file; the same key signing the same plan again has one file. Raises ``Refused``."""
    folder = signatures_folder(plan)
    key = re.sub(r"[^A-Za-z0-9]", "", fingerprint.removeprefix("SHA256:"))[:16]
    path = folder / f"{digest[:16]}-{key}.sig"
    try:
        folder.mkdir(exist_ok=True)
        half = path.with_suffix(".new")
        half.write_text(armored)
        # A signature is no secret, and the author has to read it.
        half.chmod(0o644)
        half.replace(path)
    except OSError as error:
        raise Refused(f"cannot write {path}: {error.strerror}", hint="copy the plan file to a folder of your own") from error
    return path


def _text(file: Path) -> str:
    with file.open("rb") as opened:
        return opened.read(MOST_BYTES).decode(errors="replace")


def _cannot_sign(key: Path, said: str) -> Refused:
    for words, meaning, hint in _MEANINGS:
        if words in said:
            return Refused(f"cannot sign with {key}: {meaning}", hint=hint.format(key=key))
    last = said.strip().rpartition("\n")[2][:300]
    return Refused(f"cannot sign with {key}: {last or 'ssh-keygen gave up'}", hint="--key KEYFILE names another key")


def _environment(*, interactive: bool) -> dict[str, str]:
    """In C, so that messages can be read; without a person also without any window that could ask."""
    kept = {**os.environ, "LC_ALL": "C"}
    if interactive:
        return kept
    asking = {"DISPLAY", "WAYLAND_DISPLAY", "SSH_ASKPASS"}
    return {name: value for name, value in kept.items() if name not in asking} | {"SSH_ASKPASS_REQUIRE": "never"}
