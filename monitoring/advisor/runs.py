"""Gathers from the ledger what failed in a run, for the rules to judge. Reads the ledger and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ingestion.errors import ConfigurationError
from monitoring.advisor import rules
from monitoring.advisor.of_table import advices_of
from monitoring.advisor.values import Advice, Names, Question
from monitoring.facts import gather

if TYPE_CHECKING:
    from ingestion.contracts.model import Contract
    from ingestion.ledger.journal import Journal


@dataclass(frozen=True, slots=True)
class Explained:
    """A run and what is advised about it; `failed` are its failed steps. No advice: nothing failed in it."""

    run_id: str
    failed: tuple[str, ...]
    advice: Advice | None
    question: Question = field(default_factory=lambda: Question(""))
    """All that failed as one question, for a model."""


def explain_run(journal: Journal, contracts: Sequence[Contract], names: Names, run_id: str | None) -> Explained:
    """
    Explain a run; None means the newest one with a failed step, or the newest one if none failed.

    Raises ConfigurationError if the ledger has no such run.
    """
    chosen = _chosen(journal, run_id)
    questions = list(failures(journal, chosen, names))
    advices = [rules.advise(*questions)] if questions else []
    advices += _of_gaps(journal, contracts, chosen)
    failed = tuple(question.facts["step"] for question in questions)
    if not advices:
        return Explained(chosen, failed, None)
    first, *others = sorted(advices, key=lambda advice: advice.cause is None)
    text = "\n".join(f"{question.error}: {question.text}" for question in questions)
    whole = Question(text, names, f"run {chosen}", None, {"run_id": chosen, "failed_steps": ", ".join(failed)})
    return Explained(chosen, failed, replace(first, also=(*first.also, *others)), whole)


def failures(journal: Journal, run_id: str, names: Names) -> Iterator[Question]:
    """Yield a question per failed step and model of a run, in the order in which they ended."""
    for row in journal.select(
        "select step, subject, error, message, finished_at, rows_read from ops.runs "
        "where run_id = ? and status = 'failed' order by finished_at, subject",
        [run_id],
    ):
        yield _question(run_id, f"{row['step']} {row['subject']}", row, names)
    for row in journal.select(
        "select model, 'BuildError' as error, message, finished_at from ops.models "
        "where run_id = ? and status = 'failed' order by finished_at, model",
        [run_id],
    ):
        yield _question(run_id, f"model {row['model']}", row, names)


def _question(run_id: str, step: str, row: Mapping[str, Any], names: Names) -> Question:
    facts = {name: str(row[name]) for name in ("finished_at", "rows_read") if row.get(name) is not None}
    subject = step.partition(" ")[2]
    text = row["message"] or ""
    text = text if subject in text else f"{subject}: {text}"
    return Question(text, names, f"run {run_id} {step}", row["error"], {"run_id": run_id, "step": step, **facts})


def _of_gaps(journal: Journal, contracts: Sequence[Contract], run_id: str) -> list[Advice]:
    """Return advice on the tables that a run found different from their sources, or could not compare."""
    rows = journal.select(
        'select distinct contract_id from ops.gaps where run_id = ? and "partition" is null '
        "and severity in ('CRITICAL', 'WARNING', 'UNKNOWN')",
        [run_id],
    )
    found = {row["contract_id"] for row in rows}
    chosen = [contract for contract in contracts if contract.id in found]
    return [advice for facts in gather(journal, chosen) for advice in advices_of(facts)] if chosen else []


def _chosen(journal: Journal, run_id: str | None) -> str:
    rows = journal.select(
        "select run_id from ops.runs where ?::varchar is null or run_id = ?::varchar group by run_id "
        "order by bool_or(status = 'failed') desc, max(finished_at) desc limit 1",
        [run_id, run_id],
    )
    if rows:
        return str(rows[0]["run_id"])
    raise ConfigurationError(
        f"{run_id or 'explain'}: the ledger has no {'such run' if run_id else 'run yet'}. Nothing was explained. "
        'List the runs: lakehouse sql "select distinct run_id from ops.runs"'
    )
