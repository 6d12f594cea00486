"""Canonical texts, hashes and lanes in Spark's SQL (4.0 or newer, ANSI mode). The session's time zone must be UTC."""

from __future__ import annotations

from collections.abc import Sequence

from ingestion.reconcile.dialects.base import LakeDialect, Origin
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


class SparkDialect(LakeDialect):
    name = "spark"
    types = _TYPES
    decimal = "decimal"
    text = "string"
    quoted_text = staticmethod(spark_text_literal)
    no_text = "cast(null as string)"

    def quote(self, name: str) -> str:
        return quote_spark(name)

    def spelled(self, type_: HashType, origin: Origin) -> str:
        value = f"nullif({origin.sql}, '')" if type_.empty_is_null else origin.sql
        return _SPELLED.get(type_.kind, "cast({x} as string)").format(x=value)

    def byte_length(self, type_: HashType, origin: Origin) -> str:
        return f"cast(octet_length({self.spelled(type_, origin)}) as string)"

    def joined(self, parts: Sequence[str]) -> str:
        never_null = [part if part.startswith("'") else f"coalesce({part}, '')" for part in parts]
        return f"concat({', '.join(never_null)})"

    def lane(self, hash_: str, first: int) -> str:
        return f"cast(translate(substr({hash_}, {first}, 16), '89abcdef', '01234567') as decimal(38, 0))"

    def whole(self, column: str, low: int, width: int) -> str:
        return f"(cast({column} as bigint) - ({low})) div {width}"

    def partition_text(self, _: HashType, origin: Origin, grain: str) -> str:
        return f"date_format({origin.sql}, '{SPARK_DATE_FORMAT[grain]}')"
