"""What every pipeline step needs: settings, lake, engine, ledger and the run's id."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from ingestion import scratch
from ingestion.bronze.table import BronzeTable
from ingestion.contracts.model import Contract
from ingestion.contracts.odcs import find_contract, list_contract_ids, read_contracts
from ingestion.contracts.silver_models import silver_models, with_model, with_own_model
from ingestion.errors import (
    SIGNALLED,
    ConcurrentWriteError,
    ConfigurationError,
    IntegrityError,
    LakeError,
    LakehouseError,
    LakeUnavailableError,
    SourceUnavailableError,
)
from ingestion.lake.base import Engine
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.layout import Lake, create_lake, open_lake
from ingestion.lake.spark.session import check_installed
from ingestion.lake.storage.errors import reaching
from ingestion.ledger.journal import Journal, open_journal
from ingestion.privacy.logs import log_fields, logger
from ingestion.runbook.statements import in_files
from ingestion.runs.each import Failed, as_ours, each, is_error
from ingestion.runs.reach import Probe, reach, reaching_once
from ingestion.settings import Settings
from ingestion.sources import open_source
from ingestion.sources.base import Source
from ingestion.sources.kept_sessions import keeping_sessions

T = TypeVar("T")
_SAYING: tuple[type[LakehouseError], ...] = (
    *(LakeError, LakeUnavailableError, ConcurrentWriteError, IntegrityError),
    *(ConfigurationError, SourceUnavailableError),
)
_COMMITTING = ("load", "repair", "replay")


Observe = Callable[[str, int], None]
"""Called with what a load is doing (staging, comparing, committing), and the rows read since the last call."""


def unobserved(_phase: str, _rows: int) -> None:
    """Observe nothing."""


@dataclass(frozen=True, slots=True)
class Context:
    """
    One run on one lake. Cheap to create; holds no connection. `observe` is called as a load proceeds. `log_url`, where
    a scheduler shows the log of this process, is noted with each step.
    """

    settings: Settings
    lake: Lake
    engine: Engine
    journal: Journal
    run_id: str
    observe: Observe = unobserved
    log_url: str | None = None

    def contract(self, contract_id: str) -> Contract:
        """
        Return a contract by id, with the Silver model that dbt has for it.

        Raises ConfigurationError, InvalidContractError.
        """
        return with_own_model(find_contract(self.settings.contracts, contract_id), self.settings.dbt_project)

    def contract_ids(self) -> list[str]:
        """Return the ids of all contract files, valid or not. Raises ConfigurationError if there is none."""
        ids = list_contract_ids(self.settings.contracts)
        if not ids:
            raise ConfigurationError(
                f"{self.settings.contracts}: there is no contract. Nothing was done. "
                "Write <system>/<entity>.odcs.yaml there."
            )
        return list(ids)

    def contracts(self) -> tuple[Contract, ...]:
        """Return all contracts as `contract` does, ordered by id. Raises InvalidContractError."""
        models = silver_models(self.settings.dbt_project)
        return tuple(with_model(contract, models) for contract in read_contracts(self.settings.contracts))

    def told(self, contract: Contract) -> Contract:
        """Return a contract for SQL that people run: in the dialect of the database behind its system's connection."""
        connection = self.settings.known_connection(contract.system)
        return in_files(contract) if connection is not None and connection.type == "duckdb" else contract

    def table(self, contract: Contract) -> BronzeTable:
        return BronzeTable(self.lake, self.engine, contract)

    def source(self, contract: Contract) -> Source:
        return open_source(contract.system, self.settings.connection(contract.system, contract.dialect))

    def each_table(
        self,
        contract_ids: Iterable[str],
        work: Callable[[str], T],
        *,
        over: Callable[[Iterable[str]], Iterable[str]] = iter,
        probe: Probe | None = reaching_once,
    ) -> tuple[list[T], list[Failed]]:
        """
        Do the work for each table as `each` does; the tables share sessions on their sources and writes to the ledger.

        Before, `reach` looks for systems that cannot be reached: their tables are not started, and are returned as
        failed without a row in the ledger (see `note_unread`). `probe` is that of `reach`; None for work that reads no
        source, or whose sources were reached before. `over` yields the tables as their work begins. Raises one of our
        errors if the last rows of the ledger cannot be written.
        """
        with keeping_sessions():
            chosen, unread = (contract_ids, []) if probe is None else reach(self.settings, contract_ids, probe)
            with self.journal.gathering():
                results, failed = each(over(chosen), work)
            return results, [*unread, *failed]

    def note_unread(self, step: str, failed: Iterable[Failed], *, is_scheduled: bool = False) -> list[str]:
        """
        Record in one commit each table that was not started because its database did not answer: that is a fact of the
        day, as a failed step is. Tables without a valid connection leave no trace, because nobody has tried to read
        them, unless the run `is_scheduled`: its verdict is read from the ledger. Returns the recorded tables.
        """
        now = datetime.now(UTC)
        rows = [
            {"run_id": self.run_id, "step": step, "subject": each.subject, "status": "failed", "started_at": now}
            | {"finished_at": now, "error": type(each.error).__name__, "message": str(each.error)}
            | {"log_url": self.log_url}
            for each in failed
            if not each.is_started and (is_scheduled or isinstance(each.error, SourceUnavailableError))
        ]
        if rows:
            with reaching(self.lake.root):
                self.journal.append("runs", rows)
        return [str(row["subject"]) for row in rows]

    @contextmanager
    def recorded(self, step: str, subject: str) -> Iterator[dict[str, Any]]:
        """
        Write one row to `ops.runs` when the block ends, however it ends.

        The block fills the yielded dict with further columns. Our own errors are recorded with their message. Any
        other is recorded by its class and raised as UnexpectedError, because its text may hold row values. A signal
        that ends the process is recorded and passed on.
        """
        row: dict[str, Any] = {"run_id": self.run_id, "step": step, "subject": subject, "status": "ok"}
        row["log_url"] = self.log_url
        row["started_at"] = datetime.now(UTC)
        try:
            with reaching(self.lake.root):
                yield row
        except BaseException as exc:
            error = _after_commit(as_ours(subject, exc), row) if is_error(exc) else exc
            row["status"] = "failed"
            row["error"] = type(exc).__name__
            row["message"] = str(error) if isinstance(error, LakehouseError) else _stopped_by(exc)
            try:
                self._note(row)
            except LakehouseError as unnoted:  # the first failure must be repaired first
                logger.warning("%s", unnoted)
            if error is exc:
                raise
            raise error from error.__cause__
        self._note(row)

    def _note(self, row: dict[str, Any]) -> None:
        """Write a step's row to the ledger. If that fails, raises one of our errors that says what the step did."""
        row["finished_at"] = datetime.now(UTC)
        step, subject, status = row["step"], row["subject"], row["status"]
        log_fields(run=self.run_id, step=step, subject=subject, batch=row.get("batch"), status=status)
        try:
            with reaching(self.lake.root):
                self.journal.append("runs", [row])
        except Exception as exc:
            cause = str(exc) if isinstance(exc, LakehouseError) else f"({type(exc).__name__})"
            raise _unnoted(row, exc, cause) from exc


