"""Redis, PostgreSQL and MariaDB as processes of the test: in folders and on ports of their own, never as root."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from queue import Queue

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

READY_WITHIN = 30.0
"""Seconds that a server may take to say that it is ready."""

PASSWORD = secrets.token_hex(12)
DATABASE = "orders"


class Server(msgspec.Struct, frozen=True):
    """A server that accepts logins."""

    port: int
    folder: Path


def program(name: str) -> str:
    """Find a server's program. Skips where there is none, and fails in CI, where it is installed."""
    places = [*sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True), os.environ["PATH"], "/usr/sbin"]
    found = shutil.which(name, path=os.pathsep.join(places))
    if found:
        return found
    if os.environ.get("CI"):
        pytest.fail(f"{name} is not installed")
    pytest.skip(f"{name} is not installed")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def own_folder() -> Iterator[Path]:
    """A folder that the unprivileged user may use; pytest's own are closed to it."""
    folder = Path(tempfile.mkdtemp(prefix="crashcart-db-", dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody", "nogroup")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unprivileged(*command: str | Path) -> list[str]:
    words = [str(word) for word in command]
    user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    return [*user, *words]


def once(*command: str | Path, text: str | None = None) -> None:
    """Run a command to its end."""
    done = subprocess.run(unprivileged(*command), input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@contextmanager
def serving(command: Sequence[str | Path], ready: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a server, and wait until it says that it is ready."""
    process = subprocess.Popen(
        unprivileged(*command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", cwd=folder
    )
    said: Queue[str] = Queue()
    lines: list[str] = []

    def read() -> None:
        assert process.stdout
        with suppress(ValueError):
            for line in process.stdout:
                lines.append(line)
                if ready in line:
                    said.put("ready")
        said.put("ended")

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        assert said.get(timeout=READY_WITHIN) == "ready", "".join(lines)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join(5)
        assert process.stdout
        process.stdout.close()


@contextmanager
def redis(*options: str | Path, tls: Path | None = None) -> Iterator[Server]:
    """Start a Redis that keeps nothing."""
    with own_folder() as folder:
        port = free_port()
        plain, secure = ("0", str(port)) if tls else (str(port), "0")
        command = [program("redis-server"), "--bind", "127.0.0.1", "--port", plain, "--save", "", "--requirepass", PASSWORD]
        if tls:
            certificate = ("--tls-cert-file", tls / "server.pem", "--tls-key-file", tls / "server.key")
            command += ["--tls-port", secure, *map(str, certificate), "--tls-auth-clients", "no"]
        with serving([*command, *options], "Ready to accept connections", folder):
            yield Server(port, folder)


@contextmanager
def postgresql(data: Path, *settings: str) -> Iterator[Server]:
    """Start a PostgreSQL on a folder of data."""
    port = free_port()
    fixed = [f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={data}", "fsync=off"]
    options = [word for setting in (*fixed, *settings) for word in ("-c", setting)]
    with serving([program("postgres"), "-D", data, *options], "ready to accept", data):
        yield Server(port, data)


def new_postgresql(data: Path) -> None:
    """Make a folder of data with the user ``app``, who logs in with a password."""
    password = data.parent / "password"
    password.write_text(PASSWORD)
    if os.geteuid() == 0:
        shutil.chown(password, "nobody", "nogroup")
    secret = ("--pwfile", password, "--auth=scram-sha-256")
    once(program("initdb"), "-D", data, "-U", "app", "-N", "-E", "UTF8", "--locale=C", *secret)
    once("sh", "-c", 'echo "host replication app 127.0.0.1/32 scram-sha-256" >> "$1"', "-", data / "pg_hba.conf")


@contextmanager
def mariadb() -> Iterator[Server]:
    """Start a MariaDB with the user ``app``."""
    with own_folder() as folder:
        data, port = folder / "data", free_port()
        once(program("mariadb-install-db"), "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal")
        setup = folder / "setup.sql"
        setup.write_text(
            f"CREATE DATABASE {DATABASE};\nCREATE USER app@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n"
            "GRANT PROCESS, RELOAD, SLAVE MONITOR, REPLICATION SLAVE ADMIN, READ_ONLY ADMIN, SUPER "
            "ON *.* TO app@'127.0.0.1';\n"
            f"GRANT ALL ON {DATABASE}.* TO app@'127.0.0.1';\n"
        )
        setup.chmod(0o644)
        where = [f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder}/socket"]
        small = ["--innodb-buffer-pool-size=16M", "--skip-log-bin", "--skip-name-resolve", f"--init-file={setup}"]
        command = [program("mariadbd"), "--no-defaults", *where, *small, "--innodb-flush-log-at-trx-commit=0"]
        with serving(command, "ready for connections", folder):
            yield Server(port, folder)


@contextmanager
def mute() -> Iterator[int]:
    """A port where connections are accepted and nothing is ever said."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(8)
        yield int(listening.getsockname()[1])


def certificate(folder: Path) -> Path:
    """Write a certificate for ``localhost`` that is its own authority; return it. The server's folder may read it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    (folder / "server.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    for file in ("server.pem", "server.key"):
        (folder / file).chmod(0o600)
        if os.geteuid() == 0:
            shutil.chown(folder / file, "nobody", "nogroup")
    return folder / "server.pem"
