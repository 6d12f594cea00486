"""The command group, the options that commands share, and the printing of results."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property, update_wrapper
from math import isfinite, isnan
from typing import TYPE_CHECKING, Any

import click

from ingestion.cli.standard_streams import as_json_has_it, shown, unread
from ingestion.errors import LakehouseError
from ingestion.settings import DEBUG, Settings

if TYPE_CHECKING:
    from rich.console import Console


class Group(click.Group):
    """Prints our own errors as one paragraph and sets their exit code; lists commands in the order of definition."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LakehouseError as exc:
            error = exc
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except Exception as exc:  # outside of any step
            if os.environ.get(DEBUG):
                raise
            from ingestion.lake.storage.errors import told_apart
            from ingestion.runs.each import as_ours

            error = told_apart(str(settings().lake_root), exc) or as_ours(ctx.invoked_subcommand or "lakehouse", exc)
        if os.environ.get(DEBUG) and error.__cause__ is not None:
            raise error
        click.echo(shown(f"error: {error}"), err=True)
        return ctx.exit(error.exit_code)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click calls it by position
        return list(self.commands)


@dataclass(frozen=True)
class Output:
    """Prints for people, or one JSON document for programs."""

    as_json: bool

    @cached_property
    def console(self) -> Console:
        from ingestion.cli.terminal import Terminal

        return Terminal()

    def result(self, document: Any, render: Callable[[Console], None]) -> None:
        with unread():
            if self.as_json:
                click.echo(as_json_has_it(json.dumps(_finite(document), indent=2, default=_json, ensure_ascii=False)))
            else:
                render(self.console)

    def line(self, text: str) -> None:
        """Print a line for people only."""
        if not self.as_json:
            with unread():
                self.console.print(text)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="lakehouse")
def cli() -> None:
    """Load contracted tables from Oracle and SQL Server into a Delta lake, build history and a star schema on it,
    and know what is missing.

    A first look: lakehouse demo
    """


def with_output(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--json` and pass it an Output as its first argument."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    def wrapped(*args: Any, as_json: bool, **kwargs: Any) -> Any:
        return command(Output(as_json), *args, **kwargs)

    return update_wrapper(wrapped, command)


def settings() -> Settings:
    """Read the settings of this process. Raises ConfigurationError."""
    return Settings.from_environ(os.environ)


def _finite(value: Any) -> Any:
    """Return a document with numbers that JSON lacks (NaN, infinities) replaced by their texts."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not isfinite(value):
        return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _json(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    return str(value)
