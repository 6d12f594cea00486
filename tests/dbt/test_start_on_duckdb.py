"""How `lakehouse build` runs dbt on DuckDB: what is written of its results, and what it says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.dbt.warehouse import PROJECT, Warehouse, own_project
from tests.dbt.warm import run_dbt

CUSTOMERS = ("build", "-s", "stg_customers")


def started(
    warehouse: Warehouse, *arguments: str, project: Path = PROJECT, **further: str
) -> tuple[int | None, str, str]:
    """Run dbt by the script that a build starts; return its exit code and what it printed on stdout and stderr."""
    outputs = warehouse.folder / "printed.txt", warehouse.folder / "errors.txt"
    script = project / "plugins" / "on_duckdb.py"
    code = run_dbt(arguments, project, warehouse.environment(further), outputs, starter=str(script))
    return code, outputs[0].read_text(), outputs[1].read_text()


def results(warehouse: Warehouse) -> dict[str, dict[str, object]]:
    told = json.loads((warehouse.folder / "target" / "run_results.json").read_text())
    assert told["elapsed_time"] > 0
    return {result.pop("unique_id").split(".")[2]: result for result in told["results"]}


def test_a_build_writes_the_status_of_each_node_and_no_other_artifact(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)

    code, printed, errors = started(warehouse, *CUSTOMERS)

    assert (code, printed, errors) == (0, "", "")
    found = results(warehouse)
    written, tested = found["stg_customers"], found["not_null_stg_customers_customer_id"]
    assert {type(of.pop("execution_time")) for of in (written, tested)} == {float}
    assert written.pop("depends_on") == ["source.lakehouse.erp.customers"]
    assert written == {"status": "success", "message": "OVERWRITE at version 0", "failures": None}
    of_customers = ["model.lakehouse.stg_customers"]
    assert tested == {"status": "pass", "message": None, "failures": 0, "depends_on": of_customers}
    assert not (tmp_path / "target" / "manifest.json").exists()


def test_all_artifacts_and_messages_are_there_on_demand(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)

    code, printed, _ = started(warehouse, *CUSTOMERS, DBT_WRITE_JSON="true", DBT_LOG_LEVEL="info")

    assert code == 0
    assert "Completed successfully" in printed
    assert (tmp_path / "target" / "manifest.json").exists()
    assert "args" in json.loads((tmp_path / "target" / "run_results.json").read_text())


def test_a_model_that_fails_is_told_and_ends_the_process_with_one(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    shutil.rmtree(warehouse.lake.uri("bronze", "erp", "customers"))

    code, printed, _ = started(warehouse, *CUSTOMERS)

    assert code == 1
    assert "is missing or cannot be opened" in printed
    assert results(warehouse)["stg_customers"]["status"] == "error"


def test_a_project_that_cannot_be_parsed_says_why_and_leaves_no_results(tmp_path: Path) -> None:
    project = own_project(tmp_path)
    (project / "models" / "silver" / "erp" / "stg_customers.sql").write_text("{{ ref('nowhere') }}")

    code, printed, _ = started(Warehouse(tmp_path), *CUSTOMERS, project=project)

    assert code == 2
    assert "'nowhere' which was not found" in printed
    assert not (tmp_path / "target" / "run_results.json").exists()


def test_an_option_that_dbt_does_not_know_is_named(tmp_path: Path) -> None:
    code, _, errors = started(Warehouse(tmp_path), "build", "--nothing-like-it")

    assert code == 2
    assert "--nothing-like-it" in errors
