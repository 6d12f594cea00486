from __future__ import annotations

import pytest

from ingestion.load import replay
from ingestion.load.load_table import load_table
from ingestion.load.replay import replay_quarantine
from tests.engines.conftest import ON_BOTH_ENGINES, Company

PEOPLE = "crm.people"


@pytest.fixture
def refused(company: Company) -> Company:
    """The company with person 4 in quarantine for a long name, person 5 for a negative score."""
    company.sql(
        "insert into people values (4, 'a name too long', 1.25, '2026-03-01 10:30:00'), (5, 'Eve', -1, '2026-03-01 10:30:00')"
    )
    load_table(company.context(), PEOPLE)
    return company


def test_rows_that_keep_a_new_contract_are_loaded_at_their_own_time(refused: Company) -> None:
    refused.amend("people", "maxLength: 10", "maxLength: 20")

    result = replay_quarantine(refused.context(), PEOPLE)

    assert (result.appended, result.batch) == (1, 2)
    assert refused.lake(
        "select id, name, score::varchar, _op, _eff::varchar from bronze.crm__people where _batch = 2"
    ) == [(4, "a name too long", "1.25", "R", "2026-03-01 10:30:00+00")]


@ON_BOTH_ENGINES
def test_rows_that_still_break_it_stay_open(refused: Company) -> None:
    refused.amend("people", "maxLength: 10", "maxLength: 20")

    replay_quarantine(refused.context(), PEOPLE)

    assert refused.lake("select id, _replayed_in from quarantine.crm__people order by id") == [("4", 2), ("5", None)]


def test_a_second_replay_commits_nothing(refused: Company) -> None:
    refused.amend("people", "maxLength: 10", "maxLength: 20")
    replay_quarantine(refused.context(), PEOPLE)

    assert replay_quarantine(refused.context(), PEOPLE).batch is None


def test_a_replay_that_died_before_it_marked_its_rows_is_healed_by_the_next(
    refused: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused.amend("people", "maxLength: 10", "maxLength: 20")
    with monkeypatch.context() as patch:
        patch.setattr(replay, "_mark_replayed", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            replay_quarantine(refused.context(), PEOPLE)

    again = replay_quarantine(refused.context(), PEOPLE)

    assert (again.batch, again.known) == (None, 1)
    assert refused.lake("select count(*) from bronze.crm__people where id = 4") == [(1,)]
    assert refused.lake("select _replayed_in from quarantine.crm__people where id = '4'") == [(2,)]


def test_what_only_the_source_can_settle_is_not_replayed(company: Company) -> None:
    company.sql("insert into people values (1, 'Twin', 1, '2026-03-01 10:00:00'), (9, 'Zed', 1, '2099-01-01 00:00:00')")
    load_table(company.context(), PEOPLE)

    assert replay_quarantine(company.context(), PEOPLE).read == 0


def test_a_number_with_more_digits_than_promised_is_not_rounded_by_a_replay(company: Company) -> None:
    company.sql(
        "alter table people alter score type decimal(20,5)",
        "insert into people values (4, 'Dee', 1.23456, '2026-03-01 10:30:00'), (5, 'Eve', 1.2, '2026-03-01 10:30:00')",
    )
    load_table(company.context(), PEOPLE)

    replay_quarantine(company.context(), PEOPLE)

    assert company.lake("select score::varchar from bronze.crm__people where id in (4, 5)") == [("1.20",)]
