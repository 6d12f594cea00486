"""Canonical texts, hashes and lanes in Spark's SQL (4.0 or newer, ANSI mode). The session's time zone must be UTC."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from ingestion.reconcile.dialects.base import Dialect, Origin
from ingestion.reconcile.hashes import HashType, Kind
from ingestion.sql.partitions import SPARK_DATE_FORMAT
from ingestion.sql.quoting import quote_spark, spark_text_literal

_MOMENT = "replace(date_format({x}, 'yyyy-MM-dd HH:mm:ss.SSSSSSSSS'), '.000000000')"
_BITS = "reflect('java.lang.Double', 'doubleToLongBits', cast(case when {x} = 0 then 0 else {x} end as double))"
_SPELLED = {
    Kind.TIMESTAMP: _MOMENT,
    Kind.INSTANT: _MOMENT,
    Kind.BOOLEAN: "cast(cast({x} as int) as string)",
    Kind.FLOAT: f"case when {{x}} is not null then lpad(hex(cast({_BITS} as bigint)), 16, '0') end",
    Kind.BINARY: "hex({x})",
    Kind.CHAR: "rtrim({x})",
    Kind.UUID: "lower({x})",
    Kind.TEXT: "{x}",
}
_TYPES = {
    Kind.INTEGER: "bigint",
    Kind.BOOLEAN: "boolean",
    Kind.DATE: "date",
    Kind.TIMESTAMP: "timestamp_ntz",
    Kind.INSTANT: "timestamp_ltz",
    Kind.FLOAT: "double",
    Kind.TEXT: "string",
    Kind.CHAR: "string",
    Kind.UUID: "string",
    Kind.BINARY: "binary",
}


class SparkDialect(Dialect):
    name = "spark"
    upper_hex = False
    no_text = "cast(null as string)"

    def quote(self, name: str) -> str:
        return quote_spark(name)

    def literal(self, type_: HashType, physical: str | None, value: Any) -> str:
        declared = physical or self._declared(type_)
        if value is None:
            return f"cast(null as {declared})"
        if isinstance(value, bytes):
            return f"cast(unhex('{value.hex()}') as {declared})"
        text = repr(value) if isinstance(value, float) else format(value, "f") if type_.kind is Kind.DECIMAL else value
        return f"cast({spark_text_literal(str(text))} as {declared})"

    def _declared(self, type_: HashType) -> str:
        if type_.kind is Kind.DECIMAL:
            return f"decimal({type_.precision},{type_.scale})"
        return _TYPES[type_.kind]

    def spelled(self, type_: HashType, origin: Origin) -> str:
        value = f"nullif({origin.sql}, '')" if type_.empty_is_null else origin.sql
        return _SPELLED.get(type_.kind, "cast({x} as string)").format(x=value)

    def byte_length(self, type_: HashType, origin: Origin) -> str:
        return f"cast(octet_length({self.spelled(type_, origin)}) as string)"

    def joined(self, parts: Sequence[str]) -> str:
        never_null = [part if part.startswith("'") else f"coalesce({part}, '')" for part in parts]
        return f"concat({', '.join(never_null)})"

    def hash_hex(self, text: str) -> str:
        return f"md5({text})"

    def upper_hash(self, text: str) -> str:
        return f"upper(md5({text}))"

    def digest(self, type_: HashType, origin: Origin) -> str:
        return self.upper_hash(origin.sql if type_.kind is Kind.BINARY else self.spelled(type_, origin))

    def lane(self, hash_: str, first: int) -> str:
        return f"cast(translate(substr({hash_}, {first}, 16), '89abcdef', '01234567') as decimal(38, 0))"

    def exact_text(self, number: str) -> str:
        return f"cast({number} as string)"

    def whole(self, column: str, low: int, width: int) -> str:
        return f"(cast({column} as bigint) - ({low})) div {width}"

    def partition_text(self, _: HashType, origin: Origin, grain: str) -> str:
        return f"date_format({origin.sql}, '{SPARK_DATE_FORMAT[grain]}')"

    def day(self, day: date) -> str:
        return f"date '{day.isoformat()}'"
