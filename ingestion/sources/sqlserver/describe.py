"""Tables as SQL Server's catalog describes them, for contracts that are still to be written."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter

from ingestion.contracts.facts import ColumnFacts, ColumnId, TableFacts
from ingestion.errors import PermanentError
from ingestion.sources.sqlserver.catalog import CatalogRow, from_catalog
from ingestion.sources.sqlserver.session import Session

_COLUMNS = (
    "SELECT CAST(s.name AS nvarchar(128)), CAST(o.name AS nvarchar(128)), CAST(o.object_id AS int), "
    "CAST(c.column_id AS int), CAST(c.name AS nvarchar(128)), CAST(COALESCE(b.name, t.name) AS nvarchar(128)), "
    "CAST(c.max_length AS int), CAST(c.precision AS int), CAST(c.scale AS int), CAST(c.is_nullable AS int) "
    "FROM sys.columns c JOIN sys.objects o ON o.object_id = c.object_id "
    "JOIN sys.schemas s ON s.schema_id = o.schema_id JOIN sys.types t ON t.user_type_id = c.user_type_id "
    "LEFT JOIN sys.types b ON b.user_type_id = c.system_type_id "
    "WHERE s.name = ? AND (? = '' OR o.name = ?) AND o.type_desc IN ('USER_TABLE', 'VIEW') ORDER BY o.name, c.column_id"
)
_KEYS = (
    "SELECT CAST(i.object_id AS int), CAST(k.column_id AS int) FROM sys.indexes i JOIN sys.index_columns k "
    "ON k.object_id = i.object_id AND k.index_id = i.index_id WHERE i.is_primary_key = 1 "
    "ORDER BY i.object_id, k.key_ordinal"
)
_REFERENCES = (
    "SELECT CAST(k.TABLE_NAME AS nvarchar(128)), CAST(k.COLUMN_NAME AS nvarchar(128)), "
    "CAST(p.TABLE_SCHEMA AS nvarchar(128)), CAST(p.TABLE_NAME AS nvarchar(128)), CAST(p.COLUMN_NAME AS nvarchar(128)) "
    "FROM INFORMATION_SCHEMA.REFERENTIAL_CONSTRAINTS r JOIN INFORMATION_SCHEMA.KEY_COLUMN_USAGE k "
    "ON k.CONSTRAINT_SCHEMA = r.CONSTRAINT_SCHEMA AND k.CONSTRAINT_NAME = r.CONSTRAINT_NAME "
    "JOIN INFORMATION_SCHEMA.KEY_COLUMN_USAGE p ON p.CONSTRAINT_SCHEMA = r.UNIQUE_CONSTRAINT_SCHEMA "
    "AND p.CONSTRAINT_NAME = r.UNIQUE_CONSTRAINT_NAME AND p.ORDINAL_POSITION = k.ORDINAL_POSITION "
    "WHERE k.TABLE_SCHEMA = ?"
)
_TRACKED = "SELECT CAST(object_id AS int), CAST(1 AS int) FROM sys.change_tracking_tables"
_COMMENTS = (
    "SELECT CAST(major_id AS int), CAST(minor_id AS int), CAST(value AS nvarchar(3750)) FROM sys.extended_properties "
    "WHERE class = 1 AND name = N'MS_Description'"
)


def describe(session: Session, schema: str, table: str | None) -> list[TableFacts]:
    """Return the tables and views of a schema that the user may see, by name."""
    rows = session.rows(_COLUMNS, [schema, table or "", table or ""])
    keys = session.rows(_KEYS)
    tracked = {object_id for object_id, _ in session.rows(_TRACKED)}
    comments = _comments(session)
    references = _references(session, schema)
    tables = []
    for (owner, name, object_id), own in groupby(rows, key=itemgetter(0, 1, 2)):
        columns = {row[3]: from_catalog(CatalogRow(*row[4:])) for row in own}
        tables.append(
            TableFacts(
                owner,
                name,
                tuple(ColumnFacts(found, comments.get((object_id, at), "")) for at, found in columns.items()),
                tuple(columns[at].name for of, at in keys if of == object_id),
                comments.get((object_id, 0), ""),
                tracks_changes=object_id in tracked,
                references=references.get(name, {}),
            )
        )
    return tables


def _references(session: Session, schema: str) -> dict[str, dict[ColumnId, ColumnId]]:
    found: dict[str, dict[ColumnId, ColumnId]] = {}
    for table, column, *other in session.rows(_REFERENCES, [schema]):
        found.setdefault(table, {})[ColumnId(schema, table, column)] = ColumnId(*other)
    return found


def _comments(session: Session) -> dict[tuple[int, int], str]:
    try:
        return {(table, column): text for table, column, text in session.rows(_COMMENTS)}
    except PermanentError:  # no right to read them: a contract does not need them
        return {}
