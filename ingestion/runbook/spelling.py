"""The SQL of each dialect in runbooks for people: names, constants of a column's own type, sums. Pure.

The program never runs this SQL itself: it binds its values. SQL for the lake is in DuckDB's dialect.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import pyarrow as pa

from ingestion.contracts.declared import split_declaration
from ingestion.runbook.moments import DAY, SECOND, ceiling, moment_text, sqlserver_digits, sqlserver_moment
from ingestion.sql.quoting import quote_sqlserver, quote_standard, text_literal

WIDE = 28
"""Decimals with more digits are summed as floats, because the exact sum may exceed a database's 38 digits."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A column on one side: the SQL that refers to it, its declared type there, and its type in the lake."""

    sql: str
    declared: str
    kept: pa.DataType


def is_summed(type_: pa.DataType) -> bool:
    """Return whether a column is summed. Floats are not, because their sum depends on the order."""
    return bool(pa.types.is_integer(type_) or pa.types.is_decimal(type_))


class Spelling(ABC):
    """The SQL of one dialect."""

    rows = "count(*)"
    double: str

    def quote(self, name: str) -> str:
        return quote_standard(name)

    @abstractmethod
    def constant(self, spot: Spot, text: str) -> str | None:
        """
        Return the least value of a column's type that is at or above a bound; None beyond its calendar.

        The bound is a text of `ingestion.contracts.window.Window`.
        """

    def total(self, spot: Spot) -> str | None:
        """Return the sum of a column of numbers, in a type that holds it; None if the type has no sum."""
        if not is_summed(spot.kept):
            return None
        if pa.types.is_decimal(spot.kept) and spot.kept.precision > WIDE:
            return f"sum(cast({spot.sql} as {self.double}))"
        return self.exact_total(spot)

    def exact_total(self, spot: Spot) -> str | None:
        return f"sum({spot.sql})"

    def filled(self, spot: Spot) -> str:
        """Return the number of values that are not null. Some types need a conversion to be counted."""
        return f"count(case when {spot.sql} is not null then 1 end)"

    def newest(self, spot: Spot) -> str:
        return f"max({spot.sql})"


class DuckDbSpelling(Spelling):
    double = "double"

    def constant(self, spot: Spot, text: str) -> str | None:
        if pa.types.is_date(spot.kept):
            day = moment_text(ceiling(text, DAY), 0)
            return None if day is None else f"date '{day[:10]}'"
        if pa.types.is_timestamp(spot.kept):
            moment = moment_text(ceiling(text, SECOND // 10**6), 6)
            zone = ("timestamptz", "+00") if spot.kept.tz else ("timestamp", "")
            return None if moment is None else f"{zone[0]} '{moment}{zone[1]}'"
        return _number_or_text(spot, text)


class OracleSpelling(Spelling):
    double = "binary_double"

    def constant(self, spot: Spot, text: str) -> str | None:
        base, arguments = split_declaration(spot.declared)
        if base == "DATE":
            second = moment_text(ceiling(text, SECOND), 0)
            if second is None or second.endswith(" 00:00:00"):
                return None if second is None else f"date '{second[:10]}'"
            return f"to_date('{second}', 'YYYY-MM-DD HH24:MI:SS')"
        if not base.startswith("TIMESTAMP"):
            return _number_or_text(spot, text)
        digits = int(arguments[0]) if arguments else 6
        moment = moment_text(ceiling(text, SECOND // 10**digits), digits)
        zone = " +00:00" if "ZONE" in base else ""
        return None if moment is None else f"timestamp '{moment}{zone}'"

    def filled(self, spot: Spot) -> str:
        base, _ = split_declaration(spot.declared)
        return "" if base.startswith("LONG") else super().filled(spot)  # no expression accepts a LONG


class SqlServerSpelling(Spelling):
    """Moments are converted with a style, because the meaning of a plain text depends on the login's language."""

    rows = "count_big(*)"  # COUNT and the sum of INT overflow at 2^31
    double = "float"

    def quote(self, name: str) -> str:
        return quote_sqlserver(name)

    def constant(self, spot: Spot, text: str) -> str | None:
        base, arguments = split_declaration(spot.declared)
        if base in _ROWVERSIONS:
            return f"cast(cast({int(text)} as bigint) as binary(8))"
        if base not in _DATED:
            return _number_or_text(spot, text)
        moment = sqlserver_moment(text, base, arguments)
        if moment is None:
            return None
        digits = sqlserver_digits(base, arguments)
        if base == "DATETIMEOFFSET":
            return f"todatetimeoffset(convert(datetime2({digits}), '{moment}', 121), '+00:00')"
        return f"convert({f'datetime2({digits})' if base == 'DATETIME2' else base.lower()}, '{moment}', 121)"

    def exact_total(self, spot: Spot) -> str | None:
        base, _ = split_declaration(spot.declared)
        if base in _ROWVERSIONS:  # a number in our contracts only
            return None
        scale = spot.kept.scale if pa.types.is_decimal(spot.kept) else 0
        return f"sum(cast({spot.sql} as decimal(38,{scale})))"

    def filled(self, spot: Spot) -> str:
        return super().filled(spot).replace("count(", "count_big(", 1)

    def newest(self, spot: Spot) -> str:
        base, _ = split_declaration(spot.declared)
        return f"max(cast({spot.sql} as bigint))" if base in _ROWVERSIONS else super().newest(spot)


SPELLINGS: dict[str, Spelling] = {
    "duckdb": DuckDbSpelling(),
    "oracle": OracleSpelling(),
    "sqlserver": SqlServerSpelling(),
}
_ROWVERSIONS = ("ROWVERSION", "TIMESTAMP")
_DATED = ("DATE", "DATETIME", "SMALLDATETIME", "DATETIME2", "DATETIMEOFFSET")


def _number_or_text(spot: Spot, text: str) -> str:
    if is_summed(spot.kept):
        return str(int(text))
    return text_literal(text)
