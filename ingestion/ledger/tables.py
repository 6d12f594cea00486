"""The ledger's tables in `ops/`: steps, built models, drift, and the results of quality and gap checks.

All moments are UTC. No table ever holds a row value. Percentages are 0 to 100; None means not known, never zero.
"""

from __future__ import annotations

import pyarrow as pa

NO_PARTITION = "(none)"
"""The name in `ops.gaps` of rows whose partition column is null."""

_MOMENT = pa.timestamp("us", "UTC")

RUNS = pa.schema(
    [
        ("run_id", pa.string()),
        ("step", pa.string()),  # load, replay, repair, silver, gold, gaps, dag (of others)
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
        ("source_state", pa.string()),  # the whole fixed point, as JSON; `fixed_point` is its moment
        ("is_full", pa.bool_()),  # of a load: the whole table was read on request
        ("log_url", pa.string()),  # where a scheduler shows the log of the task; null: of the command line
    ]
)
GAPS = pa.schema(
    [
        ("run_id", pa.string()),
        ("contract_id", pa.string()),
        ("checked_at", _MOMENT),
        ("partition", pa.string()),  # null: the whole table
        ("bound", pa.string()),  # the bound of both sides: a watermark, or a version of the change log
        ("batch", pa.int64()),
        ("source_count", pa.int64()),
        ("lake_count", pa.int64()),
        ("quarantined_count", pa.int64()),  # rows of the source that are in quarantine
        ("refused_updates", pa.int64()),  # those of them for which the lake has an older state
        ("in_flight_count", pa.int64()),
        ("sync_gap", pa.int64()),
        ("gap_percentage", pa.float64()),
        ("missing_keys", pa.int64()),
        ("extra_keys", pa.int64()),
        ("missing_partitions", pa.int64()),
        ("freshness_lag_hours", pa.float64()),
        ("severity", pa.string()),  # OK, OK* (not all was compared), WARNING, CRITICAL, UNKNOWN
        ("runbook_sql", pa.string()),
        ("differing_keys", pa.int64()),  # keys on both sides whose rows differ
        ("rung", pa.string()),  # how deep the comparison went: counts, partitions, checksums, bisect, leaves
        ("outcome", pa.string()),  # equal, different, partial
        ("why", pa.string()),  # why a partial comparison ended, and keys that do not fit
        ("failed_load", pa.string()),  # the error of the table's newest load, if it failed
        ("state", pa.string()),  # the most severe state of the table's open differences; null: none
        ("unverified_columns", pa.string()),  # not compared, because source and lake convert them to different texts
        ("queries", pa.int64()),
        ("rows_compared", pa.int64()),  # rows fetched from both sides
        ("seconds", pa.float64()),
        ("data_quality_score", pa.float64()),  # share of rows neither in an open difference nor quarantined
        ("sla_met", pa.bool_()),
    ]
)
DIFFERENCES = pa.schema(
    [
        ("difference_id", pa.string()),  # its newest row has its state
        ("contract_id", pa.string()),
        ("kind", pa.string()),  # missing_in_lake, missing_in_source, changed, duplicated, partition, stale, failed_load
        ("partition", pa.string()),  # null: spread over several, or the table has none
        ("state", pa.string()),  # suspected, confirmed, resolved_in_flight, repaired, waived
        ("keys", pa.int64()),
        ("state_at", _MOMENT),
        ("first_seen_at", _MOMENT),
        ("run_id", pa.string()),
        ("batch", pa.int64()),
        ("bound", pa.string()),
        ("by", pa.string()),  # who waived it
        ("why", pa.string()),
        ("until", _MOMENT),  # the end of its waiver
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
QUALITY_RATES = pa.schema(
    [
        ("run_id", pa.string()),
        ("contract_id", pa.string()),
        ("checked_at", _MOMENT),
        ("batch", pa.int64()),
        ("dimension", pa.string()),  # completeness, validity, consistency
        ("column", pa.string()),  # null: whole rows
        ("measure", pa.string()),  # null, empty, type, duplicate_key, or the name of a rule
        ("rows", pa.int64()),  # that the load read
        ("hits", pa.int64()),  # those of them that are null, empty or break the rule
    ]
)
MODELS = pa.schema(
    [
        ("run_id", pa.string()),
        ("step", pa.string()),  # the layer of the build: silver, gold, audit, all
        ("model", pa.string()),
        ("finished_at", _MOMENT),  # when the build ended
        ("status", pa.string()),  # ok, warning, failed, skipped (a model that it is built from failed)
        ("seconds", pa.float64()),  # of the model alone, without its tests
        ("tests", pa.int64()),  # its data tests that ran
        ("message", pa.string()),  # why it is not ok
        ("reads", pa.string()),  # the contracts and models that it is built from, separated by ", "
    ]
)
TESTS = pa.schema(
    [
        ("run_id", pa.string()),
        ("step", pa.string()),  # the layer of the build: silver, gold, audit, all
        ("test", pa.string()),
        ("models", pa.string()),  # those that it reads, separated by ", "
        ("finished_at", _MOMENT),  # when the build ended
        ("status", pa.string()),  # ok, warning, failed, skipped
        ("failures", pa.int64()),  # rows that break it; null if it did not run
        ("seconds", pa.float64()),
    ]
)
INCIDENTS = pa.schema(
    [
        ("incident_id", pa.string()),  # its newest row has its state
        ("kind", pa.string()),
        ("subject", pa.string()),  # a contract, a model, a channel, or `lake`
        ("state", pa.string()),  # seen, open, acknowledged, clearing, resolved, waived
        ("level", pa.int64()),  # 1 UNKNOWN, 2 WARNING, 3 CRITICAL
        ("told_level", pa.int64()),  # the highest that a message told; null: nobody was told
        ("opened_at", _MOMENT),  # when an evaluation first saw it
        ("state_at", _MOMENT),
        ("since", _MOMENT),  # when the fault itself began
        ("text", pa.string()),
        ("command", pa.string()),
        ("owner", pa.string()),
        ("downstream", pa.string()),  # models and exposures, separated by ", "
        ("behind", pa.string()),  # `<kind> <subject>` of the incident that explains it
        ("by", pa.string()),  # who acknowledged or waived it
        ("why", pa.string()),
        ("until", _MOMENT),  # the end of its waiver
    ]
)
MESSAGES = pa.schema(
    [
        ("message_id", pa.string()),  # with `channel` its key: the newest row has its state
        ("channel", pa.string()),  # a name, never an address
        ("incident_id", pa.string()),  # null: a digest
        ("event", pa.string()),  # opened, worse, recovered, digest
        ("state", pa.string()),  # waiting, sent, failed
        ("at", _MOMENT),
        ("tries", pa.int64()),
        ("next_try_at", _MOMENT),
        ("title", pa.string()),
        ("body", pa.string()),
        ("error", pa.string()),  # the class of the error of the last try
    ]
)
ERASURES = pa.schema(
    [
        ("erasure_id", pa.string()),  # one row per state and person
        ("run_id", pa.string()),
        ("contract_id", pa.string()),
        ("state", pa.string()),  # begun, finished; begun alone: it was interrupted and must be run again
        ("state_at", _MOMENT),
        ("by", pa.string()),
        ("reason", pa.string()),
        ("key_digest", pa.string()),  # HMAC-SHA-256 of the key under the salt of masked values, hexadecimal
        ("rows", pa.string()),  # of the whole erasure, by table, as JSON; null for Gold, which was built anew
        ("files", pa.int64()),  # that the whole erasure deleted
    ]
)
STREAMS = pa.schema(
    [
        ("stream", pa.string()),
        ("run_id", pa.string()),
        ("noted_at", _MOMENT),  # the end of what the row is about: about a minute, or a request
        ("state", pa.string()),  # running, away (the target), caught up, stopped, failed; stop: somebody asks it to
        ("read", pa.int64()),  # messages since the run's last row: the sum of the next four
        ("merged", pa.int64()),
        ("superseded", pa.int64()),
        ("filtered", pa.int64()),
        ("dead", pa.int64()),
        ("batches", pa.int64()),
        ("fenced", pa.int64()),  # batches that were not kept because another writer was first
        ("retries", pa.int64()),  # attempts that failed because the target did not answer
        ("lag", pa.int64()),  # messages that are not read yet
        ("event_at", _MOMENT),  # the newest event time of the run
        ("seconds_read", pa.float64()),
        ("seconds_decode", pa.float64()),
        ("seconds_apply", pa.float64()),
        ("message", pa.string()),
        ("numbers", pa.string()),  # of conversations: statistics by name, as JSON
    ]
)
ADVISOR_CALLS = pa.schema(
    [
        ("call_id", pa.string()),  # its newest row has its state
        ("called_at", _MOMENT),
        ("state_at", _MOMENT),
        ("role", pa.string()),  # log_analyzer, drift_assessor, doc_writer, architect
        ("advisor", pa.string()),  # who answered in the end: the rules or the model, with its version
        ("model", pa.string()),  # null: none was asked
        ("prompt_version", pa.string()),
        ("prompt_hash", pa.string()),  # SHA-256 of what was sent; the text is in advisor_texts, if it is kept
        ("tokens_in", pa.int64()),
        ("tokens_out", pa.int64()),
        ("reserved", pa.int64()),  # tokens that the call may take at most; counted until its end is known
        ("cost", pa.float64()),  # null: no price is known
        ("seconds", pa.float64()),
        ("confidence", pa.float64()),
        ("cause", pa.string()),
        ("sources", pa.string()),  # ids of the passages that were found, separated by ", "
        ("redactions", pa.string()),  # how many personal values were masked, by class, as JSON
        ("outcome", pa.string()),  # begun, answered, repeated (an earlier answer), rejected, fell_back, error
        ("why", pa.string()),
        ("feedback", pa.string()),  # up, down
        ("by", pa.string()),  # who gave the feedback
    ]
)
ADVISOR_TEXTS = pa.schema(
    [
        ("call_id", pa.string()),  # comes once
        ("called_at", _MOMENT),
        ("expires_at", _MOMENT),  # maintain removes the row then
        ("model", pa.string()),
        ("prompt_hash", pa.string()),
        ("prompt", pa.string()),  # what was sent beside the role's instructions, as JSON; personal values are masked
        ("answer", pa.string()),  # what was accepted of the model, as JSON, masked; null: nothing was
    ]
)
TABLES = {
    "runs": RUNS,
    "models": MODELS,
    "tests": TESTS,
    "gaps": GAPS,
    "differences": DIFFERENCES,
    "drift": DRIFT,
    "quality": QUALITY,
    "quality_rates": QUALITY_RATES,
    "incidents": INCIDENTS,
    "messages": MESSAGES,
    "erasures": ERASURES,
    "streams": STREAMS,
    "advisor_calls": ADVISOR_CALLS,
    "advisor_texts": ADVISOR_TEXTS,
}
