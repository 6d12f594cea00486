"""Every type of SQL Server, from the server to Arrow: exact, or null with its text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from ingestion.contracts.projection import RAW_PREFIX
from ingestion.sources.sqlserver.source import SqlServerSource
from tests.sources.sqlserver_fixtures import ID, Desk, Promise, desk, rows, true_server

__all__ = ["desk"]

NINES = "9" * 38
EMOJI = "Zoë 😀 ação"
FIRST, LAST = "0001-01-01 00:00:00", "9999-12-31 23:59:59"
ANYWAY = (("onDrift", "{changedType: ignore}"),)


@dataclass(frozen=True)
class Golden:
    """
    One column: how the source declares it, how the contract promises it, and values.

    `values` are (the text that is bound, what is delivered, the text of a misfit); `put` stores a bind.
    """

    declared: str
    promised: str
    logical: str
    values: list[tuple[str | None, Any, str | None]]
    put: str = "CAST(? AS {})"
    lake: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.declared} as {self.promised} {self.logical}"


def fits(**values: Any) -> list[tuple[str | None, Any, str | None]]:
    return [*((text, value, None) for text, value in values.items()), (None, None, None)]


def whole(*values: int) -> list[tuple[str | None, Any, str | None]]:
    return fits(**{str(value): value for value in values})


def exact(*values: str) -> list[tuple[str | None, Any, str | None]]:
    return fits(**{value: Decimal(value) for value in values})


def texts(*values: str) -> list[tuple[str | None, Any, str | None]]:
    return fits(**{value: value for value in values})


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


NUMBERS = [
    Golden("tinyint", "tinyint", "integer", whole(0, 255)),
    Golden("smallint", "smallint", "integer", whole(-32768, 32767)),
    Golden("int", "int", "integer", whole(-(2**31), 2**31 - 1)),
    Golden("bigint", "bigint", "integer", whole(-(2**63), 2**63 - 1)),
    Golden("bit", "bit", "boolean", fits(**{"1": True, "0": False})),
    Golden("int", "tinyint", "integer", [*whole(200), ("40000", None, "40000"), ("-40000", None, "-40000")]),
    Golden("bigint", "int", "integer", [*whole(-(2**31)), (str(2**31), None, str(2**31))]),
    Golden("tinyint", "tinyint", "boolean", [("1", True, None), ("0", False, None), ("2", None, "2"), (None, None, None)]),
    Golden("decimal(38,0)", "decimal(38,0)", "number", exact(NINES, "-" + NINES, "0")),
    Golden("decimal(38,38)", "decimal(38,38)", "number", exact("0." + NINES, "-0." + "0" * 37 + "1")),
    Golden("decimal(38,10)", "decimal(38,10)", "number", exact("9" * 28 + "." + "9" * 10)),
    Golden("numeric(12,2)", "decimal(12,2)", "number", exact("9999999999.99", "-0.01")),
    Golden("decimal(20,4)", "decimal(12,2)", "number", [
        *exact("9999999999.99"), ("10000000000", None, "10000000000.0000"), ("1.0001", None, "1.0001"),
        ("-1.0050", None, "-1.0050"),
    ]),
    Golden("decimal(3,2)", "decimal(3,0)", "number", [("9.99", None, "9.99"), ("-9.00", -9, None)], lake=ANYWAY),
    Golden("decimal(38,10)", "decimal(38,0)", "number", [*exact("7"), ("1.5", None, "1.5000000000")]),
    Golden("decimal(38,0)", "bigint", "integer", [*whole(2**63 - 1, -(2**63)), (str(2**63), None, str(2**63))], lake=ANYWAY),
    Golden("decimal(12,2)", "bigint", "integer", [("7.00", 7, None), ("7.50", None, "7.50")], lake=ANYWAY),
    Golden("money", "money", "number", exact("922337203685477.5807", "-922337203685477.5808")),
    Golden("smallmoney", "smallmoney", "number", exact("214748.3647", "-214748.3648")),
    Golden("money", "decimal(12,2)", "number", [*exact("1.25"), ("1.2501", None, "1.2501")]),
    Golden("float", "float", "number", fits(**{"1.7976931348623157e308": 1.7976931348623157e308, "0.1": 0.1, "-2.5e-300": -2.5e-300})),
    Golden("real", "real", "number", fits(**{"1.5": 1.5, "-0.25": -0.25})),
    Golden("float", "real", "number", [("1.5", 1.5, None), (None, None, None)]),
    Golden("bigint", "bigint", "string", texts("-9223372036854775808")),
    Golden("decimal(12,2)", "decimal(12,2)", "string", [("1.50", "1.50", None), (None, None, None)]),
]  # fmt: skip
MOMENTS = [
    Golden("date", "date", "date", fits(**{"0001-01-01": date(1, 1, 1), "9999-12-31": date(9999, 12, 31)})),
    Golden("datetime2(6)", "datetime2(6)", "timestamp", fits(**{
        FIRST: moment(FIRST), f"{LAST}.999999": moment(f"{LAST}.999999"), "1600-02-29 12:00:00.123456": moment("1600-02-29 12:00:00.123456"),
    })),
    Golden("datetime2(0)", "datetime2(0)", "timestamp", fits(**{LAST: moment(LAST)})),
    Golden("datetime2(3)", "datetime2(3)", "timestamp", fits(**{f"{LAST}.999": moment(f"{LAST}.999")})),
    Golden("datetime2(7)", "datetime2(7)", "timestamp", fits(**{f"{LAST}.999999": moment(f"{LAST}.999999")})),
    Golden("datetime", "datetime", "timestamp", fits(**{
        "1753-01-01 00:00:00": moment("1753-01-01 00:00:00"), f"{LAST}.997": moment(f"{LAST}.997"),
        "2026-03-01 10:00:00.003": moment("2026-03-01 10:00:00.003"),
    })),
    Golden("smalldatetime", "smalldatetime", "timestamp", fits(**{"2079-06-06 23:59:00": moment("2079-06-06 23:59:00")})),
    Golden("datetimeoffset(6)", "datetimeoffset(6)", "timestamp", fits(**{
        "0001-01-01 00:00:00 +00:00": datetime(1, 1, 1, tzinfo=UTC),
        f"{LAST}.999999 +00:00": datetime(9999, 12, 31, 23, 59, 59, 999999, UTC),
        "2026-03-01 10:00:00.123456 +05:30": datetime(2026, 3, 1, 4, 30, 0, 123456, UTC),
    })),
    Golden("datetime2(6)", "date", "date", [
        ("2026-03-01 00:00:00", date(2026, 3, 1), None), ("2026-03-01 00:00:00.000001", None, "2026-03-01 00:00:00.000001"),
    ], lake=ANYWAY),
    Golden("datetime", "datetime", "date", [("2026-03-01", date(2026, 3, 1), None), ("2026-03-01 10:00:00.003", None, "2026-03-01 10:00:00.003")]),
    Golden("time(3)", "time(3)", "string", [("10:00:00.123", "10:00:00.123", None), (None, None, None)]),
]  # fmt: skip
TEXTS = [
    Golden("varchar(8000)", "varchar(8000)", "string", texts("", " ", "x" * 8000, "a\nb\x01", "ação")),
    Golden("nvarchar(4000)", "nvarchar(4000)", "string", texts("", EMOJI, "😀" * 2000)),
    Golden("char(5)", "char(5)", "string", [("ab", "ab   ", None), (None, None, None)]),
    Golden("nchar(3)", "nchar(3)", "string", [("é", "é  ", None), (None, None, None)]),
    Golden("nvarchar(max)", "nvarchar(max)", "string", texts("", EMOJI, "x" * 70_000, "😀" * 30_000)),
    Golden("varchar(max)", "varchar(max)", "string", texts("", "x" * 100_000)),
    Golden("uniqueidentifier", "uniqueidentifier", "string", texts("6F9619FF-8B86-D011-B42D-00C04FC964FF")),
    Golden("xml", "xml", "string", texts("<a>1</a>")),
]
BYTES = "CONVERT({}, ?, 2)"
BINARIES = [
    Golden("varbinary(16)", "varbinary(16)", "array", fits(**{"": b"", "00FF": b"\x00\xff"}), BYTES),
    Golden("binary(4)", "binary(4)", "array", fits(**{"00FF0000": b"\x00\xff\x00\x00"}), BYTES),
    Golden(
        "varbinary(max)",
        "varbinary(max)",
        "array",
        fits(**{"00FF": b"\x00\xff", "AB" * 100_000: b"\xab" * 100_000}),
        BYTES,
    ),
    Golden("varbinary(16)", "varbinary(16)", "string", texts("00FF"), BYTES),
]
OTHER_KINDS = [
    # the drift policy let the type pass: nothing converts exactly, so every value goes to quarantine as text
    Golden("varchar(20)", "int", "integer", [("12", None, "12"), (None, None, None)], lake=ANYWAY),
    Golden("int", "datetime2(6)", "timestamp", [("12", None, "12"), (None, None, None)], lake=ANYWAY),
]


def round_trip(desk: Desk, golden: Golden) -> list[dict[str, Any]]:
    table = desk.table(f"ID bigint PRIMARY KEY, V {golden.declared} NULL")
    for key, (text, _, _) in enumerate(golden.values):
        put = golden.put.format(golden.declared)
        desk.sql(f"INSERT INTO dbo.{table} VALUES ({key}, {put})", binds=[text])
    contract = desk.contract(table, ID, Promise("v", golden.promised, golden.logical), **dict(golden.lake))
    with SqlServerSource("shop", desk.connection).snapshot() as snapshot:
        return rows(snapshot, contract)


@pytest.mark.parametrize("golden", [*NUMBERS, *MOMENTS, *TEXTS, *BINARIES, *OTHER_KINDS], ids=str)
def test_a_value_arrives_exactly_or_as_its_text(desk: Desk, golden: Golden) -> None:
    delivered = round_trip(desk, golden)

    for (_, value, text), row in zip(golden.values, delivered, strict=True):
        assert row["v"] == value
        assert type(row["v"]) is type(value)
        assert row.get(RAW_PREFIX + "v") == text


@true_server
@pytest.mark.parametrize(
    "golden",
    [
        Golden("datetime2(7)", "datetime2(7)", "timestamp", [("2026-03-01 10:00:00.1234567", None, "2026-03-01 10:00:00.1234567")]),
        Golden("datetimeoffset(7)", "datetimeoffset(7)", "timestamp", [
            ("2026-03-01 10:00:00.1234567 +05:30", None, "2026-03-01 10:00:00.1234567 +05:30")]),
        Golden("time(7)", "time(7)", "string", texts("10:00:00.1234567")),
        Golden("float", "real", "number", [("0.1", None, "0.10000000000000001"), ("1e300", None, "1.0000000000000001e+300")]),
        Golden("sql_variant", "sql_variant", "string", texts("12")),
    ],
    ids=str,
)  # fmt: skip
def test_a_true_server_shows_what_else_there_is(desk: Desk, golden: Golden) -> None:
    test_a_value_arrives_exactly_or_as_its_text(desk, golden)


def test_a_rowversion_arrives_as_a_whole_number_that_grows(desk: Desk) -> None:
    table = desk.table("ID bigint PRIMARY KEY, V rowversion")
    desk.sql(f"INSERT INTO dbo.{table} (ID) VALUES (1)", f"INSERT INTO dbo.{table} (ID) VALUES (2)")
    contract = desk.contract(table, ID, Promise("v", "rowversion", "integer"))

    with SqlServerSource("shop", desk.connection).snapshot() as snapshot:
        first, second = rows(snapshot, contract)

    assert 0 < first["v"] < second["v"]


def test_each_column_of_a_row_keeps_its_own_misfit(desk: Desk) -> None:
    """Short misfit texts travel in one column and must come apart again."""
    table = desk.table("ID bigint PRIMARY KEY, A decimal(12,4), B datetime2(6), C int, D varchar(10)")
    desk.sql(
        f"INSERT INTO dbo.{table} VALUES (1, 1.5, '2026-03-01 00:00:01', 70000, 'x|y'), "
        f"(2, 1, '2026-03-01', 70000, 'x|y'), (3, 1, NULL, 2, 'x|y')"
    )
    contract = desk.contract(
        table,
        ID,
        Promise("a", "decimal(12,0)", "number"),
        Promise("b", "date", "date"),
        Promise("c", "smallint", "integer"),
        Promise("d", "varchar(10)"),
        onDrift="{changedType: ignore}",
    )

    with SqlServerSource("shop", desk.connection).snapshot() as snapshot:
        found = rows(snapshot, contract)

    assert [(row["a"], row["b"], row["c"], row["d"]) for row in found] == [
        (None, None, None, "x|y"), (1, date(2026, 3, 1), None, "x|y"), (1, None, 2, "x|y")]  # fmt: skip
    assert [tuple(row[RAW_PREFIX + name] for name in "abc") for row in found] == [
        ("1.5000", "2026-03-01 00:00:01.000000", "70000"), (None, None, "70000"), (None, None, None)]  # fmt: skip


def test_names_of_another_alphabet_are_read(desk: Desk) -> None:
    table = desk.table("ID bigint PRIMARY KEY, [GRÖSSE] nvarchar(20), [名前] nvarchar(20)")
    desk.sql(f"INSERT INTO dbo.{table} VALUES (1, ?, ?)", binds=[EMOJI, "山田"])
    contract = desk.contract(table, ID, Promise("size", "nvarchar(20)", source="GRÖSSE"), Promise("name", "nvarchar(20)", source="名前"))  # fmt: skip

    with SqlServerSource("shop", desk.connection).snapshot() as snapshot:
        (row,) = rows(snapshot, contract)

    assert (row["size"], row["name"]) == (EMOJI, "山田")
