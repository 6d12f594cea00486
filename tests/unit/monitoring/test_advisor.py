from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import duckdb
import pytest

from ingestion.contracts.model import Contract, Deletes, Mode, Reconcile
from monitoring.advisor import Advice, advise
from monitoring.facts import Facts, gather
from monitoring.ledger_views import Difference, PartitionGap, Run, TableGap
from tests.unit.monitoring.conftest import Ledger, at

Make = Callable[..., Contract]
NOON = at("2026-03-01 12:00")


def gap(**changes: Any) -> TableGap:
    given: dict[str, Any] = dict.fromkeys(TableGap.__dataclass_fields__)
    plain = {"contract_id": "crm.people", "run_id": "run-1", "checked_at": NOON, "severity": "OK", "batch": 3}
    return TableGap(**{**given, **plain, "source_count": 100, "lake_count": 100, **changes})


def run(step: str, status: str = "ok", **changes: Any) -> Run:
    given: dict[str, Any] = dict.fromkeys(Run.__dataclass_fields__)
    plain = {"run_id": "run-1", "step": step, "subject": "crm.people", "status": status}
    return Run(**{**given, **plain, "started_at": NOON, "finished_at": NOON, **changes})


def part(name: str, source: int, lake: int) -> PartitionGap:
    return PartitionGap("crm.people", name, source, lake, 0, source - lake, int(lake == 0), f"-- count {name}")


def difference(kind: str, state: str = "confirmed", keys: int = 4) -> Difference:
    given: dict[str, Any] = dict.fromkeys(Difference.__dataclass_fields__)
    plain: dict[str, Any] = {
        "difference_id": "d",
        "contract_id": "crm.people",
        "kind": kind,
        "state": state,
        "keys": keys,
    }
    return Difference(**{**given, **plain, "state_at": NOON, "first_seen_at": NOON, "run_id": "run-1"})


@pytest.fixture
def facts(make_contract: Make) -> Callable[..., Facts]:
    def make(contract: dict[str, Any] | None = None, **known: Any) -> Facts:
        differing = known.get("differences", ())
        kinds = Counter({d.kind: d.keys for d in differing})
        return Facts(make_contract(**(contract or {})), **{"gap": gap(), "load": run("load"), "kinds": kinds, **known})

    return make


def causes(found: Facts) -> list[str]:
    return [advice.cause for advice in advise(found)]


def only(found: Facts) -> Advice:
    [advice] = advise(found)
    return advice


def test_table_without_a_gap_gets_no_advice(facts: Callable[..., Facts]) -> None:
    assert advise(facts()) == []


def test_table_that_was_never_checked_is_to_be_checked(facts: Callable[..., Facts]) -> None:
    assert only(facts(gap=None)).commands == ("lakehouse gaps crm.people",)


def test_source_that_could_not_be_asked_is_said_with_its_error(facts: Callable[..., Facts]) -> None:
    failed = run("gaps", "failed", message="crm: promised a connection, found none.\nSecond line")

    advice = only(facts(gap=gap(severity="UNKNOWN", source_count=None, outcome="partial"), check=failed))

    assert advice.cause == "source not asked"
    assert "crm: promised a connection, found none." in advice.finding
    assert "Second line" not in advice.finding


def test_missing_whole_partitions_are_a_lost_window_and_no_late_rows(facts: Callable[..., Facts]) -> None:
    found = facts(
        gap=gap(missing_keys=30, sync_gap=30), partitions=(part("2026-02-10", 20, 0), part("2026-02-11", 10, 0))
    )

    advice = only(found)

    assert advice.cause == "lost window"
    assert "2 partitions (2026-02-10, 2026-02-11), the source has 30 rows" in advice.finding
    assert advice.commands == ("lakehouse repair crm.people", "lakehouse build")
    assert advice.sql == "-- count 2026-02-10"


def test_rows_missing_beside_others_are_late_or_lost(facts: Callable[..., Facts]) -> None:
    found = facts(gap=gap(missing_keys=3, sync_gap=3), partitions=(part("2026-02-10", 20, 17),))

    advice = only(found)

    assert (advice.cause, advice.sql) == ("late or lost rows", "-- count 2026-02-10")
    assert "3 keys" in advice.finding
    assert "overlap (2 h)" in advice.finding


def test_lost_window_and_late_rows_are_told_apart_by_their_counts(facts: Callable[..., Facts]) -> None:
    found = facts(gap=gap(missing_keys=23), partitions=(part("2026-02-10", 20, 0), part("2026-02-11", 10, 7)))

    assert causes(found) == ["lost window", "late or lost rows"]
    assert "3 keys" in advise(found)[1].finding


@pytest.mark.parametrize(
    ("deletes", "cause", "command"),
    [
        (Deletes.NONE, "hard deletes", "lakehouse repair crm.people"),
        (Deletes.KEYS, "deletes not loaded yet", "lakehouse load crm.people"),
    ],
)
def test_extra_keys_are_judged_by_what_the_contract_says_of_deletes(
    facts: Callable[..., Facts], deletes: Deletes, cause: str, command: str
) -> None:
    advice = only(facts({"deletes": deletes}, gap=gap(extra_keys=2)))

    assert (advice.cause, advice.commands[0]) == (cause, command)
    assert ("deletes: keys" in advice.prevention) == (deletes is Deletes.NONE)


