"""The ``endpoint_*`` variables: what a URL may say, and what is refused before anything is contacted."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from crashcart.errors import BadInput, FactUnreadable
from crashcart.secrets import Secret
from crashcart.targets import Target
from crashcart.transports import database_access
from crashcart.transports.database_access import Engine, Place, Tls, check_access, check_means, endpoint_access

SQL = "postgresql://app@orders.example.com/orders"


def target(**variables: Any) -> Target:
    return Target("orders-db", "rds_cluster", variables)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (SQL, Place(Engine.POSTGRESQL, "orders.example.com", 5432, "app", "orders", Tls.PREFER)),
        (
            "postgres://a%40b@[::1]:6432/x?sslmode=verify-full&sslrootcert=system",
            Place(Engine.POSTGRESQL, "::1", 6432, "a@b", "x", Tls.VERIFY_FULL, "system"),
        ),
        ("mysql://app@db/x?sslmode=require", Place(Engine.MYSQL, "db", 3306, "app", "x", Tls.REQUIRE)),
        ("redis://cache", Place(Engine.REDIS, "cache", 6379)),
        ("rediss://cache:6380", Place(Engine.REDIS, "cache", 6380, tls=Tls.VERIFY_FULL)),
        ("tcp://db:5432", Place(Engine.PORT, "db", 5432)),
        (
            "https://api.example.com/health?db=1",
            Place(Engine.HTTP, "api.example.com", 443, path="/health?db=1", tls=Tls.VERIFY_FULL),
        ),
    ],
)
def test_a_url_is_read(url: str, place: Place) -> None:
    assert Place.parse(url) == place


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("orders.example.com:5432", "expected a URL such as postgresql://"),
        ("postgresq://db", "did you mean postgresql or postgres?"),
        ("postgresql://", "expected a URL"),
        ("mysql://db:port/x", "expected a URL"),
        ("mysql://db:99999/x", "expected a URL"),
        ("tcp://db", "expected a port"),
        ("redis://ca che", "expected a URL"),
        ("http://app@api/health", "leave the user out"),
        (f"{SQL}?sslmod=require", "did you mean sslmode?"),
        (f"{SQL}?sslmode=on", "expected one of disable, prefer, require, verify-ca, verify-full, got 'on'"),
        (f"{SQL}?options=-c", "unknown option 'options'"),
        ("redis://cache?sslmode=require", "unknown option 'sslmode' of redis"),
    ],
)
def test_a_url_that_cannot_work_says_what_was_expected(url: str, says: str) -> None:
    with pytest.raises(BadInput) as raised:
        check_access(target(endpoint_url=url))
    assert says in raised.value.message
    assert raised.value.message.startswith("orders-db: endpoint_url: ")


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(BadInput) as raised:
        check_access(target(endpoint_url="postgresql://app:hunter2-hunter2@db/x"))
    assert "endpoint_password_env" in raised.value.message
    assert "hunter2" not in str(raised.value)


def test_names_are_checked() -> None:
    with pytest.raises(BadInput, match="endpoint_pasword_env") as raised:
        check_access(target(endpoint_pasword_env="X"))  # noqa: S106
    assert "endpoint_password_env" in raised.value.hint
    with pytest.raises(BadInput, match="exclude each other"):
        check_access(target(endpoint_password=Secret("x"), endpoint_password_env="X"))  # noqa: S106
    check_access(target(endpoint_of_something_else="mine"))


def test_the_password_comes_from_its_variable_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS_PASSWORD", "from-the-environment")
    found = endpoint_access(target(endpoint_url="redis://cache", endpoint_password_env="ORDERS_PASSWORD"))  # noqa: S106
    assert found.password == Secret("from-the-environment")
    assert "from-the" not in repr(found)
    assert endpoint_access(target(endpoint_url="redis://cache", endpoint_password=Secret("x"))).password == Secret("x")
    assert endpoint_access(target(endpoint_url="redis://cache")).password is None


@pytest.mark.parametrize(
    ("variables", "says", "hint"),
    [
        (
            {"endpoint_password_env": "NO_SUCH_VARIABLE"},
            "the environment has no variable NO_SUCH_VARIABLE",
            "export NO_SUCH",
        ),
        ({"endpoint_password": "***"}, "is not in the journal", "inv check.database"),
    ],
)
def test_what_this_machine_lacks_is_known_before_anything_is_changed(
    variables: dict[str, Any], says: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH_VARIABLE", raising=False)
    with pytest.raises(BadInput) as before:
        check_means(target(**variables), "tcp://db:5432")
    assert says in before.value.message
    assert "--endpoint-url ''" in before.value.hint
    with pytest.raises(FactUnreadable) as later:
        endpoint_access(target(endpoint_url="tcp://db:5432", **variables))
    assert (later.value.final, hint in later.value.hint) == (True, True)


@pytest.mark.parametrize("url", [SQL, "mysql://app@db/x", "redis://cache"])
def test_without_the_extra_the_message_is_the_command_that_installs_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drivers = {"psycopg", "pymysql", "redis"}
    found = importlib.util.find_spec
    monkeypatch.setattr(database_access, "find_spec", lambda name: None if name in drivers else found(name))
    with pytest.raises(BadInput, match="which is not installed") as raised:
        check_means(target(), url)
    assert "pip install 'crashcart[db]'" in raised.value.hint
    check_means(target(), "tcp://db:5432")


def test_a_file_of_certificates_has_to_be_there(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    url = f"{SQL}?sslmode=verify-full&sslrootcert={file}"
    with pytest.raises(BadInput, match="there is no file of certificates"):
        check_means(target(), url)
    file.touch()
    check_means(target(), url)
