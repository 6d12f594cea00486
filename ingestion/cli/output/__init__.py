"""The one place that prints results: tables, lines and verdicts for people, JSON, CSV and Parquet for programs.

Values are never markup and never steer a terminal. Imports rich and pyarrow only when it prints with them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ingestion.cli.output.streams import as_json_has_it, unread

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Output:
    """Prints for people, or one JSON document for programs."""

    as_json: bool

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

    def line(self, text: str) -> None:
        """Print a line for people only."""
        if not self.as_json:
            with unread():
                self.console.print(text, soft_wrap=True)
