"""A table of Oracle as the target of a stream. The one place of the package that writes rows to Oracle.

Rows travel as Arrow by array inserts into a staging table, from where one MERGE takes them. Our own columns of moments
are TIMESTAMP(6) in UTC. Log-in and driver are those of `sources/oracle/session`, the session is the sink's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from ingestion.contracts.model import Contract
from ingestion.contracts.types import INSTANT
from ingestion.errors import LakehouseError, TransientError
from ingestion.settings import Connection
from ingestion.sinks.database import Database, Refused, RowsRefusedError
from ingestion.sinks.tables import FLAG, Table
from ingestion.sources.oracle.errors import error_of
from ingestion.sources.oracle.session import DRIVER_ERRORS, TIMESTAMP, code_of, connected
from ingestion.sql.quoting import quote_standard

ROWS = 5_000
_BIND = re.compile(r":(\d+)\b")
_LONGEST = {"stream": 128, "topic": 249, "lake_topic": 249, "topic_id": 64, "value": 512}
"""Bytes of our own columns of texts; the others have 4,000, and `headers` is a CLOB."""
ROW_AT_FAULT = frozenset(
    {
        "ORA-00001",  # a unique constraint
        "ORA-01400",  # null into a column that takes none
        "ORA-01407",
        "ORA-01401",  # too long
        "ORA-01461",
        "ORA-12899",
        "ORA-22835",
        "ORA-01426",  # too large
        "ORA-01438",
        "ORA-01722",  # not what the column's type takes
        "ORA-01830",
        "ORA-01843",
        "ORA-01847",
        "ORA-01858",
        "ORA-01861",
        "ORA-02290",  # a check constraint
        "ORA-02291",  # no parent row
        "ORA-14400",  # no partition takes it
    }
)
"""Codes of a row at fault: it becomes a dead letter. Other codes are judged as `sources/oracle/errors` says."""
_RACE = frozenset({"ORA-08177", "ORA-00060", "ORA-00054"})


class OracleDatabase(Database):
    """The session is opened at the first use, and anew after it was lost."""

    now = "LOCALTIMESTAMP"
    wall_clock = "CAST(SYSTIMESTAMP AS TIMESTAMP(6))"
    dual = " FROM DUAL"

    def __init__(self, contract: Contract, system: str, connection: Connection) -> None:
        super().__init__(contract, system)
        self._to = connection
        self._session: Any = None

    @contextmanager
    def committed(self) -> Iterator[None]:
        if self._session is None:
            self._session = connected(self.system, self._to.newest())
        try:
            with self._translated():
                yield
                self._session.commit()
        except BaseException as exc:
            with suppress(*DRIVER_ERRORS):
                self._session.rollback()
            if isinstance(exc, TransientError):  # the next use logs in again
                self.close()
            raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DRIVER_ERRORS as exc:
            raise self._error(code_of(exc)) from None

    def _error(self, code: str) -> LakehouseError:
        if code in _RACE:
            return self.lost_race()
        if code in ROW_AT_FAULT:
            return RowsRefusedError(
                f"{self.contract.id}: the target refuses a row or a statement ({code}). Nothing of this batch "
                "was written. Compare the table with `lakehouse stream plan`."
            )
        contract = self.contract if code in ("ORA-00942", "ORA-00904") else None
        return error_of(code, self.system, contract)

    def create(self, tables: Sequence[Table]) -> None:
        """Create what is missing. A user who may not create tables can use tables that are there."""
        with self.transaction(), self._session.cursor() as cursor:
            for table in tables:
                made = self.statements(table)
                parts = {table.name: made[:-1], table.stage: made[-1:]} if table.stage else {table.name: made}
                for name, statements in parts.items():
                    try:
                        cursor.execute(f"SELECT 1 FROM {self.name_of(name)} WHERE 1 = 0")
                    except DRIVER_ERRORS as exc:
                        if code_of(exc) != "ORA-00942":
                            raise
                        for statement in statements:
                            self._make(cursor, statement)

    @staticmethod
    def _make(cursor: Any, statement: str) -> None:
        try:
            cursor.execute(statement)
        except DRIVER_ERRORS as exc:
            if code_of(exc) != "ORA-00955":  # a rival made it just now
                raise

    def run(self, sql: str, *binds: Any) -> int:
        with self._translated(), self._session.cursor() as cursor:
            self._execute(cursor, sql, binds)
            return int(cursor.rowcount)

    def select(self, sql: str, schema: pa.Schema, *binds: Any) -> pa.Table:
        with self._translated():
            named = {f"b{at}": self._typed(_bound(value)) for at, value in enumerate(binds, 1)}
            frame = self._session.fetch_df_all(_BIND.sub(r":b\1", sql), named, requested_schema=_fetched(schema))
        return pa.table(frame).rename_columns(schema.names).cast(schema)

    def batches(self, sql: str, schema: pa.Schema) -> Iterator[pa.Table]:
        with self._translated():
            for frame in self._session.fetch_df_batches(sql, size=ROWS, requested_schema=_fetched(schema)):
                yield pa.table(frame).rename_columns(schema.names).cast(schema)

    def _typed(self, value: Any) -> Any:
        """Return a bind of a query: a moment is else bound as DATE, without its fraction."""
        if not isinstance(value, datetime):
            return value
        variable = self._session.cursor().var(TIMESTAMP)
        variable.setvalue(0, value)
        return variable

    def _execute(self, cursor: Any, sql: str, binds: Sequence[Any]) -> None:
        moments = {f"b{at}": TIMESTAMP for at, value in enumerate(binds, 1) if isinstance(value, datetime)}
        if moments:  # as in `_typed`
            cursor.setinputsizes(**moments)
        cursor.execute(_BIND.sub(r":b\1", sql), {f"b{at}": _bound(value) for at, value in enumerate(binds, 1)})

    def insert(self, name: tuple[str, ...], rows: pa.Table) -> Refused:
        values = ", ".join(f":{at}" for at in range(1, rows.num_columns + 1))
        return self._many(
            f"INSERT INTO {self.name_of(name)} ({self.listed(rows.column_names)}) VALUES ({values})", rows
        )

    def refused_by(self, merge: str, rows: pa.Table) -> Refused:
        values = ", ".join(f":{at} AS {self.quote(name)}" for at, name in enumerate(rows.column_names, 1))
        self.run("SAVEPOINT before_rows")
        refused = self._many(merge.format(f"(SELECT {values} FROM DUAL)"), rows)
        self.run("ROLLBACK TO SAVEPOINT before_rows")
        return refused

    def _many(self, sql: str, rows: pa.Table) -> Refused:
        """Run a statement for each row by one array bind. Raises for errors that are not a row's."""
        if not rows.num_rows:
            return {}
        with self._translated(), self._session.cursor() as cursor:
            cursor.executemany(sql, _storable(rows), batcherrors=True)
            errors = {error.offset: error.full_code for error in cursor.getbatcherrors()}
        for code in errors.values():
            if code not in ROW_AT_FAULT:
                raise self._error(code)
        return {at: f"(row):{code}" for at, code in sorted(errors.items())}

    def quote(self, name: str) -> str:
        return quote_standard(name.upper())

    def statements(self, table: Table) -> list[str]:
        columns = [f"{self.quote(field.name)} {self._type(table, field)}" for field in table.columns]
        key = f"PRIMARY KEY ({self.listed(table.key)})"
        made = [f"CREATE TABLE {self.table_name(table)} (\n  " + ",\n  ".join([*columns, key]) + "\n)"]
        for column in table.indexes:
            index = self.name_of((*table.name[:-1], f"{table.name[-1]}_{column.upper()}"))
            made.append(f"CREATE INDEX {index} ON {self.table_name(table)} ({self.quote(column)})")
        if table.stage:
            listed = ",\n  ".join(columns)
            stage = self.name_of(table.stage)
            made.append(f"CREATE GLOBAL TEMPORARY TABLE {stage} (\n  {listed}\n) ON COMMIT DELETE ROWS")
        return made

    def _type(self, table: Table, field: pa.Field) -> str:
        if field.name in table.declared:
            return table.declared[field.name]
        if pa.types.is_decimal(field.type):
            return f"NUMBER(38,{field.type.scale})"
        if field.name == "headers":
            return "CLOB"
        if pa.types.is_string(field.type):
            return f"VARCHAR2({_LONGEST.get(re.sub('_[0-9]+$', '', field.name), 4000)} CHAR)"
        return _TYPES[field.type]

    def updating(self, sets: str, condition: str) -> str:
        return f"WHEN MATCHED THEN UPDATE SET {sets} WHERE {condition}"

    def close(self) -> None:
        if self._session is not None:
            with suppress(*DRIVER_ERRORS):
                self._session.close()
            self._session = None


