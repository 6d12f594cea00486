"""
Questions to the ledger that several rooms ask, as SQL relations to put behind `from`.

Conditions stand on the columns of the table; they and `each` may hold binds, which the caller gives.
"""

from __future__ import annotations


def newest_runs(condition: str = "true", *, each: str = "1") -> str:
    """Return the newest `each` rows of `ops.runs` of every step on every subject, among those of the condition."""
    return _newest("runs", condition, "step, subject", "finished_at", each)


def newest_models(condition: str = "true") -> str:
    """Return the newest outcome of every model of every step, among those of the condition."""
    return _newest("models", condition, "step, model", "finished_at", "1")


def newest_gaps(condition: str = "true", *, each: str = "1") -> str:
    """Return the newest `each` checks of every table as a whole, among those of the condition."""
    return _newest("gaps", f'"partition" is null and {condition}', "contract_id", "checked_at", each)


def newest_differences(condition: str = "true") -> str:
    """Return every difference of the condition in its newest state."""
    return _newest("differences", condition, "difference_id", "state_at", "1")


def newest_incidents() -> str:
    """Return every incident in its newest state."""
    return _newest("incidents", "true", "incident_id", "state_at", "1")


def newest_messages() -> str:
    """Return every message in its newest state."""
    return _newest("messages", "true", "message_id, channel", "tries", "1")


def unfinished_erasures() -> str:
    """Return the contracts with persons whose newest erasure began and did not finish: how many, and since when."""
    newest = "max(state_at) filter (state = '{}')"
    persons = (
        f"select contract_id, {newest.format('begun')} as begun, {newest.format('finished')} as finished "
        "from ops.erasures group by contract_id, key_digest"
    )
    return (
        f"(select contract_id, count(*) as persons, min(begun) as begun from ({persons}) "
        "where finished is null or finished < begun group by contract_id order by contract_id)"
    )


def _newest(table: str, condition: str, of: str, by: str, each: str) -> str:
    return (
        f"(select * from ops.{table} where {condition} "
        f"qualify row_number() over (partition by {of} order by {by} desc) <= {each})"
    )
