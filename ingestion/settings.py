"""The environment as frozen values, read once at the edge.

LAKEHOUSE_ROOT      the lake: a folder or a URI; default `<project>/lake`
LAKEHOUSE_ENGINE    reads sources and writes the lake: embedded (this process, the default) or spark
LAKEHOUSE_PROJECT   the folder with data_contracts/ and dbt_project/; default: the nearest one above the current folder
LAKEHOUSE_MEMORY    DuckDB's memory limit in a build or a query; default 1GB
LAKEHOUSE_LOAD_MEMORY  the same in a load, repair or gap check, where Arrow needs the same amount too; default 256MB
LAKEHOUSE_MASK_SALT  the secret salt of the hashes of personal values in Gold; Gold is not built without it
LAKEHOUSE_DBT_SECONDS  how long one dbt process may take, after which it is stopped; default 14400 (4 hours)
AIRFLOW_CONN_<SYSTEM>  a source's connection in Airflow's form: a URI or a JSON object
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from ingestion.errors import ConfigurationError

CONNECTION_PREFIX = "AIRFLOW_CONN_"
DEFAULT_MAX_SESSIONS = 3
ENGINES = ("embedded", "spark")
DBT_SECONDS = 4 * 3600.0
DAYS_KEPT = 7
"""How long `maintain` keeps the files of earlier versions, unless told otherwise."""
DEBUG = "LAKEHOUSE_DEBUG"
_FORMS = {
    "oracle": "oracle://user:password@host:1521/service",
    "sqlserver": "mssql://user:password@host:1433/database",
    "duckdb": "duckdb:///folder/file.duckdb",
}
DIALECTS = {"oracle": "oracle", "mssql": "sqlserver", "sqlserver": "sqlserver", "duckdb": "duckdb"}
"""Type of a connection -> the kind of database behind it, as contracts name it."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Address and login of a system. The repr never shows the password."""

    type: str
    host: str = ""
    port: int | None = None
    schema: str = ""
    login: str = ""
    password: str = field(default="", repr=False)
    extra: Mapping[str, str] = field(default_factory=dict, repr=False)

    def as_json(self) -> str:
        """Return the connection as Airflow and `parse_connection` read it from a variable, its password included."""
        named = {name: getattr(self, name) for name in ("host", "port", "schema", "login", "password")}
        return json.dumps({"conn_type": self.type, **named, "extra": dict(self.extra)})

    @property
    def clock(self) -> datetime | None:
        """
        The moment of a database that is a copy of an earlier state, UTC (extra `clock`, ISO 8601).

        Fixed points have it instead of the server's own clock. Raises ConfigurationError.
        """
        text = self.extra.get("clock")
        if not text:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise ConfigurationError(
                "connection: the extra clock must be ISO 8601 with an offset, e.g. 2026-03-02T03:00:00+00:00. "
                "Nothing was read. Correct or remove it."
            )
        return moment.astimezone(UTC)

    @property
    def max_sessions(self) -> int:
        """How many sessions one load may hold at once (extra `max_sessions`). Raises ConfigurationError."""
        text = self.extra.get("max_sessions") or str(DEFAULT_MAX_SESSIONS)
        if not text.isdecimal() or int(text) < 1:
            raise ConfigurationError(
                "connection: the extra max_sessions must be a whole number above 0. Nothing was read. Correct it."
            )
        return int(text)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that differs between machines. `unreadable` has a message per system whose connection is no URI."""

    project: Path
    lake_root: str
    memory_limit: str = "1GB"
    connections: Mapping[str, Connection] = field(default_factory=dict)
    load_memory: str = "256MB"
    engine: str = "embedded"
    mask_salt: str = field(default="", repr=False)
    dbt_seconds: float = DBT_SECONDS
    unreadable: Mapping[str, str] = field(default_factory=dict)

    @property
    def contracts(self) -> Path:
        return self.project / "data_contracts"

    @property
    def dbt_project(self) -> Path:
        return self.project / "dbt_project"

    def connection(self, system: str, dialect: str | None = None) -> Connection:
        """
        Return a system's connection. `dialect` is the kind of database in its contracts, if it is known.

        Raises ConfigurationError with what to set, or to correct in what is set.
        """
        variable = f"{CONNECTION_PREFIX}{system.upper()}"
        found = self.connections.get(system)
        if found is None and system in self.unreadable:
            raise ConfigurationError(f"{system}: {self.unreadable[system]}")
        if found is None:
            raise ConfigurationError(
                f"{system}: no connection is set. Nothing was read. Set {variable} to {_forms(dialect)} "
                f"(in Airflow: add the connection {system}). To try the program without a database: lakehouse demo"
            )
        if found.type not in DIALECTS:
            raise ConfigurationError(
                f"{system}: {variable} begins with {found.type}://, which is no known kind of database. Nothing was "
                f"read. Write it as {_forms(dialect)}."
            )
        return found

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], cwd: Path | None = None) -> Settings:
        """Read the settings from environment variables. Raises ConfigurationError."""
        project = _project(environ, cwd or Path.cwd())
        connections, unreadable = _connections(environ)
        return cls(
            project=project,
            lake_root=environ.get("LAKEHOUSE_ROOT") or str(project / "lake"),
            memory_limit=environ.get("LAKEHOUSE_MEMORY") or "1GB",
            load_memory=environ.get("LAKEHOUSE_LOAD_MEMORY") or "256MB",
            engine=_engine(environ.get("LAKEHOUSE_ENGINE") or "embedded"),
            mask_salt=environ.get("LAKEHOUSE_MASK_SALT") or "",
            dbt_seconds=_seconds("LAKEHOUSE_DBT_SECONDS", environ.get("LAKEHOUSE_DBT_SECONDS"), DBT_SECONDS),
            connections=connections,
            unreadable=unreadable,
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


def _seconds(name: str, text: str | None, default: float) -> float:
    try:
        seconds = float(text) if text else default
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ConfigurationError(
            f"{name} is {text!r}; it must be a number of seconds above 0. Nothing was done. Correct it."
        )
    return seconds


def _project(environ: Mapping[str, str], cwd: Path) -> Path:
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


def parse_connection(name: str, value: str) -> Connection:
    """Read a connection in Airflow's URI or JSON form. The error never repeats the value."""
    try:
        return _from_json(value) if value.lstrip().startswith("{") else _from_uri(value)
    except (ValueError, TypeError, KeyError):
        raise ConfigurationError(
            f"{name} is neither a URI (type://user:password@host:port/name?extra=…) nor a JSON object with conn_type. "
            "Nothing was done. Correct it (its value is not shown here); in a URI, write / ? # and @ of a password as "
            "%2F %3F %23 and %40."
        ) from None


