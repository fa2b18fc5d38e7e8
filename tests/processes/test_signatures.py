"""Signing and verifying with the real ssh-keygen and real keys."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from crashcart.errors import BadInput, Refused
from crashcart.safety.signatures import (
    MOST_SIGNATURES,
    NAMESPACE,
    KeyTool,
    NotSigned,
    add_signature,
    read_signatures,
    signatures_folder,
)

TEXT = b"a hash\n"
TOOL = KeyTool()


def make_key(folder: Path, name: str, passphrase: str = "") -> Path:
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", name, "-f", path], check=True)
    return path


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("keys")
    made = {name: make_key(folder, name) for name in ("alice", "bob", "stranger")}
    return {**made, "locked": make_key(folder, "locked", "open sesame")}


@pytest.fixture(scope="session")
def signed(keys: dict[str, Path]) -> str:
    return TOOL.sign(TEXT, keys["alice"])


def allowed(folder: Path, *lines: tuple[str, Path]) -> Path:
    path = folder / "allowed_signers"
    text = "".join(f"{head} {key.with_suffix('.pub').read_text()}" for head, key in lines)
    path.write_text(text)
    return path


def script(folder: Path, text: str) -> KeyTool:
    path = folder / "ssh-keygen"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return KeyTool(str(path), limit=0.2)


def test_signed_and_verified(tmp_path: Path, keys: dict[str, Path], signed: str) -> None:
    TOOL.verify(TEXT, signed, "alice", allowed(tmp_path, ("alice", keys["alice"])))
    listed = subprocess.run(["ssh-keygen", "-l", "-f", keys["alice"]], check=True, capture_output=True, text=True).stdout
    assert TOOL.signer(TEXT, signed) == listed.split()[1]


def test_nothing_is_left_beside_the_key(keys: dict[str, Path], signed: str) -> None:
    assert {path.suffix for path in keys["alice"].parent.iterdir()} == {"", ".pub"}


def test_another_text(signed: str) -> None:
    with pytest.raises(NotSigned, match="on another plan"):
        TOOL.signer(b"another hash\n", signed)


def test_no_signature() -> None:
    for text in ("", "junk\n", "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"):
        with pytest.raises(NotSigned, match="not an SSH signature"):
            TOOL.signer(TEXT, text)


def test_a_signature_for_something_else(tmp_path: Path, keys: dict[str, Path]) -> None:
    done = subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", keys["alice"]], input=TEXT, check=True, capture_output=True
    )
    with pytest.raises(NotSigned, match="not one for plans"):
        TOOL.signer(TEXT, done.stdout.decode())


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        ("bob", "does not allow it"),
        ('alice valid-before="20200101"', "expired"),
        ('alice valid-after="20990101"', "not yet valid"),
        ('alice namespaces="git"', f'not permitted for use in signature namespace "{NAMESPACE}"'),
        ("!alice,*", "does not allow it"),
    ],
)
def test_an_entry_that_does_not_allow_it(tmp_path: Path, keys: dict[str, Path], signed: str, head: str, reason: str) -> None:
    with pytest.raises(NotSigned, match=reason):
        TOOL.verify(TEXT, signed, "alice", allowed(tmp_path, (head, keys["alice"])))


@pytest.mark.parametrize("options", [f'namespaces="git,{NAMESPACE}"', 'valid-before="20990101"'])
def test_an_entry_that_does(tmp_path: Path, keys: dict[str, Path], signed: str, options: str) -> None:
    TOOL.verify(TEXT, signed, "alice", allowed(tmp_path, (f"alice {options}", keys["alice"])))


def test_a_broken_line_beside_it_is_not_the_reason(tmp_path: Path, keys: dict[str, Path], signed: str) -> None:
    path = allowed(tmp_path, ("alice nonsense", keys["bob"]), ('alice valid-before="20200101"', keys["alice"]))
    with pytest.raises(NotSigned, match="expired"):
        TOOL.verify(TEXT, signed, "alice", path)


def test_no_such_key(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no key") as error:
        TOOL.sign(TEXT, tmp_path / "id")
    assert "--key" in error.value.hint


def test_a_file_that_is_no_key(tmp_path: Path) -> None:
    path = tmp_path / "id"
    path.write_text("hello\n")
    path.chmod(0o600)
    with pytest.raises(Refused, match="not an SSH key"):
        TOOL.sign(TEXT, path)


def test_a_key_that_others_can_read(tmp_path: Path) -> None:
    key = make_key(tmp_path, "open")
    key.chmod(0o644)
    with pytest.raises(Refused, match="others can read the key") as error:
        TOOL.sign(TEXT, key)
    assert error.value.hint == f"chmod 600 {key}"


def test_a_passphrase_without_a_terminal_does_not_hang(keys: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("SSH_ASKPASS", "/bin/true")
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    with pytest.raises(Refused, match="passphrase") as error:
        TOOL.sign(TEXT, keys["locked"])
    assert "ssh-add" in error.value.hint


def test_a_passphrase_on_a_terminal(tmp_path: Path, keys: dict[str, Path]) -> None:
    code = "import sys; from pathlib import Path; from crashcart.safety.signatures import KeyTool\n"
    code += "Path(sys.argv[2]).write_text(KeyTool().sign(b'a hash\\n', Path(sys.argv[1]), interactive=True))"
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", code, str(keys["locked"]), str(tmp_path / "made")])  # noqa: S606 -- in the child of pty.fork
    said = b""
    while b"passphrase" not in said:
        said += os.read(terminal, 1024)
    os.write(terminal, b"open sesame\n")
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0, said
    assert TOOL.signer(TEXT, (tmp_path / "made").read_text()).startswith("SHA256:")


def test_the_agent_signs_for_a_public_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = make_key(tmp_path, "agents")
    public = tmp_path / "only.pub"
    public.write_text(key.with_suffix(".pub").read_text())
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(Refused, match="no agent"):
        TOOL.sign(TEXT, public)
    socket = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE, text=True) as agent:
        assert agent.stdout is not None
        agent.stdout.readline()
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        subprocess.run(["ssh-add", "-q", key], check=True)
        made = TOOL.sign(TEXT, public)
        agent.terminate()
    TOOL.verify(TEXT, made, "alice", allowed(tmp_path, ("alice", key)))


def test_no_ssh_keygen(tmp_path: Path, keys: dict[str, Path], signed: str) -> None:
    tool = KeyTool(str(tmp_path / "missing"))
    asks: list[Callable[[], str]] = [lambda: tool.sign(TEXT, keys["alice"]), lambda: tool.signer(TEXT, signed)]
    for ask in asks:
        with pytest.raises(Refused, match="cannot run") as error:
            ask()
        assert not isinstance(error.value, NotSigned)
        assert "OpenSSH" in error.value.hint


def test_an_old_one(tmp_path: Path, signed: str) -> None:
    tool = script(tmp_path, "echo 'unknown option -- Y' >&2; echo 'usage: ssh-keygen ...' >&2; exit 1")
    with pytest.raises(Refused, match="too old") as error:
        tool.signer(TEXT, signed)
    assert not isinstance(error.value, NotSigned)


def test_one_that_never_answers(tmp_path: Path, signed: str) -> None:
    with pytest.raises(Refused, match="did not answer"):
        script(tmp_path, "exec sleep 60").signer(TEXT, signed)


def test_one_that_says_yes_without_saying_whom(tmp_path: Path, signed: str) -> None:
    tool = script(tmp_path, "exit 0")
    with pytest.raises(NotSigned):
        tool.signer(TEXT, signed)
    with pytest.raises(NotSigned):
        tool.verify(TEXT, signed, "alice", tmp_path / "allowed")


def test_signatures_lie_beside_the_plan(tmp_path: Path, signed: str) -> None:
    plan = tmp_path / "plan.json"
    assert read_signatures(plan) == ()
    first = add_signature(plan, "f" * 64, "SHA256:abc/+d", signed)
    assert add_signature(plan, "f" * 64, "SHA256:abc/+d", signed) == first
    add_signature(plan, "f" * 64, "SHA256:other", signed)
    assert first == tmp_path / "plan.json.sigs" / "ffffffffffffffff-abcd.sig"
    assert [signature.armored for signature in read_signatures(plan)] == [signed, signed]


def test_too_many_are_refused(tmp_path: Path) -> None:
    folder = signatures_folder(tmp_path / "plan.json")
    folder.mkdir()
    for number in range(MOST_SIGNATURES + 1):
        (folder / f"{number}.sig").touch()
    with pytest.raises(Refused, match="more than"):
        read_signatures(tmp_path / "plan.json")


def test_what_cannot_be_read_is_not_nothing(tmp_path: Path) -> None:
    folder = signatures_folder(tmp_path / "plan.json")
    (folder / "x.sig").mkdir(parents=True)
    with pytest.raises(Refused, match="cannot read"):
        read_signatures(tmp_path / "plan.json")
