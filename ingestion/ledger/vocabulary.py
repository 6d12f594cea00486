"""Words that the ledger's tables hold and that several rooms compare with."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """The state of a difference (`ops.differences`), and of the newest one of a check (`ops.gaps`)."""

    SUSPECTED = "suspected"
    CONFIRMED = "confirmed"
    RESOLVED_IN_FLIGHT = "resolved_in_flight"
    REPAIRED = "repaired"
    WAIVED = "waived"


UNENDED = (State.SUSPECTED, State.CONFIRMED, State.WAIVED)
"""States of open differences."""

DAG = "dag"
"""The step (`ops.runs`) of a DAG of others, which told how it ended."""
