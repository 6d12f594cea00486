"""The audit models: what the ledger says of gaps, day by day, as tables that a BI tool reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ingestion.ledger.journal import Journal
from ingestion.ledger.tables import GAPS
from tests.dbt.warehouse import Warehouse, at

AUDIT = ("--select", "path:models/audit")


def check(contract_id: str, moment: str, **columns: Any) -> dict[str, Any]:
    given = {"run_id": "run-1", "severity": "OK", "source_count": 10, "lake_count": 10, "sync_gap": 0}
    return {**given, "contract_id": contract_id, "checked_at": at(moment), **columns}


def state(difference_id: str, name: str, moment: str, first: str = "2026-03-01 10:00") -> dict[str, Any]:
    given = {"contract_id": "shop.orders", "kind": "missing_in_lake", "partition": "2026-02-10", "keys": 4}
    moments = {"state_at": at(moment), "first_seen_at": at(first)}
    return {**given, **moments, "difference_id": difference_id, "state": name, "run_id": "run-1"}


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Two days of checks of two tables, three differences, and the audit models built on them."""
    warehouse = Warehouse(tmp_path_factory.mktemp("audit"))
    journal = Journal(warehouse.lake, warehouse.engine)
    journal.create()
    journal.append(
        "gaps",
        [
            check(
                "shop.orders", "2026-03-01 10:00", sync_gap=4, gap_percentage=40.0, severity="CRITICAL", sla_met=False
            ),
            check("shop.orders", "2026-03-01 10:00", partition="2026-02-10", sync_gap=4, severity="CRITICAL"),
            check("shop.orders", "2026-03-01 12:00", gap_percentage=0.0, sla_met=True),
            check("shop.orders", "2026-03-01 23:59", severity="UNKNOWN", source_count=None, sync_gap=None),
            check("shop.orders", "2026-03-02 00:00", gap_percentage=0.0, sla_met=True),
            check("erp.customers", "2026-03-01 10:00", gap_percentage=0.0, severity="WARNING", sla_met=True),
            check("erp.customers", "2026-03-02 10:00", gap_percentage=0.0, sla_met=True),
            check("erp.customers", "2026-03-02 11:00", gap_percentage=0.0, severity="OK*", sla_met=None),
        ],
    )
    journal.append(
        "differences",
        [
            state("a", "suspected", "2026-03-01 10:00"),
            state("a", "confirmed", "2026-03-01 11:00"),
            state("a", "repaired", "2026-03-01 13:30"),
            state("b", "suspected", "2026-03-01 10:00"),
            state("b", "resolved_in_flight", "2026-03-01 11:00"),
            state("c", "suspected", "2026-03-02 10:00", first="2026-03-02 10:00"),
        ],
    )
    warehouse.succeed("build", *AUDIT)
    return warehouse


@pytest.mark.xdist_group("audit")
def test_day_shows_its_last_check_and_the_worst_of_all(audited: Warehouse) -> None:
    rows = audited.query(
        "select contract_id, day_utc::varchar as d, checks, source_count, severity, worst_severity, "
        "worst_gap_percentage from audit.gap_daily order by 1, 2"
    )

    assert [tuple(row.values()) for row in rows] == [
        ("erp.customers", "2026-03-01", 1, 10, "WARNING", "WARNING", 0.0),
        ("erp.customers", "2026-03-02", 2, 10, "OK*", "OK*", 0.0),
        ("shop.orders", "2026-03-01", 3, None, "UNKNOWN", "CRITICAL", 40.0),
        ("shop.orders", "2026-03-02", 1, 10, "OK", "OK", 0.0),
    ]


@pytest.mark.xdist_group("audit")
def test_compliance_leaves_out_checks_that_could_not_judge(audited: Warehouse) -> None:
    rows = audited.query(
        "select contract_id, day_utc::varchar as d, checks, met, unknown_checks, compliance_percentage "
        "from audit.sla_daily order by 1, 2"
    )

    assert [tuple(row.values()) for row in rows] == [
        ("erp.customers", "2026-03-01", 1, 1, 0, 100.0),
        ("erp.customers", "2026-03-02", 2, 1, 1, 100.0),
        ("shop.orders", "2026-03-01", 3, 1, 1, 50.0),
        ("shop.orders", "2026-03-02", 1, 1, 0, 100.0),
    ]


@pytest.mark.xdist_group("audit")
def test_difference_is_one_row_with_its_times(audited: Warehouse) -> None:
    rows = audited.query(
        "select difference_id, state, partition_label, differing_keys, hours_to_confirm, hours_to_repair, "
        "closed_at is not null as closed from audit.time_to_repair order by 1"
    )

    assert [tuple(row.values()) for row in rows] == [
        ("a", "repaired", "2026-02-10", 4, 1.0, 3.5, True),
        ("b", "resolved_in_flight", "2026-02-10", 4, None, None, True),
        ("c", "suspected", "2026-02-10", 4, None, None, False),
    ]


@pytest.mark.xdist_group("audit")
def test_second_build_changes_nothing(audited: Warehouse) -> None:
    outcomes = audited.succeed("build", *AUDIT).outcomes()

    assert outcomes == dict.fromkeys(("gap_daily", "sla_daily", "time_to_repair"), "UNCHANGED")


def test_empty_and_missing_ledger_make_empty_tables(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)

    warehouse.succeed("build", *AUDIT)

    for name in ("gap_daily", "sla_daily", "time_to_repair"):
        assert warehouse.query(f"select count(*) as n from audit.{name}") == [{"n": 0}]


def test_ledger_of_an_older_lake_is_audited_as_far_as_it_tells(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    uri = warehouse.lake.uri("ops", "gaps")
    schema = pa.schema([GAPS.field(name) for name in ("contract_id", "run_id", "checked_at", "partition", "severity")])
    older = {"contract_id": "shop.orders", "run_id": "run-1", "checked_at": at("2026-03-01"), "severity": "OK"}
    warehouse.engine.create(uri, schema)
    warehouse.engine.append(uri, pa.Table.from_pylist([older], schema))

    warehouse.succeed("build", *AUDIT)

    assert warehouse.query("select severity, differing_keys from audit.gap_daily") == [
        {"severity": "OK", "differing_keys": None}
    ]
