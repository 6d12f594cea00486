"""Every key that a contract may have changes what the product does: a setting that does nothing is worse than none.

The keys come from the code. A new one fails here until it has a case: two texts of a contract, and what differs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from typing import Any, cast

import pyarrow as pa
import pytest
from open_data_contract_standard.model import SchemaProperty
from pydantic import BaseModel

from ingestion.bronze.rows import Stamp, bronze_rows, effective_times
from ingestion.contracts.model import Contract
from ingestion.contracts.odcs import lint
from ingestion.contracts.reading import rules
from ingestion.contracts.reading.compile import examine
from ingestion.contracts.reading.lake_block import LakeBlock
from ingestion.contracts.window import FixedPoint
from ingestion.errors import LakehouseError
from ingestion.extract.windows import future_limit, plan_window
from ingestion.gaps.record import record_sync_gap
from ingestion.gaps.repair import repair_table
from ingestion.load.chunks import chunk_rows
from ingestion.load.load_table import load_table
from ingestion.runs.context import initialise
from tests.engines.conftest import HEAD, Company
from tests.examples import LONG

THING = "crm.thing"
POINT = FixedPoint("transaction", "1", datetime(2026, 3, 1, 12, tzinfo=UTC))
COLUMNS = """
      - {name: id, physicalName: id, logicalType: integer, physicalType: BIGINT, primaryKey: true, required: true}
      - {name: label, physicalName: label, logicalType: string, physicalType: VARCHAR}
      - {name: rank, physicalName: rank, logicalType: integer, physicalType: BIGINT}
      - {name: day, physicalName: day, logicalType: date, physicalType: DATE}
      - {name: other_at, physicalName: other_at, logicalType: timestamp, physicalType: TIMESTAMP, required: true}
      - {name: changed_at, physicalName: changed_at, logicalType: timestamp, physicalType: TIMESTAMP, required: true}
"""
ROWS = (
    "create table thing as select i::bigint as id, 'x' as label, i::bigint as rank, date '2026-01-31' + i::integer as day, "
    "timestamp '2026-02-01 10:00:00' as other_at, timestamp '2026-03-01 10:00:00' as changed_at from range(1, 31) t(i)"
)
INCREMENTAL = "mode: incremental, watermark: changed_at"


@dataclass
class World:
    """A source of thirty rows, the lake, and the contract that the case is about."""

    company: Company

    def load(self, *changes: str, **options: Any) -> Any:
        """Change the source, load, and return what came of it, or the error's name."""
        self.company.sql(*changes)
        try:
            result = load_table(self.company.context(), THING, **options)
        except LakehouseError as exc:
            return type(exc).__name__
        return replace(result, run_id="")

    def gap(self) -> Any:
        return record_sync_gap(self.company.context(), THING)

    @property
    def contract(self) -> Contract:
        return self.company.context().contract(THING)


Observe = Callable[[World], Any]


@dataclass(frozen=True)
class Case:
    """Two spellings of the `lake` block beside its time zone, and what the product does that tells them apart."""

    one: str
    two: str
    observe: Observe


def after(*changes: str, at_first: bool = True, **options: Any) -> Observe:
    """Load, change the source, load again: what the second load did."""

    def observe(world: World) -> Any:
        if at_first:
            world.load()
        return world.load(*changes, **options)

    return observe


def gap_after(*changes: str) -> Observe:
    def observe(world: World) -> Any:
        world.load()
        world.company.sql(*changes)
        found = world.gap()
        return found.severity, found.outcome, found.rung, [part.partition for part in found.partitions]

    return observe


def repaired(world: World) -> Any:
    world.load()
    world.company.sql("update thing set label = 'y' where id <= 30")
    try:
        return repair_table(world.company.context(), THING).appended
    except LakehouseError as exc:
        return type(exc).__name__


def layout(world: World) -> Any:
    table = world.company.context().table(world.contract)
    table.create()
    snapshot = table.engine.snapshot(table.uri, expected_version=0)
    return table.engine.tip(table.uri, "").properties.get("delta.appendOnly"), snapshot.partition_by


