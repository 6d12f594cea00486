"""Canonical texts, hashes and lanes in T-SQL (SQL Server 2017 or newer; texts, from 2019 on: UTF-8 collations)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from ingestion.contracts.declared import base_of, digits_of, split_declaration
from ingestion.reconcile.dialects.base import Dialect, Origin
from ingestion.reconcile.hashes import WITH_LENGTH, HashColumn, HashType, Kind
from ingestion.sql.partitions import LABEL_LENGTHS
from ingestion.sql.quoting import quote_sqlserver, text_literal

CONCAT_ARGUMENTS = 254
MOST_BYTES = 8_000
"""The maximum bytes of a VARCHAR that is not VARCHAR(MAX)."""
_UTF8 = "Latin1_General_100_BIN2_UTF8"
_TYPES = {
    Kind.INTEGER: "BIGINT",
    Kind.BOOLEAN: "BIT",
    Kind.DATE: "DATE",
    Kind.TIMESTAMP: "DATETIME2(6)",
    Kind.INSTANT: "DATETIMEOFFSET(7)",
    Kind.FLOAT: "FLOAT",
    Kind.TEXT: "NVARCHAR(4000)",
    Kind.CHAR: "NCHAR(40)",
    Kind.UUID: "UNIQUEIDENTIFIER",
    Kind.BINARY: "VARBINARY(8000)",
}
_NATIONAL = frozenset({"NCHAR", "NVARCHAR", "NTEXT", "XML"})
_LARGE_TEXTS = frozenset({"NTEXT", "XML"})
_TEXTS = _NATIONAL | {"CHAR", "VARCHAR", "TEXT"}
_SCALES = {"MONEY": "DECIMAL(19,4)", "SMALLMONEY": "DECIMAL(10,4)"}


class SqlServerDialect(Dialect):
    name = "sqlserver"
    types = _TYPES
    count = "COUNT_BIG"  # COUNT returns an int, which can overflow

    def quote(self, name: str) -> str:
        return quote_sqlserver(name)

    def constant(self, type_: HashType, declared: str, value: Any) -> str:
        kind = type_.kind
        if kind is Kind.BINARY:
            return f"0x{value.hex().upper()}"
        if isinstance(value, datetime):
            text = value.replace(
                tzinfo=None
            ).isoformat()  # a zero fraction is left out, because DATETIME does not accept six digits
            return f"'{text}+00:00'" if kind is Kind.INSTANT else f"'{text}'"
        if isinstance(value, date):
            return f"'{value.isoformat()}'"
        if isinstance(value, str):
            base = base_of(declared)
            code_page = " COLLATE Latin1_General_100_CI_AS" if base in _TEXTS - _NATIONAL else ""
            return f"N{text_literal(value)}{code_page}" if base in _TEXTS else text_literal(value)
        if kind is Kind.FLOAT:
            return f"'{value!r}'"
        return format(value, "f") if kind is Kind.DECIMAL else str(int(value))

    def spelled(self, type_: HashType, origin: Origin) -> str:
        physical = origin.physical or self.declared(type_)
        base, sql = base_of(physical), origin.sql
        kind = type_.kind
        if kind in (Kind.TEXT, Kind.CHAR):
            return self._text(type_, sql, physical)
        if kind is Kind.DECIMAL:
            return self._decimal(type_, sql, physical)
        if kind is Kind.INTEGER:
            whole = f"CAST({sql} AS BIGINT)" if base in ("ROWVERSION", "TIMESTAMP") else sql
            return f"CAST({whole} AS VARCHAR(41))"
        if kind in (Kind.TIMESTAMP, Kind.INSTANT):
            return self._moment(sql, physical)
        if kind is Kind.DATE:
            day = f"CONVERT(VARCHAR(10), {sql}, 23)"
            moment = self._moment(sql, physical) if base != "DATE" else ""
            return f"CASE WHEN CAST({sql} AS DATE) = {sql} THEN {day} ELSE {moment} END" if moment else day
        return self._other(kind, sql, physical)

    def _other(self, kind: Kind, sql: str, physical: str) -> str:
        if kind is Kind.UUID:
            return f"LOWER(CAST({sql} AS VARCHAR(36)))"
        if kind is Kind.FLOAT:
            one_zero = f"CASE WHEN {sql} = 0 THEN 0 ELSE {sql} END"
            return f"CONVERT(VARCHAR(16), CAST(CAST({one_zero} AS FLOAT) AS BINARY(8)), 2)"
        if kind is Kind.BINARY:
            length = digits_of(physical, 8_000)
            return f"CONVERT(VARCHAR({2 * length if length <= 4_000 else 'MAX'}), {_bytes(sql, physical)}, 2)"
        return f"CAST({sql} AS VARCHAR(20))"

    def _text(self, type_: HashType, sql: str, physical: str) -> str:
        """Convert to UTF-8 through UTF-16. A direct conversion keeps the length in bytes and truncates the text."""
        length, base = digits_of(physical, 8_000), base_of(physical)
        if base == "TIME":
            return f"CONVERT(VARCHAR(16), {sql}, 121)"
        wide = f"CAST({sql} AS NVARCHAR(MAX))" if base in _LARGE_TEXTS else sql
        if base not in _NATIONAL:
            wide = f"CAST({sql} AS NVARCHAR({length if length <= 4_000 else 'MAX'}))"
        utf8 = f"CAST({wide} COLLATE {_UTF8} AS VARCHAR({3 * length if 3 * length <= 8_000 else 'MAX'}))"
        return f"RTRIM({utf8})" if type_.kind is Kind.CHAR else utf8

    def _decimal(self, type_: HashType, sql: str, physical: str) -> str:
        declared = self.declared(type_)
        _, arguments = split_declaration(_SCALES.get(base_of(physical), physical))
        arguments = arguments or ("18", "0")
        precision, scale = int(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 0
        if scale <= type_.scale and precision - scale <= type_.precision - type_.scale:
            return f"CAST(CAST({sql} AS {declared}) AS VARCHAR(41))"
        cast = f"TRY_CAST({sql} AS {declared})"
        return f"CASE WHEN {cast} = {sql} THEN CAST({cast} AS VARCHAR(41)) ELSE CAST({sql} AS VARCHAR(41)) END"

    def _moment(self, sql: str, physical: str) -> str:
        base = base_of(physical)
        if base == "DATETIMEOFFSET":
            utc = f"CONVERT(VARCHAR(27), CAST(SWITCHOFFSET({sql}, '+00:00') AS DATETIME2(7)), 121)"
            return f"REPLACE({utc} + '00', '.000000000', '')"
        digits = {"DATETIME": 3, "SMALLDATETIME": 0, "DATE": 0}.get(base, digits_of(physical, 7))
        if digits == 0:
            return f"CONVERT(VARCHAR(19), CAST({sql} AS DATETIME2(0)), 120)"
        # style 121 writes the type's fractional digits; DATETIME (steps of 1/300 s) is rounded to three digits
        text = f"CONVERT(VARCHAR({20 + digits}), {sql}, 121) + '{'0' * (9 - digits)}'"
        return f"REPLACE({text}, '.000000000', '')"

    def byte_length(self, type_: HashType, origin: Origin) -> str:
        return f"CAST(DATALENGTH({self.spelled(type_, origin)}) AS VARCHAR(20))"

    def joined(self, parts: Sequence[str], start: Sequence[str] = ()) -> str:
        """Concatenate in several steps, each beginning with `start`, because CONCAT accepts 2 to 254 arguments."""
        texts, most = list(parts), CONCAT_ARGUMENTS - len(start)
        while len(texts) > most:
            texts = [_concat([*start, *texts[at : at + most]]) for at in range(0, len(texts), most)]
        return _concat([*start, *texts])

    def fields(self, columns: Sequence[HashColumn], origins: Mapping[str, Origin]) -> str:
        """Concatenate as VARCHAR(MAX) if the texts may exceed 8,000 bytes; any step would truncate them otherwise."""
        most = sum(_most_bytes(column.type, origins[column.name].physical) for column in columns)
        start = ["CAST('' AS VARCHAR(MAX))"] if most > MOST_BYTES else []
        return self.joined(self.field_parts(columns, origins), start)

    def hash_hex(self, text: str) -> str:
        return f"CONVERT(CHAR(32), HASHBYTES('MD5', {text}), 2)"

    def digest(self, type_: HashType, origin: Origin) -> str:
        is_binary = type_.kind is Kind.BINARY
        return self.hash_hex(_bytes(origin.sql, origin.physical or "") if is_binary else self.spelled(type_, origin))

    def lane(self, hash_: str, first: int) -> str:
        return f"CAST(TRANSLATE(SUBSTRING({hash_}, {first}, 16), '89ABCDEF', '01234567') AS DECIMAL(38,0))"

    def leading_digits(self, text: str, digits: int) -> str:
        return f"CONVERT(CHAR({digits}), LEFT({self.hash_hex(text)}, {digits}))"

    def exact_text(self, number: str) -> str:
        return f"CAST({number} AS VARCHAR(40))"

    def whole(self, column: str, low: int, width: int) -> str:
        return f"(CAST({column} AS BIGINT) - CAST({low} AS BIGINT)) / CAST({width} AS BIGINT)"

    def partition_text(self, type_: HashType, origin: Origin, grain: str) -> str:
        at = f"SWITCHOFFSET({origin.sql}, '+00:00')" if type_.kind is Kind.INSTANT else origin.sql
        return f"LEFT(CONVERT(VARCHAR(10), {at}, 23), {LABEL_LENGTHS[grain]})"

    def day(self, day: date) -> str:
        return f"CONVERT(DATE, '{day.isoformat()}', 23)"


def _concat(texts: Sequence[str]) -> str:
    return f"CONCAT({', '.join(texts)})" if len(texts) > 1 else texts[0]


def _bytes(sql: str, physical: str) -> str:
    return f"CAST({sql} AS VARBINARY(MAX))" if base_of(physical) == "IMAGE" else sql


def _most_bytes(type_: HashType, physical: str | None) -> int:
    """Return the most bytes that a column adds to a row's text."""
    if base_of(physical or "") == "TIME":
        return 50
    return 3 * digits_of(physical or "", 8_000) + 10 if type_.kind in WITH_LENGTH else 50
