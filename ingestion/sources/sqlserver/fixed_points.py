"""Fixed points, and the rights and settings that they need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ingestion.contracts.model import Contract, Mode
from ingestion.contracts.window import FixedPoint
from ingestion.errors import ConfigurationError, PermanentError
from ingestion.sources.base import Grant, is_permitted
from ingestion.sources.driver_errors import unreadable
from ingestion.sources.sqlserver.catalog import COLUMNS, CatalogRow, FoundTable, from_catalog, table_name
from ingestion.sources.sqlserver.session import Session

DEGRADED = (
    "the database does not allow snapshot isolation: each statement sees its own state, so a table that changes while "
    "it is loaded may be refused because counts differ, and rows that move meanwhile may be missed until the next load"
)
ALLOW = "ALTER DATABASE ... SET ALLOW_SNAPSHOT_ISOLATION ON"

# rows below this rowversion are committed; read before the snapshot begins, so that it includes them all
_NOW = (
    "SELECT CONVERT(varchar(27), SYSUTCDATETIME(), 121), CAST(MIN_ACTIVE_ROWVERSION() AS bigint), "
    "CAST(ISNULL((SELECT snapshot_isolation_state FROM sys.databases WHERE database_id = DB_ID()), 0) AS int)"
)
_VERSION = "SELECT CHANGE_TRACKING_CURRENT_VERSION()"
_TRACKED = "SELECT COUNT(*) FROM sys.change_tracking_tables WHERE object_id = {}"

_PRIMARY_KEY = (
    "SELECT CAST(c.name AS nvarchar(128)) FROM sys.indexes i JOIN sys.index_columns k ON k.object_id = i.object_id "
    "AND k.index_id = i.index_id JOIN sys.columns c ON c.object_id = k.object_id AND c.column_id = k.column_id "
    "WHERE i.is_primary_key = 1 AND i.object_id = {} ORDER BY k.key_ordinal"
)


@dataclass(frozen=True, slots=True)
class State:
    """What a session sees: its fixed point, and the rowversion that some open transaction may still write."""

    fixed_point: FixedPoint
    active_rowversion: int
    degraded: str | None = None


def begin(session: Session, system: str, kind: str) -> State:
    """
    Fix what the session sees until its end: a snapshot, or (kind statement) nothing.

    Raises ConfigurationError if the database does not allow snapshots.
    """
    ((text, active, allowed),) = session.rows(_NOW)
    moment = datetime.fromisoformat(text[:26]).replace(tzinfo=UTC)
    if kind == "statement":
        return State(FixedPoint("statement", str(active), moment, int(active)), int(active), DEGRADED)
    if allowed != 1:
        raise ConfigurationError(
            f"{system}: the database does not allow snapshot isolation. Nothing was read. "
            f"Run {ALLOW}, or accept less with the connection's extra fixed_point=statement."
        )
    session.execute("SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION")
    # a version that is read before the first row is never newer than the rows
    version = _change_version(session)
    if version is None:
        return State(FixedPoint("snapshot", str(active), moment, int(active)), int(active))
    return State(FixedPoint("change_tracking", str(version), moment, version), int(active))


def find_table(session: Session, contract: Contract) -> FoundTable:
    """Return the contracted table as the catalog shows it to this user. Raises BrokenContractError."""
    schema, name = table_name(contract)
    rows = session.rows(COLUMNS, [schema, name], contract)
    if not rows:
        raise unreadable(contract, "no such table in the source, or no right to see it")
    return FoundTable(schema, name, tuple(from_catalog(CatalogRow(*row[1:])) for row in rows), int(rows[0][0]))


def is_tracked(session: Session, table: FoundTable) -> bool:
    ((count,),) = session.rows(_TRACKED.format(table.object_id))
    return bool(count)


def primary_key(session: Session, table: FoundTable) -> list[str]:
    """Return the columns that identify a row in the change log."""
    return [name for (name,) in session.rows(_PRIMARY_KEY.format(table.object_id))]


def list_grants(session: Session, contracts: Sequence[Contract]) -> list[Grant]:
    """Return the rights and settings needed to read the contracted tables, each one tested."""
    ((_, _, allowed),) = session.rows(_NOW)
    grants = [Grant("ALLOW_SNAPSHOT_ISOLATION", allowed == 1, "" if allowed == 1 else DEGRADED)]
    for contract in contracts:
        grants += _table_grants(session, contract)
    return grants


def _table_grants(session: Session, contract: Contract) -> list[Grant]:
    name = ".".join(contract.source_table)
    try:
        table = find_table(session, contract)
        session.rows(f"SELECT TOP 0 1 AS one FROM {table.sql}")
    except PermanentError:
        return [Grant(f"SELECT on {name}", False, f"{contract.id} cannot be loaded (or the table does not exist)")]
    grants = [Grant(f"SELECT on {name}", True, "")]
    if contract.mode is Mode.CHANGES:
        has_log = is_tracked(session, table) and is_permitted(
            session.rows, f"SELECT TOP 0 1 AS one FROM CHANGETABLE(CHANGES {table.sql}, 0) AS c"
        )
        without = f"{contract.id} cannot be read by mode changes: enable it, and grant VIEW CHANGE TRACKING"
        grants.append(Grant(f"Change Tracking of {name}", has_log, "" if has_log else without))
    return grants


def _change_version(session: Session) -> int | None:
    ((version,),) = session.rows(_VERSION)
    return None if version is None else int(version)
