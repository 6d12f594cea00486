"""The JSON form of results: dates as ISO texts, exact numbers as texts, bytes in hexadecimal, NaN and infinities named.

Control characters in texts become JSON escapes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from math import isfinite, isnan
from typing import Any


def as_json(document: Any) -> str:
    """Return a document as indented JSON."""
    return json.dumps(_finite(document), indent=2, default=_json, ensure_ascii=False)


def array_of_rows(names: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield the pieces of a JSON array with an object per row, one row a line; holds one row at a time."""
    before = "[\n"
    for row in rows:
        yield f"{before}  {_line(dict(zip(names, row, strict=True)))}"
        before = ",\n"
    yield "[]" if before == "[\n" else "\n]"


def _line(document: dict[str, object]) -> str:
    try:
        return json.dumps(document, default=_json, ensure_ascii=False, allow_nan=False)
    except ValueError:  # it has a NaN or an infinity
        return json.dumps(_finite(document), default=_json, ensure_ascii=False)


def _finite(value: Any) -> Any:
    """Return a document with numbers that JSON lacks (NaN, infinities) replaced by their texts."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not isfinite(value):
        return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _json(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    return str(value)
