"""Golden round trips: what goes in as a declared type comes out as promised, or as its exact text. No value is lost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from ingestion.contracts.projection import RAW_PREFIX
from ingestion.sources.oracle.source import OracleSource
from tests.sources.oracle_fixtures import ID, OracleDesk, Promise, oracle, rows, true_server

__all__ = ["oracle"]

NINES = "9" * 38
ANY = object()


@dataclass(frozen=True)
class Golden:
    """
    One column: how the source declares it, how the contract promises it, and values.

    `values` are (what is bound, what is delivered, the text of a misfit). `put` is the expression that stores a bind.
    """

    declared: str
    promised: str
    logical: str
    values: list[tuple[Any, Any, Any]]
    put: str = ":v"
    lake: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.declared} as {self.promised} {self.logical}"


def fits(*values: Any) -> list[tuple[Any, Any, Any]]:
    return [(value, value, None) for value in (*values, None)]


DAY = "TO_DATE(:v,'YYYY-MM-DD HH24:MI:SS')"
MOMENT = "TO_TIMESTAMP(:v,'YYYY-MM-DD HH24:MI:SS.FF6')"
ZONED = "FROM_TZ(TO_TIMESTAMP(:v,'YYYY-MM-DD HH24:MI:SS.FF6'),'+00:00')"
FIRST, LAST = "0001-01-01 00:00:00", "9999-12-31 23:59:59"
EMOJI = "Zoë 😀 ação"

NUMBERS = [
    Golden("NUMBER(12,2)", "NUMBER(12,2)", "number", fits(*map(Decimal, ("9999999999.99", "-9999999999.99", "0.01", "0.00")))),
    Golden("NUMBER(38)", "NUMBER(38)", "number", fits(Decimal(NINES), Decimal("-" + NINES), Decimal(0))),
    Golden("NUMBER(38,38)", "NUMBER(38,38)", "number", fits(Decimal("0." + NINES), Decimal("0." + "0" * 37 + "1"))),
    Golden("NUMBER(38,10)", "NUMBER(38,10)", "number", fits(Decimal("9" * 28 + "." + "9" * 10))),
    Golden("NUMBER(18)", "NUMBER(18)", "integer", fits(10**18 - 1, 1 - 10**18, 0)),
    Golden("NUMBER(5,-2)", "NUMBER(5,-2)", "integer", fits(9999900, -100)),
    Golden("NUMBER(2,5)", "NUMBER(2,5)", "number", fits(Decimal("0.00099"), Decimal("-0.00001"))),
    Golden("INTEGER", "NUMBER(38)", "number", fits(Decimal(NINES))),
    Golden("NUMBER(19)", "NUMBER(18)", "integer", [*fits(10**18 - 1), (9999999999999999999, None, "9999999999999999999")]),
    Golden("NUMBER(20,4)", "NUMBER(12,2)", "number", [
        *fits(Decimal("9999999999.99")), (Decimal("10000000000"), None, "10000000000"), (Decimal("1.0001"), None, "1.0001"),
    ]),
    Golden("NUMBER", "NUMBER(12,2)", "number", [
        *fits(Decimal("1.25"), Decimal("-9999999999.99")),
        (Decimal("12345.678"), None, "12345.678"), (Decimal("-10000000000"), None, "-10000000000"),
    ]),
    Golden("NUMBER", "NUMBER(10)", "integer", [*fits(-7), (Decimal("1.5"), None, "1.5"), (10**20, None, str(10**20))]),
    Golden("NUMBER", "NUMBER", "string", [(Decimal("12345.678"), "12345.678", None), (-10**20, str(-10**20), None), (None, None, None)]),
    Golden("FLOAT(126)", "NUMBER(20,4)", "number", [*fits(Decimal("1.2500")), (Decimal("0.00001220703125"), None, ANY)]),
    Golden("FLOAT", "FLOAT", "string", [(Decimal("1.25"), "1.25", None), (None, None, None)]),
    Golden("NUMBER(1)", "NUMBER(1)", "boolean", [(1, True, None), (0, False, None), (2, None, "2"), (-1, None, "-1"), (None, None, None)]),
    Golden("BINARY_DOUBLE", "BINARY_DOUBLE", "number", fits(1.7976931348623157e308, 2.2250738585072014e-308, 0.1, math.inf)),
    Golden("BINARY_FLOAT", "BINARY_FLOAT", "number", fits(1.5, -0.25)),
]  # fmt: skip
MOMENTS = [
    Golden("DATE", "DATE", "timestamp", [
        (FIRST, datetime(1, 1, 1), None), (LAST, datetime(9999, 12, 31, 23, 59, 59), None), (None, None, None),
    ], DAY),
    Golden("DATE", "DATE", "date", [
        (FIRST, date(1, 1, 1), None), ("9999-12-31 00:00:00", date(9999, 12, 31), None),
        ("2026-03-01 00:00:01", None, "2026-03-01 00:00:01"), (None, None, None),
    ], DAY),
    *(
        Golden(f"TIMESTAMP({digits})", f"TIMESTAMP({digits})", "timestamp", [
            (FIRST + ".000000", datetime(1, 1, 1), None),
            (f"{LAST}.{'9' * digits:0<6}", datetime(9999, 12, 31, 23, 59, 59, int(f"{'9' * digits:0<6}")), None),
            (None, None, None),
        ], MOMENT)
        for digits in (0, 3, 6)
    ),
    Golden("TIMESTAMP(9)", "TIMESTAMP(9)", "timestamp", [
        ("1600-02-29 12:00:00.123456", datetime(1600, 2, 29, 12, 0, 0, 123456), None),
        (LAST + ".999999", datetime(9999, 12, 31, 23, 59, 59, 999999), None), (None, None, None),
    ], MOMENT),
    Golden("TIMESTAMP(6)", "DATE", "date", [
        ("2026-03-01 00:00:00.000000", date(2026, 3, 1), None),
        ("2026-03-01 00:00:00.000001", None, "2026-03-01 00:00:00.000001"), (None, None, None),
    ], MOMENT),
    Golden("TIMESTAMP(6) WITH TIME ZONE", "TIMESTAMP(6) WITH TIME ZONE", "timestamp", [
        (FIRST + ".000000", datetime(1, 1, 1, tzinfo=UTC), None),
        (LAST + ".999999", datetime(9999, 12, 31, 23, 59, 59, 999999, UTC), None), (None, None, None),
    ], ZONED),
    Golden("TIMESTAMP(6) WITH LOCAL TIME ZONE", "TIMESTAMP(6) WITH LOCAL TIME ZONE", "timestamp", [
        ("2026-03-01 10:00:00.123456", datetime(2026, 3, 1, 10, 0, 0, 123456, UTC), None), (None, None, None),
    ], ZONED),
]  # fmt: skip
TEXTS = [
    Golden("VARCHAR2(4000)", "VARCHAR2(4000)", "string", [*fits(EMOJI, "x" * 4000, " ", "a\nb\x01"), ("", None, None)]),
    Golden("VARCHAR2(20 CHAR)", "VARCHAR2(20)", "string", fits("😀" * 20)),
    Golden("CHAR(5)", "CHAR(5)", "string", [("ab", "ab   ", None), ("", None, None), (None, None, None)]),
    Golden("NVARCHAR2(30)", "NVARCHAR2(30)", "string", fits(EMOJI)),
    Golden("NCHAR(3)", "NCHAR(3)", "string", [("é", "é  ", None), (None, None, None)]),
    Golden("CLOB", "CLOB", "string", fits(EMOJI, "x" * 70_000, "😀" * 30_000)),
    Golden("LONG", "LONG", "string", fits(EMOJI, "x" * 40_000)),
    Golden("RAW(16)", "RAW(16)", "array", fits(bytes(range(16)), b"\x00")),
    Golden("RAW(16)", "RAW(16)", "string", [(b"\x00\xff", "00FF", None), (None, None, None)]),
    Golden("BLOB", "BLOB", "array", fits(b"\x00\xff" * 5, bytes(200_000))),
]
OTHER_KINDS = [
    # the drift policy let the type pass: nothing converts exactly, so every value goes to quarantine as text
    Golden("VARCHAR2(20)", "NUMBER(10)", "integer", [("12", None, "12"), (None, None, None)], lake=(("onDrift", "{changedType: ignore}"),)),
    Golden("NUMBER(10)", "TIMESTAMP(6)", "timestamp", [(12, None, "12"), (None, None, None)], lake=(("onDrift", "{changedType: ignore}"),)),
]  # fmt: skip


@pytest.mark.parametrize("golden", [*NUMBERS, *MOMENTS, *TEXTS, *OTHER_KINDS], ids=str)
def test_a_value_arrives_exactly_or_as_its_text(oracle: OracleDesk, golden: Golden) -> None:
    delivered = round_trip(oracle, golden)

    for (_, value, text), row in zip(golden.values, delivered, strict=True):
        assert row["v"] == value
        assert type(row["v"]) is type(value)
        assert row.get(RAW_PREFIX + "v") == text or (text is ANY and row[RAW_PREFIX + "v"])


def test_not_a_number_arrives_as_one(oracle: OracleDesk) -> None:
    (row,) = round_trip(oracle, Golden("BINARY_DOUBLE", "BINARY_DOUBLE", "number", [(math.nan, None, None)]))

    assert math.isnan(row["v"])


def test_a_date_before_christ_is_a_misfit_and_does_not_stop_its_batch(oracle: OracleDesk) -> None:
    put = "TO_DATE(:v,'YYYY-MM-DD') - 400"

    first, second = round_trip(
        oracle, Golden("DATE", "DATE", "timestamp", [("0001-01-01", None, None), ("2026-03-01", None, None)], put)
    )

    assert first["v"] is None
    assert first[RAW_PREFIX + "v"]
    assert (second["v"], second[RAW_PREFIX + "v"]) == (datetime(2025, 1, 25), None)


def test_an_interval_arrives_as_text(oracle: OracleDesk) -> None:
    golden = Golden(
        "INTERVAL DAY TO SECOND", "INTERVAL DAY TO SECOND", "string", [(1, None, None)], "NUMTODSINTERVAL(:v,'DAY')"
    )

    assert isinstance(round_trip(oracle, golden)[0]["v"], str)


@true_server
@pytest.mark.parametrize(
    "golden",
    [
        Golden("NUMBER", "NUMBER(38,10)", "number", [(Decimal("1e30"), None, "1" + "0" * 30), (Decimal("1e125"), None, ANY)]),
        Golden("NUMBER", "NUMBER", "string", [(Decimal("1e30"), "1" + "0" * 30, None)]),
        Golden("NUMBER(38,-20)", "NUMBER(38,-20)", "string", [(Decimal("1e57"), "1" + "0" * 57, None)]),
        Golden("BINARY_DOUBLE", "BINARY_FLOAT", "number", [(1.5, 1.5, None), (0.1, None, ANY), (1e300, None, ANY)]),
        Golden("TIMESTAMP(9)", "TIMESTAMP(9)", "timestamp",
               [("2026-03-01 10:00:00.123456789", None, "2026-03-01 10:00:00.123456789")], "TO_TIMESTAMP(:v,'YYYY-MM-DD HH24:MI:SS.FF9')"),
        Golden("TIMESTAMP(6) WITH TIME ZONE", "TIMESTAMP(6) WITH TIME ZONE", "timestamp",
               [("2026-03-01 10:00:00 America/Sao_Paulo", datetime(2026, 3, 1, 13, tzinfo=UTC), None)], "TO_TIMESTAMP_TZ(:v,'YYYY-MM-DD HH24:MI:SS TZR')"),
        Golden("INTERVAL DAY TO SECOND", "INTERVAL DAY TO SECOND", "string", [(1.5, "+01 12:00:00.000000", None)], "NUMTODSINTERVAL(:v,'DAY')"),
        Golden("INTERVAL YEAR TO MONTH", "INTERVAL YEAR TO MONTH", "string", [(14, "+01-02", None)], "NUMTOYMINTERVAL(:v,'MONTH')"),
        Golden("ROWID", "ROWID", "string", [("AAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAA", None)], "CHARTOROWID(:v)"),
        Golden("UROWID", "UROWID", "string", [("AAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAA", None)], "CHARTOROWID(:v)"),
        Golden("XMLTYPE", "XMLTYPE", "string", [("<a>1</a>", "<a>1</a>", None)], "XMLTYPE(:v)"),
        Golden("JSON", "JSON", "string", [('{"a":1}', '{"a":1}', None)]),
        Golden("BOOLEAN", "BOOLEAN", "boolean", [(True, True, None), (False, False, None), (None, None, None)]),
        Golden("NCLOB", "NCLOB", "string", fits(EMOJI * 1000)),
        Golden("BLOB", "BLOB", "string", [(b"\x00\xff", "00FF", None), (bytes(3000), None, ANY)]),
        Golden("LONG RAW", "LONG RAW", "array", fits(b"\x00\xff")),
    ],
    ids=str,
)  # fmt: skip
def test_a_true_server_shows_what_else_there_is(oracle: OracleDesk, golden: Golden) -> None:
    test_a_value_arrives_exactly_or_as_its_text(oracle, golden)


def test_each_column_of_a_row_keeps_its_own_misfit(oracle: OracleDesk) -> None:
    """Short misfit texts travel in one column and must come apart again."""
    table = oracle.table("ID NUMBER(12) PRIMARY KEY, A NUMBER, B DATE, C NUMBER, D VARCHAR2(10)")
    for key, a, b, c in (
        (1, "1.5", "2026-03-01 00:00:01", "2.5"),
        (2, "1", "2026-03-01 00:00:00", "2.5"),
        (3, "1", None, "2"),
    ):
        oracle.sql(f"INSERT INTO {table} VALUES ({key}, {a}, TO_DATE(:b,'YYYY-MM-DD HH24:MI:SS'), {c}, 'x|y')", b=b)
    contract = oracle.contract(
        table,
        ID,
        Promise("a", "NUMBER(5)", "integer"),
        Promise("b", "DATE", "date"),
        Promise("c", "NUMBER(5)", "integer"),
        Promise("d", "VARCHAR2(10)"),
    )

    with OracleSource("erp", oracle.connection).snapshot() as snapshot:
        found = [tuple(row.get(RAW_PREFIX + name) for name in "abcd") for row in rows(snapshot, contract)]

    assert found == [("1.5", "2026-03-01 00:00:01", "2.5", None), (None, None, "2.5", None), (None, None, None, None)]


def round_trip(oracle: OracleDesk, golden: Golden) -> list[dict[str, Any]]:
    table = oracle.table(f"ID NUMBER(12) PRIMARY KEY, V {golden.declared}")
    for key, (value, _, _) in enumerate(golden.values, start=1):
        oracle.sql(f"INSERT INTO {table} (ID, V) VALUES ({key}, {golden.put})", v=value)
    contract = oracle.contract(table, ID, Promise("v", golden.promised, golden.logical), **dict(golden.lake))
    with OracleSource("erp", oracle.connection).snapshot() as snapshot:
        delivered = rows(snapshot, contract)
    assert len(delivered) == len(golden.values)
    return delivered
