"""Where the source cannot hash all that is promised, its rows are fetched and compared; beyond the budget it is said."""

from __future__ import annotations

from itertools import count

import pytest

from ingestion.gaps import comparable_columns, fetched
from ingestion.gaps.record import record_sync_gap
from ingestion.gaps.repair import repair_table
from ingestion.load.load_table import load_table
from ingestion.reconcile.gap import GapReport
from tests.engines.conftest import Company

PEOPLE = "crm.people"
UNVERIFIED = "this server does not hash its values as defined"


@pytest.fixture
def loaded(loaded: Company, monkeypatch: pytest.MonkeyPatch) -> Company:
    """The company loaded from a server that cannot hash decimals."""
    unable(monkeypatch, "decimal")
    return loaded


def unable(monkeypatch: pytest.MonkeyPatch, *kinds: str) -> None:
    """Let the server fail the golden vectors of these kinds."""
    monkeypatch.setattr(comparable_columns, "_verdicts", {})
    monkeypatch.setattr(
        comparable_columns,
        "verify_vectors",
        lambda _run, _dialect, types: frozenset(t for t in types if t.type.kind in kinds),
    )


def gap(company: Company) -> GapReport:
    return record_sync_gap(company.context(), PEOPLE)


def test_equal_rows_are_proved_equal_at_the_cost_of_fetching_them(loaded: Company) -> None:
    report = gap(loaded)

    assert (report.outcome, report.unverified_columns, report.severity, report.sla_met) == ("equal", "", "OK", True)
    assert (report.queries, report.rows_compared) == (7, 7)  # a count and a read more than otherwise; 3 rows


def test_change_that_kept_its_watermark_is_found_and_healed(loaded: Company) -> None:
    loaded.sql("update people set score = 7 where id = 2")

    found, repaired, again = gap(loaded), repair_table(loaded.context(), PEOPLE), gap(loaded)

    assert (found.outcome, found.differing_keys, found.severity) == ("different", 1, "WARNING")
    assert (repaired.fetched, again.outcome, again.severity) == (1, "equal", "OK")


def test_rows_of_every_kind_of_difference_are_found_without_any_hash_of_the_source(
    loaded: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    unable(monkeypatch, "integer", "text", "decimal", "timestamp")
    loaded.sql(
        "insert into people values (4, 'Dee', 1, '2026-02-01 08:00:00'), (1, 'Ada', 9, '2026-03-01 09:00:00')",
        "delete from people where id = 2", "update people set name = 'Cid' where id = 3",
    )  # fmt: skip

    report = gap(loaded)

    assert (report.missing_keys, report.extra_keys, report.differing_keys, report.duplicated_keys) == (1, 1, 1, 1)
    assert report.unverified_columns == ""


def test_rows_in_flight_are_left_out(loaded: Company) -> None:
    loaded.sql(
        "insert into people values (4, 'Dee', 1, '2026-03-01 11:59:00')",
        "update people set score = 9, changed_at = '2026-03-01 11:58:00' where id = 1",
    )

    report = gap(loaded)

    assert (report.outcome, report.in_flight_count, report.source_count, report.severity) == ("equal", 2, 2, "OK")


def test_value_that_its_type_cannot_hold_does_not_pass_for_the_null_that_the_lake_has(loaded: Company) -> None:
    loaded.sql("alter table people alter score type decimal(12,4)", "update people set score = 1.2345 where id = 2")

    assert gap(loaded).differing_keys == 1


def test_quarantined_value_explains_its_row(loaded: Company) -> None:
    loaded.sql(
        "alter table people alter score type decimal(12,4)",
        "update people set score = 1.2345, changed_at = '2026-03-01 11:30:00' where id = 2",
        "update people set score = 4, changed_at = '2026-03-01 11:40:00' where id = 3",
    )
    load_table(loaded.context(), PEOPLE)

    report = gap(loaded)

    assert (report.differing_keys, report.sync_gap, report.severity) == (0, 0, "OK")


def test_key_that_its_type_cannot_hold_is_named(loaded: Company) -> None:
    loaded.sql("alter table people alter id type decimal(20,2)")
    loaded.sql(
        "insert into people values (4.25, 'Max', 1, '2026-03-01 10:30:00'), (null, 'x', 1, '2026-03-01 10:30:00')"
    )

    report = gap(loaded)

    assert (report.misfit_keys, report.quarantined_count, report.missing_keys, report.sync_gap) == (1, 0, 2, 2)
    assert report.why == "the source has keys that the contract's type cannot hold: id (BIGINT)"


def test_more_rows_than_the_budget_are_not_fetched_and_the_table_is_ok_only_in_part(loaded: Company) -> None:
    loaded.amend("people", "maxRepairPercent: 100}", "maxRepairPercent: 100, maxRows: 2}")
    loaded.sql("update people set score = 7 where id = 2")

    report = gap(loaded)

    why = f"score: {UNVERIFIED}, and 3 rows are more than maxRows lets be fetched"
    assert (report.outcome, report.differing_keys, report.severity, report.sla_met) == ("equal", 0, "OK*", None)
    assert (report.unverified_columns, report.queries) == (why, 6)
    told = f"gap 0; OK*; not compared: {why}"
    assert loaded.lake("select status, message from ops.runs where step = 'gaps'") == [("ok", told)]
    assert loaded.lake("select severity, sla_met, unverified_columns from ops.gaps") == [("OK*", None, why)]


def test_rows_that_take_longer_than_the_budget_are_left(loaded: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetched, "monotonic", count(0, 1e9).__next__)

    report = gap(loaded)

    assert report.unverified_columns == f"score: {UNVERIFIED}, and its rows take longer to fetch than maxSeconds"
    assert (report.outcome, report.severity) == ("equal", "OK*")


def test_key_that_cannot_be_hashed_leaves_counts_alone_beyond_the_budget(
    loaded: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    unable(monkeypatch, "integer")
    loaded.amend("people", "maxRepairPercent: 100}", "maxRepairPercent: 100, maxRows: 2}")
    equal = gap(loaded)
    loaded.sql("insert into people values (4, 'Dee', 1, '2026-03-01 10:30:00')")

    report, repaired = gap(loaded), repair_table(loaded.context(), PEOPLE)

    assert (equal.outcome, equal.severity, equal.sla_met) == ("partial", "OK*", None)
    assert (report.outcome, report.sync_gap, report.unverified_columns.split(":")[0]) == ("partial", 1, "id")
    assert report.why == "this server cannot hash the key: rows were counted, contents were not compared"
    assert repaired.fetched == 1
    assert gap(loaded).sync_gap == 0


def test_confirmed_difference_below_the_limits_is_no_breach_where_not_all_was_compared(
    loaded: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetched, "monotonic", count(0, 1e9).__next__)
    loaded.amend("people", "warningGapPercent: 0", "warningGapPercent: 50")
    loaded.sql("delete from people where id = 2")
    gap(loaded)
    load_table(loaded.context(), PEOPLE)

    report = gap(loaded)

    assert (report.state, report.severity, report.sla_met) == ("confirmed", "OK*", None)
