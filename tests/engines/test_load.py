from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from ingestion.errors import (
    BrokenContractError,
    ConfigurationError,
    DeleteBrakeError,
    IntegrityError,
    QuarantineLimitError,
    SourceUnavailableError,
)
from ingestion.gaps.record import record_sync_gap
from ingestion.load.deletes import allowed_rows
from ingestion.load.load_table import load_table
from ingestion.load.plan import plan_load
from ingestion.runs.context import initialise
from ingestion.sources.duckdb import DuckDbSnapshot
from tests.engines.conftest import HEAD, ON_BOTH_ENGINES, ON_BOTH_ENGINES_IN_THE_LONG_FORM, Company

PEOPLE = "crm.people"


def events(company: Company, entity: str = "people", columns: str = "id, _op") -> list[tuple[object, ...]]:
    return company.lake(f"select {columns} from bronze.crm__{entity} order by _batch, _row")


def test_the_first_load_reads_everything_as_r(company: Company) -> None:
    result = load_table(company.context(), PEOPLE)

    assert (result.batch, result.read, result.appended) == (1, 3, 3)
    assert sorted(events(company)) == [(1, "R"), (2, "R"), (3, "R")]


@ON_BOTH_ENGINES
def test_values_arrive_exactly_as_promised(company: Company) -> None:
    load_table(company.context(), PEOPLE)

    row = company.lake(
        "select name, score::varchar, changed_at::varchar, _eff::varchar, _seq, _source_system from bronze.crm__people where id = 1"
    )

    assert row == [("Ada", "1.10", "2026-03-01 10:00:00", "2026-03-01 10:00:00+00", 0, "crm")]


def test_a_rerun_commits_nothing(company: Company) -> None:
    load_table(company.context(), PEOPLE)
    before = company.versions(), company.versions("quarantine")

    again = load_table(company.context(), PEOPLE)

    assert (again.batch, again.appended, again.known) == (None, 0, 3)
    assert (company.versions(), company.versions("quarantine")) == before


def test_a_change_within_the_overlap_is_appended_once(company: Company) -> None:
    load_table(company.context(), PEOPLE)
    company.sql("update people set name = 'Ava', changed_at = '2026-03-01 11:30:00' where id = 1")

    load_table(company.context(), PEOPLE)
    load_table(company.context(), PEOPLE)

    assert events(company, columns="id, name, _op, _batch")[3:] == [(1, "Ava", "U", 2)]


def test_a_transaction_that_commits_late_with_an_older_timestamp_is_not_lost(company: Company) -> None:
    load_table(company.context(), PEOPLE)
    company.sql("insert into people values (4, 'Dee', 4, '2026-03-01 10:30:00')")

    load_table(company.context(), PEOPLE)

    assert events(company)[3:] == [(4, "U")]


def test_a_row_tied_with_the_watermark_is_not_lost(company: Company) -> None:
    load_table(company.context(), PEOPLE)
    company.sql("insert into people values (4, 'Dee', 4, '2026-03-01 11:00:00')")

    assert load_table(company.context(), PEOPLE).appended == 1


def test_a_row_behind_the_overlap_is_fetched_by_its_key(company: Company) -> None:
    load_table(company.context(), PEOPLE)
    company.sql("insert into people values (4, 'Dee', 4, '2020-01-01')")

    result = load_table(company.context(), PEOPLE)

    assert result.fetched == 1
    assert events(company)[3:] == [(4, "R")]


