from __future__ import annotations

import base64
import hashlib
import hmac
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from crashcart.transports import knownhosts
from crashcart.transports.knownhosts import Entry, KnownHosts, KnownHostsFile, PublicKey, host_key_name


def key(number: int = 0) -> PublicKey:
    """Return a made-up key."""
    kind = b"ssh-ed25519"
    blob = len(kind).to_bytes(4, "big") + kind + (32).to_bytes(4, "big") + number.to_bytes(32, "big")
    return PublicKey("ssh-ed25519", base64.b64encode(blob).decode())


def line(names: str, number: int = 0) -> str:
    return f"{names} {key(number).kind} {key(number).base64}\n"


def hashed(name: str) -> str:
    salt = name.encode().ljust(20, b".")
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "known_hosts"


def test_names(path: Path) -> None:
    path.write_text(line("web1,WEB2") + line("[web1]:2222", 1) + line("*.lab,!bad.lab", 2) + line(hashed("web3"), 3))
    known = KnownHosts()

    def found(name: str) -> list[PublicKey]:
        return [entry.key for entry in known.lookup([path], name)]

    assert found("web1") == found("Web2") == [key(0)]
    assert found("[web1]:2222") == [key(1)]
    assert found("a.lab") == [key(2)]
    assert found("bad.lab") == found("web4") == found("web") == []
    assert found("web3") == found("web3") == [key(3)]


def test_lines_that_are_none_are_passed_over_and_counted(path: Path) -> None:
    lines = ["# " + line("web1"), "\n", "web1\n", "web1 ssh-ed25519 %%%\n", "web1 1024 35 123\n", "@odd web1 x y\n"]
    lines += [line("|1|x"), line("|1|x|y|z"), "  " + line("web1").replace("\n", "\r\n")]
    path.write_text("".join(lines))
    assert KnownHosts().lookup([path], "web1") == [Entry(key(), f"{path}:9")]


def test_markers(path: Path) -> None:
    path.write_text("@revoked " + line("*", 1) + "@cert-authority " + line("*.lab", 2) + line("a.lab", 3))
    entries = KnownHosts().lookup([path], "a.lab")
    assert [entry.marker for entry in entries] == ["", "@revoked", "@cert-authority"]


def test_files_that_cannot_be_read_are_empty(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert KnownHosts().lookup([tmp_path / "none", tmp_path / "folder"], "web1") == []


def test_a_file_is_read_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("".join(line(f"web{number}") for number in range(1000)))
    parse = Mock(side_effect=PublicKey.parse)
    monkeypatch.setattr(knownhosts.PublicKey, "parse", parse)
    known = KnownHosts()
    for number in range(1000):
        assert len(known.lookup([path], f"web{number}")) == 1
    assert parse.call_count == 1000


def test_hashed_entries_are_tried_until_found_only(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("".join(line(hashed(f"web{number}")) for number in range(50)))
    digest = Mock(side_effect=hmac.digest)
    monkeypatch.setattr(hmac, "digest", digest)
    known = KnownHosts()
    for _ in range(3):
        for number in range(50):
            assert len(known.lookup([path], f"web{number}")) == 1
    assert digest.call_count == sum(range(51))


def test_accepting(path: Path) -> None:
    path.write_text("# no newline")
    known = KnownHosts()
    assert known.lookup([path], "web1") == []
    assert known.accept([path], "Web1", key(1)) == [Entry(key(1), f"{path}:2")]
    assert known.accept([path], "web1", key(2)) == [Entry(key(1), f"{path}:2")]
    assert known.lookup([path], "web1") == [Entry(key(1), f"{path}:2")]
    assert path.read_text() == "# no newline\n" + line("web1", 1)


def test_another_process_was_first(path: Path) -> None:
    known = KnownHosts()
    assert known.lookup([path], "web1") == []
    path.write_text(line("web1", 7))
    assert [entry.key for entry in known.accept([path], "web1", key(1))] == [key(7)]
    assert path.read_text() == line("web1", 7)


def test_processes_that_accept_at_the_same_time_lose_no_line(path: Path) -> None:
    code = f"""if True:
        import sys
        from pathlib import Path
        from crashcart.transports.knownhosts import KnownHostsFile, PublicKey
        for number in range(50):
            KnownHostsFile(Path({str(path)!r})).add(f"web{{number}}", PublicKey({key().kind!r}, {key().base64!r}))
    """
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert sorted(path.read_text().splitlines(keepends=True)) == sorted(line(f"web{n}") for n in range(50))


def test_nothing_is_recorded_without_a_file() -> None:
    assert KnownHosts().accept([], "web1", key()) == []


@pytest.mark.parametrize("text", ["", "ssh-ed25519", "ssh-ed25519 %%%", "ssh-rsa " + key().base64, "ssh-ed25519 AAAA"])
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(ValueError, match="key"):
        PublicKey.parse(text)


def test_fingerprint(tmp_path: Path) -> None:
    file = tmp_path / "key.pub"
    file.write_text(f"{key(5).kind} {key(5).base64}\n")
    printed = subprocess.run(["ssh-keygen", "-lf", str(file)], check=True, capture_output=True, text=True).stdout
    assert key(5).fingerprint == printed.split()[1]


def test_host_key_names() -> None:
    assert host_key_name("web1", 22) == "web1"
    assert host_key_name("::1", 2222) == "[::1]:2222"


def test_an_empty_file(path: Path) -> None:
    path.touch()
    file = KnownHostsFile(path)
    file.add("web1", key())
    assert path.read_text() == line("web1")
