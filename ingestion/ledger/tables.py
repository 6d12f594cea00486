"""The ledger's tables in `ops/`: what ran, what drifted, what the quality checks found, what gaps there are.

All moments are UTC. No table ever holds a row value. Percentages are 0 to 100; None means not known, never zero.
"""

from __future__ import annotations

import pyarrow as pa

_MOMENT = pa.timestamp("us", "UTC")

RUNS = pa.schema(
    [
        ("run_id", pa.string()),
        ("step", pa.string()),  # load, replay, repair, silver, gold, gaps
        ("subject", pa.string()),  # contract id or layer
        ("status", pa.string()),  # ok, warning, failed
        ("started_at", _MOMENT),
        ("finished_at", _MOMENT),
        ("batch", pa.int64()),  # the one that the step committed
        ("last_batch", pa.int64()),  # the newest one when the step ended, its own or an earlier one
        ("contract_version", pa.string()),
        ("rows_read", pa.int64()),
        ("rows_good", pa.int64()),
        ("rows_quarantined", pa.int64()),
        ("rows_known_bad", pa.int64()),
        ("rows_known", pa.int64()),
        ("rows_appended", pa.int64()),
        ("rows_deleted", pa.int64()),
        ("watermark", pa.string()),
        ("fixed_point", pa.string()),
        ("error", pa.string()),
        ("message", pa.string()),
    ]
)
GAPS = pa.schema(
    [
        ("run_id", pa.string()),
        ("contract_id", pa.string()),
        ("checked_at", _MOMENT),
        ("partition", pa.string()),  # null: the whole table
        ("bound", pa.string()),  # the committed watermark that both sides were compared up to
        ("batch", pa.int64()),
        ("source_count", pa.int64()),
        ("lake_count", pa.int64()),
        ("quarantined_count", pa.int64()),
        ("in_flight_count", pa.int64()),
        ("sync_gap", pa.int64()),
        ("gap_percentage", pa.float64()),
        ("missing_keys", pa.int64()),
        ("extra_keys", pa.int64()),
        ("missing_partitions", pa.int64()),
        ("freshness_lag_hours", pa.float64()),
        ("severity", pa.string()),  # OK, WARNING, CRITICAL, UNKNOWN
        ("runbook_sql", pa.string()),
    ]
)
DRIFT = pa.schema(
    [
        ("run_id", pa.string()),
        ("contract_id", pa.string()),
        ("contract_version", pa.string()),
        ("found_at", _MOMENT),
        ("kind", pa.string()),
        ("column", pa.string()),
        ("promised", pa.string()),
        ("found", pa.string()),
        ("action", pa.string()),
    ]
)
QUALITY = pa.schema(
    [
        ("run_id", pa.string()),
        ("contract_id", pa.string()),
        ("checked_at", _MOMENT),
        ("batch", pa.int64()),
        ("check_id", pa.string()),
        ("column", pa.string()),
        ("metric", pa.string()),
        ("promised", pa.string()),
        ("found", pa.float64()),
        ("outcome", pa.string()),  # pass, warn, fail, not run
        ("reason", pa.string()),
    ]
)
TABLES = {"runs": RUNS, "gaps": GAPS, "drift": DRIFT, "quality": QUALITY}