def _stopped_by(exc: BaseException) -> str | None:
    """Return which signal ended the process; None if it was none."""
    code = SIGNALLED + signal.SIGINT if isinstance(exc, KeyboardInterrupt) else getattr(exc, "code", None)
    if not isinstance(code, int) or code <= SIGNALLED:
        return None
    return f"stopped by {signal.Signals(code - SIGNALLED).name}"


def _after_commit(error: LakehouseError, row: dict[str, Any]) -> LakehouseError:
    """Return the error with the note that the batch, which the step had committed before, stays."""
    if row.get("batch") is None or row["step"] not in _COMMITTING or type(error) not in _SAYING:
        return error
    told = type(error)(
        f"{row['subject']}: batch {row['batch']} is committed to Bronze and stays; what failed came after it. {error}"
    )
    told.__cause__ = error
    return told


def _unnoted(row: dict[str, Any], error: Exception, cause: str) -> LakehouseError:
    """Return the error of a step that finished its work but could not write its row; same class as the cause."""
    done = "did its work"
    if row.get("batch") is not None and row["step"] in _COMMITTING:
        done = f"committed batch {row['batch']} to Bronze, which stays"
    elif row["status"] == "failed":
        done = "failed, as told"
    kind = next((kind for kind in _SAYING if type(error) is kind), LakeError)
    return kind(
        f"{row['subject']}: the step {row['step']} {done}; only its row in the ledger (ops.runs) could not be written. "
        f"Mend the ledger and run the step again, which writes nothing twice. {cause}"
    )


def open_context(settings: Settings, run_id: str | None = None) -> Context:
    """Return a context on an existing lake. Raises LakeError if there is none."""
    _check_clock()
    return _context(settings, open_lake(settings.lake_root), run_id)


def initialise(settings: Settings, run_id: str | None = None) -> Context:
    """Create marker, ledger and one empty Bronze and quarantine table per contract. Idempotent."""
    _check_clock()
    context = _context(settings, create_lake(settings.lake_root), run_id)
    context.journal.create()
    for contract in context.contracts():
        context.table(contract).create()
    return context


def new_run_id() -> str:
    """Return a name that sorts by time, e.g. `run-20260302T030000Z-1f3a9c`."""
    return f"run-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"


def _check_clock() -> None:
    """Raise ConfigurationError if this machine's clock is before 1970, the epoch of Delta logs."""
    if time.time() < 0:
        raise ConfigurationError(
            f"clock: it is {datetime.now(UTC):%Y-%m-%d} on this machine, before 1970. Nothing "
            "was read or written. Set the machine's clock."
        )


def _context(settings: Settings, lake: Lake, run_id: str | None) -> Context:
    scratch.sweep()
    engine = open_engine(settings, lake)
    return Context(settings, lake, engine, open_journal(lake, settings.memory_limit), run_id or new_run_id())


def open_engine(settings: Settings, lake: Lake) -> Engine:
    """Return the engine that the settings name. Spark starts with the first write. Raises ConfigurationError."""
    if settings.engine == "spark":
        check_installed(os.environ)
        from ingestion.lake.spark.engine import SparkDelta  # noqa: PLC0415 - the embedded engine needs no pyspark

        return SparkDelta(lake.storage_options, settings.memory_limit, root=lake.root)
    return DeltaRs(lake.storage_options, settings.memory_limit)
