"""The commands that explain failures and answer questions. They show what a person may do and run nothing."""

from __future__ import annotations

import logging
import os
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ingestion.cli.base import settings, with_output
from ingestion.cli.output import Output, counted
from ingestion.cli.output.streams import say
from ingestion.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from ingestion.settings import Settings
    from monitoring.advisor.calls import Calls
    from monitoring.advisor.values import Advice

_LONGEST_QUESTION = 4_000


@click.command()
@click.argument("run_id", metavar="RUN", required=False)
@click.option("--last", is_flag=True, help="The newest run with a failed step.")
@click.option("--file", "log", type=click.Path(path_type=Path), help="A log of any program; of a long one both ends.")
@with_output
def explain(output: Output, *, run_id: str | None, last: bool, log: Path | None) -> None:
    """Say why RUN failed: the likely cause, the evidence, a command to try, and how sure that is.

    Reads the ledger or a log and no source, and writes nothing but the record of the answer. Rules answer; where they
    know no cause, they say so. If LAKEHOUSE_MODEL is set, the model is asked too.
    """
    if sum((run_id is not None, last, log is not None)) != 1:
        raise click.UsageError("Name one of RUN, --last and --file.")
    here = settings()
    if log is not None:
        _show(output, _of_log(here, log), {"log": str(log)})
        return
    from ingestion.contracts.odcs import examine_folder
    from ingestion.runs.context import open_context
    from monitoring.advisor.calls import Calls, recorded
    from monitoring.advisor.project import read_names
    from monitoring.advisor.roles import role_of
    from monitoring.advisor.runs import explain_run

    context = open_context(here)
    names = read_names(here.contracts, here.dbt_project)
    found = explain_run(context.journal, examine_folder(here.contracts)[0], names, run_id)
    advice = found.advice
    if advice is not None and _has_model():
        from monitoring.advisor.opening import open_advisor

        advice = open_advisor(here, os.environ).advisor.answer(found.question, role_of(advice), advice)
    elif advice is not None:
        advice = recorded(Calls(context.journal), role_of(advice), advice)
    _show(output, advice, {"run_id": found.run_id, "failed": list(found.failed)})


def _of_log(here: Settings, log: Path) -> Advice:
    from monitoring.advisor.log_files import read_log
    from monitoring.advisor.project import read_names
    from monitoring.advisor.roles import LogAnalyzer, role_of

    text, names = read_log(log), read_names(here.contracts, here.dbt_project)
    advice = LogAnalyzer(names).analyze(text)
    if not _has_model():
        return advice
    from monitoring.advisor.opening import open_advisor
    from monitoring.advisor.values import Question

    return open_advisor(here, os.environ).advisor.answer(Question(text, names), role_of(advice), advice)


def _has_model() -> bool:
    """Tell whether a model is set, so that without one nothing of it is imported."""
    return bool(os.environ.get("LAKEHOUSE_MODEL"))


@click.command()
@click.argument("question", required=False)
@click.option(
    "--rate", "call", metavar="CALL", help="Say of an earlier answer whether it helped; needs --up or --down."
)
@click.option("--up/--down", "is_up", default=None, help="It helped, or it did not.")
@with_output
def ask(output: Output, *, question: str | None, call: str | None, is_up: bool | None) -> None:
    """Answer a QUESTION about this project: a failure, a table, a column, a model, what to do.

    Rules and the ledger answer, with the passages of contracts, models, runbooks and decisions that come closest. If
    LAKEHOUSE_MODEL is set, the model is asked too. Nothing is run.

    \b
    lakehouse ask "why is erp.customers late?"
    """
    from monitoring.advisor.opening import open_advisor
    from monitoring.advisor.values import Question

    if (question is None) == (call is None) or (call is None) != (is_up is None):
        raise click.UsageError("Name a question, or --rate CALL with --up or --down.")
    text = (question or "").strip()
    if call is None and not 0 < len(text) <= _LONGEST_QUESTION:
        raise ConfigurationError(
            f"ask: the question has {len(text):,} characters. Nothing was asked. Write 1 to {_LONGEST_QUESTION:,}; for "
            "a log: lakehouse explain --file LOG"
        )
    opened = open_advisor(settings(), os.environ)
    if call is not None:
        _rate(output, opened.calls, call, "up" if is_up else "down")
        return
    advice = opened.advisor.answer(Question(text, opened.names, "question"))
    _show(output, advice, {"question": text})