_TYPES = {
    pa.int64(): "NUMBER(19)",
    pa.int32(): "NUMBER(10)",
    FLAG: "NUMBER(1)",
    INSTANT: "TIMESTAMP(6)",
    pa.binary(): "BLOB",
    pa.float64(): "NUMBER",
}


def _fetched(schema: pa.Schema) -> pa.Schema:
    """Return the types in which the driver fetches exactly what becomes a schema's."""
    wide = {pa.int8(): pa.int64(), pa.int32(): pa.int64(), pa.bool_(): pa.int64()}
    return pa.schema([field.with_type(wide.get(field.type, field.type)) for field in schema])


def _bound(value: Any) -> Any:
    """Return a value that the driver binds: moments as wall clock in UTC. One without a time zone is a wall clock."""
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) and value.tzinfo else value


def _storable(rows: pa.Table) -> pa.Table:
    """Return the rows in types that the driver binds: no truth values, and moments as wall clock in UTC."""
    fields = []
    for field in rows.schema:
        type_ = field.type
        if pa.types.is_boolean(type_):
            type_ = FLAG
        elif pa.types.is_timestamp(type_) and type_.tz is not None:
            type_ = pa.timestamp("us")
        fields.append(field.with_type(type_))
    return rows.cast(pa.schema(fields)).combine_chunks()
