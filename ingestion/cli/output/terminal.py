"""A console for tables and lines that holds data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

from ingestion.cli.output.streams import leave_stdout
from ingestion.printable import shown


class Terminal(Console):
    """A console that prints text literally: nothing is markup; `Text` has its own style."""

    def __init__(self, *, stderr: bool = False, file: IO[str] | None = None) -> None:
        super().__init__(stderr=stderr, file=file, highlight=False, markup=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=shown(segment.text))

    def on_broken_pipe(self) -> None:
        """Continue without output; rich would end the process."""
        self.quiet = True
        leave_stdout()


def print_step(console: Console, why: str, command: str) -> None:
    """Print `why: command`, in two lines if need be; the command is never broken, so that it can be copied."""
    if cell_len(f"{why}: {command}") <= console.width:
        console.print(f"{why}: {command}")
    else:
        console.print(f"{why}:")
        console.print(f"  {command}", soft_wrap=True)


def print_labelled(console: Console, label: str, text: str, *, is_command: bool = False) -> None:
    """Print a label and its text beside it, wrapped on a terminal only; a command is never broken."""
    if is_command or not console.is_terminal:
        console.print(f"{label:9} {text}".rstrip(), soft_wrap=True)
        return
    beside = Table.grid(Column(width=9), Column(overflow="fold"), padding=(0, 1, 0, 0))
    beside.add_row(Text(label), Text(text))
    console.print(beside)
