"""The commands that show the lake in a browser: served, or as files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ingestion.cli.base import settings, with_output
from ingestion.cli.output.streams import say
from ingestion.errors import ConfigurationError
from ingestion.shipped import pip_install

if TYPE_CHECKING:
    from ingestion.cli.output import Output

PORT = 8642


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Another one needs LAKEHOUSE_WEB_TOKEN.")
@click.option("--port", type=click.IntRange(1, 65535), default=PORT, show_default=True)
def serve(*, host: str, port: int) -> None:
    """Show in a browser whether the data is right and on time. Read-only."""
    with _needs_web():
        from monitoring.web.serve import TOKEN, check
        from monitoring.web.serve import serve as start

        here = settings()
        found = here.secrets.find(TOKEN)
        token = "" if found is None else found.reveal()
        check(host, token)
        say(f"Serving http://{host}:{port}/ (Ctrl-C ends it)")
        start(here, host=host, port=port, token=token)


@click.command()
@click.option("--html", "folder", type=click.Path(path_type=Path), required=True, help="A new or empty folder.")
@with_output
def report(output: Output, *, folder: Path) -> None:
    """Write the pages of `serve` as files, e.g. for a CI artifact."""
    with _needs_web():
        from monitoring.web.report import write_report
        from monitoring.web.site import Site

        site = Site(settings())
        try:
            pages = write_report(site, folder)
        finally:
            site.close()
    told = f"{len(pages)} pages, of which the first is {pages[0]}"
    output.result({"pages": [str(page) for page in pages]}, lambda console: console.print(told, soft_wrap=True))


@contextmanager
def _needs_web() -> Iterator[None]:
    """Convert the import error of a missing package into an error that says what to install."""
    try:
        yield
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] in ("ingestion", "monitoring", ""):
            raise
        raise ConfigurationError(
            f"serve: the package {exc.name} is not installed. Nothing was shown. Run: {pip_install('web')}"
        ) from None