def test_a_key_that_cannot_be_found_again_stops_the_load(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    load_table(company.context(), PEOPLE)
    company.sql("insert into people values (4, 'Dee', 4, '2020-01-01')")
    read = DuckDbSnapshot.read

    def forgetful(self: DuckDbSnapshot, *given: Any, keys: pa.Table | None = None, **named: Any) -> Iterator[Any]:
        return read(self, *given, keys=None if keys is None else keys.slice(1), **named)

    monkeypatch.setattr(DuckDbSnapshot, "read", forgetful)

    with pytest.raises(IntegrityError, match="showed 1 keys that are to be read, and 0 rows"):
        load_table(company.context(), PEOPLE)
    assert company.versions() == 1


def test_a_vanished_key_becomes_a_delete_at_the_fixed_point(company: Company) -> None:
    load_table(company.context(), PEOPLE)
    company.sql("delete from people where id = 2")

    result = load_table(company.context(), PEOPLE)

    assert result.deleted == 1
    assert events(company, columns="id, name, _op, _eff::varchar")[3:] == [(2, None, "D", "2026-03-01 12:00:00+00")]


def test_a_key_that_comes_back_with_an_old_timestamp_sorts_after_its_delete(company: Company) -> None:
    """Silver orders by _eff: with the row's own change time the delete would win for ever."""
    load_table(company.context(), PEOPLE)
    company.sql("delete from people where id = 3")
    load_table(company.context(), PEOPLE)
    company.sql("insert into people values (3, 'Cyd', 3, '2026-03-01 11:00:00')")

    load_table(company.context(), PEOPLE)

    assert events(company, columns="id, _op, _eff::varchar")[3:] == [
        (3, "D", "2026-03-01 12:00:00+00"),
        (3, "U", "2026-03-01 12:00:00.000001+00"),
    ]
    assert load_table(company.context(), PEOPLE).batch is None


def test_too_many_vanished_keys_stop_the_load_until_somebody_allows_them(company: Company) -> None:
    load_table(company.context(), PEOPLE)
    company.sql("delete from people where id in (1, 2)")

    with pytest.raises(DeleteBrakeError, match=r"2 of 3 keys gone .* --allow-deletes crm.people"):
        load_table(company.context(), PEOPLE)

    assert company.versions() == 1
    assert load_table(company.context(), PEOPLE, allow_deletes=True).deleted == 2


def test_an_emptied_source_does_not_empty_the_lake(company: Company) -> None:
    load_table(company.context(), PEOPLE)
    company.sql("delete from people")

    with pytest.raises(DeleteBrakeError):
        load_table(company.context(), PEOPLE)


def test_an_empty_table_loads_without_a_commit_and_fills_later(company: Company) -> None:
    company.sql("create table saved as from people", "delete from people")
    first = load_table(company.context(), PEOPLE)
    company.sql("insert into people from saved")

    second = load_table(company.context(), PEOPLE)

    assert (first.batch, second.batch, second.appended) == (None, 1, 3)


@ON_BOTH_ENGINES
def test_bad_rows_go_to_quarantine_with_their_text_and_the_rest_goes_on(company: Company) -> None:
    company.sql("insert into people values (4, 'a name too long', -1, '2026-03-01 11:00:00')")

    result = load_table(company.context(), PEOPLE)

    assert (result.read, result.good, result.quarantined) == (4, 3, 1)
    assert company.lake("select id, name, score, _breaks, _batch from quarantine.crm__people") == [
        ("4", "a name too long", "-1.00", "name:max_length; score:minimum", 1)
    ]


def test_a_bad_row_is_quarantined_once_however_often_it_is_read(company: Company) -> None:
    company.sql("insert into people values (4, 'a name too long', 1, '2026-03-01 11:00:00')")
    load_table(company.context(), PEOPLE)

    again = load_table(company.context(), PEOPLE)

    assert (again.quarantined, again.known_bad, again.batch) == (0, 1, None)
    assert company.lake("select count(*) from quarantine.crm__people") == [(1,)]


def test_a_row_that_turns_bad_is_not_taken_for_deleted(company: Company) -> None:
    load_table(company.context(), PEOPLE)
    company.sql("update people set score = -1, changed_at = '2026-03-01 11:30:00' where id = 1")

    result = load_table(company.context(), PEOPLE)

    assert (result.quarantined, result.deleted) == (1, 0)


@ON_BOTH_ENGINES_IN_THE_LONG_FORM
def test_both_copies_of_a_key_that_comes_twice_are_quarantined(company: Company) -> None:
    company.sql("insert into people values (1, 'Twin', 1, '2026-03-01 10:00:00')")

    load_table(company.context(), PEOPLE)

    assert company.lake("select name, _breaks from quarantine.crm__people order by name") == [
        ("Ada", "id:duplicate_key"),
        ("Twin", "id:duplicate_key"),
    ]
    assert sorted(events(company)) == [(2, "R"), (3, "R")]


def test_a_null_key_and_a_null_watermark_are_quarantined_not_lost(company: Company) -> None:
    company.sql("insert into people values (null, 'x', 1, '2026-03-01 10:00:00'), (5, 'y', 1, null)")
    load_table(company.context(), PEOPLE)
    company.sql("insert into people values (6, 'z', 1, null)")

    load_table(company.context(), PEOPLE)

    assert company.lake("select id, _breaks from quarantine.crm__people order by name") == [
        (None, "id:required"),
        ("5", "changed_at:required"),
        ("6", "changed_at:required"),
    ]


def test_a_broken_clock_does_not_move_the_watermark(company: Company) -> None:
    company.sql("insert into people values (9, 'Zed', 1, '2099-01-01')")
    load_table(company.context(), PEOPLE)
    company.sql("insert into people values (4, 'Dee', 1, '2026-03-01 11:30:00')")

    result = load_table(company.context(), PEOPLE)

    assert (result.appended, result.watermark) == (1, "2026-03-01 11:30:00.000001")
    assert company.lake("select _breaks from quarantine.crm__people") == [("changed_at:future_watermark",)]


def test_a_row_from_the_near_future_is_loaded_and_its_time_comes_without_a_double(
    company: Company, at: Callable[[str], Company]
) -> None:
    company.sql("insert into people values (4, 'Dee', 1, '2026-03-01 12:03:00')")
    load_table(company.context(), PEOPLE)

    later = at("2026-03-01T13:00:00+00:00")
    result = load_table(later.context(), PEOPLE)

    assert (result.appended, result.watermark) == (0, "2026-03-01 12:03:00.000001")


@ON_BOTH_ENGINES_IN_THE_LONG_FORM
def test_too_many_bad_rows_stop_the_load_and_commit_nothing(company: Company) -> None:
    company.sql("insert into people select 100 + i, 'Many', -1, '2026-03-01 11:00:00' from range(40) t(i)")

    with pytest.raises(
        QuarantineLimitError, match=r"at most 60 % of the rows may be bad, found 93.0 % .*score:minimum 40"
    ):
        load_table(company.context(), PEOPLE)

    assert (company.versions(), company.versions("quarantine")) == (0, 0)


def test_a_column_nobody_announced_is_recorded_and_ignored(company: Company) -> None:
    company.sql("alter table people add column tier varchar")

    result = load_table(company.context(), PEOPLE)

    assert result.appended == 3
    assert company.lake('select kind, "column", action from ops.drift') == [("new_column", "tier", "ignore")]


def test_a_removed_column_stops_the_load_before_a_row_is_read(company: Company) -> None:
    company.sql("alter table people drop column score")

    with pytest.raises(BrokenContractError, match="score: expected"):
        load_table(company.context(), PEOPLE)

    assert company.versions() == 0
    assert company.lake("select step, status, error from ops.runs") == [("load", "failed", "BrokenContractError")]


def test_a_wider_source_column_is_guarded_value_by_value(company: Company) -> None:
    company.sql(
        "alter table people alter score type decimal(20,5)",
        "insert into people values (4, 'Dee', 1.23456, '2026-03-01 11:00:00'), (5, 'Eve', 99999999999, '2026-03-01 11:00:00')",
    )

    load_table(company.context(), PEOPLE)

    assert company.lake("select id, score, _breaks from quarantine.crm__people order by 1") == [
        ("4", "1.23456", "score:type"),
        ("5", "99999999999.00000", "score:type"),
    ]
    assert sorted(events(company)) == [(1, "R"), (2, "R"), (3, "R")]


def test_a_source_that_is_away_is_an_error_to_retry(company: Company) -> None:
    company.file.rename(company.file.with_suffix(".away"))

    with pytest.raises(SourceUnavailableError):
        load_table(company.context(), PEOPLE)


def test_an_unknown_table_names_the_near_ones(company: Company) -> None:
    with pytest.raises(ConfigurationError, match=r"Did you mean crm\.people"):
        load_table(company.context(), "crm.poeple")


def test_rows_that_get_lost_between_source_and_program_stop_the_load(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = DuckDbSnapshot.count
    monkeypatch.setattr(DuckDbSnapshot, "count", lambda *a, **k: honest(*a, **k) + 1)

    with pytest.raises(IntegrityError, match="the source counts 4 rows"):
        load_table(company.context(), PEOPLE)

    assert company.versions() == 0


def test_full_mode_appends_only_keys_whose_state_changed(company: Company) -> None:
    load_table(company.context(), "crm.cities")
    company.sql("update cities set label = 'Bern' where code = 'B'", "insert into cities values ('C', 'Celle')")

    result = load_table(company.context(), "crm.cities")

    assert (result.read, result.appended) == (3, 2)
    assert sorted(events(company, "cities", "_batch, code, label, _op"))[2:] == [
        (2, "B", "Bern", "U"),
        (2, "C", "Celle", "I"),
    ]
    assert load_table(company.context(), "crm.cities").batch is None


def test_full_mode_deletes_and_restores_in_order(company: Company, at: Callable[[str], Company]) -> None:
    load_table(company.context(), "crm.cities")
    company.sql("delete from cities where code = 'A'")
    load_table(company.context(), "crm.cities")
    company.sql("insert into cities values ('A', 'Aachen')")

    load_table(company.context(), "crm.cities")

    assert events(company, "cities", "code, _op, _eff::varchar")[2:] == [
        ("A", "D", "2026-03-01 12:00:00.000001+00"),
        ("A", "I", "2026-03-01 12:00:00.000002+00"),
    ]


def test_load_full_appends_only_what_differs(company: Company) -> None:
    load_table(company.context(), PEOPLE)
    company.sql("update people set name = 'Eva' where id = 1")  # behind the watermark's back

    result = load_table(company.context(), PEOPLE, full=True)

    assert (result.read, result.appended, result.known) == (3, 1, 2)
    assert events(company, columns="id, name, _op, _eff::varchar")[3:] == [(1, "Eva", "R", "2026-03-01 12:00:00+00")]


def test_another_watermark_column_asks_for_one_full_load(company: Company) -> None:
    load_table(company.context(), PEOPLE)
    company.sql("alter table people add column touched_at timestamp", "update people set touched_at = changed_at")
    line = "      - {name: touched_at, physicalName: touched_at, logicalType: timestamp, physicalType: TIMESTAMP, required: true, description: W.}\n"
    company.amend("people", "customProperties:", line + "customProperties:")
    company.amend("people", "watermark: changed_at", "watermark: touched_at")

    with pytest.raises(ConfigurationError, match=r"load --full crm\.people"):
        load_table(company.context(), PEOPLE)

    assert load_table(company.context(), PEOPLE, full=True).batch == 2
    assert load_table(company.context(), PEOPLE).batch is None


def test_a_watermark_that_the_log_forgot_is_recomputed_from_the_rows(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ingestion.lake.embedded.engine import DeltaRs
    from ingestion.ledger.journal import Journal

    load_table(company.context(), PEOPLE)
    monkeypatch.setattr(DeltaRs, "last_metadata", lambda *a: None)
    by_ledger = plan_load(company.context(), PEOPLE).committed
    monkeypatch.setattr(Journal, "watermark", lambda *_, **__: None)
    by_rows = plan_load(company.context(), PEOPLE).committed

    assert (by_ledger, by_rows) == ("2026-03-01 11:00:00.000001", "2026-03-01 11:00:00")
    assert load_table(company.context(), PEOPLE).batch is None


@ON_BOTH_ENGINES
def test_overwrite_keeps_only_the_newest_state(company: Company) -> None:
    company.amend(
        "cities", "mode: full, deletes: keys, maxDeletePercent: 100,", "mode: full, bronze: overwrite, deletes: none,"
    )
    (company.folder / "lake" / "bronze" / "crm" / "cities").rename(company.folder / "old")
    load_table(company.context(), "crm.cities")
    company.sql("delete from cities where code = 'A'")

    load_table(company.context(), "crm.cities")

    assert events(company, "cities", "code, _batch") == [("B", 2)]


@ON_BOTH_ENGINES
def test_merge_keeps_one_row_per_key(company: Company) -> None:
    company.amend("people", "mode: incremental", "mode: incremental\n      bronze: merge")
    (company.folder / "lake" / "bronze" / "crm" / "people").rename(company.folder / "old")
    load_table(company.context(), PEOPLE)
    company.sql(
        "update people set name = 'Ava', changed_at = '2026-03-01 11:30:00' where id = 1",
        "delete from people where id = 2",
        "insert into people values (4, 'Dee', 1, '2026-03-01 11:30:00')",
    )

    load_table(company.context(), PEOPLE)

    assert company.lake("select id, name from bronze.crm__people order by id") == [(1, "Ava"), (3, "Cyd"), (4, "Dee")]


def test_a_plan_shows_the_window_and_writes_nothing(company: Company) -> None:
    load_table(company.context(), PEOPLE)
    company.sql(
        "insert into people values (4, 'Dee', 1, '2026-03-01 11:30:00')", "alter table people add column tier varchar"
    )
    before = company.lake("select count(*) from ops.runs"), company.versions()

    plan = plan_load(company.context(), PEOPLE)

    assert (plan.low, plan.next_low, plan.rows) == ("2026-03-01 09:00:00.000001", "2026-03-01 11:30:00.000001", 4)
    assert plan.drift == ("new_column tier: expected no such column, found VARCHAR (ignore)",)
    assert (company.lake("select count(*) from ops.runs"), company.versions()) == before


def test_a_table_with_an_odd_name_loads(company: Company) -> None:
    company.sql(
        'create table "select ""ün"" ä" ("Größe in €" bigint, "order" varchar, "o\'k" timestamp)',
        'insert into "select ""ün"" ä" values (1, \'x\', \'2026-03-01 10:00:00\')',
    )
    text = (company.folder / "data_contracts/crm/people.odcs.yaml").read_text()
    text = (
        text.replace("crm.people", "crm.odd").replace("name: people", "name: odd").replace("stg_people", "stg_odd")
        .replace("physicalName: main.people", "physicalName: 'main.\"select \"\"ün\"\" ä\"'")
        .replace("physicalName: id", "physicalName: Größe in €").replace("physicalName: name", "physicalName: order")
        .replace("physicalName: changed_at", 'physicalName: "o\'k"')
    )  # fmt: skip
    text = "\n".join(line for line in text.splitlines() if "score" not in line)
    company.contract("odd", text)

    result = load_table(company.context(), "crm.odd")

    assert result.appended == 1
    assert company.lake("select id, name from bronze.crm__odd") == [(1, "x")]


@ON_BOTH_ENGINES_IN_THE_LONG_FORM
def test_a_partitioned_table_keeps_the_value_that_it_is_partitioned_by(company: Company) -> None:
    company.sql(
        "create table visits (id bigint, day date)",
        "insert into visits values (1, '2026-03-01'), (2, '2026-03-02'), (3, null)",
    )
    company.contract(
        "visits",
        HEAD.format(entity="visits", table="visits")
        + """
      - {name: id, physicalName: id, logicalType: integer, physicalType: BIGINT, primaryKey: true, primaryKeyPosition: 1, required: true, description: Key.}
      - {name: day, physicalName: day, logicalType: date, physicalType: DATE, description: Day.}
customProperties:
  - property: lake
    value: {timezone: UTC, mode: full, deletes: keys, maxDeletePercent: 100, silver: stg_visits, partition: day}
""",
    )
    initialise(company.settings)
    load_table(company.context(), "crm.visits")
    company.sql("update visits set day = '2026-03-05' where id = 2", "delete from visits where id = 1")
    load_table(company.context(), "crm.visits")

    rows = company.lake("select id, day::varchar, _op from bronze.crm__visits order by _batch, id")
    assert rows == [
        (1, "2026-03-01", "R"),
        (2, "2026-03-02", "R"),
        (3, None, "R"),
        (1, None, "D"),
        (2, "2026-03-05", "U"),
    ]
    assert load_table(company.context(), "crm.visits").batch is None


@pytest.mark.parametrize(
    ("rows", "bad", "good", "stops"),
    [
        (5000, 11, 96, False),  # few rows of a big table, though a big share of its window
        (5000, 90, 0, False),
        (5000, 101, 500, True),
        (5000, 101, 1000, False),  # a small share of the window
        (0, 11, 29, True),  # a big share of a small table
    ],
)
def test_bad_rows_are_judged_by_the_window_and_by_the_table(
    company: Company, rows: int, bad: int, good: int, stops: bool
) -> None:
    company.amend("people", "failPercent: 60", "failPercent: 10")
    company.amend("people", "deletes: keys\n      maxDeletePercent: 50", "deletes: none")
    company.sql(
        "delete from people where id > 1",
        f"insert into people select 100 + i, 'Dee', 1, '2026-02-01 08:00:00' from range({rows}) r(i)",
    )
    load_table(company.context(), PEOPLE)
    company.sql(
        f"insert into people select 10000 + i, 'Dee', -1, '2026-03-01 11:00:00' from range({bad}) r(i)",
        f"insert into people select 20000 + i, 'Dee', 1, '2026-03-01 11:00:00' from range({good}) r(i)",
    )

    with pytest.raises(QuarantineLimitError) if stops else nullcontext():
        load_table(company.context(), PEOPLE)

    expected = [(1 + rows, 0)] if stops else [(1 + rows + good, bad)]
    tables = "(select count(*) from bronze.crm__people), (select count(*) from quarantine.crm__people)"
    assert company.lake(f"select {tables}") == expected


@pytest.mark.parametrize(
    ("percent", "of", "passes"),
    [(20, 3, 1), (20, 12, 6), (20, 30, 10), (20, 100, 20), (0, 100, 0), (100, 3, 3)],
)
def test_a_limit_in_percent_lets_few_rows_of_a_small_table_pass_and_never_most_of_them(
    percent: int, of: int, passes: int
) -> None:
    assert int(allowed_rows(percent, of)) == passes


@ON_BOTH_ENGINES_IN_THE_LONG_FORM
def test_a_batch_that_is_in_the_log_twice_is_one_batch(company: Company) -> None:
    load_table(company.context(), PEOPLE)
    context = company.context()
    uri = context.lake.uri("bronze", "crm", "people")
    write_deltalake(uri, DeltaTable(uri).to_pyarrow_table(), mode="append")
    company.sql("update people set name = 'Ava', changed_at = '2026-03-01 11:30:00' where id = 1")

    second = load_table(company.context(), PEOPLE)
    gap = record_sync_gap(company.context(), PEOPLE)

    assert (second.appended, second.deleted, second.fetched) == (1, 0, 0)
    assert (gap.severity, gap.lake_count, gap.duplicated_keys) == ("OK", 3, 0)
    assert load_table(company.context(), PEOPLE).batch is None
