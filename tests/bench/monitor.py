"""The monitor against sources that are written all the time: how often does it call wolf? The goal is never.

    python -m tests.bench.monitor [--minutes 60] [--pause 10] [--source duckdb|sqlserver] [--seed N]

Three tables are written by several writers: rows come, change and go, and some transactions are long: what they write
bears the time of the work and is committed minutes later, behind the watermark. Checks go on all the time, loads now and
then. A false alarm is a difference that was confirmed, or a table that was called CRITICAL, although nobody planted anything; what
was suspected and resolved is counted apart. In the end three true gaps are planted, which no load would ever close: a
monitor that never says a thing must not pass.

DuckDB files are written between the steps, for one process at a time can have them open; a step reads one transaction,
so it could not tell the difference. SQL Server (AIRFLOW_CONN_SQLSERVER_TEST) is written by threads while the steps run.
`watch(rounds=…)` simulates the clock: a round is a minute, and none of it is waited for.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ingestion.errors import TransientError
from ingestion.gaps.record import record_sync_gap
from ingestion.ledger.journal import Journal
from ingestion.load.load_table import load_table
from ingestion.runs.context import initialise, open_context
from ingestion.settings import Connection, Settings, parse_connection
from monitoring import ledger_views

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: busy.{entity}
version: 1.0.0
status: active
name: {entity}
domain: test
description: {{purpose: Test.}}
servers:
  - {server}
schema:
  - name: {entity}
    physicalName: {schema}.{entity}
    logicalType: object
    physicalType: table
    description: Test.
    properties:
      - {{name: id, physicalName: id, logicalType: integer, physicalType: bigint, primaryKey: true, primaryKeyPosition: 1, required: true, description: Key.}}
      - {{name: label, physicalName: label, logicalType: string, physicalType: {text}, description: Text.}}
      - {{name: amount, physicalName: amount, logicalType: number, physicalType: "decimal(12,2)", description: Number.}}
      - {{name: day, physicalName: day, logicalType: date, physicalType: date, required: true, description: Partition.}}
      - {{name: changed_at, physicalName: changed_at, logicalType: timestamp, physicalType: {moment}, required: true, description: Watermark.}}
customProperties:
  - property: lake
    value:
      timezone: UTC
{mode}
      maxDeletePercent: 50
      silver: stg_{entity}
      reconcile: {{partition: day, grain: day, warningGapPercent: 0, criticalGapPercent: 0}}
"""
_WINDOW = "      mode: incremental\n      watermark: changed_at\n      overlap: PT10M\n      deletes: "
TABLES = {"orders": _WINDOW + "keys", "lines": _WINDOW + "none", "stock": "      mode: full\n      deletes: keys"}
"""Entity -> how it is loaded. Nothing is deleted from `lines`, as its contract says."""
TYPES = {
    "duckdb": {"schema": "main", "text": "VARCHAR", "moment": "TIMESTAMP"},
    "sqlserver": {"schema": "dbo", "text": "varchar(40)", "moment": "datetime2(6)"},
}
SERVERS = {
    "duckdb": '{server: busy, type: duckdb, database: "${BUSY_FILE}"}',
    "sqlserver": "{server: busy, type: sqlserver, host: '${BUSY_HOST}', port: 1433, database: busy, schema: dbo}",
}
WRITERS = 3
ROWS = 600
"""Rows of each table that a writer begins with."""
LONGEST = timedelta(minutes=3)
"""What the longest transaction takes: less than the overlap, or its rows would be a true gap."""
ROUNDS_TO_A_LOAD = 3
"""Most checks follow another with no load between: what is late is then still late, and no gap."""
FIRST = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@dataclass(slots=True)
class Told:
    """What an hour of it came to."""

    rounds: int = 0
    checks: int = 0
    transactions: int = 0
    long_transactions: int = 0
    suspected: int = 0
    resolved_in_flight: int = 0
    false_alarms: int = 0
    planted: int = 0
    found: int = 0
    transient_errors: int = 0
    failed_transactions: int = 0
    slowest_check_seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        is_busy = self.transactions > 20 * self.failed_transactions
        return is_busy and not self.false_alarms and self.found == self.planted > 0


