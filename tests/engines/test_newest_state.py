"""What a read shows is each key's newest state, whatever its watermark says; undated changes bear the fixed point."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ingestion.gaps.repair import repair_table
from ingestion.load.load_table import load_table
from tests.engines.conftest import ON_BOTH_ENGINES_IN_THE_LONG_FORM, Company

PEOPLE = "crm.people"


def events(company: Company, key: int) -> list[tuple[str, str, str]]:
    """Return the key's events in Silver's order: operation, name, effective time."""
    query = "select _op, coalesce(name, ''), _eff::varchar from bronze.crm__people where id = ? order by _eff, _seq"
    return company.lake(query.replace("?", str(key)))


def load_at(company: Company, clock: str) -> int:
    return load_table(replace(company, clock=clock).context(), PEOPLE).appended


def test_a_row_that_returns_to_an_earlier_content_under_the_same_watermark_is_loaded(company: Company) -> None:
    load_at(company, "2026-03-01T12:00:00+00:00")
    for name, hour in (("Bob", 13), ("Ada", 14)):
        company.sql(f"update people set name = '{name}' where id = 1")
        assert load_at(company, f"2026-03-01T{hour}:00:00+00:00") == 1

    assert events(company, 1) == [
        ("R", "Ada", "2026-03-01 10:00:00+00"),
        ("U", "Bob", "2026-03-01 13:00:00+00"),
        ("U", "Ada", "2026-03-01 14:00:00+00"),
    ]
    assert load_at(company, "2026-03-01T15:00:00+00:00") == 0


def test_a_change_that_an_earlier_clock_stamped_follows_what_was_loaded_before(company: Company) -> None:
    company.sql("update people set name = 'first', changed_at = '2026-03-01 12:02:00' where id = 1")
    load_at(company, "2026-03-01T12:00:00+00:00")
    company.sql("update people set name = 'second', changed_at = '2026-03-01 11:59:00' where id = 1")

    load_at(company, "2026-03-01T12:10:00+00:00")

    assert [event[1] for event in events(company, 1)] == ["first", "second"]
    assert events(company, 1)[-1] == ("U", "second", "2026-03-01 12:10:00+00")


@ON_BOTH_ENGINES_IN_THE_LONG_FORM
def test_two_states_read_at_one_moment_of_the_source_keep_their_order(company: Company) -> None:
    """A clock that stands still or goes back dates the later state just after the earlier one."""
    load_at(company, "2026-03-01T12:00:00+00:00")
    for name in ("Bob", "Cat"):
        company.sql(f"update people set name = '{name}' where id = 1")
        load_at(company, "2026-03-01T12:00:00+00:00")
    company.sql("update people set name = 'Dan' where id = 1")

    load_at(company, "2026-03-01T11:00:00+00:00")

    assert [event[1:] for event in events(company, 1)] == [
        ("Ada", "2026-03-01 10:00:00+00"),
        ("Bob", "2026-03-01 12:00:00+00"),
        ("Cat", "2026-03-01 12:00:00.000001+00"),
        ("Dan", "2026-03-01 12:00:00.000002+00"),
    ]


def test_a_change_outside_the_window_is_dated_by_the_repair_that_finds_it(company: Company) -> None:
    load_at(company, "2026-03-01T12:00:00+00:00")
    company.sql("insert into people values (4, 'Dee', 1, '2026-03-20 10:00:00')")
    load_at(company, "2026-03-20T12:00:00+00:00")
    company.sql("update people set name = 'silent' where id = 1")

    repair_table(replace(company, clock="2026-03-21T12:00:00+00:00").context(), PEOPLE, yes=True)

    assert events(company, 1)[1:] == [("R", "silent", "2026-03-21 12:00:00+00")]


def test_a_deleted_key_that_returns_was_gone_until_it_was_seen_again(company: Company) -> None:
    load_at(company, "2026-03-01T12:00:00+00:00")
    company.sql("delete from people where id = 1")
    load_at(company, "2026-03-02T12:00:00+00:00")
    company.sql("insert into people values (1, 'Ada', 1.10, '2026-03-01 10:00:00')")

    load_at(company, "2026-03-03T12:00:00+00:00")

    assert events(company, 1) == [
        ("R", "Ada", "2026-03-01 10:00:00+00"),
        ("D", "", "2026-03-02 12:00:00+00"),
        ("U", "Ada", "2026-03-03 12:00:00+00"),
    ]


def test_a_source_restored_to_an_earlier_state_is_followed(company: Company) -> None:
    load_at(company, "2026-03-01T12:00:00+00:00")
    company.sql("update people set name = 'Eva', changed_at = '2026-03-01 12:30:00' where id = 1")
    load_at(company, "2026-03-01T13:00:00+00:00")
    company.sql("update people set name = 'Ada', changed_at = '2026-03-01 10:00:00' where id = 1")

    repair_table(replace(company, clock="2026-03-01T14:00:00+00:00").context(), PEOPLE, yes=True)
    company.sql("update people set name = 'Eva', changed_at = '2026-03-01 12:30:00' where id = 1")
    load_at(company, "2026-03-01T14:10:00+00:00")

    assert [event[1:] for event in events(company, 1)] == [
        ("Ada", "2026-03-01 10:00:00+00"),
        ("Eva", "2026-03-01 12:30:00+00"),
        ("Ada", "2026-03-01 14:00:00+00"),
        ("Eva", "2026-03-01 14:10:00+00"),
    ]


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin"])
def test_states_of_the_hour_that_a_wall_clock_shows_twice_keep_the_order_in_which_they_were_read(
    company: Company, zone: str
) -> None:
    day, hours = {"America/New_York": ("2026-11-01", "01"), "Europe/Berlin": ("2026-10-25", "02")}[zone]
    first, second = {"America/New_York": ("05", "06"), "Europe/Berlin": ("00", "01")}[zone]
    company.amend("people", "timezone: UTC", f"timezone: {zone}")
    company.sql(f"update people set name = 'one', changed_at = '{day} {hours}:30:00' where id = 1")
    load_at(company, f"{day}T{first}:40:00+00:00")
    company.sql(f"update people set name = 'two', changed_at = '{day} {hours}:10:00' where id = 1")

    load_at(company, f"{day}T{second}:35:00+00:00")

    assert [event[1] for event in events(company, 1)] == ["one", "two"]
    assert events(company, 1)[-1][2] == f"{day} {second}:35:00+00"
