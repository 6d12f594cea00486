"""Looks into every file below a folder for values: texts, statistics and footers of Parquet files, and their rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


@dataclass
class Searched:
    """How much was searched, and which file (from the folder on) holds which value."""

    files: int
    bytes: int
    found: list[tuple[str, str]]


def search(folder: Path, values: Iterable[str]) -> Searched:
    """Search all files for values, in their bytes and, of Parquet files, in their decoded columns and statistics."""
    wanted, result = set(values), Searched(0, 0, [])
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name, content = str(path.relative_to(folder)), path.read_bytes()
        result.files, result.bytes = result.files + 1, result.bytes + len(content)
        texts = list(_texts_of(path)) if content[:4] == b"PAR1" else []
        result.found += [
            (name, value)
            for value in sorted(wanted)
            if value.encode() in content or any(value in text for text in texts)
        ]
    return result


def _texts_of(path: Path) -> Iterator[str]:
    """Yield the values of a Parquet file as text, each column's once, and the bounds of its row groups."""
    file = pq.ParquetFile(path)
    yield str(file.metadata.metadata)
    for group in range(file.metadata.num_row_groups):
        for at in range(file.metadata.num_columns):
            bounds = file.metadata.row_group(group).column(at).statistics
            if bounds is not None and bounds.has_min_max:
                yield f"{bounds.min} {bounds.max}"
    for column in file.read().columns:
        flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        yield "\n".join(map(str, flat.to_pylist()))
