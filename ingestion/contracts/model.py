"""A contract as values: what one source table promises and how it is loaded.

Pure data, immutable and comparable. Files are read by `ingestion.contracts.odcs`.
"""

from __future__ import annotations

import json
from calendar import monthrange
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property

import pyarrow as pa

PERSONAL_CLASSIFICATIONS = frozenset(
    {"pii", "personal", "personal_data", "confidential", "restricted", "sensitive", "secret"}
)


def is_personal(classification: str | None) -> bool:
    """Return whether a column of this classification holds personal data."""
    return (classification or "").lower() in PERSONAL_CLASSIFICATIONS


TYPE_RULE, FUTURE_RULE, NULL_RULE, DUPLICATE_RULE = "type", "future_watermark", "null_watermark", "duplicate_key"
"""Reasons other than column rules for which a row is quarantined."""


class Mode(StrEnum):
    """How a table is read: all of it, a window of its watermark, or its change feed."""

    FULL = "full"
    INCREMENTAL = "incremental"
    CHANGES = "changes"


class Deletes(StrEnum):
    """How deletions are found: by comparing key sets, from the change feed, or not at all."""

    KEYS = "keys"
    CHANGES = "changes"
    NONE = "none"


class BronzeMode(StrEnum):
    """How a batch is written: appended to a log, or (without history) merged or as an overwrite."""

    APPEND = "append"
    MERGE = "merge"
    OVERWRITE = "overwrite"


class NullWatermark(StrEnum):
    """What a load does with rows whose watermark is null: load them, quarantine them, or stop."""

    INCLUDE = "include"
    QUARANTINE = "quarantine"
    FAIL = "fail"


class DriftAction(StrEnum):
    """What a load does about drift: stop, add the column, or record it and continue."""

    FAIL = "fail"
    ADD = "add"
    IGNORE = "ignore"


class Mask(StrEnum):
    """How a personal value is shown outside of Bronze and Silver: a part of it, a keyed hash, or not at all."""

    PARTIAL = "partial"
    TOKEN = "token"  # noqa: S105 - no password
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Rule:
    """One check of a column's values, true or false per row. A null breaks only `required`.

    `kind` is one of required, pattern, min_length, max_length, minimum, maximum,
    exclusive_minimum, exclusive_maximum, enum. `argument` is a string for `pattern`,
    an int for lengths, text of the exact number or ISO 8601 moment for bounds,
    a tuple of strings for `enum`.
    """

    kind: str
    argument: str | int | tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """What the quarantine records: the kind, never the argument or a value."""
        return self.kind


@dataclass(frozen=True, slots=True)
class QualityCheck:
    """A check over a whole batch, e.g. at most 1 percent null e-mails.

    `metric` is nullValues, missingValues, invalidValues, duplicateValues or rowCount (ODCS library metrics);
    `column` is None for a check of the table; `operator` is the ODCS operator's name, e.g. mustBeLessThan;
    `unit` is rows or percent; `severity` error stops the load, warning is recorded.

    `valid_values` and `pattern` (RE2, found anywhere in the text) define the valid values for invalidValues.
    `missing_values` are texts that count as missing, as null does. `columns` are those whose combination must not
    repeat (duplicateValues of the table).
    """

    id: str
    metric: str
    column: str | None
    operator: str
    operand: float | tuple[float, float]
    unit: str
    severity: str
    valid_values: tuple[str, ...] = ()
    pattern: str | None = None
    missing_values: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """
    One promised column. `name` is ours, `source_name` the source's spelling, exactly as in its catalog.

    `source_type` is the source's declaration if that is wider than the promised type on purpose, else empty.
    `truncate`: its moments are truncated to microseconds. `mask` is about personal columns only.
    """

    name: str
    source_name: str
    logical_type: str
    physical_type: str
    arrow_type: pa.DataType
    required: bool = False
    key_position: int | None = None
    classification: str | None = None
    description: str = ""
    rules: tuple[Rule, ...] = ()
    source_type: str = ""
    truncate: bool = False
    mask: Mask = Mask.TOKEN

    @property
    def is_personal(self) -> bool:
        return is_personal(self.classification)


@dataclass(frozen=True, slots=True)
class Period:
    """A period of the calendar: `months` and `days`."""

    months: int = 0
    days: int = 0

    def before(self, moment: datetime) -> datetime:
        """Return the moment a period earlier, at the same time of day; on a month's last day if it has not that day."""
        year, month = divmod(moment.year * 12 + moment.month - 1 - self.months, 12)
        if year < 1:
            return datetime.min.replace(tzinfo=moment.tzinfo)
        day = min(moment.day, monthrange(year, month + 1)[1])
        earlier = moment.replace(year=year, month=month + 1, day=day)
        return earlier - min(timedelta(days=self.days), earlier - datetime.min.replace(tzinfo=moment.tzinfo))

    def __str__(self) -> str:
        return " and ".join(f"{n} {unit}" for n, unit in ((self.months, "months"), (self.days, "days")) if n)