def first_row(contract: Contract) -> pa.RecordBatch:
    moment = datetime(2026, 3, 1, 10)
    row = {"id": 1, "label": "x", "rank": 5, "day": moment.date(), "other_at": moment, "changed_at": moment}
    return pa.RecordBatch.from_pylist([row], contract.arrow_schema)


def sequence(world: World) -> Any:
    stamp = Stamp(1, "R", POINT.moment, 0, POINT.moment)
    return bronze_rows(world.contract, first_row(world.contract), stamp, first_row=1).column("_seq").to_pylist()


def lint_beside_a_namesake(world: World) -> Any:
    folder = world.company.folder / "data_contracts" / "crm"
    text = (folder / "thing.odcs.yaml").read_text()
    (folder / "twin.odcs.yaml").write_text(
        re.sub(r"silver: \w+", "silver: stg_b", text).replace("crm.thing", "crm.twin")
    )
    return len(lint(folder.parent))


SILENT = "update thing set label = 'y' where id = 1"
GONE = "delete from thing where id <= 20"
BAD = "update thing set id = null where id <= 5"
LATE = "insert into thing values (99, 'x', 1, '2026-01-01', '2026-01-01', '2026-01-01')"
CASES: dict[str, Case] = {
    "timezone": Case(
        f"timezone: America/Sao_Paulo, {INCREMENTAL}", INCREMENTAL,
        lambda w: effective_times(w.contract, first_row(w.contract), POINT.moment).to_pylist(),
    ),
    "mode": Case("mode: full", INCREMENTAL, after(SILENT)),
    "watermark": Case(INCREMENTAL, "mode: incremental, watermark: other_at", after(at_first=False)),
    "sequence": Case("mode: full, sequence: rank", "mode: full", sequence),
    "overlap": Case(
        f"{INCREMENTAL}, overlap: PT2H", INCREMENTAL,
        lambda w: plan_window(w.contract, committed="2026-03-01 10:00:00", highest=None, fixed_point=POINT).window,
    ),
    "futureTolerance": Case(
        f"{INCREMENTAL}, futureTolerance: PT2H", INCREMENTAL, lambda w: future_limit(w.contract, POINT)
    ),
    "nullWatermark": Case(
        f"{INCREMENTAL}, nullWatermark: quarantine", f"{INCREMENTAL}, nullWatermark: fail",
        after("update thing set changed_at = null where id = 1"),
    ),
    "tracked": Case("mode: full, tracked: [label]", "mode: full", after("update thing set rank = 0")),
    "deletes": Case(
        "mode: full, maxDeletePercent: 100, deletes: none", "mode: full, maxDeletePercent: 100, deletes: keys", after(GONE)
    ),
    "maxDeletePercent": Case("mode: full, maxDeletePercent: 100", "mode: full", after(GONE)),
    "bronze": Case("mode: full, bronze: merge", "mode: full", layout),
    "partition": Case("mode: full, partition: day", "mode: full", layout),
    "chunkRows": Case("mode: full, chunkRows: 10", "mode: full", lambda w: chunk_rows(w.contract)),
    "onDrift.newColumn": Case(
        "mode: full, onDrift: {newColumn: add}", "mode: full, onDrift: {newColumn: ignore}",
        lambda w: (w.load("alter table thing add column c integer"), w.contract.arrow_schema.names),
    ),
    "onDrift.removedColumn": Case(
        "mode: full, onDrift: {removedColumn: ignore}", "mode: full",
        after("alter table thing drop column label", at_first=False),
    ),
    "onDrift.changedType": Case(
        "mode: full, onDrift: {changedType: ignore}", "mode: full",
        after("alter table thing alter rank type integer", at_first=False),
    ),
    "silver": Case("mode: full, silver: stg_a", "mode: full, silver: stg_b", lint_beside_a_namesake),
    "quarantine.warnPercent": Case(
        "mode: full, quarantine: {warnPercent: 60, failPercent: 90}", "mode: full, quarantine: {failPercent: 90}",
        after(BAD, at_first=False),
    ),
    "quarantine.failPercent": Case(
        "mode: full, quarantine: {failPercent: 90}", "mode: full", after(BAD, at_first=False)
    ),
    "reconcile.partition": Case(
        "mode: full, reconcile: {partition: day}", "mode: full", gap_after("delete from thing where id = 1")
    ),
    "reconcile.grain": Case(
        "mode: full, reconcile: {partition: day, grain: year}", "mode: full, reconcile: {partition: day, grain: day}",
        gap_after("delete from thing where id = 1"),
    ),
    "reconcile.warningGapPercent": Case(
        "mode: full, reconcile: {warningGapPercent: 20, criticalGapPercent: 50}",
        "mode: full, reconcile: {criticalGapPercent: 50}", gap_after(SILENT),
    ),
    "reconcile.criticalGapPercent": Case(
        "mode: full, reconcile: {criticalGapPercent: 50}", "mode: full", gap_after(SILENT)
    ),
    "reconcile.maxQueries": Case("mode: full, reconcile: {maxQueries: 2}", "mode: full", gap_after(SILENT)),
    "reconcile.maxRows": Case("mode: full, reconcile: {maxRows: 0}", "mode: full", gap_after(SILENT)),
    "reconcile.maxSeconds": Case("mode: full, reconcile: {maxSeconds: 0.000001}", "mode: full", gap_after(SILENT)),
    "reconcile.maxRepairPercent": Case("mode: full, reconcile: {maxRepairPercent: 100}", "mode: full", repaired),
}  # fmt: skip


