"""Address and login of a source database, in Airflow's form: a URI or a JSON object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import parse_qsl, unquote, urlsplit

from ingestion.errors import ConfigurationError
from ingestion.secrets import Secret, Secrets

DEFAULT_MAX_SESSIONS = 3
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
    origin: tuple[Secrets, str] | None = field(default=None, repr=False, compare=False)
    """Of a connection that was looked up: where, and its variable."""

    def newest(self) -> Connection:
        """Return the connection as its secret was last read; asks nobody."""
        return self if self.origin is None else self._as_in(self.origin[0].newest(self.origin[1]))

    def read_again(self) -> Connection:
        """Return the connection as its secret is now, after a server refused it. Raises what its place does."""
        return self if self.origin is None else self._as_in(self.origin[0].read_again(self.origin[1]))

    def _as_in(self, secret: Secret | None) -> Connection:
        if secret is None or self.origin is None:
            return self
        read = read_secret(*self.origin, secret)
        return self if read == self else read

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


def read_secret(secrets: Secrets, name: str, secret: Secret) -> Connection:
    """Return the connection that a secret holds. Raises as `parse_connection` does."""
    return replace(parse_connection(name, secret.reveal()), origin=(secrets, name))


def parse_connection(name: str, value: str) -> Connection:
    """Read a connection in Airflow's URI or JSON form. The error never repeats the value."""
    try:
        return _from_json(value) if value.lstrip().startswith("{") else _from_uri(value)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
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
