"""Which runner is taken, what it refuses, and what a job elsewhere hands back; no provider is needed here."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ingestion import spark_submit
from ingestion.cli import cli
from ingestion.errors import ConfigurationError, PermanentError, TransientError
from ingestion.runs import job_result
from tests.dags.conftest import Project

POINT = {"kind": "scn", "value": "4711", "moment": "2026-03-02T03:00:00+00:00", "sequence": "4711"}
FAILED = {"status": "failed", "error": "BrokenContractError", "message": "erp.products: a column is gone"}


def row(**given: Any) -> dict[str, Any]:
    names = ("run_id", "step", "subject", "status", "last_batch", "watermark", "fixed_point", "message", "batch")
    return {**dict.fromkeys(names), **{f"rows_{name}": None for name in job_result.SUMS}, "status": "ok", **given}


@pytest.fixture
def errors(
    parse: Callable[[], Any], project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., str]:
    """Return a function that parses the DAGs under a runner and its options, and returns why they cannot be made."""

    def parse_with(name: str, options: Any = None) -> str:
        file = tmp_path / "options.json"
        file.write_text(options if isinstance(options, str) else json.dumps(options or {}))
        monkeypatch.setenv("LAKEHOUSE_RUNNER", name)
        monkeypatch.setenv("LAKEHOUSE_RUNNER_OPTIONS", str(file))
        bag = parse()
        assert {Path(path).stem for path in bag.import_errors} == {"medallion_daily", "backfill", "repair"}
        return str(next(iter(bag.import_errors.values())))

    return parse_with


def lakehouse(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def test_a_runner_that_nobody_knows_is_named(errors: Callable[..., str]) -> None:
    assert "is 'kubernetes'; it must be local, spark-submit or databricks" in errors("kubernetes")


@pytest.mark.parametrize(
    ("name", "package"),
    [("spark-submit", "apache-airflow-providers-apache-spark"), ("databricks", "apache-airflow-providers-databricks")],
)
def test_a_provider_that_is_missing_is_named_with_what_to_install(
    errors: Callable[..., str], monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    from airflow.providers_manager import ProvidersManager

    ProvidersManager().initialize_providers_configuration()  # once per process, and it imports them all
    monkeypatch.delitem(sys.modules, f"lakehouse_dags.runner_{name.replace('-', '_')}", raising=False)
    for module in ("airflow.providers.apache.spark", "airflow.providers.databricks"):
        for known in [known for known in sys.modules if known.startswith(module)]:
            monkeypatch.delitem(sys.modules, known)
        monkeypatch.setitem(sys.modules, module, None)

    told = errors(name)

    assert f"ConfigurationError: LAKEHOUSE_RUNNER={name}: needs the package {package}; there is no module" in told
    assert f"pip install 'contract-lakehouse[{name}]'" in told


def test_options_that_are_no_object_are_refused(errors: Callable[..., str]) -> None:
    for text in ("[1]", "{", '"spark"'):
        with pytest.raises(ConfigurationError, match="there is no file with a JSON object"):
            read_options(errors, text)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"json": {"tasks": [{"new_cluster": {"spark_env_vars": {"AIRFLOW_CONN_ERP": "oracle://a:b@c"}}}]}}, "AIRFLOW"),
        ({"conf": {"spark.hadoop.fs.s3a.secret.key": "abc"}}, "spark.hadoop.fs.s3a.secret.key"),
        ({"env_vars": {"DB_PASSWORD": "abc"}}, "DB_PASSWORD"),
    ],
)
def test_options_that_tell_a_secret_are_refused_without_repeating_it(
    errors: Callable[..., str], options: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named) as told:
        read_options(errors, json.dumps(options))

    assert "abc" not in str(told.value)
    assert "oracle://" not in str(told.value)


def test_references_to_a_secret_store_are_no_secrets(errors: Callable[..., str]) -> None:
    options = {
        "json": {"tasks": [{"new_cluster": {"spark_env_vars": {"AIRFLOW_CONN_ERP": "{{secrets/lakehouse/erp}}"}}}]},
        "conf": {"spark.kubernetes.driver.secretKeyRef.AIRFLOW_CONN_ERP": "sources:erp"},
    }

    assert read_options(errors, json.dumps(options)) == options


def read_options(errors: Callable[..., str], text: str) -> Any:
    """Read options by the DAGs' own module, which is on the path once the DAGs were parsed."""
    errors("nobody", text)
    from lakehouse_dags import runner

    return runner.read_options(os.environ[runner.OPTIONS])


