"""Finds out, before any table is read, which systems can be reached: one cause is told once, not once per table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import groupby

from ingestion.contracts.odcs import find_contract, list_contract_ids
from ingestion.errors import (
    ConfigurationError,
    LakehouseError,
    LoginRefusedError,
    SecretStoreUnavailableError,
    SourceUnavailableError,
)
from ingestion.runs.each import Failed, as_ours, is_error
from ingestion.settings import DIALECTS, Settings
from ingestion.sources import open_source

_TOLD_ONCE = (ConfigurationError, LoginRefusedError, SecretStoreUnavailableError, SourceUnavailableError)
NAMED = 3
"""How many of the tables a message names."""
_NAMES = {"oracle": ("Oracle", "oracle"), "sqlserver": ("SQL Server", "mssql")}


Probe = Callable[[Callable[[], str]], str]


def reaching_once(probe: Callable[[], str]) -> str:
    return probe()


def reach(
    settings: Settings, contract_ids: Iterable[str], probe: Probe = reaching_once
) -> tuple[list[str], list[Failed]]:
    """
    Log in to the system of each table once; return the tables that can be read, in their order, and the others.

    Tables of one system have the same error, which names the system and how many tables it concerns. Ids without a
    contract are returned as readable: whoever reads them finds out. `probe` calls what it is given, and may call it
    again. Writes nothing.
    """
    chosen = list(dict.fromkeys(contract_ids))
    known = set(list_contract_ids(settings.contracts)) & {*chosen}
    unread: dict[str, Failed] = {}
    for system, ids in groupby(sorted(known), key=lambda contract_id: contract_id.partition(".")[0]):
        tables = list(ids)
        error = _fault(settings, system, tables, probe)
        if error is not None:
            unread |= {contract_id: Failed(contract_id, error, is_started=False) for contract_id in tables}
    return [i for i in chosen if i not in unread], [unread[i] for i in chosen if i in unread]


def _fault(settings: Settings, system: str, tables: Sequence[str], probe: Probe) -> LakehouseError | None:
    """Return why a system cannot be reached, as the error of these tables; None if it can be."""
    try:
        probe(open_source(system, settings.connection(system)).probe)
    except BaseException as exc:
        if not is_error(exc):
            raise
        error, dialect = as_ours(system, exc), _dialect(settings, tables)
    else:
        return None
    if type(error) is ConfigurationError:
        error = _worded(settings, system, dialect) or error
    if type(error) not in _TOLD_ONCE:
        return error
    message = str(error).removeprefix(f"{system}: ")
    told = type(error)(f"{_subject(system, tables)}: {message}{_hint(settings, system, dialect)}")
    told.__cause__ = error.__cause__
    return told


def _worded(settings: Settings, system: str, dialect: str | None) -> LakehouseError | None:
    """Return the error of a missing or unknown connection with the form that this kind of database needs."""
    try:
        settings.connection(system, dialect)
    except ConfigurationError as exc:
        return exc
    return None


def _dialect(settings: Settings, tables: Sequence[str]) -> str | None:
    """Return the kind of database that a system's contracts are for; None if none of them can be read."""
    for contract_id in tables:
        with suppress(LakehouseError):
            return find_contract(settings.contracts, contract_id).dialect
    return None


def _subject(system: str, tables: Sequence[str]) -> str:
    named = ", ".join(tables[:NAMED])
    rest = f" and {len(tables) - NAMED:,} more" if len(tables) > NAMED else ""
    return f"{system} ({len(tables):,} tables: {named}{rest})" if len(tables) > 1 else f"{system} ({named})"


def _hint(settings: Settings, system: str, dialect: str | None) -> str:
    """Return a sentence on a connection whose kind of database is not that of the contracts; empty if it may be."""
    connection = settings.known_connection(system)
    if connection is None or dialect not in _NAMES or DIALECTS.get(connection.type) in (None, dialect, "duckdb"):
        return ""
    name, scheme = _NAMES[dialect]
    return (
        f" The contracts of {system} are for {name}, but AIRFLOW_CONN_{system.upper()} begins with "
        f"{connection.type}://: it should begin with {scheme}://."
    )
