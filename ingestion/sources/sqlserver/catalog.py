"""Reads SQL Server's catalog: finds the table that a contract names, and the declarations of its columns. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.model import Contract
from ingestion.contracts.types import UnknownTypeError, arrow_type
from ingestion.sql.quoting import quote_sqlserver

DIALECT = "sqlserver"
DEFAULT_SCHEMA = "dbo"

# an alias type is shown as its base type; the catalog shows only what the user may read
COLUMNS = (
    "SELECT CAST(o.object_id AS int), CAST(c.name AS nvarchar(128)), CAST(COALESCE(b.name, t.name) AS nvarchar(128)), "
    "CAST(c.max_length AS int), CAST(c.precision AS int), CAST(c.scale AS int), CAST(c.is_nullable AS int) "
    "FROM sys.columns c JOIN sys.objects o ON o.object_id = c.object_id "
    "JOIN sys.schemas s ON s.schema_id = o.schema_id JOIN sys.types t ON t.user_type_id = c.user_type_id "
    "LEFT JOIN sys.types b ON b.user_type_id = c.system_type_id "
    "WHERE s.name = ? AND o.name = ? AND o.type_desc IN ('USER_TABLE', 'VIEW') ORDER BY c.column_id"
)

_CATALOG_NAMES = {"timestamp": "rowversion"}


@dataclass(frozen=True, slots=True)
class FoundTable:
    """A table of the catalog, and its columns in catalog order."""

    schema: str
    name: str
    columns: tuple[FoundColumn, ...]
    object_id: int

    @property
    def sql(self) -> str:
        return f"{quote_sqlserver(self.schema)}.{quote_sqlserver(self.name)}"


class CatalogRow(NamedTuple):
    """A row of `COLUMNS` without the table's id; lengths are in bytes, -1 for max."""

    name: str
    type: str
    length: int
    precision: int = 0
    scale: int = 0
    nullable: bool = True


def table_name(contract: Contract) -> tuple[str, str]:
    """Return schema and table as written in the contract."""
    schema = contract.source_table[-2] if len(contract.source_table) > 1 else DEFAULT_SCHEMA
    return schema, contract.source_table[-1]


def from_catalog(row: CatalogRow) -> FoundColumn:
    physical = declaration(row)
    return FoundColumn(row.name, physical, _arrow(physical), bool(row.nullable), DIALECT)


def declaration(row: CatalogRow) -> str:
    """Return a column's declaration in the form of the type plan, e.g. `decimal(12,2)` or `nvarchar(50)`."""
    name = _CATALOG_NAMES.get(row.type.lower(), row.type.lower())
    if name in ("decimal", "numeric"):
        return f"{name}({row.precision},{row.scale})"
    if name in ("datetime2", "datetimeoffset", "time"):
        return f"{name}({row.scale})"
    if name in ("char", "varchar", "binary", "varbinary", "nchar", "nvarchar"):
        length = row.length // 2 if name.startswith("n") else row.length
        return f"{name}(max)" if row.length < 0 else f"{name}({length})"
    return name


def _arrow(physical_type: str) -> pa.DataType | None:
    try:
        return arrow_type(DIALECT, physical_type)
    except UnknownTypeError:
        return None
