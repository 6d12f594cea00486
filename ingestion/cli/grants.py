"""The command that prints who may read and write what."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from ingestion.cli.base import settings, with_output
from ingestion.cli.output import Output
from ingestion.cli.output.streams import say
from ingestion.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import Console

KINDS, NAMES = ("s3", "adls", "gcs", "unity"), ("loader", "transformer", "reader", "steward")
OF_SCHEME = {"s3": "s3", "abfss": "adls", "gs": "gcs"}


@click.command()
@click.option(
    "--for", "kind", type=click.Choice(["s3", "adls", "gcs", "unity"]), help="Default: as LAKEHOUSE_ROOT says."
)
@click.option(
    "--role", "only", type=click.Choice(["loader", "transformer", "reader", "steward"]), help="Only this one."
)
@click.option("--catalog", default="lakehouse", show_default=True, help="The catalog in Unity Catalog.")
@with_output
def grants(output: Output, *, kind: str | None, only: str | None, catalog: str) -> None:
    """Print the policies of the four roles: loader, transformer, reader, steward.

    They say which folders of the lake a role may read and write. Nothing is changed: a person applies them.
    """
    from ingestion.admin.grants import personal_tables, policies
    from ingestion.contracts.odcs import examine_folder

    here = settings()
    where = urlsplit(here.lake_root)
    kind = kind or OF_SCHEME.get(where.scheme)
    if kind is None:
        raise ConfigurationError(
            "grants: the lake is a folder, whose rights are those of its file system. Nothing was printed. Name the "
            "store that it will be in, e.g. --for s3."
        )
    place, prefix = "<bucket>", ""
    if where.scheme in OF_SCHEME:
        place, prefix = where.netloc.partition("@")[0], f"{where.path.strip('/')}/".lstrip("/")
    found = policies(kind, place=catalog if kind == "unity" else place, prefix=prefix)
    chosen = {name: text for name, text in found.items() if only in (None, name)}
    personal = personal_tables(examine_folder(here.contracts)[0])
    document = {"for": kind, "policies": chosen, "personal": personal}

    def render(_console: Console) -> None:
        for name, text in chosen.items():
            if kind == "s3" and only is None:
                click.echo(f"# {name}")
            click.echo(text)
        if only is None:
            say(f"Personal columns, which the reader cannot open: {_listed(personal) or 'none'}.")

    output.result(document, render)


def _listed(personal: dict[str, tuple[str, ...]]) -> str:
    return "; ".join(f"{name} ({', '.join(columns)})" for name, columns in personal.items())
