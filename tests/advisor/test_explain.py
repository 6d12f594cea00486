from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from ingestion.cli import cli
from ingestion.contracts.model import Contract
from ingestion.errors import ConfigurationError
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.layout import create_lake
from ingestion.ledger.journal import Journal
from monitoring.advisor import rules
from monitoring.advisor.runs import explain_run
from monitoring.advisor.values import Names
from tests.advisor.model_server import serving
from tests.unit.monitoring.conftest import Ledger

NAMES = Names({"crm.people": ("main.people", "crm__people"), "crm.orders": ("main.orders",)}, ("dim_people",))


def test_a_failed_run_is_explained_from_its_steps(ledger: Ledger) -> None:
    refused = "crm.people: user or password were refused (ORA-01017). Nothing was read."
    ledger.run("load", "crm.people", "2026-03-01 02:00", status="failed", error="LoginRefusedError", message=refused)
    ledger.run("load", "crm.orders", "2026-03-01 02:01")

    found = explain_run(ledger.journal, [], NAMES, "run-1")

    assert found.advice is not None
    assert found.failed == ("load crm.people",)
    assert found.advice.cause == "login_refused"
    assert found.advice.evidence[0].source_id == "run run-1 load crm.people:1"
    assert found.advice.runbook == "docs/runbooks/load_failed.md"


def test_a_failed_model_is_explained_with_its_name(ledger: Ledger) -> None:
    ledger.run("gold", "dbt", "2026-03-01 02:00", status="failed", error="BuildError", message="gold: 1 node failed")
    row = {"run_id": "run-1", "step": "gold", "model": "dim_people", "status": "failed"}
    message = 'Database Error in model dim_people\n  Binder Error: Referenced column "x" not found'
    ledger.journal.append("models", [row | {"message": message}])

    advice = explain_run(ledger.journal, [], NAMES, "run-1").advice

    assert advice is not None
    assert advice.cause == "model_failed"
    assert advice.recommended_action.command == "lakehouse dbt build -s dim_people"


def test_the_gaps_that_a_run_found_are_explained_by_the_gap_rules(
    ledger: Ledger, make_contract: Callable[..., Contract]
) -> None:
    ledger.run("load", "crm.people", "2026-03-01 01:00")
    ledger.run("gaps", "crm.people", "2026-03-01 02:00", run_id="run-2")
    ledger.check("crm.people", "2026-03-01 02:00", run_id="run-2", severity="CRITICAL", missing_keys=3, sync_gap=3)

    found = explain_run(ledger.journal, [make_contract()], NAMES, "run-2")

    assert found.advice is not None
    assert found.advice.cause == "late or lost rows"
    assert found.advice.recommended_action.command == "lakehouse repair crm.people"
    assert 'from "main"."people"' in found.advice.sql


def test_without_a_run_the_newest_one_with_a_failed_step_is_explained(ledger: Ledger) -> None:
    ledger.run("load", "crm.people", "2026-03-01 02:00", run_id="bad", status="failed", error="LakeError", message="")
    ledger.run("load", "crm.people", "2026-03-01 03:00", run_id="good")

    assert explain_run(ledger.journal, [], NAMES, None).run_id == "bad"


def test_a_run_in_which_nothing_failed_gets_no_advice(ledger: Ledger) -> None:
    ledger.run("load", "crm.people", "2026-03-01 03:00")

    assert explain_run(ledger.journal, [], NAMES, None).advice is None


@pytest.mark.parametrize("run_id", ["nowhere", "' or true --", None])
def test_a_run_that_does_not_exist_is_said(ledger: Ledger, run_id: str | None) -> None:
    with pytest.raises(ConfigurationError, match="Nothing was explained"):
        explain_run(ledger.journal, [], NAMES, run_id)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    contract = tmp_path / "data_contracts" / "erp" / "customers.odcs.yaml"
    contract.parent.mkdir(parents=True)
    contract.write_text("schema: [{physicalName: RETAIL.CUSTOMERS, properties: [{name: id}]}]\n")
    monkeypatch.setenv("LAKEHOUSE_PROJECT", str(tmp_path))
    return tmp_path


