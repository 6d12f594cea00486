"""
The floats that the lake holds: one zero and one NaN.

IEEE 754 has two zeros, which compare as equal, and many NaNs. Parquet writers, bloom filters and hashes differ in
whether they distinguish them; see docs/decisions/0015. So every writer of a lake file writes 0.0 for -0.0, and one NaN
(the quiet one, positive, without payload) for any other. All other values keep every bit.
"""

from __future__ import annotations

import math

import pyarrow as pa


def canonical_floats(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch with one zero and one NaN in its float columns; the batch itself if it has no such column."""
    for index, field in enumerate(batch.schema):
        if pa.types.is_floating(field.type):
            batch = batch.set_column(index, field, _canonical(batch.column(index)))
    return batch


def _canonical(values: pa.Array) -> pa.Array:
    import pyarrow.compute as pc  # noqa: PLC0415 - takes 0.4 s, and a build imports this module only for its SQL

    one_zero = pc.add(values, pa.scalar(0.0, values.type))  # -0.0 + 0.0 is 0.0, any other sum is the value
    return pc.if_else(pc.is_nan(values), pa.scalar(math.nan, values.type), one_zero)


def canonical_sql(value: str, type_: str) -> str:
    """Return the same as DuckDB's SQL of a value and its type, `float` or `double`."""
    one_zero = f"when {value} = 0 then cast(0 as {type_}) else {value} end"
    return f"case when isnan({value}) then cast('nan' as {type_}) {one_zero}"