@click.group()
def docs() -> None:
    """Descriptions of models that are missing."""


@docs.command()
@click.option("--diff", "as_patch", is_flag=True, help="Print a patch for `git apply`.")
@with_output
def suggest(output: Output, *, as_patch: bool) -> None:
    """Propose descriptions for columns of models that have none. Writes no file.

    In the words of the contracts, where they agree; for other columns the model is asked, if LAKEHOUSE_MODEL is set.

    \b
    lakehouse docs suggest --diff > docs.patch
    """
    from monitoring.advisor.doc_writer import from_contracts, patch, undescribed
    from monitoring.advisor.opening import open_advisor

    here = settings()
    places = list(undescribed(here.dbt_project))
    proposals = list(from_contracts(places, here.contracts))
    open_places = [place for place in places if place not in [proposal.place for proposal in proposals]]
    if _has_model():
        found, why = open_advisor(here, os.environ).advisor.describe(open_places)
        proposals += found
        if why:
            say(why, logging.WARNING)
    told = [{"model": p.place.model, "column": p.place.column, "text": p.text, "by": p.by} for p in proposals]
    left = f"{counted(len(places), 'column')} without a description, {counted(len(proposals), 'proposal')}."
    lines = [f"{each['model']}.{each['column']}: {each['text']} ({each['by']})" for each in told]
    text = patch(proposals, here.project).rstrip("\n") if as_patch else "\n".join([*lines, left])
    output.result(
        {"undescribed": len(places), "proposals": told, "patch": patch(proposals, here.project)},
        lambda console: console.print(text, soft_wrap=True, markup=False),
    )


def _rate(output: Output, calls: Calls | None, call: str, feedback: str) -> None:
    if calls is None:
        raise ConfigurationError(f"{call}: there is no lake, so nothing was recorded. Set LAKEHOUSE_ROOT.")
    calls.rate(call, feedback, getuser())
    output.result({"call_id": call, "feedback": feedback}, lambda console: console.print(f"{call}: noted."))


def _show(output: Output, advice: Advice | None, about: dict[str, object]) -> None:
    failed = about.get("failed")
    head = ", ".join([str(next(iter(about.values()))), *(failed if isinstance(failed, list) else [])])

    def render(console: Console) -> None:
        from ingestion.cli.output.terminal import print_labelled

        console.print(f"{head}\n", soft_wrap=True)
        if advice is None:
            console.print("Nothing failed in this run.")
        for label, text in _lines(advice) if advice else ():
            print_labelled(console, label, text, is_command=label in ("Try", "SQL"))

    output.result({**about, "advice": advice.as_dict() if advice else None}, render)


def _lines(advice: Advice) -> Iterator[tuple[str, str]]:
    """Yield an advice for people: labels, and their texts."""
    yield "Cause" if advice.cause else "Answer", advice.root_cause
    yield "Sure", f"{advice.confidence:.0%}, says {advice.advisor}"
    for number, evidence in enumerate(advice.evidence, start=1):
        yield "Evidence" if number == 1 else "", f"[{number}] {evidence.source_id}: {evidence.quote}"
    yield "To do", advice.recommended_action.text
    if advice.recommended_action.command:
        yield "Try", advice.recommended_action.command
    if advice.runbook:
        yield "Runbook", advice.runbook
    for number, line in enumerate(advice.sql.splitlines()):
        yield "" if number else "SQL", line
    for number, source in enumerate(advice.sources, start=len(advice.evidence) + 1):
        label = "Read" if number == len(advice.evidence) + 1 else ""
        yield label, f"[{number}] {source.source_id}: {source.quote}"
    if advice.note:
        yield "Note", advice.note
    if advice.call_id:
        yield "Id", f"{advice.call_id} (did it help? lakehouse ask --rate {advice.call_id} --up, or --down)"
    for other in advice.also:
        yield "", ""
        yield from _lines(other)
