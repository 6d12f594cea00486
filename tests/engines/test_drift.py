"""What becomes of each kind of drift: docs/drift.md says it, each row of its table is a test here or in test_load."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from ingestion.errors import (
    BrokenContractError,
    ConcurrentWriteError,
    ConfigurationError,
    InvalidContractError,
    RetypeError,
)
from ingestion.gaps.record import record_sync_gap
from ingestion.gaps.repair import repair_table
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.load.accept_contract import Accepted, accept_drift
from ingestion.load.load_table import load_table
from ingestion.load.plan import plan_load
from ingestion.load.replay import replay_quarantine
from ingestion.runs.context import initialise
from tests.engines.conftest import Company

PEOPLE = "crm.people"
LATER = "2026-03-01 11:30:00"


def load(company: Company, **options: Any) -> tuple[str, ...]:
    """Load the people; return the warnings."""
    return load_table(company.context(), PEOPLE, **options).warnings


def accept(company: Company, *columns: str) -> Accepted:
    return accept_drift(company.context(), PEOPLE, columns)


def contract_text(company: Company) -> str:
    return (company.folder / "data_contracts/crm/people.odcs.yaml").read_text()


def bronze_type(company: Company, column: str, entity: str = "people") -> str:
    return str(company.lake(f"select typeof({column}) from bronze.crm__{entity} limit 1")[0][0])


def is_equal(company: Company) -> bool:
    gap = record_sync_gap(company.context(), PEOPLE)
    return (gap.missing_keys, gap.extra_keys, gap.differing_keys) == (0, 0, 0) and gap.severity == "OK"


def test_a_new_column_is_added_where_the_policy_says_so(company: Company) -> None:
    company.amend("people", "      maxDeletePercent", "      onDrift: {newColumn: add}\n      maxDeletePercent")
    load(company)
    company.sql(
        "alter table people add column \"Home Phone\" varchar default '12'",
        f"update people set name = 'Ava', changed_at = '{LATER}' where id = 1",
    )

    told = load(company)

    assert company.lake("select id, home_phone from bronze.crm__people order by _batch, id") == [
        *[(1, None), (2, None), (3, None)],
        *[(1, "12"), (2, "12"), (3, "12")],  # the overlap is read again
    ]
    assert "version 1.0.0 -> 1.1.0 by onDrift.newColumn: add: home_phone" in told[0]
    assert "home_phone is new in Bronze: null in all rows loaded before" in told[1]
    contract = company.context().contract(PEOPLE)
    assert (contract.version, contract.column("home_phone").source_name) == ("1.1.0", "Home Phone")
    assert contract.column("home_phone").is_personal
    assert "null in rows loaded before" in contract.column("home_phone").description
    assert company.lake("select contract_version from ops.runs order by started_at") == [("1.0.0",), ("1.1.0",)]
    assert load(company) == ()


def test_a_full_load_fills_a_new_column_in_older_rows(company: Company) -> None:
    company.amend("people", "      maxDeletePercent", "      onDrift: {newColumn: add}\n      maxDeletePercent")
    load(company)
    company.sql("alter table people add column tier integer default 7")
    load(company)

    load(company, full=True)

    assert is_equal(company)
    assert company.lake("select min(tier), count(*) from bronze.crm__people where tier is not null") == [(7, 3)]


def test_a_column_of_a_type_that_no_contract_can_use_is_recorded_and_left_out(company: Company) -> None:
    company.amend("people", "      maxDeletePercent", "      onDrift: {newColumn: add}\n      maxDeletePercent")
    company.sql("alter table people add column tags varchar[]", "alter table people add column tier varchar")

    load(company)

    assert company.lake('select "column", action from ops.drift order by 1, 2')[:2] == [
        ("tags", "ignore"),
        ("tags", "ignore"),
    ]
    assert company.context().contract(PEOPLE).arrow_schema.names[-1] == "tier"


def test_a_contract_that_cannot_be_written_stops_the_load_that_would_add_to_it(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.amend("people", "      maxDeletePercent", "      onDrift: {newColumn: add}\n      maxDeletePercent")
    company.sql("alter table people add column tier varchar")

    def read_only(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("ingestion.load.accept_contract.write_whole", read_only)

    with pytest.raises(ConfigurationError, match=r"contract accept crm\.people --column tier"):
        load(company)
    assert (company.versions(), company.context().contract(PEOPLE).version) == (0, "1.0.0")


def test_a_load_that_stops_for_another_drift_adds_nothing_to_the_contract(company: Company) -> None:
    company.amend("people", "      maxDeletePercent", "      onDrift: {newColumn: add}\n      maxDeletePercent")
    company.sql("alter table people add column tier varchar", "alter table people drop column score")

    with pytest.raises(BrokenContractError, match="score"):
        load(company)
    assert company.context().contract(PEOPLE).version == "1.0.0"


def test_dbts_sources_follow_a_column_that_a_load_adds(company: Company) -> None:
    (company.folder / "dbt_project").mkdir()
    company.amend("people", "      maxDeletePercent", "      onDrift: {newColumn: add}\n      maxDeletePercent")
    company.sql("alter table people add column tier varchar")

    load(company)

    facts = (company.folder / "dbt_project/generated/lake_facts.sql").read_text()
    assert "'tier': 'string'" in facts


def test_a_new_column_stops_the_load_where_the_policy_says_so(company: Company) -> None:
    company.amend("people", "      maxDeletePercent", "      onDrift: {newColumn: fail}\n      maxDeletePercent")
    company.sql("alter table people add column tier varchar")

    with pytest.raises(BrokenContractError, match="tier: expected no such column"):
        load(company)


def test_a_new_column_is_accepted_by_its_name_and_nothing_else_is(company: Company) -> None:
    load(company)
    company.sql(
        "alter table people add column tier varchar default 'gold'",
        "alter table people add column other varchar",
        "alter table people alter score type decimal(20, 5)",
    )

    accepted = accept(company, "TIER")

    assert [drift.column for drift in accepted.taken] == ["tier"]
    assert [drift.column for drift in accepted.left] == ["score", "other"]
    assert (accepted.contract.version, accepted.contract.column("score").physical_type) == ("1.1.0", "DECIMAL(10,2)")
    (told,) = load(company)
    assert told.startswith("tier is new in Bronze: null in all rows loaded before")
    load(company, full=True)
    assert company.lake("select count(*) from bronze.crm__people where tier = 'gold'") == [(3,)]


def test_accepting_without_a_name_takes_what_stops_a_load_and_no_more(company: Company) -> None:
    company.sql(
        "alter table people add column tier varchar",
        "alter table people alter id type hugeint",
        "alter table people drop column name",
    )

    accepted = accept(company)

    assert [drift.column for drift in accepted.taken] == ["name"]
    assert [drift.column for drift in accepted.left] == ["id", "tier"]
    assert accepted.contract.column("id").physical_type == "BIGINT"
    with pytest.raises(ConfigurationError, match=r"none stops a load[\s\S]*id: [\s\S]*--column tier"):
        accept(company)
    with pytest.raises(ConfigurationError, match="does not differ in nobody"):
        accept(company, "nobody")
    with pytest.raises(InvalidContractError, match="id: a key cannot be decimal128"):
        accept(company, "id")


def test_a_removed_column_that_is_accepted_stays_in_bronze_and_leaves_the_contract(company: Company) -> None:
    load(company)
    company.sql("alter table people drop column score", f"update people set name = 'Ava', changed_at = '{LATER}'")

    accepted = accept(company)
    load(company)

    assert (accepted.contract.version, "score" in accepted.contract.arrow_schema.names) == ("2.0.0", False)
    assert company.lake("select count(score), count(*) from bronze.crm__people") == [(2, 6)]


def test_a_removed_column_that_is_ignored_becomes_null(company: Company) -> None:
    company.amend("people", "      maxDeletePercent", "      onDrift: {removedColumn: ignore}\n      maxDeletePercent")
    load(company)
    company.sql("alter table people drop column score", f"update people set changed_at = '{LATER}' where id = 1")

    load(company)

    assert company.lake("select id, score from bronze.crm__people where _batch = 2 and id = 1") == [(1, None)]


def test_a_renamed_column_goes_on_under_its_name_with_a_new_physical_name(company: Company) -> None:
    load(company)
    company.sql("alter table people rename name to full_name")
    with pytest.raises(BrokenContractError, match="name: expected VARCHAR, found no such column"):
        load(company)

    company.amend("people", "physicalName: name,", "physicalName: full_name,")

    assert load(company) == ()
    assert is_equal(company)


WIDER = [
    ("integer", "INTEGER", "bigint", "BIGINT", "99999999999"),
    ("decimal(5)", "DECIMAL(5)", "decimal(12,2)", "DECIMAL(12,2)", "12345.67"),
    ("decimal(9,2)", "DECIMAL(9,2)", "decimal(30,4)", "DECIMAL(30,4)", "12345678901234567.1234"),
    ("float", "FLOAT", "double", "DOUBLE", "0.1"),
    ("date", "DATE", "timestamp", "TIMESTAMP", "'2026-01-02 03:04:05'"),
]
_LOGICAL = {"DATE": "date", "TIMESTAMP": "timestamp", "INTEGER": "integer", "BIGINT": "integer"}


@pytest.mark.parametrize(("old", "promised", "new", "declared", "value"), WIDER, ids=[case[2] for case in WIDER])
def test_a_wider_type_that_is_accepted_retypes_bronze_and_everything_goes_on(
    company: Company, old: str, promised: str, new: str, declared: str, value: str
) -> None:
    with_value(company, old, promised)
    load(company)
    before = company.lake("select id, val::varchar::double from bronze.crm__people") if old != "date" else []
    company.sql(
        f"alter table people alter val type {new}",
        f"update people set val = {value}, changed_at = '{LATER}' where id = 1",
    )
    load(company)
    assert company.lake("select _breaks from quarantine.crm__people") == [("val:type",)]

    accept(company, "val")
    (told,) = load(company)

    assert "val was retyped in Bronze to" in told
    assert bronze_type(company, "val") == declared
    replay_quarantine(company.context(), PEOPLE)
    assert company.lake(f"select count(*) from bronze.crm__people where id = 1 and val = {value}") == [(1,)]
    if before:
        kept = company.lake("select id, val::varchar::double from bronze.crm__people where _batch = 1")
        assert sorted(kept, key=str) == sorted(before, key=str)
    assert load(company, full=True) == ()
    assert is_equal(company)
    assert repair_table(company.context(), PEOPLE).batch is None
    assert initialise(company.settings).contract(PEOPLE).version == "2.0.0"


def with_value(company: Company, sql_type: str, promised: str, value: str = "null") -> None:
    """Give the people a column `val`, of that type and promise; person 2 has a value of it."""
    there = {"date": "date '2026-01-01'"}.get(sql_type, "1" if value == "null" else value)
    company.sql(f"alter table people add column val {sql_type}", f"update people set val = {there} where id = 2")
    logical = _LOGICAL.get(promised, "string" if promised == "VARCHAR" else "number")
    line = f'      - {{name: val, physicalName: val, logicalType: {logical}, physicalType: "{promised}", description: V.}}\n'
    company.amend("people", "customProperties:", line + "customProperties:")


def test_a_longer_text_that_is_accepted_changes_nothing_in_the_lake(company: Company) -> None:
    company.amend(
        "people", "physicalType: VARCHAR, logicalTypeOptions", 'physicalType: "VARCHAR(10)", logicalTypeOptions'
    )
    load(company)
    company.sql("create table wide as from people", "drop table people", "alter table wide rename to people")

    accepted = accept(company, "name")

    assert accepted.contract.version == "1.1.0"
    assert load(company) == ()
    assert company.versions() == 1


def test_a_narrower_type_stops_the_load_and_retypes_bronze_where_all_values_fit(company: Company) -> None:
    load(company)
    company.sql("alter table people alter score type decimal(4, 2)")
    with pytest.raises(BrokenContractError, match=r"score: expected DECIMAL\(10,2\), found DECIMAL\(4,2\)"):
        load(company)

    accept(company)
    load(company)

    assert bronze_type(company, "score") == "DECIMAL(4,2)"
    assert is_equal(company)


def test_a_narrower_type_that_older_values_do_not_fit_is_refused_and_can_be_ignored(company: Company) -> None:
    company.sql("update people set score = 12345 where id = 1")
    load(company)
    company.sql("update people set score = 1 where id = 1", "alter table people alter score type decimal(4, 2)")
    accept(company)
    version = company.versions()

    with pytest.raises(RetypeError, match=r"score: expected decimal128\(4, 2\), found 1 values in Bronze"):
        load(company)
    assert (company.versions(), bronze_type(company, "score")) == (version, "DECIMAL(10,2)")

    company.amend("people", 'physicalType: "DECIMAL(4,2)"', 'physicalType: "DECIMAL(10,2)"')
    company.amend("people", "      maxDeletePercent", "      onDrift: {changedType: ignore}\n      maxDeletePercent")
    load(company, full=True)
    assert is_equal(company)


def test_a_number_that_becomes_text_retypes_bronze_as_its_exact_text(company: Company) -> None:
    with_value(company, "integer", "INTEGER")
    load(company)
    company.sql(
        "alter table people alter val type varchar", f"update people set val = 'x', changed_at = '{LATER}' where id = 1"
    )

    accept(company)
    load(company)

    assert bronze_type(company, "val") == "VARCHAR"
    assert company.lake("select id, val from bronze.crm__people where val is not null order by id") == [
        (1, "x"),
        (2, "1"),
    ]
    assert is_equal(company)


def test_text_that_holds_numbers_can_be_promised_as_a_number(company: Company) -> None:
    with_value(company, "varchar", "VARCHAR", "'17.50'")
    load(company)
    company.amend(
        "people", 'logicalType: string, physicalType: "VARCHAR"', 'logicalType: number, physicalType: "DECIMAL(18,4)"'
    )
    company.sql("alter table people alter val type decimal(18, 4)")

    load(company)

    assert company.lake("select val::varchar from bronze.crm__people where id = 2") == [("17.5000",)]


def test_another_kind_of_type_is_refused_and_comes_as_a_new_column(company: Company) -> None:
    with_value(company, "timestamp", "TIMESTAMP", "timestamp '2026-01-01 10:00:00'")
    load(company)
    company.sql("alter table people alter val type varchar")

    with pytest.raises(ConfigurationError, match=r"val: timestamp\[us\] in Bronze, the source's would be string"):
        accept(company)
    assert company.context().contract(PEOPLE).version == "1.0.0"

    company.amend("people", "{name: val,", "{name: val_text,")
    company.amend(
        "people",
        'logicalType: timestamp, physicalType: "TIMESTAMP", description: V',
        "logicalType: string, physicalType: VARCHAR, description: V",
    )
    load(company, full=True)

    columns = company.lake("select val::varchar, val_text from bronze.crm__people where id = 2 order by _batch")
    assert columns == [("2026-01-01 10:00:00", None), (None, "2026-01-01 10:00:00")]


def test_a_type_that_only_the_contract_changes_is_a_blocker_of_the_plan(company: Company) -> None:
    load(company)
    company.amend(
        "people",
        'logicalType: number, physicalType: "DECIMAL(10,2)", logicalTypeOptions: {minimum: 0}',
        "logicalType: boolean, physicalType: BOOLEAN",
    )

    plan = plan_load(company.context(), PEOPLE)

    assert "score: expected bool, found decimal128(10, 2) in Bronze" in plan.blockers
    with pytest.raises(RetypeError, match="make the column a new one"):
        load(company)


def test_a_table_that_was_never_loaded_takes_any_type(company: Company) -> None:
    company.amend(
        "people",
        'logicalType: number, physicalType: "DECIMAL(10,2)", logicalTypeOptions: {minimum: 0}',
        "logicalType: boolean, physicalType: BOOLEAN",
    )
    company.sql("alter table people alter score type boolean using score > 1")

    assert load(company) == ()
    assert bronze_type(company, "score") == "BOOLEAN"


def test_a_load_by_the_old_contract_cannot_add_rows_of_the_old_type(company: Company) -> None:
    load(company)
    old = company.context().table(company.context().contract(PEOPLE))
    company.amend("people", 'physicalType: "DECIMAL(10,2)"', 'physicalType: "DECIMAL(20,5)"')
    company.context().table(company.context().contract(PEOPLE)).create()

    with pytest.raises(ConcurrentWriteError, match="another writer retyped score"):
        old.publish(old.uri, [], batch=2, metadata={})


@pytest.mark.parametrize("mode", ["merge", "overwrite"])
def test_tables_without_a_log_are_retyped_too(company: Company, mode: str) -> None:
    company.amend(
        "cities", "mode: full, deletes: keys, maxDeletePercent: 100,", f"mode: full, bronze: {mode}, deletes: none,"
    )
    company.amend(
        "cities",
        "logicalType: string, physicalType: VARCHAR, description: Label",
        "logicalType: integer, physicalType: INTEGER, description: Label",
    )
    company.sql("update cities set label = '5'", "alter table cities alter label type integer")
    (company.folder / "lake/bronze/crm/cities").rename(company.folder / "old")
    load_table(company.context(), "crm.cities")
    company.sql("alter table cities alter label type bigint", "update cities set label = 99999999999 where code = 'A'")

    accept_drift(company.context(), "crm.cities", ["label"])
    load_table(company.context(), "crm.cities")

    assert company.lake("select code, label from bronze.crm__cities order by code") == [("A", 99999999999), ("B", 5)]
    assert bronze_type(company, "label", "cities") == "BIGINT"


def test_a_retyping_that_was_cut_off_between_its_commits_is_done_by_the_next_load(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(company)
    rows = company.lake("select id, score from bronze.crm__people order by id")
    company.amend("people", 'physicalType: "DECIMAL(10,2)"', 'physicalType: "DECIMAL(20,5)"')
    company.sql("alter table people alter score type decimal(20, 5)")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(DeltaRs, "_with_features", killed)
        with pytest.raises(KeyboardInterrupt):
            load(company)
    between = company.lake("select id, score from bronze.crm__people order by id")
    load(company)

    assert between == rows
    assert company.lake("select id, score from bronze.crm__people order by id") == rows
    assert bronze_type(company, "score") == "DECIMAL(20,5)"
    assert company.context().engine.schema(company.context().lake.uri("bronze", "crm", "people")).field(
        "score"
    ).type == pa.decimal128(20, 5)
