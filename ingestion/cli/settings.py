"""The command that shows every setting."""

from __future__ import annotations

import os
from itertools import groupby
from typing import TYPE_CHECKING

import click

from ingestion.cli.base import prepare_environment, with_output
from ingestion.cli.output import Output

if TYPE_CHECKING:
    from rich.console import Console


@click.command("settings")
@with_output
def show_settings(output: Output) -> None:
    """Show every setting: its value, where it comes from, and what it does. Secrets are `set` or `unset`.

    Asks no store of secrets and opens no lake.
    """
    from ingestion.cli.output.table import FittingTable
    from ingestion.settings import Settings
    from ingestion.settings.registry import unknown_names
    from ingestion.settings.told import ANY_CONNECTION, told_settings

    from_file = prepare_environment()
    here = Settings.from_environ(os.environ)
    told, unknown = told_settings(here, os.environ, from_file), list(unknown_names(os.environ))

    def render(console: Console) -> None:
        for group, members in groupby(told, key=lambda each: each.group):
            rows = [(each.name, each.value, each.origin, each.effect) for each in members]
            console.print(FittingTable(("setting", "value", "origin", "effect"), rows, title=f"{group}:"))
            console.print()
        if here.secrets.reaches_out:
            for name in (ANY_CONNECTION, "LAKEHOUSE_MASK_SALT"):
                console.print(f"{name} is looked up in {here.secrets.places(name)}.", soft_wrap=True)
        for name in unknown:
            console.print(f"{name} is no setting.", soft_wrap=True)

    output.result({"settings": [each.as_dict() for each in told], "unknown": unknown}, render)