@dataclass(slots=True)
class Writer:
    """One session of an application. Its rows are its own: key modulo `WRITERS` is its number."""

    number: int
    chance: random.Random
    next_id: int = 0
    alive: dict[str, list[int]] = field(default_factory=lambda: {entity: [] for entity in TABLES})

    def work(self, schema: str, moment: datetime, *, rows: int = 0) -> list[str]:
        """Return the statements of one transaction, whose rows bear `moment`: `rows` new ones, or a bit of all."""
        statements = []
        stamp = moment.strftime("%Y-%m-%d %H:%M:%S.%f")
        for entity in TABLES:
            name, alive = f"{schema}.{entity}", self.alive[entity]
            count = rows or self.chance.randint(0, 6)
            for low in range(0, count, 100):
                new = [self._new() for _ in range(min(100, count - low))]
                values = ", ".join(f"({key}, {self._values()}, '{stamp}')" for key in new)
                statements.append(f"insert into {name} (id, label, amount, day, changed_at) values {values}")
                alive += new
            if rows or len(alive) < 20:
                continue
            changed = ", ".join(map(str, self.chance.sample(alive, self.chance.randint(1, 8))))
            statements.append(
                f"update {name} set amount = amount + 1, label = 'n{self.chance.randint(0, 999)}', "
                f"changed_at = '{stamp}' where id in ({changed})"
            )
            gone = self.chance.sample(alive, self.chance.randint(0, 2)) if entity != "lines" else []
            if gone:
                statements.append(f"delete from {name} where id in ({', '.join(map(str, gone))})")
                self.alive[entity] = [key for key in alive if key not in gone]
        return statements

    def _new(self) -> int:
        self.next_id += 1
        return self.next_id * WRITERS + self.number

    def _values(self) -> str:
        day = FIRST.date() - timedelta(days=self.chance.randint(0, 30))
        return f"'n{self.chance.randint(0, 999)}', {self.chance.randint(0, 99_999) / 100}, '{day}'"


@dataclass(slots=True)
class Clock:
    """The time of day; a simulated one moves only when it is told to."""

    simulated: datetime | None

    def now(self) -> datetime:
        return self.simulated or datetime.now(UTC)

    def wait(self, seconds: float) -> None:
        if self.simulated is None:
            time.sleep(seconds)
        else:
            self.simulated += timedelta(seconds=seconds)


class Files:
    """A DuckDB file. Its writers write between the monitor's steps."""

    def __init__(self, folder: Path, clock: Clock, writers: Sequence[Writer], told: Told) -> None:
        self._file, self._clock, self._writers, self._told = folder / "busy.duckdb", clock, writers, told
        self._pending: dict[int, tuple[datetime, list[str]]] = {}

    @property
    def connection(self) -> Connection:
        extra = {} if self._clock.simulated is None else {"clock": self._clock.now().isoformat()}
        return Connection("duckdb", schema=str(self._file).removeprefix("/"), extra=extra)

    def run(self, statements: Sequence[str]) -> None:
        import duckdb

        with duckdb.connect(str(self._file)) as connection:
            connection.execute("begin")
            for statement in statements:
                connection.execute(statement)
            connection.execute("commit")

    def let_write(self) -> None:
        """Let every writer commit what it holds back if its time has come, and do one more piece of work."""
        for writer in self._writers:
            now = self._clock.now()
            due, held = self._pending.get(writer.number, (now, []))
            if due > now:
                continue
            if held:
                self.run(held)
                self._told.transactions += 1
                del self._pending[writer.number]
            work = writer.work("main", now - timedelta(seconds=1))
            if work and writer.chance.random() < 0.3:
                self._pending[writer.number] = (now + LONGEST * writer.chance.random(), work)
                self._told.long_transactions += 1
            elif work:
                self.run(work)
                self._told.transactions += 1

    @contextmanager
    def writing(self) -> Iterator[None]:
        yield
        for _, held in self._pending.values():
            self.run(held)


class Server:
    """A SQL Server. Its writers are threads that never stop."""

    def __init__(self, _folder: Path, clock: Clock, writers: Sequence[Writer], told: Told) -> None:
        self._clock, self._writers, self._told = clock, writers, told
        self.connection = parse_connection("busy", os.environ["AIRFLOW_CONN_SQLSERVER_TEST"])

    def run(self, statements: Sequence[str], *, hold: float = 0.0) -> None:
        import arrow_odbc

        from ingestion.sources.sqlserver.session import connection_string

        session = arrow_odbc.connect(connection_string("busy", self.connection))
        session.execute("BEGIN TRANSACTION")
        for statement in statements:
            session.execute(statement)
        time.sleep(hold)
        session.execute("COMMIT TRANSACTION")

    def let_write(self) -> None:
        """Nothing to let: they write anyway."""

    @contextmanager
    def writing(self) -> Iterator[None]:
        stop = threading.Event()
        threads = [threading.Thread(target=self._go_on, args=(writer, stop)) for writer in self._writers]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def _go_on(self, writer: Writer, stop: threading.Event) -> None:
        while not stop.is_set():
            is_long = writer.chance.random() < 0.3
            work = writer.work("dbo", self._clock.now())
            try:
                self.run(work, hold=writer.chance.uniform(0, 20) if is_long else 0.0)
            except Exception:  # a deadlock, a server that is busy: a writer that ends would make the hour an easy one
                self._told.failed_transactions += 1
                continue
            self._told.transactions += 1
            self._told.long_transactions += is_long
            stop.wait(writer.chance.uniform(0, 0.5))


SOURCES: dict[str, type[Files] | type[Server]] = {"duckdb": Files, "sqlserver": Server}


