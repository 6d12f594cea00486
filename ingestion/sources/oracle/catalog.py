"""Reads Oracle's dictionary: finds the table that a contract names, and the declarations of its columns. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.model import Contract
from ingestion.contracts.types import UnknownTypeError, arrow_type
from ingestion.sql.quoting import quote_oracle

# ALL_TAB_COLUMNS leaves hidden columns out and shows only what the user may read
COLUMNS = (
    "SELECT COLUMN_NAME, DATA_TYPE, DATA_LENGTH, DATA_PRECISION, DATA_SCALE, NULLABLE, CHAR_LENGTH, CHAR_USED "
    "FROM ALL_TAB_COLUMNS WHERE OWNER = :owner AND TABLE_NAME = :name ORDER BY COLUMN_ID, COLUMN_NAME"
)

_BRACKETS = re.compile(r"\(([^)]*)\)")


@dataclass(frozen=True, slots=True)
class FoundTable:
    """A table with its name in the dictionary, and its columns in dictionary order."""

    owner: str
    name: str
    columns: tuple[FoundColumn, ...]

    @property
    def sql(self) -> str:
        return f"{quote_oracle(self.owner)}.{quote_oracle(self.name)}"


def candidates(contract: Contract, user: str) -> list[tuple[str, str]]:
    """Return owner and table as written in the contract, then in upper case. The owner defaults to the user."""
    owner = contract.source_table[-2] if len(contract.source_table) > 1 else user
    exact = (owner, contract.source_table[-1])
    folded = (owner.upper(), contract.source_table[-1].upper())
    return [exact] if exact == folded else [exact, folded]


class DictionaryRow(NamedTuple):
    """A row of `COLUMNS`; attributes that do not apply to a type are None."""

    name: str
    type: str
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    nullable: str = "Y"
    characters: int | None = None
    unit: str | None = None


def from_dictionary(row: DictionaryRow) -> FoundColumn:
    physical = declaration(row)
    return FoundColumn(row.name, physical, _arrow(physical), row.nullable != "N", "oracle")


def declaration(row: DictionaryRow) -> str:
    """Return a column's declaration in the form of the type plan, e.g. `NUMBER(12,2)` or `VARCHAR2(20 CHAR)`."""
    if row.type == "NUMBER":
        return _number(row.precision, row.scale)
    if row.type in ("VARCHAR2", "VARCHAR", "CHAR"):
        return f"{row.type}({row.characters} CHAR)" if row.unit == "C" else f"{row.type}({row.length})"
    sizes = {"FLOAT": row.precision, "NVARCHAR2": row.characters, "NCHAR": row.characters, "RAW": row.length}
    if sizes.get(row.type):
        return f"{row.type}({sizes[row.type]})"
    # the dictionary has the full TIMESTAMP(6) WITH TIME ZONE; the type plan has intervals without digits
    return _BRACKETS.sub("", row.type) if row.type.startswith(("INTERVAL", "UROWID")) else row.type


def _number(precision: int | None, scale: int | None) -> str:
    if precision is None:
        return "NUMBER" if scale is None else f"NUMBER(*,{scale})"
    return f"NUMBER({precision},{scale})" if scale else f"NUMBER({precision})"


def _arrow(physical_type: str) -> pa.DataType | None:
    try:
        return arrow_type("oracle", physical_type)
    except UnknownTypeError:
        return None
