"""Tables of 1,000 columns load, compare and heal with the memory that every table gets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ingestion.gaps.repair import repair_table
from ingestion.load.load_table import load_table
from ingestion.runs.context import Context, initialise, open_context
from tests.engines.conftest import HEAD, Company

WIDE, WIDTH = "crm.wide", 997
COLUMN = "      - {{name: {0}, physicalName: {0}, logicalType: {1}, physicalType: {2}, description: Test.{3}}}\n"
LAKE = """
customProperties:
  - property: lake
    value:
      timezone: UTC
      mode: incremental
      watermark: changed_at
      overlap: PT2H
      deletes: keys
      maxDeletePercent: 100
      silver: stg_wide
      quarantine: {warnPercent: 0, failPercent: 100}
      reconcile: {maxRepairPercent: 100}
"""


def make_wide(folder: Path, width: int, rows: int) -> Company:
    """A table of so many text columns and three more, nothing loaded yet."""
    made = Company(folder)
    columns = [("id", "integer", "BIGINT", ", primaryKey: true, primaryKeyPosition: 1, required: true")]
    columns += [(f"c{at}", "string", "VARCHAR", ", logicalTypeOptions: {maxLength: 9}") for at in range(width)]
    columns += [("seen_at", "timestamp", "TIMESTAMP", ""), ("changed_at", "timestamp", "TIMESTAMP", ", required: true")]
    made.contract("wide", HEAD.format(entity="wide", table="wide") + "".join(COLUMN.format(*c) for c in columns) + LAKE)
    made.sql(
        f"create table wide ({', '.join(f'{name} {type_}' for name, _, type_, _ in columns)})",
        f"insert into wide select i, {', '.join(['i'] * width)}, null, '2026-03-01 10:00:00' from range({rows}) r(i)",
    )
    initialise(made.settings)
    return made


def context(company: Company) -> Context:
    """Return a run with the memory that is the default."""
    settings = company.settings
    return open_context(replace(settings, memory_limit="1GB"), "run-1")


def test_a_change_of_any_column_of_a_wide_table_is_loaded_and_repaired(tmp_path: Path) -> None:
    wide = make_wide(tmp_path, WIDTH, 20)
    first = load_table(context(wide), WIDE)
    wide.sql("update wide set c500 = 'new', changed_at = '2026-03-01 11:00:00' where id = 1")
    second = load_table(context(wide), WIDE)
    wide.sql(f"update wide set c{WIDTH - 1} = 'late' where id = 2", "delete from wide where id = 3")

    repaired = repair_table(context(wide), WIDE, allow_deletes=True)

    assert (first.appended, second.appended, second.known) == (20, 1, 19)
    assert (repaired.fetched, repaired.deleted) == (1, 1)
    assert wide.lake("select id, c500, c996 from bronze.crm__wide where _batch > 1 and _op <> 'D' order by _batch") == [
        (1, "new", "1"),
        (2, "2", "late"),
    ]
    assert wide.lake("select outcome, rung from ops.gaps") == [("equal", "checksums")]


def test_bad_rows_of_a_wide_table_are_known_again_and_settled(tmp_path: Path) -> None:
    wide = make_wide(tmp_path, 300, 1000)
    wide.sql("update wide set c7 = 'much too long' where id >= 10")
    first = load_table(context(wide), WIDE)
    wide.sql("update wide set c7 = 'short' where id = 999")

    second = load_table(context(wide), WIDE)

    assert (first.quarantined, first.appended) == (990, 10)
    assert (second.quarantined, second.known_bad, second.settled, second.appended) == (0, 989, 1, 1)
