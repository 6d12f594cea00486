"""What each command prints from fixed data, at 80 and 120 columns: the files in `golden/`. `make golden` rewrites them.

The commands run whole; only what they ask (the lake, sources, dbt) is replaced by fixed answers.
"""

from __future__ import annotations

import json
import os
from dataclasses import MISSING, dataclass, field, fields
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from click.testing import CliRunner

from ingestion.admin.add_table import Added, Decision
from ingestion.admin.airflow_pools import DoctorFinding
from ingestion.admin.maintenance import Maintained
from ingestion.admin.mending import TableMended
from ingestion.admin.project_files import FileChange, State
from ingestion.admin.retention import Expired
from ingestion.admin.status import TableStatus
from ingestion.build.dbt import BuildResult
from ingestion.cli import cli
from ingestion.contracts.drift import Drift, DriftKind
from ingestion.contracts.lacks import Lack, Lacking
from ingestion.contracts.model import DriftAction
from ingestion.contracts.versions import Change
from ingestion.daily import DayResult
from ingestion.demo.show import Story
from ingestion.demo.world import Trouble
from ingestion.drills.run import DrillResult
from ingestion.erasure.plan import ErasurePlan, PlaceErased
from ingestion.errors import Fault, SourceUnavailableError
from ingestion.lake import duck
from ingestion.load.plan import LoadPlan
from ingestion.load.result import LoadResult
from ingestion.reconcile.gap import GapReport
from ingestion.runs.context import Observe, unobserved
from ingestion.runs.each import each
from ingestion.settings.old_names import OLD_NAMES
from monitoring.advisor.gap_advice import GapAdvice
from monitoring.ledger_views import Difference, PartitionGap, TableGap

GOLDEN = Path(__file__).parent / "golden"
WRITES = os.environ.get("LAKEHOUSE_GOLDEN") == "write"
MOMENT = datetime(2026, 3, 3, 3, 0, 0, tzinfo=UTC)
MARK = "2026-03-03 02:58:22.750001"
IDS = ("erp.customers", "shop.order_items", "shop.orders")
T = TypeVar("T")


def made(kind: type[T], /, **values: Any) -> T:
    """Return an instance of a dataclass; fields without a value and without a default are None."""
    needed = (f.name for f in fields(kind) if f.default is f.default_factory is MISSING)  # type: ignore[arg-type]
    return kind(**dict.fromkeys(needed) | values)


