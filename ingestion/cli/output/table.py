"""
Tables that fit the terminal: a table if it is wide enough, else one record per row. Names and numbers never wrap.

`FittingTable` prints what commands report; `QueryTable` the rows of a query, as they are stored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

PROSE = 24
"""Texts longer than this may wrap between words, in columns of at least this width."""
_GAP = 2
"""Blanks between columns, and before the lines of a record."""
_LONGEST_NAME = 0.5
"""Share of the width that names may take beside their values; longer ones stand above them."""


class FittingTable:
    """
    Rows under headings. Columns in `numbers` are right-aligned, None prints as a dash, numbers have separators.

    Data is printed literally, never as markup; a `Text` has its own style.
    """

    def __init__(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[object]],
        *,
        title: str | None = None,
        numbers: Collection[str] = (),
    ) -> None:
        self._title, self._columns = title, list(columns)
        self._right = {at for at, name in enumerate(columns) if name in numbers}
        self._rows = [[self._cell(value) for value in row] for row in rows]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self._title:
            yield Text(self._title, "bold")
        cells = [max([0, *(_least_width(row[at]) for row in self._rows)]) for at in range(len(self._columns))]
        for headings in ([Text(_plain(name)) for name in self._columns], _folded(self._columns)):
            widths = [max(_widest(heading), cell) for heading, cell in zip(headings, cells, strict=True)]
            if sum(widths) + _GAP * len(widths) + 1 <= options.max_width:
                yield self._table(headings, widths)
                return
        yield from self._records(options.max_width)

    def _table(self, headings: Sequence[Text], widths: Sequence[int]) -> Table:
        made = Table(header_style="bold", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for at, (heading, width) in enumerate(zip(headings, widths, strict=True)):
            prose = any(_is_prose(row[at]) for row in self._rows)
            justify: JustifyMethod = "right" if at in self._right else "left"
            made.add_column(heading, justify=justify, no_wrap=not prose, min_width=width)
        for row in self._rows:
            made.add_row(*row)
        return made

    def _records(self, width: int) -> Iterable[RenderableType]:
        """Yield a paragraph per row: its first cell, then `heading value` of the others, each at the same place."""
        places = self._places(width)
        for first, *cells in self._rows:
            yield Text(first.plain, "bold")
            for line in places:
                parts = [self._part(at, cells[at - 1], room) for at, room in line.items()]
                yield Padding(Text(" " * _GAP).join(parts), (0, 0, 0, _GAP))

    def _places(self, width: int) -> list[dict[int, int]]:
        """Return for each line of a record its columns, with the width of their widest values."""
        lines: list[dict[int, int]] = [{}]
        left = width
        for at, name in enumerate(self._columns[1:], start=1):
            room = min(max([0, *(row[at].cell_len for row in self._rows)]), max(0, width - _GAP - len(name) - 1))
            needed = _GAP + len(name) + bool(name) + room
            if needed > left and lines[-1]:
                lines.append({})
                left = width
            lines[-1][at] = room
            left -= needed
        return lines

    def _part(self, at: int, cell: Text, room: int) -> Text:
        name = _plain(self._columns[at])
        padding = " " * max(0, room - cell.cell_len)
        value = Text.assemble(padding, cell) if at in self._right else Text.assemble(cell, padding)
        return Text.assemble((f"{name} " if name else "", "dim"), value)

    def _cell(self, value: object) -> Text:
        if isinstance(value, Text):
            return value
        if value is None:
            return Text("-")
        if isinstance(value, bool):
            return Text("yes" if value else "no")
        if isinstance(value, int | float):
            return Text(f"{value:,}" if isinstance(value, int) else f"{value:,.2f}")
        return Text(_plain(str(value)))


class QueryTable(FittingTable):
    """
    Rows of a query: numbers as they are stored, without separators and unrounded; NULL is dim.

    Where there is no room for a table each row is a record with one field a line, numbered from `first` + 1.
    """

    def __init__(self, columns: Sequence[str], rows: Sequence[Sequence[object]], *, first: int = 0) -> None:
        super().__init__(columns, rows)
        self._first = first
        self._right = {
            at for at in range(len(columns))
            if all(isinstance(row[at], int | float | Decimal | None) and not isinstance(row[at], bool) for row in rows)
        }  # fmt: skip

    def _records(self, width: int) -> Iterable[RenderableType]:
        names = [Text(_plain(name), "dim") for name in self._columns]
        longest = max(name.cell_len for name in names)
        for number, cells in enumerate(self._rows, start=self._first + 1):
            yield Text(f"row {number}", "bold")
            if longest > width * _LONGEST_NAME:
                for name, cell in zip(names, cells, strict=True):
                    yield Padding(name, (0, 0, 0, _GAP))
                    yield Padding(cell, (0, 0, 0, 2 * _GAP))
                continue
            fields = Table.grid(padding=(0, _GAP, 0, 0), pad_edge=False)
            fields.add_column(no_wrap=True, min_width=longest)
            fields.add_column(overflow="fold")
            for name, cell in zip(names, cells, strict=True):
                fields.add_row(name, cell)
            yield Padding(fields, (0, 0, 0, _GAP))

    def _cell(self, value: object) -> Text:
        if value is None:
            return Text("NULL", "dim")
        if isinstance(value, bool):
            return Text("true" if value else "false")
        if isinstance(value, bytes):
            return Text(value.hex())
        return Text(_plain(str(value)))


def _folded(columns: Sequence[str]) -> list[Text]:
    """Return headings with a word a line, the last words in one line."""
    lines = [_plain(name).split() for name in columns]
    most = max(map(len, lines))
    return [Text("\n".join([*[""] * (most - len(words)), *words])) for words in lines]


def _widest(text: Text) -> int:
    return max([0, *(cell_len(line) for line in text.plain.split("\n"))])


def _least_width(cell: Text) -> int:
    return max([PROSE, *map(len, cell.plain.split())]) if _is_prose(cell) else cell.cell_len


def _is_prose(cell: Text) -> bool:
    return cell.cell_len > PROSE and " " in cell.plain


def _plain(text: str) -> str:
    """Return a text on one line, without characters that cannot be printed."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in text)
