"""Tables fit their terminal, and show what comes from data as it is."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text

from ingestion.cli.fitting import FittingTable

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


def test_exact_numbers_are_shown_as_they_are_stored() -> None:
    assert shown(FittingTable(("k", "y", "f"), [(123456789, 2026, 1e-09)], exact=True), 80)[3].split() == [
        "123456789", "2026", "1e-09"
    ]  # fmt: skip


def test_a_styled_text_keeps_its_words() -> None:
    assert "OK" in shown(FittingTable(("severity",), [(Text("OK", "green"),)]), 20)[3]