LOADS = {
    "erp.customers": made(
        LoadResult, contract_id="erp.customers", run_id="run-1", batch=2, read=2_058, good=2_052, quarantined=3,
        known_bad=3, known=1_998, appended=54, deleted=5, fetched=0, watermark=MARK, in_quarantine=6, settled=1,
        drift=("new_column LOYALTY_TIER: expected no such column, found VARCHAR",),
    ),
    "shop.order_items": made(
        LoadResult, contract_id="shop.order_items", run_id="run-1", batch=None, read=1_240_000, good=1_240_000,
        quarantined=0, known_bad=0, known=1_240_000, appended=0, deleted=0, fetched=0, watermark=None,
        warnings=("[red]: a warning that is no markup",),
    ),
}  # fmt: skip
STATUSES = [
    TableStatus("erp.customers", 2, MARK, "ok", 0.571, 6, 0, "OK"),
    TableStatus("shop.order_items", 2, MARK, "warning", 30.25, 0, 287, "CRITICAL"),
    TableStatus("shop.orders", 0, None, "failed", None, 0, None, "OK*"),
    TableStatus("shop.returns", 0, None, None, None, 0, None, None, "the log is torn. lakehouse doctor --mend"),
]
GAPS = [
    made(
        TableGap, contract_id=contract_id, run_id="run-1", checked_at=MOMENT, source_count=50_139, lake_count=lake,
        quarantined_count=6, sync_gap=gap, gap_percentage=gap / 501.39, missing_keys=gap, extra_keys=0,
        differing_keys=0, freshness_lag_hours=0.25, data_quality_score=99.4, severity=severity, state=state,
        runbook_sql=sql, outcome="different" if gap else "partial" if severity == "OK*" else "equal",
        unverified_columns="note: the server cannot hash it" if severity == "OK*" else None,
    )
    for contract_id, lake, gap, severity, state, sql in (
        ("erp.customers", 50_133, 0, "OK", None, None),
        ("shop.order_items", 49_846, 287, "CRITICAL", "confirmed", "select count(*) from shop.order_items"),
        ("shop.orders", 50_133, 0, "OK*", None, None),
    )
]  # fmt: skip
PARTITION = PartitionGap("shop.order_items", "2026-02-10", 287, 0, 0, 287, 1, None)
DIFFERENCE = made(
    Difference, difference_id="3f9c2a71", contract_id="shop.order_items", kind="missing_in_lake", state="confirmed",
    partition="2026-02-10", keys=287, state_at=MOMENT, first_seen_at=MOMENT, run_id="run-1",
)  # fmt: skip
WAIVED = made(
    Difference, difference_id="77aa01bc", contract_id="shop.orders", kind="changed", state="waived", keys=2,
    state_at=MOMENT, first_seen_at=MOMENT, run_id="run-1", by="ana", why="purge of 2019, ticket 4711",
    until=datetime(2026, 4, 1, tzinfo=UTC),
)  # fmt: skip
ADVICE = GapAdvice(
    "shop.order_items", "rows imported late", "287 rows of 2026-02-10 are older than the watermark.",
    ("lakehouse repair shop.order_items", "lakehouse gaps shop.order_items"), "Import with current times.",
)  # fmt: skip
PLANS = [
    made(
        LoadPlan, contract_id="shop.orders", contract_version="1.0.0", mode="incremental", bronze="append",
        last_batch=1, next_batch=2, low="2026-03-02 00:58:22.750001", next_low=MARK, rows=1_240_000, chunks=2,
        compares_keys=True, missing_rights=("SELECT on V$DATABASE: no shared fixed point",), drift=(), blockers=(),
    ),
]  # fmt: skip
BUILD = BuildResult("all", "run-1", tuple(f"model_{n}" for n in range(22)), 131, (), 12.4)
FINDINGS = [
    DoctorFinding("package oracledb", "ok", "26.1.0", "-"),
    DoctorFinding(
        "source erp",
        "missing",
        "no connection is set.",
        "Set AIRFLOW_CONN_ERP to oracle://user:password@host:1521/service.",
    ),
    DoctorFinding("bronze.shop__orders", "damaged", "the newest commit is torn", "lakehouse doctor --mend"),
]
MENDED = [TableMended("bronze.shop__orders", 19_896, 322, ("a.parquet", "b.parquet"), "lake/_set_aside/1", "load it")]
MAINTAINED = [Maintained("bronze.erp__customers", 12, 1_204), Maintained("silver.customers", busy=True)]
ERASURE = ErasurePlan(
    "erp.customers", 2,
    (
        PlaceErased("silver.stg_customers", 3, 41, 87),
        PlaceErased("bronze.erp__customers", 1_204, 392, 1_210),
        PlaceErased("quarantine.erp__customers", 1, 12, 15),
        PlaceErased("gold.dim_customer", None, 40, 81),
        PlaceErased("gold.fact_sales", None, 1, 3),
    ),
    4, 7,
    (
        "Erase in erp first: a row that the source still has comes back with a load that reads it.",
        "s3://lake: where the bucket or container keeps versions of objects or deleted ones, purge those of the deleted "
        "files, or wait until its lifecycle rule does.",
    ),
)  # fmt: skip
EXPIRY = [
    Expired("bronze.erp__customers", 120_433, 12, datetime(2018, 4, 1, 8, 30, tzinfo=UTC)),
    Expired("silver.stg_customers", 98_000, 9, datetime(2018, 4, 1, 8, 30, tzinfo=UTC)),
    Expired("quarantine.erp__customers", 0, 0, None, "3 older open ones stay"),
]
LACK = Lack(
    "shop.orders", Lacking.MODEL, "no dbt model builds its history, so Silver lacks it", "lakehouse contract sources"
)
CONTRACT = "data_contracts/erp/customers.odcs.yaml"
ADDED = Added(
    ("erp.customers",), ("erp.products",),
    (CONTRACT, "dbt_project/models/silver/erp/stg_erp__customers.sql", "dbt_project/models/silver/erp/stg_erp__customers.yml"),
    (
        Decision(CONTRACT, 0, "team: names no owner; write e.g. `team: {name: sales-data}`"),
        Decision(CONTRACT, 24, "describe customer_id, customer_name, [red]"),
        Decision(CONTRACT, 66, "updated_at: proposed as the watermark. Make sure that every change moves it"),
    ),
    ("SALES.NOTES: the catalog knows no primary key; import it alone, with --key COLUMN,…",), needs_salt=True,
)  # fmt: skip
UPGRADED = [
    FileChange(
        "dags/repair.py",
        State.CHANGED,
        "--- dags/repair.py\n+++ dags/repair.py (lakehouse 0.2.0)\n@@ -1 +1 @@\n-a\n+b\n",
    ),
    FileChange(
        "README.md", State.EDITED, "--- README.md\n+++ README.md (lakehouse 0.2.0)\n@@ -1 +1 @@\n-mine\n+[red]\n"
    ),
    FileChange("requirements.txt", State.DELETED, ""),
]
DRILLS = [
    DrillResult("late_commit", "shop.orders", 3, "confirmed CRITICAL", "rows imported late", True, True, 4.2),
    DrillResult("hard_delete", "erp.customers", 5, "suspected WARNING", "deleted in the source", False, False, 3.0),
]


