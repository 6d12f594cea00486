"""
What the pages and the API show, read from one lake and kept until its ledger changes.

A question sees one version of each table of the ledger. Its answer is kept for as long as these versions, the contracts
and the minute stay the same. If the lake cannot be read in time, the last answer is given, with its age.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TimedOutError
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from ingestion.errors import LakehouseError
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.layout import Lake, open_lake
from ingestion.lake.storage.errors import reaching
from ingestion.ledger.journal import Journal
from ingestion.ledger.tables import TABLES
from ingestion.settings import Settings
from monitoring.advisor.project import read_names
from monitoring.advisor.values import Names
from monitoring.board import Board, read_board
from monitoring.kpis import Kpi, read_kpis
from monitoring.promises import Promises, read_promises

T = TypeVar("T")
KEPT = 256
"""Answers that are kept at most."""
PATIENCE = 20.0
"""Seconds that a request waits for the lake before the last answer is given instead."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Something read from the lake at `read_at`. `fault` says why it could not be read anew, if it is an older one."""

    value: Any
    read_at: datetime
    fault: str | None = None


class Site:
    """One project and its lake, for many requests at a time."""

    def __init__(self, settings: Settings, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.settings = settings
        self.now = now
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[Hashable, Answer]] = OrderedDict()
        self._readers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="lake")
        self._engine: DeltaRs | None = None
        self._of_files: dict[Callable[[Path, Path], Any], tuple[Hashable, Any]] = {}
        self.hits = self.misses = self.reading = 0
        self.is_demo = False

    def board(self) -> Answer:
        """Return the `Board` of now. Raises a LakehouseError if the lake could never be read."""
        return self.ask("board", self._read_board)

    def kpis(self) -> list[Kpi]:
        """Return the project's business figures; none if they cannot be read."""

        def read(journal: Journal) -> list[Kpi]:
            del journal
            return read_kpis(open_lake(self.settings.lake_root), self.settings.dbt_project)

        try:
            found: list[Kpi] = self.ask("kpis", read).value
        except LakehouseError:
            return []
        return found

    def ask(self, name: Hashable, question: Callable[[Journal], T]) -> Answer:
        """
        Return the answer to a question, an earlier one if the ledger did not change since; `name` identifies it.

        Raises a LakehouseError if there is no answer at all.
        """
        reading: Future[Answer] = self._readers.submit(self._answer, name, question)
        self.reading += 1
        try:
            return reading.result(PATIENCE)
        except TimedOutError:
            return self._last(name, "the lake did not answer in time", None)
        except LakehouseError as exc:
            return self._last(name, str(exc), exc)
        finally:
            self.reading -= 1

    def write(self, append: Callable[[Journal], None]) -> None:
        """Append to the ledger. Raises a LakehouseError if that fails."""
        lake, engine = self._open()
        with reaching(lake.root):
            append(Journal(lake, engine))

    def promises(self) -> Promises:
        """Return the contracts, read again when a file of them changed."""
        return self._read(read_promises)

    def names(self) -> Names:
        """Return the names of tables, columns and models, read again when a file of them changed."""
        return self._read(read_names)

    def _read(self, read: Callable[[Path, Path], T]) -> T:
        """Return what is read of the folders of contracts and dbt, an earlier answer if no file of them changed."""
        folders = (self.settings.contracts, self.settings.dbt_project)
        state = (_state_of(folders[0]), _state_of(folders[1] / "models"))
        with self._lock:
            if self._of_files.get(read, (None,))[0] != state:
                self._of_files[read] = (state, read(*folders))
            found: T = self._of_files[read][1]
            return found

    def is_readable(self) -> str | None:
        """Return why the lake cannot be read; None if it can."""
        try:
            self.ask("ready", lambda journal: bool(journal.select("select 1 from ops.runs limit 1")))
        except LakehouseError as exc:
            return str(exc)
        with self._lock:
            return self._kept["ready"][1].fault

    @property
    def kept(self) -> int:
        """How many answers are kept."""
        return len(self._kept)

    def close(self) -> None:
        self._readers.shutdown(wait=False, cancel_futures=True)

    def _read_board(self, journal: Journal) -> Board:
        return read_board(journal, self.promises(), now=self.now(), root=self.settings.lake_root)

    def _answer(self, name: Hashable, question: Callable[[Journal], T]) -> Answer:
        lake, engine = self._open()
        with reaching(lake.root):
            versions = tuple(_version(engine, lake.uri("ops", table)) for table in TABLES)
        now = self.now()
        state = (versions, id(self.promises()), now.replace(second=0, microsecond=0))
        with self._lock:
            kept = self._kept.get(name)
            is_kept = kept is not None and kept[0] == state
            self.hits, self.misses = self.hits + is_kept, self.misses + (not is_kept)
        if kept is not None and is_kept:
            return kept[1]
        journal = Journal(lake, engine)
        with reaching(lake.root), journal.gathering():
            answer = Answer(question(journal), now)
        with self._lock:
            self._kept[name] = (state, answer)
            self._kept.move_to_end(name)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return answer

    def _open(self) -> tuple[Lake, DeltaRs]:
        lake = open_lake(self.settings.lake_root)
        with self._lock:
            if self._engine is None:
                self.is_demo = lake.is_demo
                self._engine = DeltaRs(lake.storage_options, self.settings.load_memory, keeps_open=True)
            return lake, self._engine

    def _last(self, name: Hashable, fault: str, error: LakehouseError | None) -> Answer:
        with self._lock:
            kept = self._kept.get(name)
            if kept is not None:
                answer = Answer(kept[1].value, kept[1].read_at, fault)
                self._kept[name] = (None, answer)
                return answer
        if error is not None:
            raise error
        raise LakehouseError(f"{self.settings.lake_root}: {fault}. Nothing can be shown yet. Try again.")


def _version(engine: DeltaRs, uri: str) -> int:
    return engine.version(uri) if engine.exists(uri) else -1


def _state_of(folder: Path) -> Hashable:
    """Return a value that changes with the files of a folder."""
    return tuple(
        (str(path), (stat := path.stat()).st_mtime_ns, stat.st_size)
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".sql", ".yaml", ".yml")
    )
