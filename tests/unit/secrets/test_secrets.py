"""The door to secrets: which place gives one, how long it is kept, and that its value is never shown."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ingestion.errors import ConfigurationError, LoginRefusedError, SecretStoreUnavailableError
from ingestion.secrets import Secret, Secrets
from ingestion.secrets.cloud import CloudStore
from ingestion.secrets.local import Environment, Files
from ingestion.settings import Connection, Settings
from ingestion.settings.connection import read_secret
from ingestion.sources.kept_sessions import keeping_sessions, session_of
from ingestion.sources.oracle import errors as oracle
from ingestion.sources.sqlserver import errors as sqlserver

NAME = "AIRFLOW_CONN_ERP"


def uri(password: str) -> str:
    return f"oracle://lake:{password}@erp-db:1521/ERP"


@pytest.mark.parametrize(
    "shown",
    [repr, str, "{}".format, "{:>40}".format, "%s".__mod__, lambda s: f"{s!r:>50}", lambda s: repr([s])],
    ids=["repr", "str", "format", "padded", "percent", "repr padded", "in a list"],
)
def test_a_secret_is_not_shown(shown: Callable[[Secret], object]) -> None:
    assert "geheim" not in str(shown(Secret("geheim")))


def test_a_secret_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("lakehouse").warning("%s %r", Secret("geheim"), {"of": Secret("geheim")})

    assert caplog.text.count("***") == 2
    assert "geheim" not in caplog.text


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps, json.dumps])
def test_a_secret_is_neither_copied_nor_written(copied: Callable[[Secret], object]) -> None:
    with pytest.raises(TypeError, match=r"secret|Secret"):
        copied(Secret("geheim"))


def test_secrets_are_equal_if_their_texts_are() -> None:
    assert Secret("geheim") == Secret("geheim")
    assert Secret("geheim") != Secret("offen")
    assert Secret("geheim") != "geheim"


class Place:
    """A place with one secret, which counts how often it is asked."""

    place = "the place"

    def __init__(self, value: str = "") -> None:
        self.value, self.asked = value, 0

    def path(self, name: str) -> str:
        return f"its {name}"

    def get(self, name: str) -> Secret | None:
        self.asked += 1
        return Secret(self.value) if self.value else None


def test_the_first_place_that_has_a_secret_gives_it(tmp_path: Path) -> None:
    (tmp_path / "B").write_text("from a file\n")
    (tmp_path / "A").write_text("from a file")
    secrets = Secrets([Environment({"A": "from the environment", "B": ""}), Files(tmp_path), Place("from a store")])

    assert [secrets.get(name).reveal() for name in "ABC"] == ["from the environment", "from a file", "from a store"]


def test_a_missing_secret_is_one_line_that_names_every_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = CloudStore("azure", {}, "https://kv.vault.azure.net", "dev")
    monkeypatch.setattr(store, "_read", lambda _: None)
    secrets = Secrets([Environment({}), Files(tmp_path), store])

    with pytest.raises(ConfigurationError) as raised:
        secrets.get(NAME)

    assert str(raised.value) == (
        f"{NAME}: there is no such secret. Looked for it in the environment, the folder {tmp_path}, Azure Key Vault "
        "https://kv.vault.azure.net (dev-airflow-connections-erp). Nothing was done. Add it to one of them."
    )


@pytest.mark.parametrize("value", ["geheim", ""], ids=["found", "missing"])
def test_what_a_place_says_is_kept_until_it_expires(value: str) -> None:
    place, now = Place(value), [0.0]
    secrets = Secrets([place], seconds=300, clock=lambda: now[0])

    for now[0] in (0.0, 299.9):
        secrets.find(NAME)
    assert place.asked == 1
    place.value, now[0] = "neu", 300.0

    assert secrets.get(NAME).reveal() == "neu"
    assert place.asked == 2


@pytest.mark.parametrize(
    ("store", "name", "path"),
    [
        ("azure", "AIRFLOW_CONN_BIG_ERP", "airflow-connections-big-erp"),
        ("aws", "AIRFLOW_CONN_BIG_ERP", "airflow/connections/big_erp"),
        ("gcp", "AIRFLOW_CONN_BIG_ERP", "airflow-connections-big_erp"),
        ("azure", "LAKEHOUSE_MASK_SALT", "lakehouse-mask-salt"),
        ("aws", "LAKEHOUSE_MASK_SALT", "lakehouse-mask-salt"),
        ("gcp", "LAKEHOUSE_MASK_SALT", "lakehouse-mask-salt"),
    ],
)
def test_connections_have_the_names_of_airflows_own_backends(store: str, name: str, path: str) -> None:
    assert CloudStore(store, {"AWS_REGION": "eu-central-1"}, "https://vault", "").path(name) == path
    prefixed = f"prod{'/' if store == 'aws' else '-'}{path}"
    assert CloudStore(store, {"AWS_REGION": "eu-central-1"}, "https://vault", "prod").path(name) == prefixed


def test_a_store_without_its_client_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ingestion.secrets.azure", None)

    with pytest.raises(
        ConfigurationError, match=r"LAKEHOUSE_SECRETS is azure: its client is not installed.*azure-secrets"
    ):
        CloudStore("azure", {}, "https://kv.vault.azure.net", "").get(NAME)


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"\xff")

    with pytest.raises(ConfigurationError, match="cannot be read"):
        Files(tmp_path).get(NAME)
    with pytest.raises(ConfigurationError, match="there is no folder"):
        Files(tmp_path / "none").get(NAME)


def test_settings_that_go_to_another_process_take_no_secret_along(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(uri("geheim"))
    settings = Settings.from_environ({"LAKEHOUSE_PROJECT": str(tmp_path), "LAKEHOUSE_SECRETS_DIR": str(tmp_path)})
    assert settings.connection("erp").password == "geheim"

    sent = pickle.dumps(settings)

    assert b"geheim" not in sent
    told = "import pickle, sys; print(pickle.load(sys.stdin.buffer).connection('erp').password)"
    answered = subprocess.run([sys.executable, "-c", told], input=sent, capture_output=True, check=True)
    assert answered.stdout == b"geheim\n"


@dataclass
class Server:
    """A database that accepts one password, and counts the attempts."""

    password: str
    attempts: int = 0

    def open(self, connection: Connection) -> str:
        self.attempts += 1
        if connection.password != self.password:
            raise LoginRefusedError("erp: user or password were refused (ORA-01017).")
        return f"session of {connection.password}"

    def session(self, connection: Connection) -> Any:
        return session_of("erp", connection, open_session=self.open, reset=lambda _: None, close=lambda _: None)


def looked_up(place: Place) -> Connection:
    secrets = Secrets([place])
    return read_secret(secrets, NAME, secrets.get(NAME))


def test_a_refused_login_reads_the_secret_again_and_logs_in_with_the_new_one() -> None:
    place, server = Place(uri("alt")), Server("neu")
    connection = looked_up(place)
    place.value = uri("neu")

    with server.session(connection) as session:
        assert session == "session of neu"
    with server.session(connection):  # the stale password is not tried again: that would lock the user
        pass

    assert (server.attempts, place.asked) == (3, 2)


def test_a_login_that_stays_refused_is_not_tried_twice() -> None:
    place, server = Place(uri("falsch")), Server("neu")

    with keeping_sessions(), pytest.raises(LoginRefusedError), server.session(looked_up(place)):
        pass

    assert (server.attempts, place.asked) == (1, 2)


def test_a_refused_login_stays_one_if_its_secret_cannot_be_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    place, server = Place(uri("falsch")), Server("neu")
    connection = looked_up(place)

    def silent(_: str) -> None:
        raise SecretStoreUnavailableError("the store did not answer")

    monkeypatch.setattr(place, "get", silent)

    with pytest.raises(LoginRefusedError), server.session(connection):
        pass
    assert server.attempts == 1


def test_a_connection_of_the_environment_has_no_other_place_to_ask() -> None:
    server = Server("neu")

    with pytest.raises(LoginRefusedError), server.session(Connection("oracle", password="alt")):
        pass

    assert server.attempts == 1


@pytest.mark.parametrize(
    "error",
    [
        oracle.error_of("ORA-01017", "erp"),
        oracle.error_of("ORA-28001", "erp"),
        sqlserver.error_of(sqlserver.Diagnosis("28000", 18456), "erp"),
        sqlserver.error_of(sqlserver.Diagnosis("28000"), "erp"),
    ],
    ids=["ORA-01017", "ORA-28001", "18456", "28000"],
)
def test_a_refused_password_is_a_refused_login(error: Exception) -> None:
    assert type(error) is LoginRefusedError


def test_a_locked_user_is_not_tried_again() -> None:
    locked = (oracle.error_of("ORA-28000", "erp"), sqlserver.error_of(sqlserver.Diagnosis("28000", 18486), "erp"))

    assert [type(error) for error in locked] == [ConfigurationError, ConfigurationError]


def test_the_salt_is_looked_up_where_the_environment_has_none(tmp_path: Path) -> None:
    (tmp_path / "LAKEHOUSE_MASK_SALT").write_text("a salt in a file")
    settings = Settings.from_environ({"LAKEHOUSE_PROJECT": str(tmp_path), "LAKEHOUSE_SECRETS_DIR": str(tmp_path)})

    assert settings.salt() == "a salt in a file"
    assert replace(settings, mask_salt="set").salt() == "set"
