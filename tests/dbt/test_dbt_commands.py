"""dbt's own commands on the shipped project, from where and in the order in which people run them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingestion.lake import duck
from ingestion.lake.descriptions import comments_of, description_of
from ingestion.ledger.journal import Journal
from tests.dbt.warehouse import PROJECT, Build, Row, Warehouse, at, own_project

pytestmark = pytest.mark.xdist_group("dbt")
SALT = {"LAKEHOUSE_MASK_SALT": "grains of sand on a beach", "DBT_LOG_LEVEL_FILE": "debug"}
SILVER = ["stg_customers", "stg_order_items", "stg_orders", "stg_products"]
GOLD = ["dim_customer", "dim_date", "dim_product", "fact_sales"]
AUDIT = ["gap_daily", "sla_daily", "time_to_repair"]


def customer(customer_id: int, day: str, **known: object) -> Row:
    return {"customer_id": customer_id, "segment": "Consumer", "region": "South", "_eff": at(day), **known}


def product(product_id: int, day: str, **known: object) -> Row:
    return {
        "product_id": product_id,
        "product_name": "Ball",
        "category": "Toys",
        "unit_cost": 4,
        "_eff": at(day),
        **known,
    }


def order(order_id: int, day: str, **known: object) -> Row:
    moment = at(day).replace(tzinfo=None)
    named = {"customer_id": 1, "status": "PAID", "channel": "WEB", "order_date": moment.date(), "ordered_at": moment}
    return {"order_id": order_id, "_eff": at(day), **named, **known}


def line(order_id: int, day: str, **known: object) -> Row:
    sold = {"line_number": 1, "product_id": 1, "quantity": 2, "unit_price": 10, "discount": 1}
    return {"order_id": order_id, "_eff": at(day), "order_date": at(day).date(), **sold, **known}


def fill(warehouse: Warehouse) -> None:
    """Two batches of customers, one of the rest. Customer 3 is written and deleted in the same moment."""
    warehouse.append("erp.customers", [customer(1, "2026-01-01", email="ana@b.co"), customer(3, "2026-01-01", _seq=1)])
    warehouse.append("erp.customers", [{"customer_id": 3, "_op": "D", "_seq": 2, "_eff": at("2026-01-01")}])
    warehouse.append("erp.products", [product(1, "2026-01-01")])
    warehouse.append("shop.orders", [order(1, "2026-02-01 10:00"), order(2, "2026-02-02", customer_id=9)])
    warehouse.append("shop.order_items", [line(1, "2026-02-01"), line(2, "2026-02-02"), line(3, "2026-02-03")])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """A lake after its first build, unit tests included."""
    warehouse = Warehouse(tmp_path_factory.mktemp("built"))
    fill(warehouse)
    first = warehouse.succeed("build", env=SALT)

    assert first.outcomes() == dict.fromkeys(SILVER + GOLD + AUDIT, "OVERWRITE")
    return warehouse


@pytest.fixture
def copied(tmp_path: Path) -> Warehouse:
    """A lake, and a copy of the project that a test may change."""
    return Warehouse(tmp_path, own_project(tmp_path))


def test_gold_has_a_row_per_line_with_the_members_it_needs(built: Warehouse) -> None:
    rows = built.query(
        "select order_id, customer_id, is_inferred, net_revenue::varchar as net, gross_profit::varchar as profit "
        "from gold.fact_sales join gold.dim_customer using (customer_sk) order by order_id"
    )

    assert [tuple(row.values()) for row in rows] == [
        (1, 1, False, "19.00", "11.00"),
        (2, 9, True, "19.00", "11.00"),
        (3, -1, False, "19.00", "11.00"),
    ]


def test_a_key_written_and_deleted_in_one_moment_has_no_history(built: Warehouse) -> None:
    assert built.query("from silver.stg_customers where customer_id = 3") == []


def test_tables_carry_the_descriptions_of_their_models(built: Warehouse) -> None:
    for name, column in [("silver/stg_customers", "segment"), ("gold/dim_customer", "customer_sk")]:
        schema = built.engine.schema(built.lake.uri(*name.split("/")))

        assert len(description_of(schema)) > 20
        assert len(comments_of(schema)[column]) > 10


def test_a_changed_description_reaches_the_table_with_its_next_commit(copied: Warehouse) -> None:
    model, told = copied.project / "models/gold/days.sql", copied.project / "models/gold/days.yml"
    for number in (1, 2):
        model.write_text("{{ config(unique_key='id') }}\nselect 1 as id, " + str(number) + " as told")
        told.write_text(
            f"models: [{{name: days, description: Text {number}, columns: [{{name: told, description: N{number}}}]}}]"
        )
        copied.succeed("build", "-s", "days")
        schema = copied.engine.schema(copied.lake.uri("gold", "days"))

        assert (description_of(schema), comments_of(schema)) == (f"Text {number}", {"told": f"N{number}"})
    assert copied.query("from gold.days") == [{"id": 1, "told": 2}]


def test_the_salt_of_masked_values_is_in_no_artifact_and_no_log(built: Warehouse) -> None:
    hashes = built.query("select email_hash from gold.dim_customer where customer_id = 1")
    unsalted = built.query("select sha256('ana@b.co') as email_hash")
    files = [file for file in built.folder.rglob("*") if file.is_file()]

    assert hashes != unsalted
    assert len(files) > 50
    assert "dbt.log" in {file.name for file in files}
    assert [file.name for file in files if SALT["LAKEHOUSE_MASK_SALT"].encode() in file.read_bytes()] == []


@pytest.mark.parametrize(("salt", "found"), [("", "it is not set"), ("not the salt of before", "is not the salt that")])
def test_dbt_itself_writes_no_hash_of_a_person_without_the_lakes_salt(built: Warehouse, salt: str, found: str) -> None:
    env, before = {"LAKEHOUSE_MASK_SALT": salt}, built.versions()
    done = built.dbt("run", "-s", "dim_customer", "dim_product", "--full-refresh", env=env)
    outcomes = done.outcomes()
    query = "select {{ masked(\"'a@b.co'\", mask_salt()) }} as told"
    shown = built.succeed("show", "--inline", query, "--output", "json", env=env)

    assert done.code == 1
    assert "LAKEHOUSE_MASK_SALT: " in outcomes["dim_customer"]
    assert found in outcomes["dim_customer"]
    assert outcomes["dim_product"] == "OVERWRITE"
    assert built.versions()["gold.dim_customer"] == before["gold.dim_customer"]
    assert '"told": null' in shown.printed


def test_a_second_build_changes_nothing_and_a_new_batch_only_what_it_touches(built: Warehouse) -> None:
    before = built.versions()
    second = built.succeed("run", env=SALT).outcomes()
    after_second = built.versions()
    built.append("erp.products", [product(1, "2026-03-01", unit_cost=5)])
    third = built.succeed("run", env=SALT).outcomes()

    assert (second, after_second) == (dict.fromkeys(SILVER + GOLD + AUDIT, "UNCHANGED"), before)
    assert [name for name, code in third.items() if code != "UNCHANGED"] == ["stg_products", "dim_product"]
    assert {name for name, version in built.versions().items() if version != before[name]} == {
        "silver.stg_products",
        "gold.dim_product",
    }


def test_one_model_is_built_from_another_folder(built: Warehouse, tmp_path: Path) -> None:
    """Nor does it need the package on the path: the project finds it beside itself."""
    place = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    done = built.succeed("build", *place, "-s", "dim_customer", cwd=tmp_path, env={**SALT, "PYTHONPATH": ""})

    assert done.outcomes() == {"dim_customer": "UNCHANGED"}
    assert sorted(path.name for path in tmp_path.iterdir()) == []


@pytest.mark.parametrize("model", GOLD)
def test_no_join_of_gold_compares_every_row_with_every_other(built: Warehouse, model: str) -> None:
    compiled = next(built.folder.glob(f"target/compiled/**/gold/**/{model}.sql")).read_text()
    with duck.connect(built.lake) as connection:
        [(_, plan)] = connection.execute(f"explain {compiled}").fetchall()

    assert "LOOP" not in plan.upper().replace("BLOCKWISE_NL", "LOOP"), plan


def test_docs_know_every_table_and_show_answers(built: Warehouse) -> None:
    docs = built.succeed("docs", "generate")
    catalog = docs.artifact("catalog.json")
    shown = built.succeed(
        "show", "--inline", "select count(*) as lines from {{ ref('fact_sales') }}", "--output", "json"
    )

    described = docs.artifact("manifest.json")["nodes"]
    undescribed = [
        f"{name}.{column}"
        for name, table in catalog["nodes"].items()
        for column in table["columns"]
        if not described[name]["columns"].get(column, {}).get("description")
    ]

    assert sorted(node["metadata"]["name"] for node in catalog["nodes"].values()) == sorted(SILVER + GOLD + AUDIT)
    assert undescribed == []
    sources = {name.removeprefix("source.lakehouse.") for name in catalog["sources"]}
    assert sources == {*built.contracts, "ops.gaps", "ops.differences"}
    assert '"lines": 3' in shown.printed


def test_another_set_of_tracked_columns_rebuilds_a_history_once(copied: Warehouse) -> None:
    copied.append("erp.customers", [customer(1, "2026-01-01", city="Recife"), customer(1, "2026-01-02", city="Natal")])
    copied.succeed("run", "-s", "stg_customers")
    facts = copied.project / "generated" / "lake_facts.sql"
    facts.write_text(re.sub(r"'tracked': .*", "'tracked': ['segment'],", facts.read_text(), count=1))

    runs = [copied.succeed("run", "-s", "stg_customers").outcomes()["stg_customers"] for _ in range(2)]

    assert runs == ["OVERWRITE", "UNCHANGED"]
    assert copied.query("select city from silver.stg_customers") == [{"city": "Recife"}]


def test_gold_takes_no_repeated_key_no_null_key_and_no_broken_contract(copied: Warehouse) -> None:
    gold = copied.project / "models" / "gold"
    header = "{{ config(unique_key='id') }}\n"
    (gold / "repeated.sql").write_text(header + "select 1 as id union all select 1")
    (gold / "nameless.sql").write_text(header + "select cast(null as int) as id")
    (gold / "promised.sql").write_text(header + "select 1 as id")
    (gold / "promised.yml").write_text(
        "models: [{name: promised, config: {contract: {enforced: true}}, columns: [{name: id, data_type: varchar}]}]"
    )

    (gold / "keyless.sql").write_text("select 1 as id")
    (gold / "composite.sql").write_text(
        "{{ config(unique_key=['id', 'other']) }}\nselect 1 as id, 2 as other union all select 1, null"
    )
    (gold / "no_fact.sql").write_text("{{ config(materialized='fact', computed_per='id') }}\nselect 1 as id")

    done: Build = copied.dbt("run", "-s", "repeated", "nameless", "promised", "keyless", "composite", "no_fact")

    found = done.outcomes()
    assert done.code == 1
    assert "but 1 keys repeat or are null. Nothing was written." in found["repeated"]
    assert "but 1 keys repeat or are null. Nothing was written." in found["nameless"]
    assert "This model has an enforced contract that failed" in found["promised"]
    assert "composite: must have one row per id, other, but 1 keys repeat or are null." in found["composite"]
    assert "keyless: needs a unique_key and has none. Nothing was written." in found["keyless"]
    assert "no_fact: needs a unique_key and has none. Nothing was written." in found["no_fact"]
    assert copied.versions() == {}


def test_rows_that_several_columns_identify_are_changed_inserted_and_deleted(copied: Warehouse) -> None:
    model = copied.project / "models" / "gold" / "line_totals.sql"
    days = [[(1, 1, "a"), (1, 2, "b"), (2, 1, "c")], [(1, 1, "a"), (1, 2, "x"), (2, 2, "d")], [(1, 1, "a")]]
    codes: list[str] = []
    found = []
    for rows in days:
        query = f"select * from (values {', '.join(map(str, rows))}) as t (order_id, line, total)"
        model.write_text("{{ config(unique_key=['order_id', 'line']) }}\n" + query)
        codes += copied.succeed("run", "-s", "line_totals").outcomes().values()
        found.append([tuple(row.values()) for row in copied.query("from gold.line_totals order by all")])

    assert found == days
    assert codes == ["OVERWRITE", "MERGE", "MERGE"]


def test_source_freshness_is_judged_by_the_state_that_the_newest_good_load_read(copied: Warehouse) -> None:
    """The customers' contract promises 24 hours. A failed load, or a good one of another table, does not count."""
    now = datetime.now(UTC)
    ends = [("erp.customers", 30, "ok"), ("erp.customers", 1, "failed"), ("shop.orders", 1, "warning")]
    rows = [
        {"run_id": "r", "step": "load", "subject": subject, "status": status}
        | {"fixed_point": (now - timedelta(hours=hours)).isoformat(), "started_at": now, "finished_at": now}
        for subject, hours, status in ends
    ]
    journal = Journal(copied.lake, copied.engine)
    journal.create()
    journal.append("runs", rows)
    results = copied.dbt("source", "freshness").artifact("sources.json")["results"]
    found = {result["unique_id"].split(".", 2)[2]: result["status"] for result in results}

    assert found == {
        "erp.customers": "warn",
        "erp.products": "error",
        "shop.orders": "pass",
        "shop.order_items": "error",
    }
