"""Tables fit their terminal, and show what comes from data as it is."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from rich.console import Console
from rich.text import Text

from ingestion.cli.output.table import FittingTable, QueryTable

NAMES = ("table", "rows", "watermark", "what to do")
ROWS = [
    (
        "shop.order_items",
        1_234_567,
        "2026-03-03 02:58:22.750001",
        "repair the rows at the source, then load them again",
    ),
    ("erp.customers", None, "2026-03-02 23:58:22.750001", "-"),
]


def shown(table: FittingTable, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(table)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return [line.rstrip() for line in text.splitlines()]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_name_number_or_moment_is_broken_and_no_line_is_too_long(width: int) -> None:
    lines = shown(FittingTable(NAMES, ROWS, numbers=("rows",)), width)

    assert max(map(len, lines)) <= width
    for whole in ("shop.order_items", "1,234,567", "2026-03-03 02:58:22.750001", "erp.customers"):
        assert any(whole in line for line in lines)


def test_a_table_without_room_becomes_a_record_per_row() -> None:
    assert shown(FittingTable(NAMES[:3], [ROWS[1][:3]], numbers=("rows",)), 45) == [
        "erp.customers",
        "  rows -",
        "  watermark 2026-03-02 23:58:22.750001",
    ]


def test_what_comes_from_data_is_no_markup_and_moves_no_cursor() -> None:
    lines = shown(FittingTable(("a", "b"), [("[/] [abc] [red]x[/]", "bell\x07 esc\x1b[31m turn\u202e")]), 80)

    assert "[/] [abc] [red]x[/]" in lines[3]
    assert "bell\N{REPLACEMENT CHARACTER} esc\N{REPLACEMENT CHARACTER}[31m turn\N{REPLACEMENT CHARACTER}" in lines[3]


def test_rows_of_a_query_show_numbers_as_they_are_stored() -> None:
    table = QueryTable(("k", "y", "f", "d", "n", "b"), [(123456789, 2026, 1e-09, Decimal("1.50"), None, b"\x00\xff")])

    assert shown(table, 80)[3].split() == ["123456789", "2026", "1e-09", "1.50", "NULL", "00ff"]


def test_rows_of_a_query_without_room_are_records_with_one_field_a_line() -> None:
    columns = ["customer_id", *(f"column_{n}" for n in range(1, 12))]
    rows = [(1001, *("[red]" for _ in range(11))), (1002, None, *("x" * 200 for _ in range(10)))]

    lines = shown(QueryTable(columns, rows, first=7), 80)

    assert lines[:3] == ["row 8", "  customer_id  1001", "  column_1     [red]"]
    assert lines[13:16] == ["row 9", "  customer_id  1002", "  column_1     NULL"]
    assert "".join(line.split()[-1] for line in lines[16:20]) == "x" * 200
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("width", [20, 40, 80])
def test_no_value_is_ever_one_letter_a_line(width: int) -> None:
    names = ["a_name_of_a_column_that_is_longer_than_half_of_the_terminal", "n", *(f"c{n}" for n in range(60))]

    lines = shown(QueryTable(names, [["a value of several words", *("value" for _ in names[1:])]]), width)

    assert sum("value" in line for line in lines) >= len(names)


def test_a_styled_text_keeps_its_words() -> None:
    assert "OK" in shown(FittingTable(("severity",), [(Text("OK", "green"),)]), 20)[3]
