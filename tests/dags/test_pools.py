"""What the doctor tells of Airflow's pools."""

from __future__ import annotations

import os
from pathlib import Path

from ingestion.admin.airflow_pools import pool_findings


def test_the_doctor_names_pools_that_are_missing_or_have_no_slots(airflow_home: Path) -> None:
    from airflow.models.pool import Pool

    for name, slots in (("source_there", 4), ("source_shut", 0)):
        Pool.create_or_update_pool(name, slots=slots, description="", include_deferred=False)

    found = {f.subject: (f.outcome, f.finding) for f in pool_findings(["away", "shut", "there"], os.environ)}

    assert found == {
        "pool source_away": ("missing", "is not there: tasks that read away wait for ever"),
        "pool source_shut": ("missing", "has no slots: tasks that read shut wait for ever"),
        "pool source_there": ("ok", "4 slots"),
    }


def test_an_airflow_that_does_not_answer_is_a_warning_and_none_is_nothing(tmp_path: Path) -> None:
    broken = {**os.environ, "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "nothing://"}

    assert [finding.outcome for finding in pool_findings(["erp"], broken)] == ["warning"]
    assert list(pool_findings(["erp"], {})) == []
