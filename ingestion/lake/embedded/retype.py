"""Changes column types of a table: rewrites each file with the same rows and compares it with the old file."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from ingestion.errors import IntegrityError, LakeError
from ingestion.lake.base import LiveFile, Snapshot, StagedFile
from ingestion.lake.duck import Connection, location, scan
from ingestion.lake.embedded.parquet_files import FileWriter, sql_type
from ingestion.lake.statistics import indexed_columns
from ingestion.sql.quoting import quote_standard, text_literal

Types = Mapping[str, pa.DataType]


def retyped_schema(schema: pa.Schema, types: Types) -> pa.Schema:
    """Return the schema with the types of some columns replaced; columns keep their order."""
    return pa.schema([pa.field(field.name, types.get(field.name, field.type)) for field in schema])


def count_misfits(connection: Connection, table: Snapshot, types: Types) -> dict[str, int]:
    """
    Return how many values of each column cannot be converted exactly to its new type.

    Columns without such values are left out. Raises LakeError for partition columns.
    """
    columns = list(types)
    if any(name in table.partition_by for name in columns):
        raise LakeError(
            f"{table.uri}: it is partitioned by {', '.join(table.partition_by)}, whose type cannot change. "
            "Nothing was written. Write the old type in the contract again."
        )
    counts = ", ".join(
        f"count(*) filter ({_misfit(_old(table, name), table.schema.field(name).type, types[name])})"
        for name in columns
    )
    row = connection.execute(f"select {counts} from {scan(table.uri, table.version)}").fetchone() or ()
    return {name: count for name, count in zip(columns, row, strict=True) if count}


def retyped_files(connection: Connection, table: Snapshot, types: Types) -> list[StagedFile]:
    """
    Rewrite every file of the table, one at a time and row for row; no commit refers to the new files yet.

    The changed columns get no statistics, unless those are the same for both types: until the table has its new types,
    readers interpret statistics by the old ones. Raises IntegrityError unless count and hash of each new file's rows
    equal those of the old file's converted rows.
    """
    schema = retyped_schema(table.schema, types)
    carrying = {*table.indexed} & {*indexed_columns(schema)}
    indexed = [f.name for f in table.schema if f.name in carrying and _same_bounds(f.type, types.get(f.name, f.type))]
    writer = FileWriter(connection, table.uri, schema, table.partition_by, indexed)
    written = []
    for file in table.files:
        rows = _converted(table, file, types)
        new = writer.write_one(rows, partition_values=file.partition_values)
        _check(connection, table, schema, file, rows=rows, new=new)
        if new is not None:
            written.append(new)
    return written


def _same_bounds(old: pa.DataType, new: pa.DataType) -> bool:
    """Return whether both types read the same statistics for values that fit both."""
    is_ = pa.types
    alike = (is_.is_integer(old) and is_.is_integer(new)) or (is_.is_decimal(old) and is_.is_decimal(new))
    return bool(old == new or alike)


def _converted(table: Snapshot, file: LiveFile, types: Types) -> str:
    """Return the query of a file's rows with the new types, including columns added after the file was written."""
    stored = [field for field in table.schema if field.name not in table.partition_by]
    nothing = ", ".join(f"cast(null as {sql_type(field.type)}) as {quote_standard(field.name)}" for field in stored)
    values = ", ".join(
        f"{_new(_old(table, field.name), field.type, types[field.name])} as {quote_standard(field.name)}"
        if field.name in types
        else quote_standard(field.name)
        for field in stored
    )
    path = text_literal(f"{location(table.uri)}/{file.path}")
    return (
        f"select {values} from (select {nothing} where false union all by name "
        f"select * from read_parquet({path}, hive_partitioning = false))"
    )


def _check(
    connection: Connection, table: Snapshot, schema: pa.Schema, file: LiveFile, *, rows: str, new: StagedFile | None
) -> None:
    names = ", ".join(quote_standard(field.name) for field in schema if field.name not in table.partition_by)
    summary = f"select count(*), sum(cast(hash({names}) as hugeint)) from "
    promised = connection.execute(f"{summary} ({rows})").fetchone()
    found: tuple[int, int | None] | None = (0, None)
    if new is not None:
        path = text_literal(f"{location(table.uri)}/{new.path}")
        found = connection.execute(f"{summary} read_parquet({path}, hive_partitioning = false)").fetchone()
    if promised != found or promised is None or file.rows not in (None, promised[0]):
        raise IntegrityError(
            f"{table.uri}: a file of {file.rows} rows has other rows after its types were changed. "
            "Nothing was committed. This is a fault of the program; report it."
        )


def _old(table: Snapshot, name: str) -> str:
    """Return a column with its table's old type, even if the file has the new type already."""
    return f"cast({quote_standard(name)} as {sql_type(table.schema.field(name).type)})"


def _new(value: str, old: pa.DataType, new: pa.DataType) -> str:
    converted = f"try_cast({value} as {sql_type(new)})"
    return f"case when {_is_number(value, new)} then {converted} end" if pa.types.is_string(old) else converted


def _misfit(value: str, old: pa.DataType, new: pa.DataType) -> str:
    """Return a condition that is true if converting a value to the new type and back changes it."""
    converted = _new(value, old, new)
    if pa.types.is_string(old):
        return f"{value} is not null and {converted} is null"
    return f"try_cast({converted} as {sql_type(old)}) is distinct from {value}"


def _is_number(value: str, type_: pa.DataType) -> str:
    """Return a condition that is true if a text is a number that the type holds exactly. A cast alone would round."""
    scale = type_.scale if pa.types.is_decimal(type_) else 0
    return (
        f"length(rtrim(split_part({value}, '.', 2), '0')) <= {scale} and not contains(lower({value}), 'e') "
        f"and try_cast({value} as {sql_type(type_)}) is not null"
    )