def _from_json(value: str) -> Connection:
    given = json.loads(value)
    extra = given.get("extra") or {}
    if isinstance(extra, str):
        extra = json.loads(extra)
    return Connection(
        type=_type(given["conn_type"]),
        host=given.get("host") or "",
        port=int(given["port"]) if given.get("port") else None,
        schema=given.get("schema") or "",
        login=given.get("login") or "",
        password=given.get("password") or "",
        extra={key: str(item) for key, item in extra.items()},
    )


def _from_uri(value: str) -> Connection:
    parts = urlsplit(value)
    if not parts.scheme or "://" not in value:
        raise ValueError("no scheme")
    if parts.fragment or (parts.netloc and "@" in parts.path) or ("@" not in parts.netloc and "@" in parts.query):
        raise ValueError("a part of the password would be read as the host, the path or the query")
    extra = dict(parse_qsl(parts.query, keep_blank_values=True))
    if "__extra__" in extra:
        extra.update({key: str(item) for key, item in json.loads(extra.pop("__extra__")).items()})
    return Connection(
        type=_type(parts.scheme),
        host=unquote(parts.hostname or ""),
        port=parts.port,
        schema=unquote(parts.path.removeprefix("/")),
        login=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        extra=extra,
    )


def _type(name: str) -> str:
    return name.replace("-", "_").lower()


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
