"""How many rows one fetch may hold, from declarations alone: a byte budget, not a row budget. Pure."""

from __future__ import annotations

from ingestion.contracts.declared import base_of, split_declaration
from ingestion.contracts.drift import FoundColumn
from ingestion.sources.oracle.expressions import CHARACTERS, LARGE_OBJECTS, LONG_VALUES
from ingestion.sources.oracle.predicates import LARGE_OBJECT_CHARACTERS

USUAL_BYTES = 8 * 1024 * 1024
WORST_BYTES = 64 * 1024 * 1024
MAX_ROWS = 8 * 1024  # longer fetches are not faster and cost memory

_FIXED_WIDTH = 24
_ROWS_OF_LONG_VALUES = 16


def rows_per_fetch(found: tuple[FoundColumn, ...]) -> list[int]:
    """
    Return the rows of one fetch, per lane of `lanes`: one number, or two where there are large objects.

    Texts are rarely as long as declared: a fetch takes at most USUAL_BYTES if texts have a quarter of their length, and
    never more than WORST_BYTES. Rows with an object above the lane's limit are fetched one by one.
    """
    kinds = [base_of(column.physical_type) for column in found]
    widths = [_width(column) for column in found]
    usual = sum(min(width, _FIXED_WIDTH + width // 4) for width in widths)
    rows = max(1, min(MAX_ROWS, USUAL_BYTES // max(1, usual), WORST_BYTES // max(1, sum(widths))))
    if any(kind in LONG_VALUES for kind in kinds):
        rows = min(rows, _ROWS_OF_LONG_VALUES)
    return [rows, 1] if any(kind in LARGE_OBJECTS for kind in kinds) else [rows]


def _width(column: FoundColumn) -> int:
    """Return the most bytes a value takes, as UTF-8; of a large object in its lane."""
    base, arguments = split_declaration(column.physical_type)
    if base in LARGE_OBJECTS:
        return LARGE_OBJECT_CHARACTERS * (1 if base == "BLOB" else 4)
    if base in CHARACTERS and arguments:
        length, _, unit = arguments[0].partition(" ")
        return int(length) * (4 if unit or base.startswith("N") else 1)
    if base == "RAW" and arguments:
        return int(arguments[0])
    return _FIXED_WIDTH