def report(contract_id: str, missing: int) -> GapReport:
    return made(
        GapReport, contract_id=contract_id, source_count=50_139, lake_count=50_139 - missing, quarantined_count=0,
        in_flight_count=0, missing_keys=missing, extra_keys=0, batch=2, severity="CRITICAL" if missing else "OK",
        partitions=(),
    )  # fmt: skip


DAY = DayResult(
    "run-1", loads=[*LOADS.values()], builds=[BUILD], gaps=[report("shop.orders", 0)], failures=["shop.orders: gone"]
)
STORY = Story(
    "lake", "the files in lake-world", loads={1: {"erp.customers": LOADS["erp.customers"]}, 2: LOADS},
    troubles=[Trouble("late_import", "shop.orders", 114, "All orders of 2026-02-10 had old times.")],
    before={"shop.orders": report("shop.orders", 114)}, repaired={"shop.orders": LOADS["erp.customers"]},
    after={"shop.orders": report("shop.orders", 0)}, versions={"shop.orders": 20_318},
    revenue=[
        {"month": "2026-02", "segment": name, "net_revenue": Decimal(1_418_000), "gross_profit": Decimal(872_000)}
        for name in ("Consumer", "Corporate", "Public Sector", "Small Business", "Unknown")
    ],
)  # fmt: skip
FAULTS = [
    Fault("erp/customers.odcs.yaml", 41, "schema[0].properties[2].logicalType must be one of string, integer, number"),
    Fault("erp/notes.yaml", 0, "is not read; name a contract <entity>.odcs.yaml", "warning"),
]
CHANGES = [
    Change("column", True, "city is removed", "city", "its new rows are null"),
    Change("rules", False, "the rules of segment admit more values (enum)", "segment", visible=True),
    Change("description", False, "the description changed"),
]


class OneContract:
    """A version of a contract in which each column has one type."""

    def __init__(self, version: str, type_: str) -> None:
        self.id, self.version, self.path, self._type = "erp.customers", version, "erp/customers.odcs.yaml", type_

    def column(self, _name: str) -> SimpleNamespace:
        return SimpleNamespace(physical_type=self._type, arrow_type=self._type)


ACCEPTED = SimpleNamespace(
    before=OneContract("1.0.0", "NUMBER(14,2)"),
    contract=OneContract("2.0.0", "NUMBER(16,2)"),
    taken=(Drift(DriftKind.WIDENED, "credit_limit", "NUMBER(14,2)", "NUMBER(16,2)", DriftAction.FAIL),),
    left=(Drift(DriftKind.NEW_COLUMN, "loyalty_tier", "no such column", "VARCHAR2(10)", DriftAction.IGNORE),),
)
IMPORTED = SimpleNamespace(
    written=[
        SimpleNamespace(
            path="data_contracts/erp/orders.odcs.yaml",
            notes=["id: NUMBER in the source, NUMBER(18) in the contract because it is a key"],
        )
    ],
    left_out=["RETAIL.LOGS: it has no key; name one with --key"],
    as_dict=dict,
)
KEYS = (
    "select 1004 as order_id, 'missing_in_lake' as _finding, '2026-02-10' as _partition, 1 as _source, 0 as _lake, "
    "'open' as _state union all select 1005, 'changed', '2026-02-10', 1, 1, 'next load'"
)
QUARANTINED = (
    "select 58 as customer_id, '{}' as email, '-1' as credit_limit, 'credit_limit:minimum' as _breaks, 2 as _batch, "
    "'open' as _state"
)
ENTRIES = (
    "select * from (values ('open', 'email', 'pattern', 12, 2, 2), ('waived', 'segment', 'enum', 1204, 1, 2)) "
    "t(state, \"column\", rule, \"rows\", first, last) where '{}' = 'erp.customers'"
)
WIDE = ", ".join(f"{n} as key_{n}, 'value {n}' as name_of_column_{n}" for n in range(1, 7))


