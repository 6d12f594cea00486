"""The one place that prints results: tables, lines and verdicts for people, JSON, CSV and Parquet for programs.

Values are never markup and never steer a terminal. Imports rich and pyarrow only when it prints with them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, Any

from ingestion.cli.output.streams import unread
from ingestion.printable import as_json_has_it

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Output:
    """Prints for people, or one JSON document for programs."""

    as_json: bool
    begun: float = field(default_factory=monotonic)

    @cached_property
    def console(self) -> Console:
        from ingestion.cli.output.terminal import Terminal

        return Terminal()

    def result(self, document: Any, render: Callable[[Console], None]) -> None:
        """Print the result of a command: for programs the document, for people what `render` prints."""
        with unread():
            if self.as_json:
                import click

                from ingestion.cli.output.document import as_json

                click.echo(as_json_has_it(as_json(document)))
            else:
                render(self.console)

    def told(self, document: Any, text: str) -> None:
        """Print the result of a command: for programs the document, for people a text as it is."""
        self.result(document, lambda console: console.print(text, soft_wrap=True, highlight=False, markup=False))

    def verdict(self, *done: str, failed: str = "") -> None:
        """Print for people how the command ended and what it took: `4 tables loaded, 1 failed, in 12 s`."""
        if not self.as_json:
            parts = [*done, failed] if failed else [*done]
            told = f"{', '.join(parts)}{',' if len(parts) > 1 else ''} in {span(monotonic() - self.begun)}"
            with unread():
                self.console.print(told, style="bold red" if failed else "bold green", soft_wrap=True)

    def line(self, text: str) -> None:
        """Print a line for people only."""
        if not self.as_json:
            with unread():
                self.console.print(text, soft_wrap=True)


def counted(count: int, what: str) -> str:
    """Return a count with its noun: `1 table`, `1,200 tables`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def span(seconds: float) -> str:
    """Return a duration for people: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