def watch(
    folder: Path,
    *,
    source: str = "duckdb",
    rounds: int | None = None,
    minutes: float = 0.0,
    pause: float = 10.0,
    seed: int = 7,
) -> Told:
    """Let the writers write and the monitor watch, for so many simulated rounds or true minutes."""
    told = Told()
    clock = Clock(FIRST if rounds is not None else None)
    writers = [Writer(number, random.Random(seed + number)) for number in range(WRITERS)]
    busy = SOURCES[source](folder, clock, writers, told)
    settings = _project(folder, source)
    _fill(busy, source, writers, clock)
    end = time.monotonic() + 60 * minutes
    with busy.writing():
        while told.rounds < (rounds or 0) or time.monotonic() < end:
            steps = (load_table, record_sync_gap) if told.rounds % ROUNDS_TO_A_LOAD == 0 else (record_sync_gap,)
            for entity in TABLES:
                for step in steps:
                    clock.wait(min(pause, 60.0) / (2 * len(TABLES)))
                    busy.let_write()
                    _step(step, settings, busy.connection, f"busy.{entity}", told)
            told.rounds += 1
    journal = open_context(settings).journal
    _judge(journal, told)
    _plant(busy, source, settings, clock, told)
    return told


def _project(folder: Path, source: str) -> Settings:
    for entity, mode in TABLES.items():
        file = folder / "data_contracts" / "busy" / f"{entity}.odcs.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        text = CONTRACT.format(entity=entity, mode=mode, server=SERVERS[source], **TYPES[source])
        file.write_text(text.lstrip())
    settings = Settings(folder, str(folder / "lake"), "256MB")
    initialise(settings)
    return settings


def _fill(busy: Any, source: str, writers: Sequence[Writer], clock: Clock) -> None:
    types = TYPES[source]
    for entity in TABLES:
        name = f"{types['schema']}.{entity}"
        with suppress(Exception):  # of an earlier run on a server
            busy.run([f"drop table {name}"])
        columns = (
            f"label {types['text']}, amount decimal(12,2), day date not null, changed_at {types['moment']} not null"
        )
        busy.run([f"create table {name} (id bigint not null primary key, {columns})"])
    for writer in writers:
        busy.run(writer.work(types["schema"], clock.now() - timedelta(hours=1), rows=ROWS))


def _step(step: Any, settings: Settings, connection: Connection, contract_id: str, told: Told) -> None:
    start = time.monotonic()
    try:
        step(open_context(replace(settings, connections={"busy": connection})), contract_id)
    except TransientError:
        told.transient_errors += 1
    if step is record_sync_gap:
        told.checks += 1
        told.slowest_check_seconds = max(told.slowest_check_seconds, round(time.monotonic() - start, 2))


def _judge(journal: Journal, told: Told) -> None:
    """Count what was suspected, what resolved and what was cried out though nothing was planted."""
    states = journal.select("select difference_id, list(distinct state) as states from ops.differences group by 1")
    went = Counter(state for row in states for state in row["states"])
    told.suspected, told.resolved_in_flight = went["suspected"], went["resolved_in_flight"]
    critical = journal.select("select count(*) as n from ops.gaps where severity = 'CRITICAL' and state = 'confirmed'")
    told.false_alarms = max(went["confirmed"], critical[0]["n"])


def _plant(busy: Any, source: str, settings: Settings, clock: Clock, told: Told) -> None:
    """Do what no load will ever see: change old rows without their watermark, delete one where nobody looks for it."""
    schema = TYPES[source]["schema"]
    for entity in TABLES:
        _step(load_table, settings, busy.connection, f"busy.{entity}", told)
    for entity, change in (("orders", _UPDATE), ("lines", _UPDATE), ("lines", _DELETE)):
        name = f"{schema}.{entity}"
        busy.run([change.format(name)])
    expected = {("busy.orders", "changed"), ("busy.lines", "changed"), ("busy.lines", "missing_in_source")}
    for _ in range(2):
        clock.wait(1)
        for entity in ("orders", "lines"):
            for step in (load_table, record_sync_gap):
                _step(step, settings, busy.connection, f"busy.{entity}", told)
    open_ones = ledger_views.open_differences(open_context(settings).journal)
    told.planted = len(expected)
    told.found = len(expected & {(d.contract_id, d.kind) for d in open_ones if d.state == "confirmed"})


_OLDEST = "(id) from {0} where changed_at = (select min(changed_at) from {0})"
_UPDATE = f"update {{0}} set amount = amount + 5 where id = (select min{_OLDEST})"
_DELETE = f"delete from {{0}} where id = (select max{_OLDEST})"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--pause", type=float, default=10.0, help="seconds of a round that are waited")
    parser.add_argument("--rounds", type=int, help="simulated minutes instead of true ones")
    parser.add_argument("--source", choices=SOURCES, default="duckdb")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        told = watch(
            Path(folder),
            source=given.source,
            rounds=given.rounds,
            minutes=0.0 if given.rounds else given.minutes,
            pause=60.0 if given.rounds else given.pause,
            seed=given.seed,
        )
    print(" ".join(f"{name}={value}" for name, value in asdict(told).items()))
    sys.exit(0 if told.is_good else 1)


if __name__ == "__main__":
    main()