def load_table(_: object, contract_id: str, **__: object) -> LoadResult:
    if contract_id not in LOADS:
        raise SourceUnavailableError(f"{contract_id}: no connection to db:1521: the host does not answer (DPY-6005).")
    return LOADS[contract_id]


@dataclass(frozen=True)
class FixedContext:
    run_id: str = "run-1"
    journal: None = None
    lake: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(is_demo=False, root=""))
    settings: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(memory_limit=None, contracts=Path("data_contracts"), dbt_project=None)
    )
    observe: Observe = unobserved

    def contract_ids(self) -> list[str]:
        return list(IDS)

    def contract(self, contract_id: str) -> str:
        return contract_id

    told = contract

    @staticmethod
    def each_table(tables: Any, work: Any, *, over: Any, probe: object = None) -> Any:
        return each(over(tables), work)

    def note_unread(self, *_: object, **__: object) -> None: ...

    def table(self, contract_id: str) -> Table:
        return Table(contract_id)


class Table:
    uri = quarantine_uri = ""

    def __init__(self, contract_id: str) -> None:
        self.id = contract_id

    def state(self) -> None:
        return None

    def entries(self, *_: object, masked: bool, **__: object) -> str:
        return QUARANTINED.format("(personal)" if masked else "ada@b.co")

    def entries_by_rule(self, _connection: object, _state: object) -> str:
        return ENTRIES.format(self.id)


