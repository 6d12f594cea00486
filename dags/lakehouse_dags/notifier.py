"""
Tells of other DAGs by the lakehouse's incidents and channels: one message when a DAG fails, one when it is well again.

    @dag(on_failure_callback=LakehouseNotifier(), on_success_callback=LakehouseNotifier())

Airflow imports it with the DAG file, so all else is imported when it is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from airflow.sdk.bases.notifier import BaseNotifier


class LakehouseNotifier(BaseNotifier):
    """
    Records in the ledger how a run of a DAG (or, as a callback of a task, the task) ended; then does what `lakehouse
    incidents check` does. Of an exception only the class is recorded, because its text may hold values of rows.
    """

    def notify(self, context: Mapping[str, Any]) -> None:
        """Raises a LakehouseError if there is no lake. A channel that refuses is tried again later."""
        from ingestion.ledger.vocabulary import DAG
        from lakehouse_dags import wiring
        from monitoring.incidents.run import evaluate_at_end

        dag, ti, exception = context["dag"], context.get("ti"), context.get("exception")
        state = getattr(ti, "state", None)
        reason = context.get("reason") or str(getattr(state, "value", state))  # of a run, else of a task
        reason = type(exception).__name__ if exception is not None else reason
        told = f"The DAG {dag.dag_id} of {dag.owner} failed: {reason}."
        run = wiring.open_run(context)
        now = datetime.now(UTC)
        row = {"run_id": run.run_id, "step": DAG, "subject": dag.dag_id, "started_at": now, "finished_at": now}
        ended = {"status": "ok"} if reason == "success" else {"status": "failed", "error": reason, "message": told}
        run.journal.append("runs", [{**row, **ended, "log_url": getattr(ti, "log_url", None)}])
        evaluate_at_end(run.settings)
