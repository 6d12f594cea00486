"""The drill command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ingestion.cli.base import settings, with_output
from ingestion.cli.output import Output
from ingestion.cli.progress import steps

if TYPE_CHECKING:
    from rich.console import Console


@click.command()
@click.argument("kinds", nargs=-1, metavar="[KIND]...")
@click.option("--list", "is_list", is_flag=True, help="Only list the kinds.")
@click.pass_context
@with_output
def drill(output: Output, ctx: click.Context, kinds: tuple[str, ...], is_list: bool) -> None:
    """Cause each KIND of fault (default: all) in a small demo world; show that it is found, explained and repaired.

    Uses temporary sources and a temporary lake. Ends with exit code 18 if a drill fails.
    """
    from ingestion.cli.output.states import state
    from ingestion.cli.output.table import FittingTable
    from ingestion.drills.run import DRILLS, DrillResult, run_drills

    if is_list:
        output.result(list(DRILLS), lambda console: console.print("\n".join(DRILLS)))
        return

    def render(console: Console, results: Sequence[DrillResult]) -> None:
        names = ("trouble", "table", "planted", "found", "named", "healed", "seconds", "passed")
        rows = [
            (r.trouble, r.table, r.planted, r.found, r.named, r.healed, r.seconds, state("yes" if r.ok else "no"))
            for r in results
        ]
        console.print(FittingTable(names, rows, numbers=("planted", "seconds")))

    with steps(output, "drill") as current:
        results = run_drills(settings(), kinds, progress=lambda kind: current.begin(f"drill {kind}"))
    output.result([result.as_dict() for result in results], lambda console: render(console, results))
    if not all(result.ok for result in results):
        ctx.exit(18)