ANSWERS: dict[str, Any] = {
    "ingestion.cli.output.span": lambda _seconds: "12 s",
    "ingestion.runs.context.open_context": lambda *_: FixedContext(),
    "ingestion.runs.context.initialise": lambda _: SimpleNamespace(
        lake=SimpleNamespace(root="/data/lake", tables=lambda: [SimpleNamespace(schema="ops", name="runs")])
    ),
    "ingestion.contracts.lacks.find_lacks": lambda *_: [LACK],
    "ingestion.admin.add_table.add_tables": lambda *_, **__: ADDED,
    "ingestion.admin.project_files.write_project": lambda _: ["README.md", "requirements.txt"],
    "ingestion.admin.project_files.find_changes": lambda _: UPGRADED,
    "ingestion.admin.project_files.apply_changes": lambda *_: None,
    "ingestion.lake.duck.connect": lambda *_, _connect=duck.connect, **__: _connect(),
    "ingestion.load.load_table.load_table": load_table,
    "monitoring.incidents.run.evaluate_at_end": lambda _: None,
    "ingestion.load.plan.plan_load": lambda *_, **__: PLANS[0],
    "ingestion.build.dbt.build_layer": lambda *_, **__: BUILD,
    "ingestion.daily.run_day": lambda *_, **__: DAY,
    "ingestion.runs.verdict.verdict": lambda *_: [],
    "ingestion.runs.verdict.raise_if_red": lambda *_: None,
    "ingestion.gaps.compare.compare_table": lambda *_: SimpleNamespace(is_complete=True),
    "ingestion.gaps.keys.keys_query": lambda *_: KEYS,
    "ingestion.gaps.waivers.waive": lambda *_, **__: None,
    "ingestion.gaps.waivers.waive_entries": lambda *_, **__: 12,
    "ingestion.contracts.odcs.examine_folder": lambda *_, **__: (
        (SimpleNamespace(id="shop.orders", bronze=None, path="shop/orders.odcs.yaml"),),
        [*FAULTS],
    ),
    "ingestion.contracts.odcs.read_version": lambda *_: OneContract("1.0.0", "NUMBER"),
    "ingestion.contracts.odcs.read_contracts": lambda _: (),
    "ingestion.contracts.versions.compare_versions": lambda *_: CHANGES,
    "ingestion.contracts.writing.dbt_sources.write_dbt_files": lambda _, project, **__: [project / "models/erp.yml"],
    "ingestion.load.accept_contract.accept_drift": lambda *_: ACCEPTED,
    "ingestion.admin.import_contracts.import_contracts": lambda *_, **__: IMPORTED,
    "ingestion.admin.status.table_statuses": lambda _: STATUSES,
    "ingestion.admin.doctor.examine": lambda _: FINDINGS,
    "ingestion.admin.mending.mend_lake": lambda _: MENDED,
    "ingestion.admin.maintenance.maintain": lambda *_, **__: MAINTAINED,
    "ingestion.admin.maintenance.plan_expiry": lambda *_, **__: (EXPIRY, []),
    "ingestion.erasure.keys.keys_of": lambda *_: None,
    "ingestion.erasure.keys.merged": lambda *_: None,
    "ingestion.erasure.plan.plan_erasure": lambda *_: ERASURE,
    "ingestion.erasure.erase.erase": lambda *_, **__: ERASURE,
    "ingestion.drills.run.run_drills": lambda *_, **__: DRILLS,
    "ingestion.demo.show.run_demo": lambda *_, **__: STORY,
    "ingestion.gaps.repair.repair_table": load_table,
    "ingestion.load.replay.replay_quarantine": load_table,
    "monitoring.ledger_views.current_gaps": lambda *_: GAPS,
    "monitoring.ledger_views.differences": lambda *_: [WAIVED],
    "monitoring.ledger_views.gap_history": lambda *_, **__: GAPS,
    "monitoring.ledger_views.partition_gaps": lambda *_: [PARTITION],
    "monitoring.ledger_views.unended_differences": lambda *_: ((DIFFERENCE,), (WAIVED,)),
    "monitoring.facts.gather": lambda *_: [None],
    "monitoring.advisor.gap_rules.advise": lambda _: [ADVICE],
    "monitoring.trial.tried": lambda _, found: found,
}  # fmt: skip
COMMANDS: dict[str, list[str]] = {
    "new": ["new", "own"],
    "add": ["add", "erp.SALES"],
    "upgrade-project": ["upgrade-project", "--apply"],
    "init": ["init"],
    "doctor": ["doctor", "--mend"],
    "status": ["status"],
    "maintain": ["maintain"],
    "maintain-dry-run": ["maintain", "--dry-run"],
    "erase": ["erase", "erp.customers", "--key", "customer_id=1"],
    "erase-yes": ["erase", "erp.customers", "--key", "customer_id=1", "--yes", "--reason", "request 4711"],
    "plan": ["plan", "shop.orders"],
    "load": ["load"],
    "build": ["build"],
    "run": ["run"],
    "gaps": ["gaps", "--last", "--exit-zero"],
    "gaps-history": ["gaps", "--history"],
    "gaps-advise": ["gaps", "advise", "shop.orders"],
    "gaps-keys": ["gaps", "shop.orders", "--keys"],
    "gaps-waive": ["gaps", "waive", "77aa01bc", "--why", "ticket 4711", "--until", "2026-04-01", "--by", "ana"],
    "repair": ["repair", "erp.customers"],
    "contract-lint": ["contract", "lint"],
    "contract-diff": ["contract", "diff", "main", "erp/customers.odcs.yaml"],
    "contract-sources": ["contract", "sources"],
    "contract-accept": ["contract", "accept", "erp.customers"],
    "contract-import": ["contract", "import", "erp", "RETAIL"],
    "quarantine-show": ["quarantine", "show", "erp.customers"],
    "quarantine-show-raw": ["quarantine", "show", "erp.customers", "--raw", "--format", "csv"],
    "quarantine-waive": [
        *("quarantine", "waive", "erp.customers", "--why", "ticket 4711", "--until", "2026-04-01", "--by", "ana"),
    ],
    "quarantine-list": ["quarantine", "list"],
    "quarantine-replay": ["quarantine", "replay", "erp.customers"],
    "drill": ["drill"],
    "demo": ["demo"],
    "sql-table": ["sql", "select 2020 + range as year, 1234567 as key, '[red]' as t, null as n from range(3)"],
    "sql-records": ["sql", f"select {WIDE}, '[/]' as markup, null as nothing"],
    "sql-limit": ["sql", "select range as n from range(5)", "--limit", "2"],
}


