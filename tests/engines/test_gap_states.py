"""Differences and their history: who is suspected, what confirms it, and how it ends."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from ingestion.errors import BrokenContractError, ConfigurationError, PermanentError, RunFailedError
from ingestion.gaps.record import record_sync_gap
from ingestion.gaps.repair import repair_table
from ingestion.gaps.waivers import waive
from ingestion.ledger import tables
from ingestion.load.load_table import load_table
from ingestion.reconcile.gap import GapReport
from ingestion.runs.context import initialise
from ingestion.runs.verdict import raise_if_red, verdict
from tests.engines.conftest import Company

PEOPLE, CITIES = "crm.people", "crm.cities"
LOST = "insert into people values (4, 'Dee', 1, '2026-02-01 08:00:00')"
SOON = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def loaded(loaded: Company) -> Company:
    """The company with cities loaded too."""
    load_table(loaded.context(), CITIES)
    return loaded


def gap(company: Company, contract_id: str = PEOPLE) -> GapReport:
    return record_sync_gap(company.context(), contract_id)


def history(company: Company) -> list[tuple[str, str, int]]:
    rows = company.lake("select kind, state, keys from ops.differences order by state_at, kind, state")
    return [(kind, state, keys) for kind, state, keys in rows]


def difference_id(company: Company) -> str:
    ((name,),) = company.lake("select distinct difference_id from ops.differences")
    return str(name)


def test_row_that_commits_late_is_suspected_and_resolves_with_the_next_load(loaded: Company) -> None:
    loaded.sql("insert into people values (4, 'Dee', 1, '2026-03-01 10:30:00')")

    first, second = gap(loaded), gap(loaded)
    load_table(loaded.context(), PEOPLE)
    third = gap(loaded)

    assert (first.severity, first.state, second.state, first.sla_met) == ("WARNING", "suspected", "suspected", None)
    assert (third.severity, third.state, third.sla_met) == ("OK", None, True)
    assert history(loaded) == [("missing_in_lake", "suspected", 1), ("missing_in_lake", "resolved_in_flight", 1)]


def test_deleted_row_that_no_load_looks_for_is_confirmed_after_the_next_one(loaded: Company) -> None:
    loaded.sql("delete from people where id = 2")

    seen = [gap(loaded).state, gap(loaded).state]
    load_table(loaded.context(), PEOPLE)
    seen.append(gap(loaded).state)

    assert seen == ["suspected", "suspected", "confirmed"]
    assert history(loaded) == [("missing_in_source", "suspected", 1), ("missing_in_source", "confirmed", 1)]


def test_load_that_failed_or_was_of_another_table_confirms_nothing(loaded: Company) -> None:
    loaded.sql("delete from people where id = 2")
    gap(loaded)
    load_table(loaded.context(), CITIES)
    loaded.sql("alter table people rename to away")
    with pytest.raises(BrokenContractError):
        load_table(loaded.context(), PEOPLE)
    loaded.sql("alter table away rename to people")

    assert gap(loaded).failed_load == "BrokenContractError"
    assert history(loaded) == [("missing_in_source", "suspected", 1), ("failed_load", "confirmed", 0)]


def test_row_behind_the_next_window_is_confirmed_at_once(loaded: Company) -> None:
    loaded.sql("update people set changed_at = '2026-02-01 08:00:00' where id = 2")

    report = gap(loaded)

    assert (report.differing_keys, report.state, report.sla_met) == (1, "confirmed", False)
    assert (report.sync_gap, report.missing_keys, report.missing_partitions, report.partitions) == (0, 0, (), ())
    assert history(loaded) == [("changed", "confirmed", 1)]


def test_lost_row_that_a_load_finds_by_its_key_is_only_suspected(company: Company) -> None:
    load_table(company.context(), PEOPLE)
    company.sql(LOST)

    assert gap(company).state == "suspected"


def test_lost_day_is_one_difference_with_its_name(loaded: Company) -> None:
    loaded.sql(LOST, "insert into people values (5, 'Eve', 1, '2026-02-01 09:00:00')")

    gap(loaded)

    assert loaded.lake('select kind, "partition", state, keys from ops.differences') == [
        ("partition", "2026-02-01", "confirmed", 2)
    ]


def test_table_that_changes_between_load_and_check_raises_no_alarm_without_a_watermark(loaded: Company) -> None:
    """A busy key differs at every check, but never in the same way after a load had its chance."""
    for round_ in range(3):
        loaded.sql(f"update cities set label = 'Bonn {round_}' where code = 'B'")
        assert gap(loaded, CITIES).state == "suspected"
        load_table(loaded.context(), CITIES)

    assert gap(loaded, CITIES).outcome == "equal"
    assert {state for _, state, _ in history(loaded)} == {"suspected", "resolved_in_flight"}


def test_what_whole_loads_leave_behind_is_confirmed_without_a_watermark(company: Company) -> None:
    company.amend("cities", "deletes: keys, maxDeletePercent: 100,", "deletes: none,")
    load_table(company.context(), CITIES)
    company.sql("delete from cities where code = 'B'")

    seen = [gap(company, CITIES).state]
    load_table(company.context(), CITIES)
    seen.append(gap(company, CITIES).state)

    assert seen == ["suspected", "confirmed"]


def test_repair_ends_a_difference_as_repaired(loaded: Company) -> None:
    loaded.sql(LOST)
    gap(loaded)

    repair_table(loaded.context(), PEOPLE)

    assert history(loaded) == [("partition", "confirmed", 1), ("partition", "repaired", 1)]
    assert gap(loaded).state is None


def test_whole_load_on_request_ends_a_difference_as_repaired(loaded: Company) -> None:
    loaded.sql(LOST)
    gap(loaded)
    load_table(loaded.context(), PEOPLE, full=True)
    gap(loaded)

    assert history(loaded)[-1] == ("partition", "repaired", 1)


def test_source_that_takes_its_change_back_ends_the_difference_in_flight(loaded: Company) -> None:
    loaded.sql(LOST)
    gap(loaded)
    loaded.sql("delete from people where id = 4")
    gap(loaded)

    assert history(loaded)[-1] == ("partition", "resolved_in_flight", 1)


def test_waived_difference_counts_as_explained_and_is_not_repaired(loaded: Company) -> None:
    loaded.sql(LOST)
    gap(loaded)
    waive(loaded.context(), difference_id(loaded), "ada", "imported on purpose", SOON)

    report, repaired = gap(loaded), repair_table(loaded.context(), PEOPLE)

    assert (report.severity, report.state, report.missing_keys, report.sync_gap) == ("OK", None, 0, 0)
    assert (report.waived_count, report.partitions, report.sla_met) == (1, (), True)
    assert repaired.batch is None
    assert history(loaded) == [("partition", "confirmed", 1), ("partition", "waived", 1)]
    assert loaded.lake('select "by", why, until from ops.differences order by state_at desc limit 1') == [
        ("ada", "imported on purpose", SOON)
    ]


def test_waiver_covers_what_was_waived_and_nothing_else(loaded: Company) -> None:
    loaded.sql("delete from people where id = 2")
    gap(loaded)
    waive(loaded.context(), difference_id(loaded), "ada", "purge", SOON)
    loaded.sql("delete from people where id = 3")

    report = gap(loaded)

    assert (report.extra_keys, report.sync_gap, report.state) == (1, -1, "suspected")


def test_waiver_that_has_ended_lets_the_difference_speak_again(
    loaded: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded.sql(LOST)
    gap(loaded)
    waive(loaded.context(), difference_id(loaded), "ada", "for now", datetime.now(UTC) + timedelta(seconds=1))
    monkeypatch.setattr("ingestion.gaps.differences.datetime", _later(timedelta(hours=1)))

    assert gap(loaded).state == "confirmed"
    assert history(loaded)[-1] == ("partition", "confirmed", 1)


def _later(by: timedelta) -> type[datetime]:
    class Later(datetime):
        @classmethod
        def now(cls, tz: object = None) -> Any:
            return datetime.now(UTC) + by

    return Later


@pytest.mark.parametrize(
    ("name", "by", "why", "until", "found"),
    [
        ("no-such", "ada", "why", SOON, "the ledger knows none of that name"),
        (None, "ada", " ", SOON, "who waives it or why is empty"),
        (None, "ada", "why", SOON - timedelta(days=2), "is in the past"),
        (None, "ada", "why", SOON.replace(tzinfo=None), "is in the past"),
    ],
)
def test_waiver_that_says_nothing_is_refused(
    loaded: Company, name: str | None, by: str, why: str, until: datetime, found: str
) -> None:
    loaded.sql(LOST)
    gap(loaded)

    with pytest.raises(ConfigurationError, match=found):
        waive(loaded.context(), name or difference_id(loaded), by, why, until)

    assert len(history(loaded)) == 1


def test_difference_that_has_ended_cannot_be_waived(loaded: Company) -> None:
    loaded.sql(LOST)
    repair_table(loaded.context(), PEOPLE)

    with pytest.raises(ConfigurationError, match="it is repaired"):
        waive(loaded.context(), difference_id(loaded), "ada", "why", SOON)


def test_day_is_red_by_what_is_confirmed_and_not_by_what_may_be_in_flight(loaded: Company) -> None:
    loaded.amend("people", "criticalGapPercent: 50,", "criticalGapPercent: 1,")
    loaded.sql("delete from people where id = 2")
    suspected = gap(loaded)
    quiet = [line for line in verdict(loaded.context(), "run-1", [PEOPLE]) if line.startswith("gap ")]
    load_table(loaded.context(), PEOPLE)
    gap(loaded)
    red = [line for line in verdict(loaded.context(), "run-1", [PEOPLE]) if line.startswith("gap ")]

    assert (suspected.severity, quiet) == ("CRITICAL", [])
    assert [line.partition(". ")[0] for line in red] == ["gap crm.people: CRITICAL, -1 rows"]


def test_a_build_of_both_layers_that_failed_is_one_step_that_is_red(loaded: Company) -> None:
    context = loaded.context()
    load_table(context, PEOPLE)
    gap(loaded)
    with pytest.raises(PermanentError), context.recorded("all", "dbt"):
        raise PermanentError("dbt: a model failed")

    red = verdict(context, context.run_id, [PEOPLE])

    assert red == ["all dbt: dbt: a model failed"]
    with pytest.raises(RunFailedError, match="1 step is red"):
        raise_if_red(context.run_id, red)


def test_stale_table_is_confirmed_at_once_and_healed_by_a_load(loaded: Company, at: Callable[[str], Company]) -> None:
    loaded.amend(
        "people",
        "customProperties:",
        "slaProperties:\n  - {property: freshness, value: 1, unit: h, element: people.changed_at}\ncustomProperties:",
    )
    later = at("2026-03-01T20:00:00+00:00")
    later.sql("insert into people values (4, 'Dee', 1, '2026-03-01 15:00:00')")

    stale = gap(later)
    load_table(later.context(), PEOPLE)
    fresh = gap(later)

    assert (stale.severity, stale.state, fresh.severity, fresh.state) == ("CRITICAL", "confirmed", "OK", None)
    assert history(later) == [("stale", "confirmed", 0), ("stale", "repaired", 0)]


def test_check_that_its_budget_ended_leaves_known_differences_as_they_are(loaded: Company) -> None:
    loaded.sql("update people set score = 7, changed_at = '2026-02-01 08:00:00' where id = 2")
    gap(loaded)
    loaded.amend("people", "maxRepairPercent: 100}", "maxRepairPercent: 100, maxQueries: 2}")
    report = gap(loaded)

    assert (report.outcome, report.state) == ("partial", "confirmed")
    assert history(loaded) == [("changed", "confirmed", 1)]


def test_keys_are_kept_as_salted_digests_only(loaded: Company) -> None:
    loaded.sql("insert into cities values ('SECRET-KEY', 'Celle')")
    gap(loaded, CITIES)
    files = [path for path in (loaded.folder / "lake" / "ops").rglob("*") if path.is_file()]

    assert any("_marks" in path.parts for path in files)
    assert not [path for path in files if b"SECRET" in path.read_bytes()]

    load_table(loaded.context(), CITIES)
    gap(loaded, CITIES)
    assert not list((loaded.folder / "lake" / "ops" / "_marks").iterdir())


def test_lost_digests_cost_time_and_no_alarm(loaded: Company) -> None:
    loaded.sql("delete from people where id = 2")
    gap(loaded)
    shutil.rmtree(loaded.folder / "lake" / "ops" / "_marks")
    load_table(loaded.context(), PEOPLE)

    assert gap(loaded).state == "suspected"


@pytest.fixture
def of_yesterday(loaded: Company) -> Company:
    """The company with the ledger of an earlier version: no differences, fewer columns, one old check."""
    context = loaded.context()
    shutil.rmtree(loaded.folder / "lake" / "ops" / "differences")
    for name, first_new in (("gaps", "differing_keys"), ("runs", "is_full")):
        schema = tables.TABLES[name]
        old = pa.schema(list(schema)[: schema.names.index(first_new)])
        kept = context.journal.select(f"select {', '.join(_quoted(old))} from ops.{name}")
        shutil.rmtree(loaded.folder / "lake" / "ops" / name)
        context.engine.create(context.lake.uri("ops", name), old)
        kept += [{"contract_id": PEOPLE, "severity": "OK"}] if name == "gaps" else []
        rows = pa.Table.from_pylist([{n: row.get(n) for n in old.names} for row in kept], schema=old)
        context.engine.append(context.lake.uri("ops", name), rows)
    return loaded


def _quoted(schema: pa.Schema) -> list[str]:
    return [f'"{name}"' for name in schema.names]


def test_ledger_of_an_earlier_version_can_be_read(of_yesterday: Company) -> None:
    journal = of_yesterday.context().journal

    assert journal.select("select severity, state, sla_met from ops.gaps") == [
        {"severity": "OK", "state": None, "sla_met": None}
    ]
    assert journal.select("select * from ops.differences") == []
    assert len(journal.select("select is_full from ops.runs")) == 2


def test_ledger_of_an_earlier_version_is_written_on(of_yesterday: Company) -> None:
    of_yesterday.sql(LOST)
    gap(of_yesterday)
    repair_table(of_yesterday.context(), PEOPLE)

    assert gap(of_yesterday).outcome == "equal"
    assert history(of_yesterday) == [("partition", "confirmed", 1), ("partition", "repaired", 1)]
    outcomes = of_yesterday.lake(
        'select outcome from ops.gaps where "partition" is null order by checked_at nulls first'
    )
    assert outcomes == [(None,), ("different",), ("equal",), ("equal",)]


def test_init_brings_the_ledger_of_an_earlier_version_up_to_date(of_yesterday: Company) -> None:
    initialise(of_yesterday.settings)

    context = of_yesterday.context()
    for name, schema in tables.TABLES.items():
        assert context.engine.schema(context.lake.uri("ops", name)).names == schema.names, name
