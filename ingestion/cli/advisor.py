"""The commands that explain failures. They show what a person may do and run nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ingestion.cli.base import settings, with_output
from ingestion.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring.advisor.values import Advice


@click.command()
@click.argument("run_id", metavar="RUN", required=False)
@click.option("--last", is_flag=True, help="The newest run with a failed step.")
@click.option("--file", "log", type=click.Path(path_type=Path), help="A log of any program; of a long one both ends.")
@with_output
def explain(output: Output, *, run_id: str | None, last: bool, log: Path | None) -> None:
    """Say why RUN failed: the likely cause, the evidence, a command to try, and how sure that is.

    Reads the ledger or a log, no source, and changes nothing. Rules answer; where they know no cause, they say so.
    """
    if sum((run_id is not None, last, log is not None)) != 1:
        raise click.UsageError("Name one of RUN, --last and --file.")
    here = settings()
    if log is not None:
        from monitoring.advisor.log_files import read_log
        from monitoring.advisor.project import read_names
        from monitoring.advisor.roles import LogAnalyzer

        advice = LogAnalyzer(read_names(here.contracts, here.dbt_project)).analyze(read_log(log))
        _show(output, advice, {"log": str(log)})
        return
    from ingestion.contracts.odcs import examine_folder
    from ingestion.runs.context import open_context
    from monitoring.advisor.project import read_names
    from monitoring.advisor.runs import explain_run

    context = open_context(here)
    names = read_names(here.contracts, here.dbt_project)
    found = explain_run(context.journal, examine_folder(here.contracts)[0], names, run_id)
    _show(output, found.advice, {"run_id": found.run_id, "failed": list(found.failed)})


def _show(output: Output, advice: Advice | None, about: dict[str, object]) -> None:
    told = "\n".join(_lines(advice)) if advice else "Nothing failed in this run."
    head = ", ".join([str(about["run_id"]), *map(str, about["failed"])]) if "run_id" in about else str(about["log"])  # type: ignore[call-overload]
    output.result(
        {**about, "advice": advice.as_dict() if advice else None},
        lambda console: console.print(f"{head}\n\n{told}", soft_wrap=True, markup=False),
    )


def _lines(advice: Advice) -> Iterator[str]:
    """Yield an advice in lines for people."""
    yield f"Cause     {advice.root_cause}"
    yield f"Sure      {advice.confidence:.0%}, says {advice.advisor}"
    for number, evidence in enumerate(advice.evidence, start=1):
        yield f"{'Evidence' if number == 1 else '':9} [{number}] {evidence.source_id}: {evidence.quote}"
    yield f"To do     {advice.recommended_action.text}"
    if advice.recommended_action.command:
        yield f"Try       {advice.recommended_action.command}"
    if advice.runbook:
        yield f"Runbook   {advice.runbook}"
    if advice.note:
        yield f"Note      {advice.note}"
    for other in advice.also:
        yield ""
        yield from _lines(other)
