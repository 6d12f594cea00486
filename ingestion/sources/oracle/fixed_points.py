"""Fixed points and the rights they need. Rights are tested by use, because roles and ownership grant them too."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from ingestion.contracts.model import Contract
from ingestion.contracts.window import FixedPoint
from ingestion.errors import BrokenContractError, PermanentError
from ingestion.sources.base import Grant, is_permitted
from ingestion.sources.driver_errors import unreadable
from ingestion.sources.oracle.catalog import COLUMNS, DictionaryRow, FoundTable, candidates, from_dictionary
from ingestion.sources.oracle.session import Session

DEGRADED = (
    "the SCN is not to be had (EXECUTE on DBMS_FLASHBACK, or SELECT on V$DATABASE): a table is read in one read-only "
    "transaction of one session, without parallel chunks, and a load that breaks off starts from its beginning"
)

_NOW = "TO_CHAR(SYS_EXTRACT_UTC(SYSTIMESTAMP),'YYYY-MM-DD HH24:MI:SS.FF6')"
_SCN = {
    "EXECUTE on DBMS_FLASHBACK": f"SELECT DBMS_FLASHBACK.GET_SYSTEM_CHANGE_NUMBER, {_NOW} FROM DUAL",
    "SELECT on V$DATABASE": f"SELECT CURRENT_SCN, {_NOW} FROM V$DATABASE",
}


def newest_scn(session: Session) -> FixedPoint | None:
    """Return the newest SCN; None if the user may not read it. Its moment is the server's clock, in UTC."""
    for sql in _SCN.values():
        try:
            ((scn, moment),) = session.rows(sql)
        except PermanentError:
            continue
        return FixedPoint("scn", str(int(scn)), _utc(moment), int(scn))
    return None


def read_only_transaction(session: Session) -> FixedPoint:
    """Start a read-only transaction. The clock is read first, so that no row is newer than the moment."""
    ((moment,),) = session.rows(f"SELECT {_NOW} FROM DUAL")
    session.execute("SET TRANSACTION READ ONLY")
    return FixedPoint("transaction", _utc(moment).isoformat(), _utc(moment))


def find_table(session: Session, contract: Contract, user: str) -> FoundTable:
    """Return the contracted table as the dictionary shows it to this user. Raises BrokenContractError."""
    for owner, name in candidates(contract, user):
        rows = session.rows(COLUMNS, {"owner": owner, "name": name}, contract)
        if rows:
            return FoundTable(owner, name, tuple(from_dictionary(DictionaryRow(*row)) for row in rows))
    found = "no such table in the source, or no right to read it (Oracle tells neither)"
    raise unreadable(contract, found)


def list_grants(session: Session, contracts: Sequence[Contract], user: str) -> list[Grant]:
    """Return the rights needed to read the contracted tables, those on the SCN first."""
    point = newest_scn(session)
    grants = []
    for what, sql in _SCN.items():
        grants.append(Grant(what, is_permitted(session.rows, sql), "" if point else DEGRADED))
    for contract in contracts:
        grants += _table_grants(session, contract, user, point)
    return grants


def _table_grants(session: Session, contract: Contract, user: str, point: FixedPoint | None) -> list[Grant]:
    name = ".".join(contract.source_table)
    select, flashback = f"SELECT on {name}", f"FLASHBACK on {name}"
    try:
        table = find_table(session, contract, user)
    except BrokenContractError:
        return [Grant(select, False, f"{contract.id} cannot be loaded (or the table does not exist)")]
    has_select = is_permitted(session.rows, f"SELECT NULL FROM {table.sql} WHERE 1 = 0")
    grants = [Grant(select, has_select, "" if has_select else f"{contract.id} cannot be loaded")]
    if has_select and point is not None:
        sql = f"SELECT NULL FROM {table.sql} AS OF SCN {int(point.value)} WHERE 1 = 0"
        has_flashback = is_permitted(session.rows, sql)
        without = f"{contract.id} cannot be read as of an SCN: grant it, or set the connection's extra fixed_point"
        grants.append(Grant(flashback, has_flashback, "" if has_flashback else f"{without} to transaction"))
    return grants


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
