from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from ingestion.ledger.tables import TABLES
from monitoring import ledger_views
from tests.unit.monitoring.conftest import Ledger, at


def test_empty_ledger_answers_with_nothing(ledger: Ledger) -> None:
    journal = ledger.journal

    assert ledger_views.current_gaps(journal) == []
    assert ledger_views.gap_history(journal) == []
    assert ledger_views.partition_gaps(journal) == []
    assert ledger_views.open_differences(journal) == []
    assert ledger_views.sla_compliance(journal, at("2026-01-01"), at("2027-01-01")) == []
    assert ledger_views.times_to_repair(journal, at("2026-01-01"), at("2027-01-01")) == []
    assert ledger_views.newest_runs(journal) == []


def test_newest_check_of_each_table_is_the_current_one(ledger: Ledger) -> None:
    ledger.check("crm.people", "2026-03-01 10:00", sync_gap=5, severity="CRITICAL")
    ledger.check("crm.people", "2026-03-01 11:00")
    ledger.check("crm.cities", "2026-03-01 09:00", sync_gap=1, severity="WARNING")
    ledger.check("crm.people", "2026-03-01 10:30", sync_gap=7)

    every = ledger_views.current_gaps(ledger.journal)
    one = ledger_views.current_gaps(ledger.journal, ["crm.cities"])

    assert [(g.contract_id, g.checked_at, g.sync_gap, g.severity) for g in every] == [
        ("crm.cities", at("2026-03-01 09:00"), 1, "WARNING"),
        ("crm.people", at("2026-03-01 11:00"), 0, "OK"),
    ]
    assert [g.contract_id for g in one] == ["crm.cities"]


def test_what_is_not_known_is_none_and_never_zero(ledger: Ledger) -> None:
    ledger.check("crm.people", "2026-03-01 10:00", severity="UNKNOWN", source_count=None, sync_gap=None)

    [gap] = ledger_views.current_gaps(ledger.journal)

    assert (gap.source_count, gap.sync_gap, gap.sla_met, gap.data_quality_score) == (None, None, None, None)


def test_history_is_cut_per_table_and_newest_first(ledger: Ledger) -> None:
    for hour in (8, 9, 10):
        ledger.check("crm.people", f"2026-03-01 {hour:02}:00", sync_gap=hour)
    ledger.check("crm.cities", "2026-03-01 07:00")

    history = ledger_views.gap_history(ledger.journal, checks=2)

    assert [(g.contract_id, g.sync_gap) for g in history] == [("crm.cities", 0), ("crm.people", 10), ("crm.people", 9)]


def test_partitions_are_those_of_the_newest_check_even_within_one_run(ledger: Ledger) -> None:
    part = {"lake_count": 0, "missing_partitions": 1}
    ledger.check("crm.people", "2026-03-01 10:00", sync_gap=3)
    ledger.check("crm.people", "2026-03-01 10:00", partition="2026-02-01", sync_gap=1, **part)
    ledger.check("crm.people", "2026-03-01 10:00", partition="2026-02-02", sync_gap=2, **part)

    before = ledger_views.partition_gaps(ledger.journal)
    ledger.check("crm.people", "2026-03-01 11:00")
    after = ledger_views.partition_gaps(ledger.journal)

    assert [(p.partition, p.sync_gap) for p in before] == [("2026-02-02", 2), ("2026-02-01", 1)]
    assert after == []


def test_difference_is_in_its_newest_state(ledger: Ledger) -> None:
    ledger.difference("a", "suspected", "2026-03-01 10:00")
    ledger.difference("a", "confirmed", "2026-03-01 11:00")
    ledger.difference("b", "suspected", "2026-03-01 10:00", contract_id="crm.cities")
    ledger.difference("b", "resolved_in_flight", "2026-03-01 11:00", contract_id="crm.cities")
    ledger.difference("c", "waived", "2026-03-01 12:00", by="ada", why="purge", until=at("2026-04-01"))

    still_open = ledger_views.open_differences(ledger.journal, now=at("2026-03-02"))
    every = ledger_views.differences(ledger.journal)

    assert [(d.difference_id, d.state) for d in still_open] == [("a", "confirmed")]
    assert {d.difference_id: (d.state, d.by) for d in every} == {
        "a": ("confirmed", None),
        "b": ("resolved_in_flight", None),
        "c": ("waived", "ada"),
    }


def test_waived_difference_is_told_apart_and_open_again_at_its_end(ledger: Ledger) -> None:
    ledger.difference("a", "suspected", "2026-03-01 10:00")
    ledger.difference("b", "waived", "2026-03-01 12:00", by="ada", why="purge", until=at("2026-04-01"))
    ledger.difference("c", "repaired", "2026-03-01 12:00")

    def told(moment: str) -> tuple[list[str], list[str]]:
        opened, waived = ledger_views.unended_differences(ledger.journal, now=at(moment))
        return [d.difference_id for d in opened], [d.difference_id for d in waived]

    assert told("2026-03-31 23:59") == (["a"], ["b"])
    assert told("2026-04-01 00:00") == (["a", "b"], [])


