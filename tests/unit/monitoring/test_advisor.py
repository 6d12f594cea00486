from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import click
import pytest
from click.testing import CliRunner

from ingestion.cli import cli
from ingestion.contracts.model import Contract, Deletes, Mode, NullWatermark, Reconcile
from ingestion.reconcile.leaves import Finding
from ingestion.reconcile.states import FAILED_LOAD, PARTITION, STALE
from monitoring.advisor.gap_advice import GapAdvice
from monitoring.advisor.gap_rules import RULES, advise
from monitoring.facts import Facts, gather
from tests.runbooks import NOON, difference, every_state, gap, part, run
from tests.unit.monitoring.conftest import Ledger, at

Make = Callable[..., Contract]
HOUR = timedelta(hours=1)


@pytest.fixture
def facts(make_contract: Make) -> Callable[..., Facts]:
    def make(contract: dict[str, Any] | None = None, **known: Any) -> Facts:
        differing = known.get("differences", ())
        kinds = Counter({d.kind: d.keys for d in differing})
        return Facts(make_contract(**(contract or {})), **{"gap": gap(), "load": run("load"), "kinds": kinds, **known})

    return make


def causes(found: Facts) -> list[str]:
    return [advice.cause for advice in advise(found)]


def only(found: Facts) -> GapAdvice:
    [advice] = advise(found)
    return advice


def test_table_without_a_gap_gets_no_advice(facts: Callable[..., Facts]) -> None:
    assert advise(facts()) == []


def test_table_that_was_never_checked_is_to_be_checked(facts: Callable[..., Facts]) -> None:
    assert only(facts(gap=None)).commands == ("lakehouse gaps crm.people",)


def test_source_that_could_not_be_asked_is_said_with_its_error(facts: Callable[..., Facts]) -> None:
    failed = run("gaps", "failed", message="crm: no connection is set.\nSecond line")

    advice = only(facts(gap=gap(severity="UNKNOWN", source_count=None, outcome="partial"), check=failed))

    assert advice.cause == "source not read"
    assert "crm: no connection is set." in advice.finding
    assert "Second line" not in advice.finding


def test_missing_whole_partitions_are_a_lost_window_and_no_late_rows(facts: Callable[..., Facts]) -> None:
    by_day = {"reconcile": Reconcile(partition="changed_at", grain="day")}
    found = facts(
        by_day, gap=gap(missing_keys=30, sync_gap=30), partitions=(part("2026-02-10", 20, 0), part("2026-02-11", 10, 0))
    )

    advice = only(found)

    assert advice.cause == "lost window"
    assert "2 partitions (2026-02-10, 2026-02-11), the source has 30 rows" in advice.finding
    assert advice.commands == ("lakehouse repair crm.people", "lakehouse build")
    assert 'from "main"."people"' in advice.runbook.source
    assert "\"changed_at\" >= timestamp '2026-02-10 00:00:00.000000'" in advice.runbook.lake


def test_rows_missing_beside_others_are_late_or_lost(facts: Callable[..., Facts]) -> None:
    found = facts(gap=gap(missing_keys=3, sync_gap=3), partitions=(part("2026-02-10", 20, 17),))

    advice = only(found)

    assert advice.cause == "late or lost rows"
    assert advice.commands == ("lakehouse repair crm.people", "lakehouse build")
    assert "3 keys" in advice.finding
    assert "overlap (2 h)" in advice.finding


def test_lost_window_and_late_rows_are_told_apart_by_their_counts(facts: Callable[..., Facts]) -> None:
    found = facts(gap=gap(missing_keys=23), partitions=(part("2026-02-10", 20, 0), part("2026-02-11", 10, 7)))

    assert causes(found) == ["lost window", "late or lost rows"]
    assert "3 keys" in advise(found)[1].finding