def test_a_load_bears_the_run_that_it_is_told(project: Project) -> None:
    assert lakehouse("load", "erp.products", "--run-id", "scheduled__2026").exit_code == 0

    assert project.ledger("select run_id, step, subject from ops.runs") == [
        {"run_id": "scheduled__2026", "step": "load", "subject": "erp.products"}
    ]


def test_a_load_reads_at_the_fixed_point_that_it_is_told(project: Project) -> None:
    told = lakehouse("load", "erp.products", "--at", json.dumps(POINT))

    # a DuckDB file cannot be read at a point of another session, and says so: the point has arrived
    assert told.exit_code == ConfigurationError.exit_code
    assert "is read in one transaction of one connection; another cannot join it" in told.output


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["load", "erp.products", "--at", "{}"], "must be a JSON object with kind, value, moment and sequence"),
        (["load", "erp.products", "--at", "[1]"], "must be a JSON object with kind, value, moment and sequence"),
        (["load", "erp.products", "shop.orders", "--at", json.dumps(POINT)], "is a fixed point of one system"),
        (["load", "--at", json.dumps(POINT)], "is a fixed point of one system"),
        (["build", "silver", "--without", "erp.product"], "names tables without a contract: erp.product"),
        (["build", "--as-of", "2026-03-02", "--into", "there", "--without", "erp.products"], "belong to a build of"),
    ],
)
def test_what_a_command_cannot_do_ends_it_before_anything_is_done(
    project: Project, arguments: list[str], why: str
) -> None:
    told = lakehouse(*arguments)

    assert told.exit_code == ConfigurationError.exit_code
    assert why in told.output
    assert project.ledger("select * from ops.runs") == []


def test_a_build_leaves_out_what_descends_from_a_table(project: Project) -> None:
    lakehouse("load", "erp.customers")

    assert lakehouse("build", "silver", "--run-id", "r-1", "--without", "shop.orders").exit_code == 0

    assert [row["run_id"] for row in project.ledger("select run_id from ops.runs where step = 'silver'")] == ["r-1"]
    log = project.folder / "lake" / "silver"
    assert (log / "stg_customers").exists()
    assert not (log / "stg_orders").exists()


def test_the_entry_point_returns_after_a_good_end_and_exits_with_the_code_of_a_bad_one(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOUSE_ENGINE", "embedded")
    monkeypatch.setattr(sys, "argv", ["lakehouse-spark", "load", "erp.products"])
    spark_submit.main()  # Databricks takes any SystemExit for a failure
    monkeypatch.setattr(sys, "argv", ["lakehouse-spark", "load", "erp.nothing"])

    with pytest.raises(SystemExit) as ended:
        spark_submit.main()

    assert ended.value.code == ConfigurationError.exit_code


def test_a_job_of_two_loads_hands_back_their_sum_and_the_newest_batch() -> None:
    rows = [
        row(run_id="r", batch=4, rows_read=10, rows_appended=9, rows_deleted=0),
        row(run_id="r", batch=None, rows_read=3, rows_appended=0, rows_deleted=0, watermark="2026-03-02"),
    ]

    result = job_result.result("load", "erp.customers", rows)

    assert (result["batch"], result["read"], result["appended"], result["watermark"]) == (4, 13, 9, "2026-03-02")


def test_a_job_that_left_nothing_in_this_lake_is_no_success() -> None:
    with pytest.raises(ConfigurationError, match="Give the cluster and Airflow the same LAKEHOUSE_ROOT"):
        job_result.result("load", "erp.customers", [])


def test_a_job_whose_last_row_says_failed_is_no_success() -> None:
    with pytest.raises(PermanentError, match="a column is gone"):
        job_result.result("load", "erp.products", [row(), row(**FAILED)])
    with pytest.raises(TransientError, match="the ledger says KeyError"):
        job_result.result("load", "erp.products", [row(), row(**FAILED | {"error": "KeyError", "message": None})])


@pytest.mark.parametrize(
    ("rows", "code", "kind"),
    [
        ([row(**FAILED)], 1, PermanentError),
        ([row(**FAILED | {"error": "SourceUnavailableError"})], 10, TransientError),
        ([row(**FAILED), row()], None, None),  # failed after it had written all: tried again
        ([row(**FAILED | {"error": "KeyError", "message": None})], None, None),
        ([], 15, PermanentError),
        ([], 21, TransientError),
        ([], 1, None),
        ([], 137, None),
    ],
)
def test_a_failed_job_is_retried_unless_a_retry_cannot_help(
    rows: list[dict[str, Any]], code: int | None, kind: type[Exception] | None
) -> None:
    failed = job_result.failure("load", "erp.products", rows, code)

    assert type(failed) is (kind or type(None))
