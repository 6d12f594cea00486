"""How many rows one fetch may hold, from declarations alone: the driver's buffer is as wide as a row can be. Pure."""

from __future__ import annotations

from ingestion.contracts.declared import split_declaration
from ingestion.contracts.drift import FoundColumn
from ingestion.sources.sqlserver.expressions import BYTES, CHARACTERS
from ingestion.sources.sqlserver.predicates import LARGE_OBJECT_BYTES, is_large

BUFFER_BYTES = 16 * 1024 * 1024  # two buffers: one is filled while the other is read
MAX_ROWS = 16 * 1024  # longer fetches are not faster

_FIXED_WIDTH = 64


def rows_per_fetch(found: tuple[FoundColumn, ...]) -> list[int]:
    """
    Return the rows of one fetch, per lane of `lanes`: one number, or two where there are large objects.

    Rows with an object above the lane's limit are fetched one by one.
    """
    width = sum(_width(column) for column in found)
    rows = max(1, min(MAX_ROWS, BUFFER_BYTES // max(1, width)))
    return [rows, 1] if any(is_large(column) for column in found) else [rows]


def _width(column: FoundColumn) -> int:
    """Return the bytes that the driver reserves for a value: texts as UTF-16."""
    base, arguments = split_declaration(column.physical_type)
    if is_large(column):
        return 4 * LARGE_OBJECT_BYTES
    if (base in CHARACTERS or base in BYTES) and arguments:
        return max(_FIXED_WIDTH, (4 if base in BYTES else 2) * int(arguments[0]))
    return 8000 if base == "SQL_VARIANT" else _FIXED_WIDTH