@pytest.mark.parametrize(
    ("deletes", "state", "cause", "command"),
    [
        (Deletes.NONE, "suspected", "hard deletes", "lakehouse repair crm.people"),
        (Deletes.KEYS, "suspected", "deletes not loaded yet", "lakehouse load crm.people"),
        (Deletes.KEYS, "confirmed", "hard deletes", "lakehouse repair crm.people"),
    ],
)
def test_extra_keys_are_judged_by_whether_a_load_will_delete_them(
    facts: Callable[..., Facts], deletes: Deletes, state: str, cause: str, command: str
) -> None:
    advice = only(facts({"deletes": deletes}, differences=(difference("missing_in_source", state),)))

    assert (advice.cause, advice.commands[0]) == (cause, command)
    assert ("deletes: keys" in advice.prevention) == (deletes is Deletes.NONE)


@pytest.mark.parametrize(
    ("mode", "state", "cause", "command"),
    [
        (Mode.INCREMENTAL, "confirmed", "updates that keep the watermark", "lakehouse repair crm.people"),
        (Mode.INCREMENTAL, "suspected", "changes not loaded yet", "lakehouse load crm.people"),
        (Mode.FULL, "suspected", "changes not loaded yet", "lakehouse load crm.people"),
        (Mode.FULL, "confirmed", "changes that no load brings", "lakehouse repair crm.people"),
        (Mode.CHANGES, "confirmed", "changes that no load brings", "lakehouse repair crm.people"),
    ],
)
def test_changed_rows_are_judged_by_whether_a_load_reads_them(
    facts: Callable[..., Facts], mode: Mode, state: str, cause: str, command: str
) -> None:
    watermark = "changed_at" if mode is Mode.INCREMENTAL else None
    advice = only(facts({"mode": mode, "watermark": watermark}, differences=(difference("changed", state),)))

    assert (advice.cause, advice.commands[0]) == (cause, command)
    assert "4 keys differ" in advice.finding


@pytest.mark.parametrize("kind", ["changed", "missing_in_source", "missing_in_lake"])
def test_after_a_load_the_next_step_is_another_check_and_not_another_load(
    facts: Callable[..., Facts], kind: str
) -> None:
    waiting = {"differences": (difference(kind, "suspected"),)}

    before = only(facts(**waiting, load=run("load", at=NOON - HOUR)))
    after = only(facts(**waiting, load=run("load", at=NOON + HOUR)))

    assert before.commands == ("lakehouse load crm.people", "lakehouse gaps crm.people")
    assert after.commands == ("lakehouse gaps crm.people",)
    assert "A load has ended since that check" in after.finding


def test_what_a_load_did_not_close_is_repaired_even_while_it_is_suspected(facts: Callable[..., Facts]) -> None:
    seen_before = difference("changed", "suspected", first_seen=NOON - 3 * HOUR)

    advice = only(facts(differences=(seen_before,), load=run("load", at=NOON - HOUR)))

    assert advice.commands == ("lakehouse repair crm.people", "lakehouse build")


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
        ("DeleteBrakeError", "lakehouse gaps crm.people"),
        ("ValueError", "lakehouse load crm.people"),
    ],
)
def test_failed_load_comes_first_and_its_error_tells_what_to_do(
    facts: Callable[..., Facts], error: str, command: str
) -> None:
    promise = {"reconcile": Reconcile(freshness=timedelta(hours=24))}
    failed = run("load", "failed", error=error, message="crm.people: lost this.\nMore")

    found = advise(facts(promise, gap=gap(freshness_lag_hours=30.0, missing_keys=5), load=failed))

    assert [advice.cause for advice in found] == ["failed load", "late or lost rows"]
    assert found[0].commands[0] == command
    assert "crm.people: lost this." in found[0].finding


def test_high_quarantine_is_a_break_of_the_contract(facts: Callable[..., Facts]) -> None:
    limits = {"quarantine_warn_percent": 5.0}

    assert advise(facts(limits, gap=gap(quarantined_count=5))) == []
    advice = only(facts(limits, gap=gap(quarantined_count=6)))

    assert advice.cause == "contract break"
    assert advice.commands == ("lakehouse quarantine list crm.people", "lakehouse load crm.people")