CLOUDS = {
    "local": {"LAKEHOUSE_ROOT": "/data/lake"},
    "azure": {
        "LAKEHOUSE_ROOT": "abfss://lake@retail.dfs.core.windows.net/prod",
        "LAKEHOUSE_SECRETS_VAULT": "https://retail-prod.vault.azure.net",
        "AZURE_CLIENT_ID": "7c1d",
        "AZURE_CLIENT_SECRET": "geheim",
    },
    "aws": {"LAKEHOUSE_ROOT": "s3://retail-lake/prod", "AWS_REGION": "eu-central-1", "AWS_SECRET_ACCESS_KEY": "geheim"},
    "gcp": {"LAKEHOUSE_ROOT": "gs://retail-lake/prod", "LAKEHOUSE_SECRETS_VAULT": "retail-prod"},
}
GIVEN = {"LAKEHOUSE_PROJECT": "/srv/retail", "AIRFLOW_CONN_ERP": "oracle://lake:geheim@erp-db/ERP"}


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", CLOUDS)
def test_settings_print_what_their_golden_file_has_and_no_secret(
    name: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in list(os.environ):
        if variable.startswith(OF_SETTINGS) or variable in OLD_NAMES:
            monkeypatch.delenv(variable)
    environ = {**GIVEN, "LAKEHOUSE_CLOUD": name, **CLOUDS[name], "COLUMNS": str(width)}

    result = CliRunner().invoke(cli, ["settings"], env=environ)

    assert result.exit_code == 0
    assert "geheim" not in result.output
    assert_golden(f"settings-{name}-{width}", f"{result.stdout}{result.stderr}")


OF_SETTINGS = ("LAKEHOUSE_", "AIRFLOW_", "AWS_", "AZURE_", "GOOGLE_", "GCS_", "DATABRICKS_", "ENABLE_", "CLOUD_")


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_prints_what_its_golden_file_has(name: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, answer in ANSWERS.items():
        monkeypatch.setattr(place, answer)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("LAKEHOUSE_ROOT", "lake")

    result = CliRunner().invoke(cli, COMMANDS[name])

    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "LAKEHOUSE_DEBUG" not in result.output
    assert_golden(f"{name}-{width}", f"{result.stdout}{result.stderr}")


@pytest.mark.parametrize("name", ["status", "gaps", "gaps-history", "run"])
def test_made_up_data_is_told_as_such_to_people_and_programs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, answer in ANSWERS.items():
        monkeypatch.setattr(place, answer)
    demo = FixedContext(lake=SimpleNamespace(is_demo=True))
    monkeypatch.setattr("ingestion.runs.context.open_context", lambda *_: demo)
    run = CliRunner().invoke

    document = json.loads(run(cli, [*COMMANDS[name], "--json"]).stdout)
    printed = run(cli, COMMANDS[name]).stdout

    rows = document if isinstance(document, list) else [document]
    assert {row["world"] for row in rows} == {"demo"}
    assert printed.startswith("This lake is the demo's: all of its data is made up.\n")


def assert_golden(name: str, printed: str) -> None:
    text = "".join(f"{line.rstrip()}\n" for line in printed.splitlines())
    file = GOLDEN / f"{name}.txt"
    if WRITES:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)

    assert text == file.read_text()


def test_every_golden_file_belongs_to_a_command() -> None:
    names = [*COMMANDS, *(f"settings-{cloud}" for cloud in CLOUDS)]
    assert {file.stem for file in GOLDEN.iterdir()} == {f"{name}-{width}" for name in names for width in (80, 120)}


SENTENCES = ("contract-accept-", "contract-lint-")
"""What these print are lines for people and tools, which a terminal wraps, and no tables."""


@pytest.mark.parametrize(
    "file",
    sorted(file for file in GOLDEN.glob("*.txt") if not file.name.startswith(SENTENCES)),
    ids=lambda file: str(file.stem),
)
def test_tables_keep_to_the_width_of_their_terminal(file: Path) -> None:
    width = int(file.stem.rpartition("-")[2])

    long = [line for line in file.read_text().splitlines() if len(line) > width]

    assert [line for line in long if line.startswith(" ")] == []
