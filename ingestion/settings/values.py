"""The environment as frozen values, read once at the edge. The variables are listed in `registry`."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ingestion.errors import ConfigurationError, LakehouseError
from ingestion.secrets import Secrets
from ingestion.secrets.names import CONNECTION_PREFIX
from ingestion.settings import clouds
from ingestion.settings.connection import DIALECTS, Connection, parse_connection, read_secret
from ingestion.settings.registry import ENGINES, value_of

DAYS_KEPT = 7
"""How long `maintain` keeps the files of earlier versions, unless told otherwise."""
DEBUG = "LAKEHOUSE_DEBUG"
_SALT = "LAKEHOUSE_MASK_SALT"
_FORMS = {
    "oracle": "oracle://user:password@host:1521/service",
    "sqlserver": "mssql://user:password@host:1433/database",
    "duckdb": "duckdb:///folder/file.duckdb",
    "kafka": "kafka://user:password@host:9092",
    "queue": "sqs://key:secret@/?queue_url=https%3A%2F%2Fsqs.… or queue:///folder/name.db",
}
FILES = ("duckdb", "files", "queue")
"""Types of connections that open files and no server."""
STREAMS = ("kafka", "files")
"""Types of connections that messages are read from."""
QUEUES = ("sqs", "queue")
"""Types of connections that messages are sent to and received from, one by one."""


@dataclass(frozen=True, slots=True)
class Settings:
    """
    Everything that differs between machines. `connections` and `mask_salt` are those of the environment, `connection`
    and `salt` also look in `secrets`. `unreadable` has a message per system whose connection is no URI.
    """

    project: Path
    lake_root: str
    memory_limit: str = "1GB"
    connections: Mapping[str, Connection] = field(default_factory=dict)
    load_memory: str = "256MB"
    engine: str = "embedded"
    mask_salt: str = field(default="", repr=False)
    dbt_seconds: float = float(value_of("LAKEHOUSE_DBT_SECONDS", {}))
    unreadable: Mapping[str, str] = field(default_factory=dict)
    secrets: Secrets = field(default_factory=Secrets, repr=False, compare=False)
    real_databases: bool = True

    @property
    def contracts(self) -> Path:
        return self.project / "data_contracts"

    @property
    def dbt_project(self) -> Path:
        return self.project / "dbt_project"

    def connection(
        self, system: str, dialect: str | None = None, *, kinds: Collection[str] = DIALECTS.keys()
    ) -> Connection:
        """
        Return a system's connection. `dialect` is the kind of database in its contracts, if it is known; `kinds` are
        the types that it may have.

        Raises ConfigurationError with what to set, or to correct in what is set; SecretStoreUnavailableError.
        """
        variable = f"{CONNECTION_PREFIX}{system.upper()}"
        found = self.connections.get(system)
        if found is None and system in self.unreadable:
            raise ConfigurationError(f"{system}: {self.unreadable[system]}")
        if found is None and (secret := self.secrets.find(variable)) is not None:
            found = read_secret(self.secrets, variable, secret)
        if found is None:
            looked = f" Looked for it in {self.secrets.places(variable)}." if self.secrets.reaches_out else ""
            raise ConfigurationError(
                f"{system}: no connection is set. Nothing was read.{looked} Set {variable} to {_forms(dialect)} "
                f"(in Airflow: add the connection {system}). To try the program without a database: lakehouse demo"
            )
        if found.type not in kinds:
            kind = "stream" if kinds is STREAMS else "queue" if kinds is QUEUES else "database"
            raise ConfigurationError(
                f"{system}: {variable} begins with {found.type}://, which is no known kind of {kind}. Nothing was "
                f"read. Write it as {_forms(dialect)}."
            )
        if not self.real_databases and found.type not in FILES:
            raise clouds.real_database_error(system)
        return found

    def known_connection(self, system: str) -> Connection | None:
        """Return a system's connection, or None if there is none that can be used now."""
        with suppress(LakehouseError):
            return self.connection(system)
        return None

    def salt(self) -> str:
        """Return the salt of masked values, empty if there is none. Raises what its place raises."""
        if self.mask_salt or (found := self.secrets.find(_SALT)) is None:
            return self.mask_salt
        return found.reveal()

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], cwd: Path | None = None) -> Settings:
        """Read the settings from environment variables. Raises ConfigurationError."""
        project = project_of(environ, cwd or Path.cwd())
        connections, unreadable = _connections(environ)
        root = environ.get("LAKEHOUSE_ROOT") or ""
        seconds = _seconds("LAKEHOUSE_SECRETS_SECONDS", environ)
        servers = sorted(system for system, each in connections.items() if each.type not in FILES)
        return cls(
            project=project,
            lake_root=root or str(project / "lake"),
            memory_limit=value_of("LAKEHOUSE_MEMORY", environ),
            load_memory=value_of("LAKEHOUSE_LOAD_MEMORY", environ),
            engine=_engine(value_of("LAKEHOUSE_ENGINE", environ)),
            mask_salt=value_of(_SALT, environ),
            dbt_seconds=_seconds("LAKEHOUSE_DBT_SECONDS", environ),
            connections=connections,
            unreadable=unreadable,
            secrets=clouds.open_secrets(environ, root, seconds),
            real_databases=clouds.allows_servers(environ, servers),
        )


def _connections(environ: Mapping[str, str]) -> tuple[dict[str, Connection], dict[str, str]]:
    """Return the connections by system, and the message for each that cannot be read: other systems need not wait."""
    read, unreadable = {}, {}
    for name, value in environ.items():
        if name.startswith(CONNECTION_PREFIX) and value:
            system = name.removeprefix(CONNECTION_PREFIX).lower()
            try:
                read[system] = parse_connection(name, value)
            except ConfigurationError as exc:
                unreadable[system] = str(exc)
    return read, unreadable


def _forms(dialect: str | None) -> str:
    """Return how a connection is written for a dialect; for none, how for each kind of server."""
    return _FORMS.get(dialect or "") or f"{_FORMS['oracle']} or {_FORMS['sqlserver']}"


def _engine(name: str) -> str:
    if name not in ENGINES:
        raise ConfigurationError(
            f"LAKEHOUSE_ENGINE is {name!r}; it must be {' or '.join(ENGINES)}. Nothing was done. Correct it."
        )
    return name


def _seconds(name: str, environ: Mapping[str, str]) -> float:
    text = value_of(name, environ)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ConfigurationError(
            f"{name} is {text!r}; it must be a number of seconds above 0. Nothing was done. Correct it."
        )
    return seconds


def project_of(environ: Mapping[str, str], cwd: Path) -> Path:
    """Return the project's folder: the one that is named, else the nearest above `cwd`. Raises ConfigurationError."""
    named = environ.get("LAKEHOUSE_PROJECT")
    if named:
        return Path(named).expanduser().absolute()
    for folder in (cwd.absolute(), *cwd.absolute().parents):
        if (folder / "data_contracts").is_dir():
            return folder
    raise ConfigurationError(
        "project: there is no folder data_contracts here or above. Nothing was done. "
        "Go to the project's folder, set LAKEHOUSE_PROJECT, or make a project: lakehouse new DIR"
    )


@contextmanager
def environment(**given: str) -> Iterator[None]:
    """Set variables that child processes inherit; restore this process's own ones at the end."""
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