@pytest.mark.parametrize(
    ("mode", "cause", "command"),
    [
        (Mode.INCREMENTAL, "updates that keep the watermark", "lakehouse repair crm.people"),
        (Mode.FULL, "changes not loaded yet", "lakehouse load crm.people"),
    ],
)
def test_changed_rows_are_judged_by_how_the_table_is_loaded(
    facts: Callable[..., Facts], mode: Mode, cause: str, command: str
) -> None:
    watermark = "changed_at" if mode is Mode.INCREMENTAL else None
    advice = only(facts({"mode": mode, "watermark": watermark}, differences=(difference("changed"),)))

    assert (advice.cause, advice.commands[0]) == (cause, command)
    assert "4 keys differ" in advice.finding


def test_stale_table_whose_last_load_was_good_waits_for_a_schedule(facts: Callable[..., Facts]) -> None:
    promise = {"reconcile": Reconcile(freshness=timedelta(hours=24))}

    advice = only(facts(promise, gap=gap(freshness_lag_hours=30.0)))

    assert advice.cause == "loads not running"
    assert "30.0 h behind" in advice.finding
    assert "source_crm" in advice.prevention
    assert advise(facts(promise, gap=gap(freshness_lag_hours=24.0))) == []


@pytest.mark.parametrize(
    ("error", "command"),
    [
        ("SourceUnavailableError", "lakehouse doctor"),
        ("BrokenContractError", "lakehouse plan crm.people"),
        ("DeleteBrakeError", "lakehouse load --allow-deletes crm.people"),
        ("ValueError", "lakehouse load crm.people"),
    ],
)
def test_failed_load_comes_first_and_its_error_tells_what_to_do(
    facts: Callable[..., Facts], error: str, command: str
) -> None:
    promise = {"reconcile": Reconcile(freshness=timedelta(hours=24))}
    failed = run("load", "failed", error=error, message="crm.people: promised this.\nMore")

    found = advise(facts(promise, gap=gap(freshness_lag_hours=30.0, missing_keys=5), load=failed))

    assert [advice.cause for advice in found] == ["failed load", "late or lost rows"]
    assert found[0].commands[0] == command
    assert "crm.people: promised this." in found[0].finding


def test_high_quarantine_is_a_break_of_the_contract(facts: Callable[..., Facts]) -> None:
    limits = {"quarantine_warn_percent": 5.0}

    assert advise(facts(limits, gap=gap(quarantined_count=5))) == []
    advice = only(facts(limits, gap=gap(quarantined_count=6)))

    assert advice.cause == "contract break"
    assert advice.commands == ("lakehouse quarantine list crm.people", "lakehouse quarantine replay crm.people")


def test_repeated_keys_say_that_the_key_is_none(facts: Callable[..., Facts]) -> None:
    advice = only(facts(differences=(difference("duplicated"),)))

    assert advice.cause == "key is not a key"
    assert "(id)" in advice.finding


def test_suspicion_is_not_called_more_than_that(facts: Callable[..., Facts]) -> None:
    suspected = only(facts(differences=(difference("changed", "suspected"),)))
    confirmed = only(facts(differences=(difference("changed", "confirmed"),)))

    assert "Seen once so far" in suspected.finding
    assert "Seen once so far" not in confirmed.finding


def test_unfinished_comparison_says_why(facts: Callable[..., Facts]) -> None:
    advice = only(facts(gap=gap(outcome="partial", why="the budget of 40 queries is spent")))

    assert (advice.cause, "the budget of 40 queries is spent" in advice.finding) == ("comparison not finished", True)


@pytest.mark.parametrize("kind", ["changed", "duplicated"])
def test_sql_that_is_advised_runs_on_both_sides(facts: Callable[..., Facts], kind: str) -> None:
    found = facts(differences=(difference(kind),), gap=gap(bound="2026-03-01 11:00:00.000000"))

    source, lake = only(found).sql.split("-- on the lake: lakehouse sql")

    columns = "1::bigint as id, 'x' as name, timestamp '2026-03-01' as changed_at"
    with duckdb.connect() as connection:
        connection.execute(f"create table people as select {columns}")
        connection.execute("create schema silver; create schema quarantine")
        connection.execute(f"create table silver.stg_people as select {columns}, true as is_current")
        connection.execute(
            "create table quarantine.crm__people as select 'id:duplicate_key' as _breaks, null as _replayed_in"
        )
        assert connection.execute(source).fetchall()
        assert connection.execute(lake).fetchall()


@pytest.mark.parametrize(
    ("dialect", "moment"), [("oracle", "timestamp '2026-03-01 11:00:00'"), ("sqlserver", "'2026-03-01 11:00:00'")]
)
def test_sql_bounds_the_source_as_its_database_spells_moments(
    facts: Callable[..., Facts], dialect: str, moment: str
) -> None:
    found = facts({"dialect": dialect}, differences=(difference("changed"),), gap=gap(bound="2026-03-01 11:00:00"))

    assert f'from "main"."people" where "changed_at" < {moment};' in only(found).sql


def test_facts_are_gathered_from_the_ledger_alone(ledger: Ledger, make_contract: Make) -> None:
    ledger.check("crm.people", "2026-03-01 10:00", sync_gap=2, missing_keys=2)
    ledger.check(
        "crm.people", "2026-03-01 10:00", partition="2026-02-01", lake_count=8, sync_gap=2, missing_partitions=0
    )
    ledger.difference("a", "confirmed", "2026-03-01 10:00", keys=2)
    ledger.difference("b", "waived", "2026-03-01 10:00", kind="changed", keys=9, until=at("2099-01-01"))
    ledger.run("load", "crm.people", "2026-03-01 09:00", status="failed", error="SourceUnavailableError")

    [found] = gather(ledger.journal, [make_contract()])
    [other] = gather(ledger.journal, [replace(make_contract(), id="crm.cities")])

    assert found.kinds == Counter(missing_in_lake=2)
    assert causes(found) == ["failed load", "late or lost rows"]
    assert (other.gap, other.differences, other.load) == (None, (), None)
