"""The tables of conversations, beside the table of their results: progress, calls, outbox, errors, orphans, log.

Columns ending in `_at` are UTC, except those that people compare with SYSDATE: `last_updated`, `processed_at`,
`error_timestamp`, `logged_at`.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from ingestion.contracts.conversations import Conversation
from ingestion.contracts.streams import Stream
from ingestion.contracts.types import INSTANT
from ingestion.sinks.database import Database
from ingestion.sinks.tables import FLAG, Table

NORMAL, HISTORY = "CDC_NORMAL_MODE", "CDC_HISTORICAL_MODE"
"""The rows of `cdc_processing_status` that are modes."""
CYCLES, SENT_TOTAL, REFUSED_TOTAL = "CDC_CYCLES", "CDC_SQS_SENT", "CDC_SQS_FAILED"
RECEIVED_TOTAL, WRITTEN_TOTAL = "CDC_ML_RESULTS_RECEIVED", "CDC_ML_RESULTS_WRITTEN"
TOTALS = (NORMAL, HISTORY, CYCLES, SENT_TOTAL, REFUSED_TOTAL, RECEIVED_TOTAL, WRITTEN_TOTAL)
"""All rows of `cdc_processing_status`: `total_processed` counts since the tables exist."""
OPEN, CLOSED = "OPEN", "CLOSED"
"""A call that is waited for, and one whose newest revision is in the outbox."""
PENDING, SENT, DONE, FAILED, EXPIRED = "PENDING", "SENT", "DONE", "FAILED", "EXPIRED"
"""A conversation to be sent, without a result yet, with one, that cannot be sent, that got none in time."""


@dataclass(frozen=True, slots=True)
class CdcTables:
    """
    `status` has a row per mode: `watermark_at` up to where segments were looked at (exclusive),
    `last_processed_timestamp` the same on the segments' clock, `bound_at` where normal mode began or history ends.
    `calls` has what is known of each call. `outbox` has a row per conversation and revision, with its message (gzip)
    until there is a result.
    """

    status: Table
    calls: Table
    outbox: Table
    errors: Table
    orphans: Table
    log: Table

    @property
    def all(self) -> tuple[Table, ...]:
        return (self.status, self.calls, self.outbox, self.errors, self.orphans, self.log)


def cdc_tables(rules: Conversation, results: Stream) -> CdcTables:
    group = rules.contract.column(rules.group)
    beside, is_oracle = results.contract.source_table[:-1], results.contract.dialect == "oracle"
    call, text, state = pa.field("call_id", group.arrow_type), pa.string(), "VARCHAR2(10)"
    of_call = {"call_id": group.physical_type, "state": state, "content_hash": "VARCHAR2(64)"}

    def own(name: str) -> tuple[str, ...]:
        return (*beside, name.upper() if is_oracle else name)

    return CdcTables(
        Table(
            own("cdc_processing_status"),
            pa.schema(
                [
                    *(("table_name", text), ("total_processed", pa.int64()), ("last_processed_timestamp", INSTANT)),
                    *(("is_enabled", FLAG), ("last_updated", INSTANT), ("watermark_at", INSTANT)),
                    ("bound_at", INSTANT),
                ]
            ),
            ("table_name",),
            {"table_name": "VARCHAR2(128)"},
        ),
        Table(
            own("cdc_calls"),
            pa.schema(
                [
                    *(call, ("state", text), ("segments", pa.int64()), ("revision", pa.int32())),
                    *(("content_hash", text), ("changed_at", INSTANT), ("due_at", INSTANT), ("version", pa.int32())),
                    ("first_segment_at", INSTANT),
                ]
            ),
            ("call_id",),
            of_call,
            own("lake_stage_cdc_calls"),
            ("due_at",),
        ),
        Table(
            own("cdc_processed_calls"),
            pa.schema(
                [
                    *(call, ("revision", pa.int32()), ("processed_at", INSTANT), ("sqs_message_id", text)),
                    *(("state", text), ("content_hash", text), ("payload", pa.binary()), ("is_complete", FLAG)),
                    *(("enqueued_at", INSTANT), ("sent_at", INSTANT), ("not_before", INSTANT), ("claim", text)),
                    *(("attempts", pa.int32()), ("resends", pa.int32())),
                ]
            ),
            ("call_id", "revision"),
            {**of_call, "sqs_message_id": "VARCHAR2(128)", "claim": "VARCHAR2(64)"},
            own("lake_stage_cdc_processed"),
            ("state",),
        ),
        Table(
            own("error_log"),
            pa.schema(
                [("error_id", text), call, ("error_type", text), ("error_message", text), ("error_timestamp", INSTANT)]
            ),
            ("error_id",),
            {"error_id": "VARCHAR2(64)", "call_id": group.physical_type, "error_type": "VARCHAR2(100)"},
        ),
        Table(
            own("cdc_orphan_results"),
            pa.schema(
                [("message_id", text), call, ("revision", pa.int64()), ("body", pa.binary()), ("seen_at", INSTANT)]
            ),
            ("message_id",),
            {"message_id": "VARCHAR2(128)", "call_id": group.physical_type},
            own("lake_stage_cdc_orphans"),
        ),
        Table(
            own("cdc_processing_log"),
            pa.schema([("log_id", text), ("logged_at", INSTANT), ("cycles", pa.int64()), ("message", text)]),
            ("log_id",),
            {"log_id": "VARCHAR2(64)"},
        ),
    )


def add_total(db: Database, tables: CdcTables, name: str, count: int) -> None:
    """Add to a total, in the transaction of what it counts."""
    if count:
        total = db.quote("total_processed")
        db.run(
            f"UPDATE {db.table_name(tables.status)} SET {total} = {total} + :1 WHERE {db.quote('table_name')} = :2",
            *(count, name),
        )
