"""A day of 24 rounds in the drill world: each planted cause is told once when it hurts and once when it is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from ingestion.contracts.odcs import list_contract_ids
from ingestion.demo.files import SourceFiles
from ingestion.demo.world import World, create_day_1
from ingestion.drills.run import DRILLS, SCALE
from ingestion.drills.site import Site
from ingestion.gaps.record import record_sync_gap, record_unread
from ingestion.load.load_table import load_table
from ingestion.runs.context import initialise
from ingestion.settings import Settings
from monitoring import upkeep
from monitoring.board import read_board
from monitoring.findings import Kind
from monitoring.incidents import alerting
from monitoring.incidents.messages import Message
from monitoring.promises import read_promises
from tests.examples import LONG_FORM

ROOT = Path(__file__).parents[2]
HOURS = 24


class Recorder:
    name = "recorder"

    def __init__(self) -> None:
        self.sent: list[Message] = []

    def send(self, message: Message) -> None:
        self.sent.append(message)


@dataclass(frozen=True)
class Cause:
    """What is planted before the round `begin` and healed before the round `end`, and the incident that must tell it."""

    begin: int
    end: int
    kind: Kind
    subject: str
    plant: Callable[[], object]
    heal: Callable[[], object]


class Day:
    """The four tables of the drill world and their lake; a round loads, compares and evaluates as an hour does."""

    def __init__(self, folder: Path) -> None:
        create_day_1(World(scale=SCALE), SourceFiles(folder))
        self.folder, self.channel = folder, Recorder()
        self.settings = Settings(ROOT, str(folder / "lake"))
        start = initialise(self.settings)
        ids = list_contract_ids(self.settings.contracts)
        self.sites = {name: Site(folder, self.settings, start.contract(name)) for name in ids}
        self.promises = read_promises(self.settings.contracts, self.settings.dbt_project)

    def round(self) -> None:
        """A table whose source is away fails to load and to be compared, as in the DAG."""
        for name, site in self.sites.items():
            if (self.folder / f"{site.contract.system}.duckdb").exists():
                site.go_on()
            context = site.context
            _, failed = context.each_table([name], partial(load_table, context))
            context.note_unread("load", failed)
            _, unread = context.each_table([name], partial(record_sync_gap, context))
            record_unread(context, unread)
        journal, now = context.journal, datetime.now(UTC)
        board = read_board(journal, self.promises, now=now, root=str(self.folder))
        alerting.evaluate(journal, board, [self.channel], now=now)

    def drilled(self, begin: int, end: int, drill: str) -> Cause:
        site, told = self.sites[DRILLS[drill].table], DRILLS[drill]
        return Cause(begin, end, Kind.GAP, site.table, lambda: told.plant(site), lambda: told.heal(site))

    def causes(self) -> list[Cause]:
        away, file = self.folder / "away.duckdb", self.folder / "shop.duckdb"
        products = self.sites["erp.products"]
        return [
            Cause(3, 6, Kind.SOURCE_UNAVAILABLE, "shop", lambda: file.rename(away), lambda: away.rename(file)),
            self.drilled(8, 12, "changed-rows"),
            self.drilled(9, 14, "lost-rows"),
            self.drilled(13, 17, "orphan-deletes"),
            Cause(
                16,
                20,
                Kind.DRIFT,
                products.table,
                lambda: products.change("alter table {0} add column SHELF varchar", "select 1"),
                lambda: products.change("alter table {0} drop column SHELF", "select 1"),
            ),
        ]


@LONG_FORM  # 96 loads and comparisons
def test_each_planted_cause_is_told_once_and_ends_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "NEARLY_FULL", 0.0)  # the disk of the tests is no part of the drill
    day = Day(tmp_path)
    causes = day.causes()
    DRILLS["lost-rows"].before(day.sites["shop.order_items"])

    for hour in range(HOURS):
        for cause in causes:
            if cause.begin == hour:
                cause.plant()
            if cause.end == hour:
                cause.heal()
        day.round()

    told = Counter((message.event, message.title.partition(": ")[2]) for message in day.channel.sent)
    names = [f"{cause.subject}: {cause.kind.replace('_', ' ')}" for cause in causes]
    figures = {event: sum(told[event, name] for name in names) for event in ("opened", "worse", "recovered")}
    false = {key: count for key, count in told.items() if key[1] not in names}
    assert false == {}
    assert figures == {"opened": len(causes), "worse": 0, "recovered": len(causes)}
    assert all(told[event, name] == 1 for event in ("opened", "recovered") for name in names)
