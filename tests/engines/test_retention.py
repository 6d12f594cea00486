"""History ends where its contract says, on Bronze and Silver by one cut; what is kept is what a rebuild tells."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.admin.maintenance import maintain, plan_expiry
from ingestion.admin.retention import expired, kept_versions, leaving_events
from ingestion.contracts.model import Period
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.load.load_table import load_table
from tests.dbt.macros import load_macros
from tests.dbt.test_history import Facts
from tests.engines.conftest import ON_BOTH_ENGINES_IN_THE_LONG_FORM, Company
from tests.engines.test_erasure import build_silver, history
from tests.examples import examples

PEOPLE = "crm.people"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HISTORY = "select sk, id, name, valid_from, valid_to, is_current, is_deleted from"
START = datetime(2026, 1, 1, tzinfo=UTC)
CUT = "timestamptz '2026-01-01 05:00:00+00'"
FACTS = Facts(
    key=["id"],
    columns=["id", "name", "note"],
    types={"id": "int64", "name": "string", "note": "string"},
    tracked=["name"],
)
HISTORY_SQL = load_macros()["scd2_history"]("bronze", FACTS)
LEAVING = leaving_events(["id"], "bronze", "silver", CUT)


@st.composite
def logs(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    """Return events of few keys at few moments, so that all of them meet the cut from both sides."""
    event = st.tuples(
        st.integers(1, 5), st.sampled_from("ab"), st.sampled_from("xy"), st.sampled_from("UUUD"), st.integers(0, 10)
    )
    return [
        (key, None if op == "D" else name, None if op == "D" else note, op, START + timedelta(hours=hour), 0, number // 3, number)
        for number, (key, name, note, op, hour) in enumerate(draw(st.lists(event, min_size=20, max_size=40)))
    ]  # fmt: skip


@examples(20)
@given(logs())
def test_what_bronze_keeps_tells_exactly_the_versions_that_silver_keeps(log: list[tuple[Any, ...]]) -> None:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(
            "create table bronze (id bigint, name varchar, note varchar, _op varchar, _eff timestamptz, _seq bigint, "
            "_batch bigint, _row bigint)"
        )
        if log:
            connection.executemany("insert into bronze values (?, ?, ?, ?, ?, ?, ?, ?)", log)
        connection.execute(f"create table silver as {HISTORY_SQL}")
        live = "select id, max(_eff) from bronze group by id order by id"
        newest = connection.execute(live).fetchall()
        connection.execute(f"delete from bronze where (_batch, _row) in ({LEAVING})")
        kept = connection.execute(f"from silver where {kept_versions(CUT)} order by sk").fetchall()

        assert connection.execute(f"from ({HISTORY_SQL}) order by sk").fetchall() == kept
        assert connection.execute(live).fetchall() == newest
        assert connection.execute(LEAVING).fetchall() == []


def lay_out(company: Company) -> None:
    """
    Loads at 08:00, 09:00 and 11:00 of a person whose name changes, one who is deleted, and a bad row that is corrected.
    """
    company.amend(
        "people", "customProperties:", "slaProperties: [{property: retention, value: 1, unit: d}]\ncustomProperties:"
    )
    company.amend("people", "maxDeletePercent: 50", "maxDeletePercent: 100")
    company.sql("insert into people values (6, 'a name too long', 1, '2026-03-01 10:00:00')")
    load_table(company.context(), PEOPLE)
    company.sql(
        "update people set name = 'Adam', changed_at = '2026-03-01 11:10:00' where id = 1",
        "update people set name = 'Flo', changed_at = '2026-03-01 11:10:00' where id = 6",
        "delete from people where id = 2",
    )
    load_table(company.context(), PEOPLE)
    company.sql(
        "update people set name = 'Ann', changed_at = '2026-03-01 11:20:00' where id = 1",
        "insert into people values (7, 'still a name too long', 1, '2026-03-01 11:20:00')",
    )
    load_table(company.context(), PEOPLE)
    build_silver(company)


@pytest.fixture(scope="module")
def laid_out(small_company: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("laid_out")
    shutil.copytree(small_company, folder, dirs_exist_ok=True)
    lay_out(Company(folder))
    return folder


@pytest.fixture
def kept(laid_out: Path, tmp_path: Path) -> Company:
    """The company after `lay_out`."""
    return Company(shutil.copytree(laid_out, tmp_path / "company"))


def rebuilt(company: Company) -> list[tuple[Any, ...]]:
    """Return the history that Bronze tells."""
    return company.lake(f"{HISTORY} ({history(company)}) order by sk")


def later(days: float) -> datetime:
    """Return a moment at which the cut lies so many days after NOW, before which everything happened but loads."""
    return NOW + timedelta(days=1 + days)


def cut(company: Company, now: datetime) -> dict[str, int]:
    context = company.context()
    found = expired(context, context.contract(PEOPLE), now=now, removes=True)
    return {table.table: table.rows for table in found}


@ON_BOTH_ENGINES_IN_THE_LONG_FORM
def test_maintenance_ends_history_and_keeps_every_current_row(company: Company) -> None:
    lay_out(company)
    current = company.lake(f"{HISTORY} silver.stg_people where is_current order by id")
    context = company.context()
    told = expired(context, context.contract(PEOPLE), now=later(1))

    gone = cut(company, later(1))

    assert gone == {table.table: table.rows for table in told}
    assert gone == {"bronze.crm__people": 3, "silver.stg_people": 4, "quarantine.crm__people": 0}
    assert company.lake(f"{HISTORY} silver.stg_people order by id") == current
    assert company.lake(f"{HISTORY} ({history(company)}) order by id") == current
    assert company.lake("select id, _op from bronze.crm__people order by id") == [
        (1, "U"),
        (2, "D"),
        (3, "R"),
        (6, "U"),
    ]
    assert set(cut(company, later(1)).values()) == {0}
    loaded = load_table(company.context(), PEOPLE)
    assert (loaded.appended, loaded.deleted) == (0, 0)


def test_what_was_in_force_at_the_cut_stays_whole(kept: Company) -> None:
    cut(kept, NOW + timedelta(days=1) - timedelta(minutes=45))  # the cut is at 11:15, between two changes

    names = kept.lake("select name, valid_to is null from silver.stg_people where id = 1 order by valid_from")
    assert names == [("Adam", False), ("Ann", True)]
    assert kept.lake(f"{HISTORY} ({history(kept)}) order by sk") == kept.lake(
        f"{HISTORY} silver.stg_people order by sk"
    )


def test_settled_entries_leave_and_open_ones_are_told(kept: Company) -> None:
    context = kept.context()
    after_the_loads = datetime.now(UTC) + timedelta(days=2)

    [told] = [t for t in expired(context, context.contract(PEOPLE), now=after_the_loads) if t.table.startswith("quar")]
    cut(kept, after_the_loads)

    assert (told.rows, told.files, told.note) == (1, 1, "1 older open ones stay")
    assert kept.lake("select id from quarantine.crm__people") == [("7",)]


def test_a_table_whose_silver_was_never_built_keeps_its_history(company: Company) -> None:
    company.amend(
        "people", "customProperties:", "slaProperties: [{property: retention, value: 1, unit: d}]\ncustomProperties:"
    )
    load_table(company.context(), PEOPLE)

    assert cut(company, later(99)) == {"quarantine.crm__people": 0}


def test_events_that_silver_has_not_seen_yet_and_those_before_them_stay(kept: Company) -> None:
    kept.sql("update people set name = 'Anna', changed_at = '2026-03-01 11:30:00' where id = 1")
    load_table(kept.context(), PEOPLE)  # batch 4; Silver is at 3, whose one event this one ends
    context = kept.context()

    found = expired(context, context.contract(PEOPLE), now=later(1))

    assert kept.lake("select count(*) from bronze.crm__people where _batch = 3") == [(1,)]
    assert {table.table: table.rows for table in found}["bronze.crm__people"] == 3


def test_maintain_shows_and_removes_by_the_clock_of_today(kept: Company) -> None:
    plan = {table.table: table.rows for table in plan_expiry(kept.context())[0]}

    done = {table.table: table.expired for table in maintain(kept.context()) if table.expired}

    assert done == {name: rows for name, rows in plan.items() if rows}
    assert plan_expiry(kept.context(), ("ops.runs",)) == ([], [])


@pytest.mark.parametrize("call", [1, 2])
def test_maintenance_that_ends_between_two_tables_is_finished_by_the_next(
    kept: Company, call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, calls = DeltaRs.remove, []

    def deadly(*args: Any, **options: Any) -> int:
        version = honest(*args, **options)
        calls.append(version)
        if len(calls) == call:
            raise KeyboardInterrupt
        return version

    with monkeypatch.context() as patch:
        patch.setattr(DeltaRs, "remove", deadly)
        with pytest.raises(KeyboardInterrupt):
            cut(kept, later(1))
    cut(kept, later(1))

    assert rebuilt(kept) == kept.lake(f"{HISTORY} silver.stg_people order by sk")
    assert kept.lake("select count(*) from silver.stg_people where not is_current") == [(0,)]


@pytest.mark.parametrize(
    ("period", "moment", "earlier"),
    [
        (Period(months=12), "2024-02-29T05:00:00+00:00", "2023-02-28T05:00:00+00:00"),
        (Period(months=1), "2026-03-31T05:00:00+00:00", "2026-02-28T05:00:00+00:00"),
        (Period(days=30), "2026-03-31T05:00:00+00:00", "2026-03-01T05:00:00+00:00"),
        (Period(months=12 * 5000), "2026-03-31T05:00:00+00:00", "0001-01-01T00:00:00+00:00"),
        (Period(days=999_999), "2026-03-31T05:00:00+00:00", "0001-01-01T00:00:00+00:00"),
    ],
)
def test_a_period_ends_on_the_same_day_of_the_calendar(period: Period, moment: str, earlier: str) -> None:
    assert period.before(datetime.fromisoformat(moment)).isoformat() == earlier