def test_explain_prints_cause_evidence_and_command_of_a_log(project: Path) -> None:
    log = project / "run.log"
    log.write_text("ORA-00942: table or view does not exist: RETAIL.CUSTOMERS [red]\n")

    told = CliRunner().invoke(cli, ["explain", "--file", str(log)])

    assert told.exit_code == 0
    assert "Cause     The table is gone from the source" in told.output
    assert "[1] log:1: ORA-00942: table or view does not exist: RETAIL.CUSTOMERS [red]" in told.output
    assert "Try       lakehouse plan erp.customers\n" in told.output


def test_explain_says_as_json_that_a_person_decides(project: Path) -> None:
    log = project / "run.log"
    log.write_text("something else\n")

    told = json.loads(CliRunner().invoke(cli, ["explain", "--json", "--file", str(log)]).output)

    assert told["advice"]["cause"] is None
    assert told["advice"]["root_cause"].startswith("I do not know")
    assert told["advice"]["confidence"] == 0.0
    assert told["advice"]["requires_human_approval"] is True


@pytest.mark.parametrize("given", [[], ["run-1", "--last"], ["--last", "--file", "x"]])
def test_explain_wants_one_thing_to_explain(project: Path, given: list[str]) -> None:
    assert CliRunner().invoke(cli, ["explain", *given]).exit_code == 2


def test_a_log_is_explained_without_any_engine_driver_or_process(project: Path) -> None:
    log = project / "run.log"
    log.write_text("ORA-12541: TNS:no listener\n")
    script = (
        "import sys; from click.testing import CliRunner; from ingestion.cli import cli; "
        f"told = CliRunner().invoke(cli, ['explain', '--file', {str(log)!r}]); assert told.exit_code == 0, told.output; "
        "print([m for m in ('duckdb', 'deltalake', 'pyarrow', 'pydantic', 'subprocess', 'oracledb', 'openai') "
        "if m in sys.modules])"
    )

    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert told.stdout == "[]\n"


def explained(*given: str) -> str:
    told = CliRunner().invoke(cli, ["explain", *given])
    assert told.exit_code == 0, told.output
    return told.output


@pytest.fixture
def failed(project: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """Return the ledger of the project's lake, with a run whose load failed by drift."""
    made = Ledger(Journal(create_lake(project / "lake"), DeltaRs()))
    broken = "crm.people: the source no longer keeps the contract.\n  name: expected VARCHAR, found no such column"
    made.run("load", "crm.people", "2026-03-01 02:00", status="failed", error="ContractBreakError", message=broken)
    monkeypatch.setenv("LAKEHOUSE_ROOT", str(project / "lake"))
    return made


def test_the_explanation_of_a_run_is_recorded_and_can_be_rated(failed: Ledger) -> None:
    call = explained("--last").split("ask --rate ")[1].split()[0]
    rated = CliRunner().invoke(cli, ["ask", "--rate", call, "--up"])

    assert rated.exit_code == 0, rated.output
    [row] = failed.journal.select(
        "select * from ops.advisor_calls qualify row_number() over (partition by call_id order by state_at desc) = 1"
    )
    assert (row["call_id"], row["role"], row["model"], row["feedback"]) == (call, "drift_assessor", None, "up")


def test_a_run_that_failed_by_drift_is_explained_by_the_drift_assessors_prompt(
    failed: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as served:
        for name, value in (("MODEL", "openai:m"), ("MODEL_URL", f"{served.url}/v1"), ("MODEL_KEY", "k")):
            monkeypatch.setenv(f"LAKEHOUSE_{name}", value)
        explained("--last")

    assert "differences between a data contract" in served.requests[0][2]["messages"][0]["content"]
    assert failed.journal.select("select distinct prompt_version from ops.advisor_calls") == [
        {"prompt_version": "drift_assessor v1"}
    ]


def test_the_sql_that_shows_a_gap_is_printed(failed: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    advice = replace(rules.unknown(), sql="select 1\nfrom x")
    monkeypatch.setattr("monitoring.advisor.runs.rules.advise", lambda *_: advice)

    assert "SQL       select 1\n          from x\n" in explained("--last")
