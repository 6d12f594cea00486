"""Splits a table into chunks that sessions read in parallel at one SCN: by row address, else by the first key column.

Chunks between any ascending bounds hold every row once. So results are correct even if the bounds are uneven, and rows
that moved or were inserted since belong to exactly one chunk.
"""

from __future__ import annotations

import uuid
from contextlib import suppress

from ingestion.contracts.declared import base_of
from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.model import Contract
from ingestion.errors import PermanentError
from ingestion.sources.base import WHOLE, Chunk, cut
from ingestion.sources.conditions import found_column
from ingestion.sources.oracle.catalog import FoundTable
from ingestion.sources.oracle.expressions import CHARACTERS, NUMBERS
from ingestion.sources.oracle.predicates import Condition, bound, spelled
from ingestion.sources.oracle.session import Session
from ingestion.sql.quoting import quote_oracle as quote

ROWID, KEY = "rowid", "key"

BLOCKS = "SELECT BLOCKS FROM ALL_TABLES WHERE OWNER = :owner AND TABLE_NAME = :name AND IOT_TYPE IS NULL"
# the package keeps its chunks in the dictionary until the task is dropped; its commit does not affect a read
CREATE_TASK = (
    "BEGIN DBMS_PARALLEL_EXECUTE.CREATE_TASK(:task); DBMS_PARALLEL_EXECUTE.CREATE_CHUNKS_BY_ROWID"
    "(:task, :owner, :name, by_row => FALSE, chunk_size => :blocks); END;"
)
TASK_CHUNKS = (
    "SELECT ROWIDTOCHAR(START_ROWID) FROM USER_PARALLEL_EXECUTE_CHUNKS WHERE TASK_NAME = :task ORDER BY START_ROWID"
)
DROP_TASK = "BEGIN DBMS_PARALLEL_EXECUTE.DROP_TASK(:task); END;"
_FIRST_ROW = "DBMS_ROWID.ROWID_CREATE(1, o.DATA_OBJECT_ID, e.RELATIVE_FNO, e.BLOCK_ID, 0)"
EXTENTS = (
    f"SELECT ROWIDTOCHAR({_FIRST_ROW}) FROM DBA_EXTENTS e "
    "JOIN ALL_OBJECTS o ON o.OWNER = e.OWNER AND o.OBJECT_NAME = e.SEGMENT_NAME AND o.DATA_OBJECT_ID IS NOT NULL "
    "AND NVL(o.SUBOBJECT_NAME, ' ') = NVL(e.PARTITION_NAME, ' ') AND o.OBJECT_TYPE LIKE 'TABLE%' "
    f"WHERE e.OWNER = :owner AND e.SEGMENT_NAME = :name ORDER BY {_FIRST_ROW}"
)


def find_chunks(session: Session, contract: Contract, table: FoundTable, number: int, scn: int) -> tuple[Chunk, ...]:
    """Split a table into about `number` chunks; into one if no column or address can be used."""
    for find in (_task_bounds, _extent_bounds):
        with suppress(PermanentError):  # a right or a package is missing: the next method needs less
            bounds = find(session, table, number)
            if len(bounds) > 1:
                return cut(ROWID, _thinned(bounds[1:], number - 1))
    source = found_column(contract, contract.keys[0], table.columns)
    sql = key_bounds(source, table)
    if sql is None:
        return (WHOLE,)
    rows = session.rows(sql, {"tiles": number, "scn": scn}, contract)
    return cut(KEY, list(dict.fromkeys(str(text) for (text,) in rows[1:])))


def in_chunk(contract: Contract, chunk: Chunk, found: tuple[FoundColumn, ...]) -> Condition:
    """Return the condition of a chunk."""
    ends = [("chunk_low", ">=", chunk.low), ("chunk_high", "<", chunk.high)]
    conditions, binds = [], {}
    source = found_column(contract, contract.keys[0], found)
    for name, operator, text in ends:
        if text is None:
            continue
        left = "ROWID" if chunk.kind == ROWID else quote(source.name)
        right, value = (f"CHARTOROWID(:{name})", text) if chunk.kind == ROWID else bound(contract, source, name, text)
        conditions.append(f"{left} {operator} {right}")
        binds[name] = value
    if not conditions:
        return Condition()
    sql = " AND ".join(conditions)
    if chunk.low is None and chunk.kind == KEY and source.nullable:
        sql = f"({sql} OR {quote(source.name)} IS NULL)"
    return Condition(sql, binds)


def key_bounds(source: FoundColumn, table: FoundTable) -> str | None:
    """Return the query of the first key of each of `:tiles` equal parts at `:scn`; None if the key has no order."""
    base = base_of(source.physical_type)
    if base not in NUMBERS | CHARACTERS | {"DATE", "TIMESTAMP"}:
        return None
    key = quote(source.name)
    return (
        f"SELECT {spelled(source, f'MIN({key})')} FROM (SELECT {key}, NTILE(:tiles) OVER (ORDER BY {key}) AS TILE "
        f"FROM {table.sql} AS OF SCN :scn WHERE {key} IS NOT NULL) GROUP BY TILE ORDER BY MIN({key})"
    )


def _task_bounds(session: Session, table: FoundTable, number: int) -> list[str]:
    names = {"owner": table.owner, "name": table.name}
    rows = session.rows(BLOCKS, names)
    if not rows or not rows[0][0]:
        return []
    task = {"task": f"LAKEHOUSE_{uuid.uuid4().hex[:16].upper()}"}
    try:
        session.execute(CREATE_TASK, task | names | {"blocks": max(1, int(rows[0][0]) // number)})
        return [text for (text,) in session.rows(TASK_CHUNKS, task)]
    finally:
        with suppress(PermanentError):
            session.execute(DROP_TASK, task)


def _extent_bounds(session: Session, table: FoundTable, _number: int) -> list[str]:
    return [text for (text,) in session.rows(EXTENTS, {"owner": table.owner, "name": table.name})]


def _thinned(bounds: list[str], number: int) -> list[str]:
    """Return at most `number` of the bounds, evenly spread."""
    if len(bounds) <= number:
        return bounds
    return [bounds[at * len(bounds) // number] for at in range(number)]
