"""Canonical texts, hashes and lanes in Oracle's SQL (12.1 or newer, database character set AL32UTF8)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from ingestion.contracts.declared import base_of, split_declaration
from ingestion.reconcile.dialects.base import Dialect, Origin
from ingestion.reconcile.hashes import HashType, Kind
from ingestion.sql.partitions import ORACLE_TO_CHAR
from ingestion.sql.quoting import text_literal

_SECOND = "SYYYY-MM-DD HH24:MI:SS"  # a year BC must not have the same text as a year AD
_NUMBER = "'TM9','NLS_NUMERIC_CHARACTERS=''.,'''"
_ZONED = frozenset({"TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITH LOCAL TIME ZONE"})
_NUMBERS = frozenset({"NUMBER", "FLOAT", "NUMERIC", "DECIMAL", "INTEGER", "INT", "SMALLINT"})
_AS_TEXT = {
    **dict.fromkeys(["NCHAR", "NVARCHAR2"], "TO_CHAR({x})"),  # national texts are UTF-16
    **dict.fromkeys(["INTERVAL DAY TO SECOND", "INTERVAL YEAR TO MONTH"], "TO_CHAR({x})"),
    "ROWID": "ROWIDTOCHAR({x})",
    "UROWID": "CAST({x} AS VARCHAR2(4000))",
}
_TYPES = {
    Kind.INTEGER: "NUMBER(38)",
    Kind.BOOLEAN: "NUMBER(1)",
    Kind.DATE: "DATE",
    Kind.TIMESTAMP: "TIMESTAMP(6)",
    Kind.INSTANT: "TIMESTAMP(6) WITH TIME ZONE",
    Kind.FLOAT: "BINARY_DOUBLE",
    Kind.TEXT: "VARCHAR2(4000)",
    Kind.CHAR: "CHAR(40)",
    Kind.UUID: "VARCHAR2(36)",
    Kind.BINARY: "RAW(2000)",
}


class OracleDialect(Dialect):
    """Oracle stores an empty text as null, so `||` skips nulls and no text is ever empty."""

    name = "oracle"
    types = _TYPES
    decimal = "NUMBER"
    inner_hint = "/*+ NO_MERGE */ "
    no_text = "CAST(NULL AS VARCHAR2(1))"

    def constant(self, type_: HashType, declared: str, value: Any) -> str:
        kind = type_.kind
        if kind is Kind.BINARY:
            return f"HEXTORAW('{value.hex().upper()}')"
        if kind in (Kind.DATE, Kind.TIMESTAMP, Kind.INSTANT):
            moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
            text = moment.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
            at = f"TO_TIMESTAMP('{text}','YYYY-MM-DD HH24:MI:SS.FF6')"
            return f"FROM_TZ({at},'+00:00')" if base_of(declared) in _ZONED else at
        if kind is Kind.FLOAT:
            return f"{value!r}D"
        if isinstance(value, str):
            return text_literal(value)
        return format(value, "f") if kind is Kind.DECIMAL else str(int(value))

    def spelled(self, type_: HashType, origin: Origin) -> str:
        base = base_of(origin.physical or self.declared(type_))
        if base in _ZONED or base in ("DATE", "TIMESTAMP"):
            return self._moment(type_, origin.sql, base)
        if type_.kind is Kind.DECIMAL:
            return self._decimal(type_, origin)
        if base in _NUMBERS:
            return f"TO_CHAR({origin.sql},{_NUMBER})"
        if type_.kind is Kind.FLOAT:
            one_zero = f"CASE WHEN {origin.sql} = 0 THEN 0 ELSE {origin.sql} END"
            return f"RAWTOHEX(UTL_RAW.CAST_FROM_BINARY_DOUBLE(TO_BINARY_DOUBLE({one_zero}),1))"
        if type_.kind is Kind.BINARY:
            return f"RAWTOHEX({origin.sql})"
        return self._text(type_, origin.sql, base)

    def _moment(self, type_: HashType, sql: str, base: str) -> str:
        at = f"SYS_EXTRACT_UTC({sql})" if base in _ZONED else sql
        if type_.kind is Kind.DATE:  # the promised type is a day: a value with a time of day gets a text that differs
            rest = f"NULLIF(TO_CHAR({at},'HH24MISS'),'000000')"
            return f"NVL2({at},LTRIM(TO_CHAR({at},'SYYYY-MM-DD')) || {rest},NULL)"
        if base == "DATE":
            return f"LTRIM(TO_CHAR({at},'{_SECOND}'))"
        return f"REPLACE(LTRIM(TO_CHAR({at},'{_SECOND}.FF9')),'.000000000')"

    def _decimal(self, type_: HashType, origin: Origin) -> str:
        fixed = self._fixed(type_, origin.sql)
        if self._fits(type_, origin.physical):
            return fixed
        limit = f"1E{type_.precision - type_.scale}"
        fits = f"{origin.sql} = ROUND({origin.sql},{type_.scale}) AND ABS({origin.sql}) < {limit}"
        return f"CASE WHEN {fits} THEN {fixed} ELSE TO_CHAR({origin.sql},{_NUMBER}) END"

    def _fixed(self, type_: HashType, sql: str) -> str:
        """Return the text of a number that fits. TO_CHAR with a format is used only up to 15 digits."""
        if not type_.scale:
            return f"TO_CHAR({sql},{_NUMBER})"
        if type_.precision <= 15:
            whole = "9" * max(type_.precision - type_.scale - 1, 0) + "0"
            return f"TO_CHAR({sql},'FM{whole}.{'0' * type_.scale}')"
        sign = f"CASE WHEN {sql} < 0 AND {sql} > -1 THEN '-' END"
        text = f"TO_CHAR({sql},{_NUMBER})"
        fraction = f"RPAD(NVL(SUBSTR({text},INSTR({text} || '.','.') + 1),'0'),{type_.scale},'0')"
        return f"NVL2({sql},{sign} || TO_CHAR(TRUNC({sql}),{_NUMBER}) || '.' || {fraction},NULL)"

    def _fits(self, type_: HashType, physical: str | None) -> bool:
        """Return whether the contract's decimal can hold every value that the declaration allows."""
        if physical is None:
            return True
        _, arguments = split_declaration(physical)
        if not arguments or not all(argument.isdigit() for argument in arguments):
            return False
        precision, scale = int(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 0
        return scale <= type_.scale and precision - scale <= type_.precision - type_.scale

    def _text(self, type_: HashType, sql: str, base: str) -> str:
        text = _AS_TEXT.get(base, "{x}").format(x=sql)
        if type_.kind is Kind.CHAR:
            return f"RTRIM({text},' ')"
        return f"LOWER({text})" if type_.kind is Kind.UUID else text

    def byte_length(self, type_: HashType, origin: Origin) -> str:
        length = f"TO_CHAR(LENGTHB({self.spelled(type_, origin)}))"
        return f"NVL2({origin.sql},NVL({length},'0'),NULL)" if type_.kind is Kind.CHAR else length

    def joined(self, parts: Sequence[str]) -> str:
        return " || ".join(parts)

    def hash_hex(self, text: str) -> str:
        return f"RAWTOHEX(STANDARD_HASH({text},'MD5'))"

    def digest(self, type_: HashType, origin: Origin) -> str:
        value = origin.sql if type_.kind is Kind.BINARY else self.spelled(type_, origin)
        return f"NVL2({origin.sql},{self.hash_hex(value)},NULL)"

    def lane(self, hash_: str, first: int) -> str:
        return f"TO_NUMBER(TRANSLATE(SUBSTR({hash_},{first},16),'89ABCDEF','01234567'))"

    def exact_text(self, number: str) -> str:
        return f"TO_CHAR({number},'TM9')"

    def whole(self, column: str, low: int, width: int) -> str:
        return f"FLOOR(({column} - ({low})) / {width})"

    def partition_text(self, _: HashType, origin: Origin, grain: str) -> str:
        at = f"SYS_EXTRACT_UTC({origin.sql})" if base_of(origin.physical or "") in _ZONED else origin.sql
        return f"TO_CHAR({at},'{ORACLE_TO_CHAR[grain]}')"

    def day(self, day: date) -> str:
        return f"DATE '{day.isoformat()}'"
