"""What was known at an earlier point can be built again, beside the lake."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ingestion.build.as_of import build_as_of, known_batches
from ingestion.build.dbt import build_layer
from ingestion.cli import cli
from ingestion.errors import ConfigurationError, LakeError
from ingestion.lake.layout import create_lake, lake_at
from ingestion.runs.context import Context, initialise
from ingestion.settings import Settings
from tests.dbt.data_tests import without_data_tests
from tests.dbt.test_dbt_commands import customer, fill, line, order, product
from tests.dbt.warehouse import ROOT, Warehouse, at

pytestmark = pytest.mark.xdist_group("as_of")
TABLES = ("stg_customers", "stg_products", "stg_orders", "stg_order_items")
GOLD = ("dim_customer", "dim_product", "dim_date", "fact_sales")


def begin(folder: Path, project: Path = ROOT) -> tuple[Warehouse, Context]:
    warehouse = Warehouse(folder)
    return warehouse, initialise(
        Settings(project=project, lake_root=warehouse.lake.root, mask_salt="a salt of the tests")
    )


def note_run(context: Context, run_id: str, contract_id: str, batch: int, ended: str) -> None:
    """Write what a load leaves in the ledger."""
    context.journal.append(
        "runs",
        [
            {"run_id": run_id, "step": "load", "subject": contract_id, "status": "ok", "batch": batch}
            | {"started_at": at(ended) - timedelta(minutes=5), "finished_at": at(ended)}
        ],
    )


def content(warehouse: Warehouse, root: str) -> dict[str, list[dict[str, Any]]]:
    shown = Warehouse.__new__(Warehouse)
    shown.lake = lake_at(root)
    names = [*(f"silver.{name}" for name in TABLES), *(f"gold.{name}" for name in GOLD)]
    return {name: shown.query(f"select * from {name} order by all") for name in names}


def test_the_past_is_built_again_and_the_lake_is_only_read(tmp_path: Path) -> None:
    warehouse, context = begin(tmp_path)
    fill(warehouse)
    for contract_id, batch in warehouse.batches.items():
        note_run(context, "run-1", contract_id, batch, "2026-02-04 06:00")
    build_layer(context, "all")
    then = content(warehouse, warehouse.lake.root)
    late = [product(1, "2026-01-15", unit_cost=7)]
    warehouse.append("erp.products", late)
    warehouse.append(
        "erp.customers", [customer(9, "2026-02-03"), {"customer_id": 1, "_op": "D", "_eff": at("2026-02-05")}]
    )
    warehouse.append("shop.orders", [order(2, "2026-02-05", customer_id=9, status="CANCELLED")])
    warehouse.append("shop.order_items", [line(2, "2026-02-05", line_number=2)])
    for contract_id, batch in warehouse.batches.items():
        note_run(context, "run-2", contract_id, batch, "2026-02-05 06:00")
    with without_data_tests():
        build_layer(context, "all")
    now = content(warehouse, warehouse.lake.root)
    versions = {table.uri: context.engine.version(table.uri) for table in context.lake.tables()}

    with without_data_tests():
        rebuilt = build_as_of(context, ["2026-02-04T12:00"], str(tmp_path / "then"))
        found = content(warehouse, rebuilt.root)
        again = build_as_of(context, ["run-2"], str(tmp_path / "then"))

    assert found == then != now
    assert content(warehouse, again.root) == now
    assert rebuilt.batches == {"erp.customers": 2, "erp.products": 1, "shop.order_items": 1, "shop.orders": 1}
    assert {table.uri: context.engine.version(table.uri) for table in context.lake.tables()} == versions
    assert {table.schema for table in lake_at(rebuilt.root).tables()} == {"silver", "gold"}


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """
    A lake of three batches of products: the ledger knows when the first two were loaded, the third died after its commit.
    An earlier batch with the number of the second was lost.
    """
    warehouse, context = begin(tmp_path_factory.mktemp("known"))
    for day in (1, 2, 3):
        warehouse.append("erp.products", [product(1, "2026-01-01", _ingested_at=at(f"2026-03-0{day} 05:00"))])
    note_run(context, "run-1", "erp.products", 1, "2026-03-01 06:00")
    note_run(context, "run-lost", "erp.products", 2, "2026-03-01 07:00")
    note_run(context, "run-2", "erp.products", 2, "2026-03-02 06:00")
    return context


@pytest.mark.parametrize(
    ("as_of", "batch"),
    [
        ("2026-03-01T05:30", 0),
        ("2026-03-01T06:00", 1),
        ("2026-03-01T03:00-03:00", 1),
        ("2026-03-02", 1),
        ("run-lost", 1),
        ("run-1", 1),
        ("run-2", 2),
        ("2026-03-03T04:59:59", 2),
        ("2026-03-03T05:00:00+00:00", 3),
        ("erp.products=0", 0),
        ("shop.orders=0", 3),
    ],
)
def test_a_batch_is_known_from_the_end_of_its_load_on(known: Context, as_of: str, batch: int) -> None:
    assert known_batches(known, [as_of])["erp.products"] == batch


def test_a_table_that_is_named_goes_before_the_moment(known: Context) -> None:
    assert known_batches(known, ["run-1", "erp.products=2"])["erp.products"] == 2


@pytest.mark.parametrize(
    "as_of", [["yesterday"], ["erp.products=4"], ["erp.products=x"], ["erp.nothing=0"], ["run-1", "run-2"], []]
)
def test_what_names_no_point_of_the_past_is_refused(known: Context, as_of: list[str]) -> None:
    with pytest.raises(ConfigurationError):
        known_batches(known, as_of)


def test_a_table_without_history_is_known_as_it_is_now_or_not_at_all(known: Context, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "data_contracts", tmp_path / "data_contracts")
    contract = tmp_path / "data_contracts" / "erp" / "products.odcs.yaml"
    contract.write_text(contract.read_text().replace("      deletes: keys\n", "      bronze: overwrite\n"))
    context = Context(
        Settings(project=tmp_path, lake_root=known.lake.root), known.lake, known.engine, known.journal, "run"
    )

    assert known_batches(context, ["erp.products=3"])["erp.products"] == 3
    with pytest.raises(ConfigurationError, match="keeps no history"):
        known_batches(context, ["run-1"])


@pytest.mark.parametrize("place", ["", "/silver/then", "/.."])
def test_the_lake_itself_is_no_place_for_the_past(known: Context, place: str) -> None:
    with pytest.raises(LakeError):
        build_as_of(known, ["run-1"], str(Path(known.lake.root + place).resolve()))


def test_another_lake_that_is_loaded_into_is_no_place_for_the_past(known: Context, tmp_path: Path) -> None:
    other = create_lake(tmp_path / "other")
    known.engine.create(
        other.uri("bronze", "erp", "products"), known.engine.schema(known.lake.uri("bronze", "erp", "products"))
    )

    with pytest.raises(LakeError, match="loaded into"):
        build_as_of(known, ["run-1"], other.root)


def test_gold_alone_is_not_built_from_another_moments_silver(known: Context, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="must be silver or all"):
        build_as_of(known, ["run-1"], str(tmp_path / "then"), layer="gold")


@pytest.mark.parametrize("half", [["--as-of", "2026-03-01"], ["--into", "then"]])
def test_a_point_of_the_past_and_a_place_for_it_go_together(half: list[str]) -> None:
    told = CliRunner().invoke(cli, ["build", *half])

    assert told.exit_code == ConfigurationError.exit_code
    assert "give both" in told.output