@dataclass(frozen=True, slots=True)
class DriftPolicy:
    """Default: a new column is recorded and ignored, a removed or narrowed one stops the load."""

    new_column: DriftAction = DriftAction.IGNORE
    removed_column: DriftAction = DriftAction.FAIL
    changed_type: DriftAction = DriftAction.FAIL


@dataclass(frozen=True, slots=True)
class Reconcile:
    """
    The sync-gap promise. Percentages are of the source's rows; `freshness` is the oldest age allowed.

    `max_queries`, `max_rows` (fetched from both sides) and `max_seconds` are what one comparison may cost;
    `max_repair_percent` is the share that a repair may write without approval.
    """

    partition: str | None = None
    grain: str = "month"
    warning_gap_percent: float = 0.0
    critical_gap_percent: float = 1.0
    freshness: timedelta | None = None
    max_queries: int = 40
    max_rows: int = 1_000_000
    max_seconds: float = 1_800.0
    max_repair_percent: float = 5.0


@dataclass(frozen=True)
class Contract:
    """
    The promise of one source table. `id` is `<system>.<entity>`; `dialect` is oracle, sqlserver or duckdb.

    `owner` is the name of its team, or its first member; empty if it names none.
    """

    id: str
    version: str
    system: str
    entity: str
    dialect: str
    source_table: tuple[str, ...]
    columns: tuple[Column, ...]
    timezone: str
    mode: Mode
    silver_model: str
    path: str = ""
    description: str = ""
    owner: str = ""
    watermark: str | None = None
    null_watermark: NullWatermark = NullWatermark.QUARANTINE
    sequence: str | None = None
    overlap: timedelta = timedelta(0)
    future_tolerance: timedelta = timedelta(minutes=5)
    tracked: tuple[str, ...] = ()
    deletes: Deletes = Deletes.KEYS
    max_delete_percent: float = 20.0
    bronze: BronzeMode = BronzeMode.APPEND
    partition: str | None = None
    chunk_rows: int | None = None
    drift: DriftPolicy = field(default_factory=DriftPolicy)
    quarantine_warn_percent: float = 0.0
    quarantine_fail_percent: float = 10.0
    quality: tuple[QualityCheck, ...] = ()
    reconcile: Reconcile = field(default_factory=Reconcile)
    retention: Period | None = None

    @cached_property
    def keys(self) -> tuple[Column, ...]:
        """Merge key columns, in key order."""
        keyed = [c for c in self.columns if c.key_position is not None]
        return tuple(sorted(keyed, key=lambda c: c.key_position or 0))

    @cached_property
    def key_names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.keys)

    @cached_property
    def key_schema(self) -> pa.Schema:
        """Merge key columns in key order, as promised."""
        return pa.schema([(c.name, c.arrow_type) for c in self.keys])

    @cached_property
    def content_names(self) -> tuple[str, ...]:
        """All columns but the merge key, in contract order."""
        return tuple(c.name for c in self.columns if c.key_position is None)

    @cached_property
    def tracked_names(self) -> tuple[str, ...]:
        """Columns whose change creates a new Silver version: the contract's list, or all but keys and watermark."""
        if self.tracked:
            return self.tracked
        untracked = {*self.key_names, self.watermark, self.sequence}
        return tuple(c.name for c in self.columns if c.name not in untracked)

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """Business columns in contract order. Every field is nullable: `required` is checked as a rule."""
        return pa.schema([(c.name, c.arrow_type) for c in self.columns])

    def column(self, name: str) -> Column:
        """Return the column of that name (ours). Raises KeyError."""
        for candidate in self.columns:
            if candidate.name == name:
                return candidate
        raise KeyError(name)

    @property
    def bronze_view(self) -> str:
        """Name of the Bronze table as a view or dbt identifier: `<system>__<entity>`."""
        return f"{self.system}__{self.entity}"

    @property
    def app_id(self) -> str:
        """Delta application id of this table's batches."""
        return f"bronze/{self.system}/{self.entity}"

    def describe(self) -> str:
        """Return a JSON summary without descriptions, stable between runs."""
        return json.dumps(
            {"id": self.id, "version": self.version, "columns": {c.name: str(c.arrow_type) for c in self.columns}},
            sort_keys=True,
        )
