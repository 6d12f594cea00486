"""What a further attempt at a step on many tables has to do: only what has no good end in this run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ingestion.errors import LakehouseError, PermanentError, TablesFailedError
from ingestion.lake.storage.errors import reaching
from ingestion.runs.context import Context
from ingestion.runs.job_result import failure, result


@dataclass(frozen=True, slots=True)
class Rest:
    """
    What is left of a step, and what earlier attempts of the run did.

    `todo`: subjects without an end, or whose newest attempt may be repeated; `lost`: the errors of those for which no
    retry can help; `done`: the summaries of those with a good end, by subject, as `job_result.result` gives them.
    """

    todo: tuple[str, ...]
    lost: tuple[LakehouseError, ...] = ()
    done: dict[str, dict[str, Any]] | None = None


def rest_of(context: Context, step: str, subjects: Sequence[str]) -> Rest:
    """Return what a run has left to do of a step, by the ledger."""
    with reaching(context.lake.root):
        rows = context.journal.select(
            "select * from ops.runs where run_id = ? and step = ? order by finished_at", [context.run_id, step]
        )
    todo, lost, done = [], [], {}
    for subject in subjects:
        own = [row for row in rows if row["subject"] == subject]
        error = failure(step, subject, own, None)
        if isinstance(error, PermanentError):
            lost.append(error)
        elif not own or own[-1]["status"] == "failed":
            todo.append(subject)
        else:
            done[subject] = result(step, subject, own)
    return Rest(tuple(todo), tuple(lost), done)


def raise_all(errors: Sequence[LakehouseError], *, of: int) -> None:
    """
    Raise the errors of several tables as one, nothing if there is none.

    One error is raised as it is. Several are a PermanentError if a retry can help none of them, else TablesFailedError.
    """
    if len(errors) == 1:
        raise errors[0]
    if errors:
        told = TablesFailedError(errors, of)
        raise PermanentError(str(told)) if all(isinstance(error, PermanentError) for error in errors) else told