def test_a_break_of_the_contract_names_the_key_that_loads_rows_without_a_watermark(facts: Callable[..., Facts]) -> None:
    refused, included = (
        only(facts({"null_watermark": policy}, gap=gap(quarantined_count=50)))
        for policy in (NullWatermark.QUARANTINE, NullWatermark.INCLUDE)
    )

    assert "nullWatermark: include" in refused.prevention
    assert "nullWatermark" not in included.prevention


def test_repeated_keys_say_that_the_key_is_none(facts: Callable[..., Facts]) -> None:
    advice = only(facts(differences=(difference("duplicated"),)))

    assert advice.cause == "key is not unique"
    assert "(id)" in advice.finding


def test_suspicion_is_not_called_more_than_that(facts: Callable[..., Facts]) -> None:
    suspected = only(facts(differences=(difference("changed", "suspected"),)))
    confirmed = only(facts(differences=(difference("changed", "confirmed"),)))

    assert "Seen once so far" in suspected.finding
    assert "Seen once so far" not in confirmed.finding


def test_unfinished_comparison_says_why(facts: Callable[..., Facts]) -> None:
    advice = only(facts(gap=gap(outcome="partial", why="the budget of 40 queries is spent")))

    assert (advice.cause, "the budget of 40 queries is spent" in advice.finding) == ("comparison not finished", True)


def test_key_that_a_server_cannot_hash_is_not_answered_by_another_check(facts: Callable[..., Facts]) -> None:
    told = gap(outcome="partial", why="this server cannot hash the key", unverified_columns="id: not hashed; name: too")

    advice = only(facts(gap=told))

    assert (advice.cause, advice.commands) == ("contents not compared", ("lakehouse load --full crm.people",))
    assert only(facts({"mode": Mode.FULL}, gap=told)).commands == ("lakehouse load crm.people",)
    assert "id" in advice.finding


def test_check_that_a_budget_ended_is_not_answered_by_the_same_check(facts: Callable[..., Facts]) -> None:
    told = gap(outcome="partial", why="the budget of 40 queries is spent")

    repaired_first = advise(facts(gap=told, differences=(difference("changed"),)))[-1]

    assert "maxQueries" in only(facts(gap=told)).prevention
    assert repaired_first.commands == ("lakehouse repair crm.people", "lakehouse gaps crm.people")


def test_table_that_was_never_loaded_is_not_told_to_be_checked_again(facts: Callable[..., Facts]) -> None:
    told = gap(outcome="partial", why="nothing of it is loaded", batch=0)

    assert causes(facts(gap=told, load=None)) == ["never loaded"]


def test_every_kind_of_difference_has_a_rule() -> None:
    kinds = {*Finding, PARTITION, STALE, FAILED_LOAD}

    assert kinds == {kind for rule in RULES for kind in rule.kinds}


def test_every_rule_is_among_the_states_that_these_tests_go_through(make_contract: Make) -> None:
    states = list(every_state(make_contract(), None, ["2026-03-01"]))

    assert [rule.advice.__name__ for rule in RULES if not any(map(rule.advice, states))] == []


def test_every_command_that_is_advised_is_one_that_exists_and_takes_nothing_out_of_the_lake(
    make_contract: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(click.Command, "invoke", lambda _command, _context: None)  # parse, and do nothing
    advices = [advice for facts in every_state(make_contract(), None, ["2026-03-01"]) for advice in advise(facts)]
    quoted = [command for advice in advices for command in re.findall(r"`(lakehouse [^`]*)`", str(advice.as_dict()))]

    advised = {command for advice in advices for command in advice.commands} | set(quoted)

    assert len(advised) > 10
    for command in advised:
        program, *arguments = shlex.split(command)
        result = CliRunner().invoke(cli, arguments)
        assert (program, result.exit_code, result.output) == ("lakehouse", 0, ""), command
        assert not {"maintain", "init", "--full-refresh", "--yes"} & set(arguments)


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