def keys_of(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """Yield the keys of a block by their paths in the file; of a block within it those that it has."""
    for name, field in model.model_fields.items():
        path = f"{above}{field.alias or name}"
        inner = [a for a in (getattr(field.annotation, "__args__", ()) or ()) if isinstance(a, type)]
        blocks = [a for a in inner if issubclass(a, BaseModel)]
        yield from keys_of(blocks[0], f"{path}.") if blocks else [path]


@pytest.mark.parametrize("key", sorted(keys_of(LakeBlock)))
def test_every_key_of_the_lake_block_changes_something(tmp_path: Path, key: str) -> None:
    assert key in CASES, f"{key} has no case here: what does the product do otherwise for it?"
    case = CASES[key]
    assert key.rsplit(".", maxsplit=1)[-1] in case.one

    assert case.observe(world(tmp_path / "one", case.one)) != case.observe(world(tmp_path / "two", case.two))


@pytest.mark.parametrize("key", ["mode", "reconcile.partition", "reconcile.maxRepairPercent"] if LONG else ["mode"])
def test_the_same_contract_twice_shows_no_difference(tmp_path: Path, key: str) -> None:
    case = CASES[key]

    assert case.observe(world(tmp_path / "one", case.two)) == case.observe(world(tmp_path / "two", case.two))


def world(folder: Path, block: str) -> World:
    folder.mkdir()
    company = Company(folder)
    zone = "" if "timezone" in block else "timezone: UTC, "
    text = HEAD.format(entity="thing", table="thing") + COLUMNS.lstrip("\n")
    if "nullWatermark" in block:
        text = re.sub(r"(name: changed_at.*), required: true", r"\1", text)
    company.contract("thing", f"{text}customProperties:\n  - {{property: lake, value: {{{zone}{block}}}}}\n")
    company.sql(ROWS)
    initialise(company.settings)
    return World(company)


# of a column and of the table, what of the standard's fields the product reads: `key: value`, added to the text
COLUMN_FIELDS: dict[str, tuple[str, str]] = {
    "name": ("name: label", "name: other"),
    "physicalName": ("physicalName: label", "physicalName: other"),
    "logicalType": ("logicalType: string", "logicalType: integer"),
    "physicalType": ("physicalType: VARCHAR", "physicalType: UUID"),
    "primaryKey": ("required: true, primaryKey: true", "required: true"),
    "primaryKeyPosition": (
        "required: true, primaryKey: true, primaryKeyPosition: 2",
        "required: true, primaryKey: true",
    ),
    "required": ("required: true", ""),
    "unique": ("unique: true", ""),
    "classification": ("classification: pii", ""),
    "description": ("description: Text.", ""),
    "enum": ("enum: [{value: x}]", ""),
    "quality": ("quality: [{type: library, metric: nullValues, mustBe: 0}]", ""),
    "logicalTypeOptions": ("logicalTypeOptions: {maxLength: 3}", ""),
    "customProperties": ("customProperties: [{property: lake, value: {sourceType: UUID}}]", ""),
    "properties": ("properties: []", ""),
    "items": ("items: {}", ""),
    "map": ("map: {}", ""),
}
OPTIONS = {
    **{key: f"{{{key}: 3}}" for key in (*rules.LENGTHS, *rules.BOUNDS)},
    "pattern": "{pattern: a}",
}
SOURCES = "\n".join(path.read_text() for path in Path(rules.__file__).parent.glob("*.py"))


def fields_read(model: type[BaseModel], variable: str) -> list[str]:
    """Return the fields of an ODCS model that the package reads from a variable of that name."""
    names = [field.alias or name for name, field in model.model_fields.items()]
    return sorted(name for name in names if re.search(rf"\b{variable}\.{name}\b", SOURCES))


@pytest.mark.parametrize("field", fields_read(SchemaProperty, "(?:property_|column)"))
def test_every_field_of_a_column_that_the_product_reads_changes_the_contract(field: str) -> None:
    assert field in COLUMN_FIELDS, f"{field} is read, and no case says what it changes"
    one, two = COLUMN_FIELDS[field]

    assert compiled(one) != compiled(two)


@pytest.mark.parametrize("option", sorted(OPTIONS))
def test_every_option_of_a_column_changes_its_rules(option: str) -> None:
    column = "logicalType: integer, physicalType: BIGINT, " if option in rules.BOUNDS else ""

    contract = cast(Contract, compiled(f"{column}logicalTypeOptions: {OPTIONS[option]}")[0])

    assert contract.column("label").rules != ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: 1.0.0", "version: 1.0.1"),
        ("type: duckdb", "type: oracle"),
        ("purpose: Test.", "purpose: Other."),
        ("physicalName: main.thing", "physicalName: main.other"),
        ("customProperties:", "slaProperties: [{property: freshness, value: 1, unit: d}]\ncustomProperties:"),
        ("customProperties:", "slaProperties: [{property: retention, value: 5, unit: y}]\ncustomProperties:"),
        ("    properties:", "    quality: [{type: library, metric: rowCount, mustBeGreaterThan: 0}]\n    properties:"),
    ],
)
def test_every_field_of_the_head_that_the_product_reads_changes_the_contract(old: str, new: str) -> None:
    text = whole("")
    assert old in text

    assert examine(text, "t")[0] != examine(text.replace(old, new), "t")[0]


def whole(column: str) -> str:
    """Return a contract whose column `label` is described by `column`; what that leaves out is filled in."""
    usual = {"name": "label", "physicalName": "label", "logicalType": "string", "physicalType": "VARCHAR"}
    given = [f"{key}: {value}" for key, value in usual.items() if f"{key}: " not in f", {column}"]
    line = f"      - {{{', '.join([*given, column]).rstrip(', ')}}}"
    columns = [line if "name: label" in each else each for each in COLUMNS.strip("\n").split("\n")]
    text = HEAD.format(entity="thing", table="thing") + "\n".join(columns)
    return dedent(text).lstrip() + "\ncustomProperties:\n  - {property: lake, value: {timezone: UTC, mode: full}}\n"


def compiled(column: str) -> tuple[Contract | None, list[str]]:
    contract, faults = examine(whole(column), "thing.odcs.yaml")
    return contract, [fault.message for fault in faults if fault.severity == "error"]
