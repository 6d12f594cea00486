"""The example streams declared in Python. A test compares each with the contract of the same name in `examples/`."""

from __future__ import annotations

from typing import Any

from ingestion.settings import Settings
from ingestion.stream_jobs.builder import KafkaConfig, KafkaOracleStreamingPipeline, OracleConfig

_LOGICAL = {"BIGINT": "integer", "VARCHAR": "string", "TIMESTAMPTZ": "timestamp"}


def _column(type_: str, description: str, path: str | None = None, **keys: Any) -> dict[str, Any]:
    place = {"physicalName": path} if path else {}
    return (
        {"logicalType": _LOGICAL.get(type_, "number"), "physicalType": type_, "description": description} | place | keys
    )


def _one_of(*values: str) -> dict[str, Any]:
    return {"required": True, "enum": [{"value": value} for value in values]}


def _at_least(minimum: int) -> dict[str, Any]:
    return {"required": True, "logicalTypeOptions": {"minimum": minimum}}


REQUIRED = {"required": True}
CHANNEL, CURRENCY = _one_of("WEB", "APP", "STORE"), _one_of("BRL", "EUR", "USD")
STATUS = _one_of("NEW", "PAID", "SHIPPED", "DELIVERED", "CANCELLED")
COLUMNS = {
    "order_id": _column("BIGINT", "Of the shop.", primaryKey=True, required=True),
    "event_id": _column("VARCHAR", "The same if the producer repeats a message."),
    "customer_id": _column("BIGINT", "A path into the message.", "customer.id"),
    "channel": _column("VARCHAR", "Where it was ordered."),
    "currency": _column("VARCHAR", "Of the total."),
    "items": _column("BIGINT", "Number of lines."),
    "total": _column("DECIMAL(12,2)", "In its currency."),
    "ordered_at": _column("TIMESTAMPTZ", "The time of the event."),
    "rate": _column(
        "DECIMAL(9,6)", "EUR for one unit; null for a currency that the reference table lacks.", "@computed"
    ),
    "total_eur": _column("DECIMAL(14,2)", "Total at the rate.", "@computed"),
    "status": _column("VARCHAR", "State of the order."),
    "changed_at": _column("TIMESTAMPTZ", "Orders the states, whatever order they arrive in."),
    "from_partition": _column("BIGINT", "Metadata of the message.", "@partition"),
    "from_offset": _column("BIGINT", "Metadata of the message.", "@offset"),
    "sent_at": _column("TIMESTAMPTZ", "Metadata of the message.", "@timestamp"),
}
ORDER = [name for name in COLUMNS if name not in ("status", "changed_at", "from_partition", "from_offset", "sent_at")]
RULES = {
    **dict.fromkeys(("event_id", "customer_id", "ordered_at"), REQUIRED),
    "channel": CHANNEL,
    "currency": CURRENCY,
    "items": _at_least(1),
    "total": _at_least(0),
}


def _reading(
    settings: Settings | None, name: str, purpose: str, *columns: str, topics: Any = ("orders",), **order: str
) -> KafkaOracleStreamingPipeline:
    kafka, warehouse = KafkaConfig("events", topics), OracleConfig("warehouse", kind="duckdb")
    pipeline = KafkaOracleStreamingPipeline(name, kafka, warehouse, purpose=purpose, settings=settings)
    return pipeline.read_kafka_stream({column: COLUMNS[column] for column in columns}, **order)


def _in_euro(pipeline: KafkaOracleStreamingPipeline) -> KafkaOracleStreamingPipeline:
    pipeline.read_oracle_table("exchange_rates", on={"currency": "currency"}, columns={"rate": "rate"})
    return pipeline.apply_transformation("retail:in_euro")


def basic(settings: Settings | None = None) -> KafkaOracleStreamingPipeline:
    return (
        _reading(
            settings,
            "basic",
            "Example 1. The newest message of each order becomes its row.",
            "order_id",
            "total",
            "ordered_at",
        )
        .add_data_quality_checks({"ordered_at": REQUIRED})
        .write_to_oracle("basic")
    )


def transformations(settings: Settings | None = None) -> KafkaOracleStreamingPipeline:
    return (
        _in_euro(
            _reading(
                settings,
                "transformations",
                "Example 2. Fields inside the JSON, metadata of the message, a rate from a reference table, a computed "
                "column.",
                *("order_id", "customer_id", "currency", "total", "rate", "total_eur"),
                *("from_partition", "from_offset", "sent_at"),
            )
        )
        .add_data_quality_checks({"customer_id": REQUIRED, "currency": CURRENCY, "total": _at_least(0)})
        .write_to_oracle("transformations")
    )


