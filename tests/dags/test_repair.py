"""Repairs by DAG: within the limits at once, above them after somebody's approval, with Silver, Gold and a check behind."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import pytest

from monitoring import ledger_views
from tests.dags.conftest import Outcome, Project
from tests.examples import LONG

Run = Callable[..., Outcome]
Answer = Callable[[str], None]
ORDERS = {"table": "shop.orders"}


def hide(project: Project, condition: str) -> None:
    with duckdb.connect(str(project.source("shop"))) as connection:
        connection.execute(f"create table taken as select * from dbo.orders where {condition}")
        connection.execute(f"delete from dbo.orders where {condition}")


def bring_back(project: Project) -> int:
    with duckdb.connect(str(project.source("shop"))) as connection:
        return int(connection.execute("insert into dbo.orders from taken").fetchall()[0][0])


@pytest.fixture
def lacking(project: Project, run: Run) -> Callable[[str], int]:
    """Return a function that makes the lake lack orders, and tells how many."""

    def lack(condition: str) -> int:
        hide(project, condition)
        run("backfill", ORDERS)
        return bring_back(project)

    return lack


def repaired(project: Project) -> list[int]:
    rows = project.ledger("select rows_appended from ops.runs where step = 'repair' and status <> 'failed'")
    return [row["rows_appended"] for row in rows]


@pytest.mark.usefixtures("started_anew" if LONG else "warm_dbt")
def test_small_repair_needs_nobody_and_silver_gold_and_check_follow(
    project: Project, run: Run, lacking: Callable[[str], int]
) -> None:
    missing = lacking("order_date = date '2026-01-15' and order_id % 4 = 0")

    outcome = run("repair", ORDERS)

    assert outcome.state == "success", outcome.errors
    skipped = {name for name, state in outcome.states.items() if state == "skipped"}
    assert skipped == {"source_erp", "approve", "approved_erp", "approved_shop", "check_erp"}
    assert repaired(project) == [missing]
    assert [row["status"] for row in project.ledger("select status from ops.runs where step = 'gold'")] == ["ok"]
    [gap] = ledger_views.current_gaps(project.context.journal)
    assert (gap.severity, gap.sync_gap, gap.sla_met) == ("OK", 0, True)


@pytest.mark.usefixtures("built_untested")
def test_large_repair_waits_for_approval_and_then_writes(
    project: Project, run: Run, lacking: Callable[[str], int], answer: Answer
) -> None:
    missing = lacking("order_id % 3 = 0")

    answer("Approve")
    outcome = run("repair", ORDERS)

    assert outcome.state == "success", outcome.errors
    assert (outcome.states["approve"], outcome.states["approved_shop"]) == ("success", "success")
    assert repaired(project) == [missing]


@pytest.mark.usefixtures("built_untested")
def test_approval_covers_the_deletions_that_it_lists_and_no_more(project: Project, run: Run, answer: Answer) -> None:
    contract = project.folder / "data_contracts" / "shop" / "orders.odcs.yaml"
    text = contract.read_text()
    assert "maxDeletePercent" not in text
    assert "maxRepairPercent" not in text
    contract.write_text(
        text.replace("      deletes: none\n", "      deletes: none\n      maxDeletePercent: 1\n")
        .replace("      reconcile: {", "      reconcile: {maxRepairPercent: 100, ")
    )  # fmt: skip
    run("backfill", ORDERS)
    hide(project, "order_id % 3 = 0")

    answer("Approve")
    outcome = run("repair", ORDERS)

    assert outcome.state == "success", outcome.errors
    assert outcome.states["approved_shop"] == "success"
    [row] = project.ledger("select rows_deleted from ops.runs where step = 'repair' and status = 'ok'")
    assert row["rows_deleted"] > 100


def test_rejected_repair_writes_nothing_and_builds_nothing(
    project: Project, run: Run, lacking: Callable[[str], int], answer: Answer
) -> None:
    lacking("order_id % 3 = 0")

    answer("Reject")
    outcome = run("repair", ORDERS)

    assert outcome.state == "success"
    for name in ("approved_shop", "silver", "gold", "check_shop"):
        assert outcome.states[name] == "skipped", name
    assert repaired(project) == []


def test_person_who_is_asked_reads_how_much_would_be_written(
    project: Project, run: Run, lacking: Callable[[str], int], answer: Answer
) -> None:
    from airflow.models.hitl import HITLDetail
    from airflow.utils.session import create_session
    from sqlalchemy import select

    missing = lacking("order_id % 3 = 0")
    answer("Reject")
    run("repair", ORDERS)

    with create_session() as session:
        asked = session.scalars(select(HITLDetail).order_by(HITLDetail.created_at.desc())).first()
        subject, body = asked.subject, asked.body
    assert subject == "Repair shop.orders?"
    assert f"1. {missing:,} rows are read again from the source" in body
    assert "2. 0 rows that the source no longer has are marked as deleted." in body
    assert "--yes" not in body, "who clicks has no command line"