def test_compliance_is_the_share_of_judged_checks_per_utc_day(ledger: Ledger) -> None:
    for moment, met in (("01 10:00", True), ("01 11:00", False), ("01 12:00", None), ("01 23:59", True)):
        ledger.check("crm.people", f"2026-03-{moment}", sla_met=met)
    ledger.check("crm.people", "2026-03-01 10:00", partition="2026-02-01", sla_met=False)
    ledger.check("crm.people", "2026-03-02 00:00", sla_met=None)
    ledger.check("crm.people", "2026-03-03 00:00", sla_met=True)

    days = ledger_views.sla_compliance(ledger.journal, at("2026-03-01"), at("2026-03-03"))

    assert [(str(d.day), d.checks, d.met, d.unknown, d.compliance) for d in days] == [
        ("2026-03-01", 4, 2, 1, pytest.approx(66.67, abs=0.01)),
        ("2026-03-02", 1, 0, 1, None),
    ]


def test_time_to_repair_runs_from_first_seen_to_repaired(ledger: Ledger) -> None:
    ledger.difference("a", "suspected", "2026-03-01 10:00")
    ledger.difference("a", "repaired", "2026-03-01 12:30")
    ledger.difference("b", "confirmed", "2026-03-01 12:00")
    ledger.difference("c", "repaired", "2026-04-01 00:00")

    times = ledger_views.times_to_repair(ledger.journal, at("2026-03-01"), at("2026-04-01"))

    assert [(t.difference_id, t.repaired_at, t.hours) for t in times] == [("a", at("2026-03-01 12:30"), 2.5)]


def test_newest_runs_are_told_per_step_and_subject(ledger: Ledger) -> None:
    ledger.run("load", "crm.people", "2026-03-01 10:00")
    ledger.run("load", "crm.people", "2026-03-01 11:00", status="failed", error="SourceUnavailableError")
    ledger.run("gaps", "crm.people", "2026-03-01 10:30")
    ledger.run("silver", "dbt", "2026-03-01 10:40")

    loads = ledger_views.newest_runs(ledger.journal, ["crm.people"], step="load")
    newest = ledger_views.newest_runs(ledger.journal, ["crm.people"])
    every = ledger_views.newest_runs(ledger.journal, each=5)

    assert [(r.status, r.error) for r in loads] == [("failed", "SourceUnavailableError")]
    assert [(r.step, r.status) for r in newest] == [("load", "failed"), ("gaps", "ok")]
    assert [(r.step, r.status) for r in every] == [("load", "failed"), ("silver", "ok"), ("gaps", "ok"), ("load", "ok")]


def test_newest_runs_of_one_table_do_not_hide_those_of_another(ledger: Ledger) -> None:
    ledger.run("load", "crm.people", "2026-03-01 10:00")
    ledger.run("load", "crm.cities", "2026-03-01 11:00")

    newest = ledger_views.newest_runs(ledger.journal, step="load")

    assert [r.subject for r in newest] == ["crm.cities", "crm.people"]


def test_newest_run_is_the_one_that_ended_last(ledger: Ledger) -> None:
    ledger.run("load", "crm.people", "2026-03-01 09:00", finished_at=at("2026-03-01 12:00"), status="failed")
    ledger.run("load", "crm.people", "2026-03-01 10:00", finished_at=at("2026-03-01 11:00"))

    assert [r.status for r in ledger_views.newest_runs(ledger.journal)] == ["failed"]


def test_answer_reads_the_logs_of_its_own_tables_only(ledger: Ledger, tmp_path: Path) -> None:
    ledger.check("crm.people", "2026-03-01 10:00")
    (tmp_path / "lake" / "ops" / "drift" / "_delta_log" / f"{0:020}.json").write_text("damaged")

    assert [gap.contract_id for gap in ledger_views.current_gaps(ledger.journal)] == ["crm.people"]


def test_every_field_of_an_answer_about_a_check_is_a_column_of_the_ledger() -> None:
    assert {f.name for f in fields(ledger_views.TableGap)} <= set(TABLES["gaps"].names)
    assert {f.name for f in fields(ledger_views.Difference)} <= set(TABLES["differences"].names)


def test_answers_can_be_told_as_documents(ledger: Ledger) -> None:
    ledger.check("crm.people", "2026-03-01 10:00")

    [gap] = ledger_views.current_gaps(ledger.journal)

    assert is_dataclass(gap)
    assert gap.as_dict()["contract_id"] == "crm.people"