def windows(settings: Settings | None = None) -> KafkaOracleStreamingPipeline:
    return (
        _reading(
            settings,
            "windows",
            "Example 3. Orders and turnover per channel in windows of five minutes of event time; late messages "
            "correct their window.",
            *("order_id", "channel", "total", "ordered_at"),
            time="ordered_at",
        )
        .add_data_quality_checks({"channel": REQUIRED, "total": _at_least(0), "ordered_at": REQUIRED})
        .apply_windowing(
            "windows_5min", "PT5M", by=["channel"], measures=["sum(total)", "max(total)", "avg(total)"], lateness="PT1M"
        )
        .write_to_oracle("windows", "append")
    )


def quality_split(settings: Settings | None = None) -> KafkaOracleStreamingPipeline:
    return (
        _reading(
            settings,
            "quality_split",
            "Example 4. Rows that keep all rules go to the table, the others to the dead letters with the rules that "
            "they break.",
            *("order_id", "channel", "currency", "items", "total"),
        )
        .add_data_quality_checks({name: RULES[name] for name in ("channel", "currency", "items", "total")})
        .enable_fault_tolerance(50)
        .write_to_oracle("quality_split")
    )


def deduplication(settings: Settings | None = None) -> KafkaOracleStreamingPipeline:
    return (
        _reading(
            settings,
            "deduplication",
            "Example 5. Every event once, although the producer repeats messages within an hour.",
            *("order_id", "event_id", "total", "ordered_at"),
            time="ordered_at",
        )
        .add_data_quality_checks({name: RULES[name] for name in ("event_id", "total", "ordered_at")})
        .deduplicate_stream("event_id", "PT1H")
        .write_to_oracle("deduplication", "append")
    )


def multi_topic(settings: Settings | None = None) -> KafkaOracleStreamingPipeline:
    return (
        _reading(
            settings,
            "multi_topic",
            "Example 6. Two topics fill different columns of the same row, in whatever order they arrive.",
            *("order_id", "total", "status", "changed_at"),
            topics=(
                {"topic": "orders", "columns": ["total"]},
                {"topic": "order_updates", "columns": ["status", "changed_at"]},
            ),
        )
        .add_data_quality_checks({"changed_at": {"description": "When the state began."}})
        .write_to_oracle("multi_topic")
    )


def etl(settings: Settings | None = None) -> KafkaOracleStreamingPipeline:
    return (
        _in_euro(
            _reading(
                settings,
                "etl",
                "Example 7. Seven steps: read, check types and rules, enrich, transform, filter, drop repeated events, "
                "write rows and windows.",
                *ORDER,
                time="ordered_at",
            )
        )
        .add_data_quality_checks(RULES)
        .filter_stream("retail:is_large")
        .deduplicate_stream("event_id", "PT1H")
        .apply_windowing("etl_daily", "P1D", by=["channel"], measures=["sum(total_eur)"])
        .write_to_oracle("etl")
    )


def error_handling(settings: Settings | None = None) -> KafkaOracleStreamingPipeline:
    return (
        _reading(
            settings,
            "error_handling",
            "Example 8. Nulls get a default, a tombstone deletes its order, unreadable messages are dead letters, and "
            "too many of them stop the stream.",
            *("order_id", "channel", "total"),
        )
        .add_data_quality_checks(
            {
                "order_id": {"physicalName": "@key", "description": "The key of the message."},
                "channel": CHANNEL,
                "total": _at_least(0),
            },
            defaults={"channel": "WEB"},
        )
        .enable_fault_tolerance(20, tombstones="delete")
        .write_to_oracle("error_handling")
    )


def orders_stream(settings: Settings | None = None) -> KafkaOracleStreamingPipeline:
    return (
        _in_euro(
            _reading(
                settings,
                "orders_stream",
                "The orders of the shop in EUR: five rules, dead letters for rows that break them, turnover per hour.",
                *ORDER,
                time="ordered_at",
            )
        )
        .add_data_quality_checks(RULES)
        .apply_windowing(
            *("orders_hourly", "PT1H"),
            by=["channel"],
            measures=["sum(total_eur)", "avg(total_eur)"],
            lateness="PT5M",
        )
        .write_to_oracle("orders_stream")
    )


def order_updates_stream(settings: Settings | None = None) -> KafkaOracleStreamingPipeline:
    return (
        _reading(
            settings,
            "order_updates_stream",
            "The newest state of each order by the time of the change; a late message changes nothing. Changes per "
            "hour and state.",
            *("order_id", "status", "changed_at"),
            topics=("order_updates",),
            sequence="changed_at",
            time="changed_at",
        )
        .add_data_quality_checks({"status": STATUS, "changed_at": REQUIRED})
        .apply_windowing("order_states_hourly", "PT1H", by=["status"])
        .write_to_oracle("order_updates_stream")
    )


PIPELINES = (
    basic,
    transformations,
    windows,
    quality_split,
    deduplication,
    multi_topic,
    etl,
    error_handling,
    orders_stream,
    order_updates_stream,
)
