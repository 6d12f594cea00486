"""Reads from the ledger the result, or the error, of a step that ran in another process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ingestion.errors import ConfigurationError, LakehouseError, PermanentError, TransientError
from ingestion.lake.storage.errors import reaching
from ingestion.runs.context import Context

Row = Mapping[str, Any]
SUMS = ("read", "good", "quarantined", "known_bad", "known", "appended", "deleted")


def rows_of(context: Context, step: str, subject: str) -> list[dict[str, Any]]:
    """Return the ledger's rows of a step in this run, oldest first: one per attempt, two for some loads."""
    with reaching(context.lake.root):
        return context.journal.select(
            "select * from ops.runs where run_id = ? and step = ? and subject = ? order by finished_at",
            [context.run_id, step, subject],
        )


def result(step: str, subject: str, rows: Sequence[Row]) -> dict[str, Any]:
    """
    Return the summary of a successful job from its ledger rows, with the names of `LoadResult`.

    Raises ConfigurationError if it has no rows, and what `failure` returns if the last one has failed.
    """
    if not rows:
        raise ConfigurationError(
            f"{step} {subject}: the job ended well, but the lake's ledger has no row of it. What it wrote "
            "is in another lake. Give the cluster and Airflow the same LAKEHOUSE_ROOT."
        )
    last = rows[-1]
    if last["status"] == "failed":
        raise failure(step, subject, rows, None) or TransientError(
            f"{step} {subject}: the job ended well, but the ledger says {last['error']}. "
            "It is tried again. See the job's log."
        )
    names = ("run_id", "step", "subject", "status", "last_batch", "watermark", "fixed_point", "message")
    batches = [row["batch"] for row in rows if row["batch"] is not None]
    sums = {name: sum(row[f"rows_{name}"] or 0 for row in rows) for name in SUMS} if step == "load" else {}
    return {**{name: last[name] for name in names}, "batch": max(batches, default=None), **sums}


def failure(step: str, subject: str, rows: Sequence[Row], code: int | None) -> LakehouseError | None:
    """
    Return the error of a job as an error of the same kind: permanent, or transient (worth a retry).

    It comes from the ledger's newest row, else from the exit code of the command line. None if neither has it: a
    cluster that did not start, or an error that is not ours.
    """
    kinds = {kind.__name__: kind for kind in _kinds(LakehouseError)}
    if rows and rows[-1]["status"] == "failed":
        kind = kinds.get(rows[-1]["error"])
        return None if kind is None else _like(kind, str(rows[-1]["message"]))
    named = {kind.exit_code: kind for kind in kinds.values() if kind.exit_code > 1}
    if code not in named:
        return None
    return _like(
        named[code],
        f"{step} {subject}: the command on the cluster ended with code {code} "
        f"({named[code].__name__}) before it wrote to the ledger. A retry writes nothing twice. See the job's log.",
    )


def _like(kind: type[LakehouseError], message: str) -> LakehouseError:
    """Return an error with a complete message; the constructors of the leaf classes would compose their own."""
    return PermanentError(message) if issubclass(kind, PermanentError) else TransientError(message)


def _kinds(kind: type[LakehouseError]) -> Iterator[type[LakehouseError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)
