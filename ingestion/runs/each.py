"""Works on many tables so that the failure of one does not stop the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ingestion.errors import LakehouseError, TablesFailedError, UnexpectedError
from ingestion.lake.library_errors import library_error
from ingestion.settings import DEBUG

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Failed:
    """A table whose work ended with an error. If it was not started, no step of it is in the ledger."""

    subject: str
    error: LakehouseError
    is_started: bool = True

    def as_dict(self) -> dict[str, Any]:
        return {"contract_id": self.subject, "error": type(self.error).__name__, "message": str(self.error)}


def each(subjects: Iterable[str], work: Callable[[str], T]) -> tuple[list[T], list[Failed]]:
    """Do the work for each subject, in order; return the results, and the errors of the failed ones."""
    results, failed = [], []
    for subject in subjects:
        try:
            results.append(work(subject))
        except BaseException as exc:
            if not is_error(exc):
                raise
            failed.append(Failed(subject, as_ours(subject, exc)))
    return results, failed


def is_error(exc: BaseException) -> bool:
    """Return whether this is an error and not a signal to end the process. Also true for a panic of delta-rs."""
    return isinstance(exc, Exception) or type(exc).__name__ == "PanicException"


def as_ours(subject: str, error: BaseException) -> LakehouseError:
    """
    Return an error as one of ours; an unknown error becomes UnexpectedError.

    With LAKEHOUSE_DEBUG in the environment the original error is kept as its cause, with its text in the traceback;
    otherwise the cause is suppressed.
    """
    told = error if isinstance(error, LakehouseError) else None
    if told is None:
        told = library_error(subject, error) or UnexpectedError(subject, error)
        told.__cause__ = error
    if not os.environ.get(DEBUG):
        told.__cause__ = _ours_alone(told.__cause__)
    told.__suppress_context__ = True
    return told


def _ours_alone(cause: BaseException | None) -> LakehouseError | None:
    """Return a cause without those of libraries, whose texts a traceback would show."""
    if not isinstance(cause, LakehouseError):
        return None
    cause.__cause__ = _ours_alone(cause.__cause__)
    cause.__suppress_context__ = True
    return cause


def raise_failed(failed: Sequence[Failed], *, of: int) -> None:
    """
    Raise the error of the one table that failed, or TablesFailedError for several; nothing if none did.

    The error that all tables share, because none could be started, is raised as it is: it names them.
    """
    is_shared = len(failed) == of and len({str(each.error) for each in failed}) == 1
    if len(failed) == 1 or (is_shared and not failed[0].is_started):
        raise failed[0].error
    if failed:
        raise TablesFailedError([each.error for each in failed], of)


def as_list(results: Sequence[Any], failed: Sequence[Failed]) -> list[dict[str, Any]]:
    """Return the outcome of many tables as one JSON list: the results, then the failures, which have an `error`."""
    return [each.as_dict() for each in (*results, *failed)]
