"""The command group, and the options that commands share."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import cache, update_wrapper
from typing import TYPE_CHECKING, Any

import click

from ingestion.cli.output import Output
from ingestion.cli.output.streams import say
from ingestion.errors import LakehouseError
from ingestion.settings import DEBUG, Settings
from ingestion.settings.logs import configure_logs, writes_json
from ingestion.settings.process import prepare_process
from ingestion.shipped import DISTRIBUTION

if TYPE_CHECKING:
    from ingestion.lake.layout import Lake


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
        text = str(error) if writes_json() else f"error: {error}"
        say(text, logging.ERROR, error=type(error).__name__, exit_code=error.exit_code)
        return ctx.exit(error.exit_code)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click calls it by position
        return list(self.commands)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name=DISTRIBUTION)
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
    """Read the settings of this process, after those of its project's `.env`. Raises ConfigurationError."""
    prepare_environment()
    return Settings.from_environ(os.environ)


def prepare_environment() -> frozenset[str]:
    """Set the variables of the project's `.env`, tell once what a person should know, and return their names."""
    from_file, lines = prepare_process(os.environ)
    configure_logs(os.environ)
    for line in lines:
        _say_once(line)
    return from_file


@cache
def _say_once(line: str) -> None:
    say(line, logging.WARNING)


def told_world(output: Output, lake: Lake) -> None:
    """Say for people that all data is made up, if the lake is a demo's."""
    if lake.is_demo:
        output.line("This lake is the demo's: all of its data is made up.")


def with_world(lake: Lake, documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return documents with `"world": "demo"` if the lake is a demo's, so that no program takes them for real."""
    return [{**each, "world": "demo"} for each in documents] if lake.is_demo else documents
