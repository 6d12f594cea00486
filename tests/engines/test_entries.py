"""A quarantine entry is open while the source shows that very row, and explains a difference only then."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from deltalake import write_deltalake

from ingestion.admin.status import table_statuses
from ingestion.gaps.record import record_sync_gap
from ingestion.gaps.waivers import waive_entries
from ingestion.lake import duck
from ingestion.load.load_table import load_table
from ingestion.load.replay import replay_quarantine
from ingestion.load.result import LoadResult
from ingestion.reconcile.gap import GapReport
from tests.engines.conftest import Company

PEOPLE = "crm.people"


def load_at(company: Company, day: int, *, full: bool = False) -> LoadResult:
    return load_table(replace(company, clock=f"2026-03-{day:02}T12:00:00+00:00").context(), PEOPLE, full=full)


def gap_at(company: Company, day: int) -> GapReport:
    return record_sync_gap(replace(company, clock=f"2026-03-{day:02}T12:00:00+00:00").context(), PEOPLE)


def open_entries(company: Company) -> int:
    context = company.context()
    table = context.table(context.contract(PEOPLE))
    return table.count_in_quarantine(table.state())


def states(company: Company) -> list[tuple[str, int | None]]:
    return company.lake("select name, _settled_in from quarantine.crm__people order by _batch, _row")


def move_on(company: Company, day: int) -> None:
    """Let the watermark pass everything that happened so far."""
    company.sql(f"insert into people values ({100 + day}, 'new', 1, '2026-03-{day:02} 10:00:00')")
    load_at(company, day)


def test_a_double_that_is_removed_without_a_new_change_time_is_found_by_the_next_load(company: Company) -> None:
    load_at(company, 1)
    company.sql(
        "update people set name = 'kept', changed_at = '2026-03-02 10:00:00' where id = 3",
        "insert into people values (3, 'double', 1, '2026-03-02 10:00:01')",
    )
    assert (load_at(company, 2).quarantined, open_entries(company)) == (2, 2)
    assert (gap_at(company, 2).quarantined_count, gap_at(company, 2).severity) == (2, "OK")
    move_on(company, 5)
    company.sql("delete from people where name = 'double'")

    stale = gap_at(company, 6)
    healed = load_at(company, 6)

    assert (stale.differing_keys, stale.quarantined_count, stale.severity) == (1, 0, "WARNING")
    assert (healed.appended, healed.settled, open_entries(company)) == (1, 2, 0)
    assert company.lake("select name from bronze.crm__people where id = 3 order by _batch desc limit 1") == [("kept",)]
    assert [name for name, settled_in in states(company) if settled_in == healed.batch] == ["kept", "double"]
    assert (gap_at(company, 6).sync_gap, gap_at(company, 6).severity) == (0, "OK")


def test_a_bad_row_that_is_mended_without_a_new_change_time_is_found_by_the_next_load(company: Company) -> None:
    load_at(company, 1)
    company.sql("update people set score = -7, changed_at = '2026-03-02 10:00:00' where id = 1")
    assert load_at(company, 2).quarantined == 1
    refused = gap_at(company, 2)
    move_on(company, 5)
    company.sql("update people set score = 7 where id = 1")

    stale = gap_at(company, 6)
    healed = load_at(company, 6)

    assert (refused.quarantined_count, refused.refused_updates, refused.sync_gap, refused.severity) == (1, 1, 0, "OK")
    assert (stale.differing_keys, stale.quarantined_count) == (1, 0)
    assert (healed.appended, healed.settled, open_entries(company)) == (1, 1, 0)
    assert company.lake("select score::int from bronze.crm__people where id = 1 order by _batch") == [(1,), (7,)]


def test_a_row_that_is_mended_back_to_what_the_lake_has_settles_its_entry(company: Company) -> None:
    load_at(company, 1)
    company.sql("update people set score = -7, changed_at = '2026-03-02 10:00:00' where id = 1")
    load_at(company, 2)
    move_on(company, 5)
    company.sql("update people set score = 1.10, changed_at = '2026-03-01 10:00:00' where id = 1")

    healed = load_at(company, 6)

    assert (healed.batch, healed.appended, healed.settled, open_entries(company)) == (None, 0, 1, 0)


def test_a_further_bad_state_takes_the_place_of_the_one_before(company: Company) -> None:
    load_at(company, 1)
    for day, score in ((2, -7), (3, -8)):
        company.sql(f"update people set score = {score}, changed_at = '2026-03-{day:02} 10:00:00' where id = 1")
        load_at(company, day)

    assert open_entries(company) == 1
    assert [settled for _, settled in states(company)] == [3, None]


def test_a_quarantined_row_that_is_deleted_in_the_source_settles_its_entry(company: Company) -> None:
    load_at(company, 1)
    company.sql("insert into people values (9, 'Zed', -1, '2026-03-02 10:00:00')")
    load_at(company, 2)
    company.sql("delete from people where id = 9")

    assert load_at(company, 5).settled == 1
    assert open_entries(company) == 0


def test_a_row_that_is_still_bad_stays_open_and_is_not_quarantined_again(company: Company) -> None:
    load_at(company, 1)
    company.sql("update people set score = -7, changed_at = '2026-03-02 10:00:00' where id = 1")
    load_at(company, 2)
    move_on(company, 5)

    again = load_at(company, 6)

    assert (again.quarantined, again.known_bad, again.settled, open_entries(company)) == (0, 1, 0, 1)


def test_rows_without_a_key_are_settled_by_a_load_of_the_whole_table(company: Company) -> None:
    load_at(company, 1)
    company.sql("insert into people values (null, 'Nil', 1, '2026-03-02 10:00:00')")
    load_at(company, 2)
    assert gap_at(company, 2).quarantined_count == 1
    company.sql("delete from people where id is null")

    assert (load_at(company, 5).settled, open_entries(company)) == (0, 1)
    assert (load_at(company, 5, full=True).settled, open_entries(company)) == (1, 0)


def test_a_row_without_a_key_that_no_load_has_read_is_missing(company: Company) -> None:
    load_at(company, 1)
    move_on(company, 5)
    company.sql("insert into people values (null, 'Nil', 1, '2026-03-01 09:00:00')")

    report = gap_at(company, 5)

    assert (report.quarantined_count, report.missing_keys, report.sync_gap) == (0, 1, 1)


def test_a_table_of_doubles_only_is_explained_row_by_row(company: Company) -> None:
    company.amend("people", "failPercent: 60", "failPercent: 100")
    company.sql("delete from people")
    for name in "abcdef":
        company.sql(f"insert into people values (1, '{name}', 1, '2026-03-01 10:00:00')")
    load_at(company, 1)

    report = gap_at(company, 1)

    assert (report.source_count, report.lake_count, report.quarantined_count) == (6, 0, 6)
    assert (report.missing_keys, report.sync_gap, report.severity, report.state) == (0, 0, "OK*", None)


def test_a_replayed_row_is_not_settled_and_a_settled_one_is_not_replayed(company: Company) -> None:
    load_at(company, 1)
    company.sql(
        "insert into people values (4, 'a name too long', 1, '2026-03-02 10:00:00'), (5, 'another long name', 1, '2026-03-02 10:00:00')"
    )
    load_at(company, 2)
    company.sql("update people set name = 'Eve', changed_at = '2026-03-03 10:00:00' where id = 5")
    load_at(company, 3)
    company.amend("people", "maxLength: 10", "maxLength: 30")

    replayed = replay_quarantine(company.context(), PEOPLE)

    assert (replayed.read, replayed.appended) == (1, 1)
    assert company.lake("select id, _settled_in is null, _replayed_in is null from quarantine.crm__people order by id") == [
        ("4", True, False), ("5", False, True)
    ]  # fmt: skip


def test_a_waived_entry_is_counted_apart_and_explains_until_its_end(company: Company) -> None:
    load_at(company, 1)
    company.sql("insert into people values (9, 'Zed', -1, '2026-03-02 10:00:00')")
    load_at(company, 2)

    count = waive_entries(
        company.context(), PEOPLE, by="ops", why="agreed", until=datetime.now(UTC) + timedelta(days=1)
    )
    again = load_at(company, 2)

    context = company.context()
    table = context.table(context.contract(PEOPLE))
    with duck.session(table.uri) as connection:
        listed = connection.execute(table.entries_by_rule(connection, table.state())).fetchall()
    assert (count, again.known_bad, again.in_quarantine) == (1, 1, 1)
    assert [row[:4] for row in listed] == [("waived", "score", "minimum", 1)]
    assert (gap_at(company, 2).quarantined_count, gap_at(company, 2).severity) == (1, "OK")


def test_status_load_list_and_gaps_tell_one_number(company: Company) -> None:
    load_at(company, 1)
    company.sql(
        "update people set score = -7, changed_at = '2026-03-02 10:00:00' where id = 1",
        "insert into people values (9, 'Zed', -1, '2026-03-02 10:00:00'), (null, 'Nil', 1, '2026-03-02 10:00:00')",
    )
    loaded = load_at(company, 2)

    (people,) = [row for row in table_statuses(company.context()) if row.contract_id == PEOPLE]

    assert (loaded.in_quarantine, people.in_quarantine, gap_at(company, 2).quarantined_count) == (3, 3, 3)


def test_an_entry_of_an_earlier_lake_is_open(company: Company) -> None:
    """A quarantine table that an earlier version made lacks the columns of states."""
    load_at(company, 1)
    company.sql("insert into people values (9, 'Zed', -1, '2026-03-02 10:00:00')")
    load_at(company, 2)
    table = company.folder / "lake" / "quarantine" / "crm" / "people"
    with duck.connect(at=str(table)) as connection:
        query = f"select * exclude (_found_at, _settled_in, _waived_until) from {duck.scan(str(table))}"
        rows = connection.execute(query).to_arrow_table()
    shutil.rmtree(table)
    write_deltalake(str(table), rows)

    assert gap_at(company, 2).quarantined_count == 1
    assert (load_at(company, 2).known_bad, open_entries(company)) == (1, 1)
