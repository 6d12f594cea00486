"""Tables as Oracle's dictionary describes them, for contracts that are still to be written."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any

from ingestion.contracts.facts import ColumnFacts, ColumnId, TableFacts
from ingestion.sources.oracle.catalog import DictionaryRow, from_dictionary
from ingestion.sources.oracle.session import Session

_COLUMNS = (
    "SELECT c.TABLE_NAME, m.COMMENTS, c.COLUMN_NAME, c.DATA_TYPE, c.DATA_LENGTH, c.DATA_PRECISION, c.DATA_SCALE, "
    "c.NULLABLE, c.CHAR_LENGTH, c.CHAR_USED FROM ALL_TAB_COLUMNS c "
    "LEFT JOIN ALL_COL_COMMENTS m ON m.OWNER = c.OWNER AND m.TABLE_NAME = c.TABLE_NAME "
    "AND m.COLUMN_NAME = c.COLUMN_NAME WHERE c.OWNER = :owner{table} ORDER BY c.TABLE_NAME, c.COLUMN_ID"
)
_KEYS = (
    "SELECT k.TABLE_NAME, k.COLUMN_NAME FROM ALL_CONSTRAINTS c JOIN ALL_CONS_COLUMNS k "
    "ON k.OWNER = c.OWNER AND k.CONSTRAINT_NAME = c.CONSTRAINT_NAME AND k.TABLE_NAME = c.TABLE_NAME "
    "WHERE c.CONSTRAINT_TYPE = 'P' AND c.OWNER = :owner ORDER BY k.TABLE_NAME, k.POSITION"
)
_REFERENCES = (
    "SELECT c.TABLE_NAME, k.COLUMN_NAME, p.OWNER, p.TABLE_NAME, p.COLUMN_NAME FROM ALL_CONSTRAINTS c "
    "JOIN ALL_CONS_COLUMNS k ON k.OWNER = c.OWNER AND k.CONSTRAINT_NAME = c.CONSTRAINT_NAME "
    "JOIN ALL_CONS_COLUMNS p ON p.OWNER = c.R_OWNER AND p.CONSTRAINT_NAME = c.R_CONSTRAINT_NAME "
    "AND p.POSITION = k.POSITION WHERE c.CONSTRAINT_TYPE = 'R' AND c.OWNER = :owner ORDER BY c.TABLE_NAME"
)
_COMMENTS = "SELECT TABLE_NAME, COMMENTS FROM ALL_TAB_COMMENTS WHERE OWNER = :owner"


def describe(session: Session, owner: str, table: str | None) -> list[TableFacts]:
    """Return the tables and views of an owner that the user may read, by name."""
    only, binds = (" AND c.TABLE_NAME = :name", {"name": table}) if table else ("", {})
    rows = session.rows(_COLUMNS.format(table=only), {"owner": owner, **binds})
    keys = _grouped(session.rows(_KEYS, {"owner": owner}))
    references = _references(owner, session.rows(_REFERENCES, {"owner": owner}))
    comments = dict(session.rows(_COMMENTS, {"owner": owner}))
    return [
        TableFacts(
            owner,
            name,
            tuple(ColumnFacts(from_dictionary(DictionaryRow(*row[2:])), row[1] or "") for row in columns),
            tuple(keys.get(name, ())),
            comments.get(name) or "",
            references=references.get(name, {}),
        )
        for name, columns in groupby(rows, key=itemgetter(0))
    ]


def _references(owner: str, rows: Iterable[tuple[Any, ...]]) -> dict[str, dict[ColumnId, ColumnId]]:
    found: dict[str, dict[ColumnId, ColumnId]] = {}
    for table, column, *other in rows:
        found.setdefault(table, {})[ColumnId(owner, table, column)] = ColumnId(*other)
    return found


def _grouped(pairs: Iterable[tuple[Any, ...]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, column in pairs:
        grouped.setdefault(name, []).append(column)
    return grouped
