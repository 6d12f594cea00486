"""Checks tables repeatedly, in a child process that is replaced regularly.

DuckDB's delta extension keeps what it read of a table's log until its process ends: some 12 kB per commit since the
log's last checkpoint, for every read (duckdb-delta issue 279, seen with 1.5.5). So the memory of an endless watch would
grow without limit.
"""

from __future__ import annotations

import atexit
import signal
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from ingestion.cli.gap_tables import Standing
from ingestion.errors import LakehouseError, TransientError
from ingestion.gaps.record import record_sync_gap, record_unread
from ingestion.reconcile.gap import UNKNOWN
from ingestion.runs.context import Context, open_context
from ingestion.runs.each import Failed
from ingestion.settings import Settings
from monitoring import ledger_views
from monitoring.ledger_views import TableGap

GRACE = 30  # seconds
CHECKS = 100
"""Checks per process before it is replaced, because each check may keep a few megabytes."""


def check_all(
    context: Context, tables: Iterable[str], over: Callable[[Iterable[str]], Iterable[str]] = iter
) -> list[Failed]:
    """
    Record the gap of each table; one that cannot be compared is UNKNOWN and does not stop the others.

    Nothing is recorded for a table whose system has no valid connection: `standing_of` shows it as UNKNOWN.
    """
    failed = context.each_table(tables, lambda contract_id: record_sync_gap(context, contract_id), over=over)[1]
    record_unread(context, failed)
    return failed


def standing_of(context: Context, tables: Sequence[str], failed: Sequence[Failed] = ()) -> Standing:
    """Return the ledger's current results of these tables, and UNKNOWN for those that `check_all` did not start."""
    journal = context.journal
    unread = {each.subject: str(each.error) for each in failed if not each.is_started}
    read = [table for table in tables if table not in unread]
    unknown = [_unknown(context, contract_id, why) for contract_id, why in unread.items()]
    return Standing(
        tuple(sorted([*ledger_views.current_gaps(journal, read), *unknown], key=lambda gap: gap.contract_id)),
        tuple(ledger_views.partition_gaps(journal, read)),
        *ledger_views.unended_differences(journal, tables),
        unread=tuple(dict.fromkeys(unread.values())),
    )


def _unknown(context: Context, contract_id: str, why: str) -> TableGap:
    """Return a check that did not take place, now."""
    values: dict[str, Any] = dict.fromkeys(field.name for field in fields(TableGap))
    values |= {"contract_id": contract_id, "run_id": context.run_id, "checked_at": datetime.now(UTC), "why": why}
    return TableGap(**values | {"severity": UNKNOWN})


def rounds(settings: Settings, tables: Sequence[str]) -> Generator[Standing, None, None]:
    """
    Check all tables for each requested item, and yield the current results. Never ends by itself.

    Raises LakehouseError if the ledger cannot be read or written.
    """
    while True:
        with _beside(settings, tables) as next_round:
            for _ in range(max(1, CHECKS // max(1, len(tables)))):
                yield next_round()


@contextmanager
def _beside(settings: Settings, tables: Sequence[str]) -> Iterator[Callable[[], Standing]]:
    """Yield a function that runs one round in a child process, which ends with this block."""
    spawn = get_context("spawn")  # a fork would copy threads' locks, but not the threads
    here, there = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(there, settings, tuple(tables)), daemon=True)

    def next_round() -> Standing:
        try:
            here.send(True)
            told = here.recv()
        except (EOFError, OSError):
            process.join()
            raise TransientError(
                f"gaps: the process that checks ended (exit code {process.exitcode}). "
                "What was recorded stays. Look for what ended it (what it printed above, the system's memory), and "
                "start the watch again."
            ) from None
        if isinstance(told, BaseException):
            raise told
        standing: Standing = told
        return standing

    process.start()
    there.close()
    try:
        yield next_round
    except BaseException:
        process.terminate()
        raise
    finally:
        here.close()
        process.join(GRACE)  # a driver may delay the signal
        process.kill()
        process.join()


def _serve(asked: Connection, settings: Settings, tables: Sequence[str]) -> None:
    """Run a round for each request, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal interrupts both processes; the parent decides
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        context = open_context(settings)
        while asked.recv():
            asked.send(standing_of(context, tables, check_all(context, tables)))
    except EOFError:
        pass
    except (LakehouseError, OSError) as exc:  # the process prints other errors itself; some cannot be pickled
        with suppress(OSError):  # the parent is gone if the watch was stopped during a round
            asked.send(exc)
    finally:
        atexit._run_exitfuncs()  # such a process skips exit handlers, which delete the folder of Spark's settings
