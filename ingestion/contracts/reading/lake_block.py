"""The `lake` block of a contract: our own keys as written in the file (camelCase, ISO 8601 durations)."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from ingestion.contracts.model import BronzeMode, Deletes, DriftAction, Mode, NullWatermark


def _iso_duration(value: Any) -> Any:
    if value is None or (isinstance(value, str) and value.lstrip("+-").startswith("P")):
        return value
    raise PydanticCustomError("time_delta_parsing", "not an ISO 8601 duration")


StrictDuration = Annotated[timedelta, BeforeValidator(_iso_duration)]
Percent = Annotated[float, Field(strict=True, ge=0, le=100, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]


class LakeModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)


class OnDrift(LakeModel):
    """What a load does about each kind of drift. `add` is for new columns only."""

    new_column: DriftAction | None = None
    removed_column: Literal["fail", "ignore"] | None = None
    changed_type: Literal["fail", "ignore"] | None = None


class Quarantine(LakeModel):
    """Limits of quarantined rows, in percent of the rows read."""

    warn_percent: Percent | None = None
    fail_percent: Percent | None = None


class ReconcileBlock(LakeModel):
    """The sync-gap promise, percent of the source's rows; what a comparison may cost and a repair may write."""

    partition: str | None = None
    grain: Literal["day", "month", "year"] | None = None
    warning_gap_percent: Percent | None = None
    critical_gap_percent: Percent | None = None
    max_queries: Annotated[int, Field(strict=True, ge=2)] | None = None
    max_rows: Annotated[int, Field(strict=True, ge=0)] | None = None
    max_seconds: Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)] | None = None
    max_repair_percent: Percent | None = None


class LakeBlock(LakeModel):
    """All keys are optional here; what must be there and what fits together is judged in `loading`."""

    timezone: str | None = None
    mode: Mode | None = None
    watermark: str | None = None
    null_watermark: NullWatermark | None = None
    sequence: str | None = None
    overlap: StrictDuration | None = None
    future_tolerance: StrictDuration | None = None
    tracked: tuple[str, ...] | None = None
    deletes: Deletes | None = None
    max_delete_percent: Percent | None = None
    bronze: BronzeMode | None = None
    partition: str | None = None
    chunk_rows: Annotated[int, Field(strict=True, ge=1)] | None = None
    on_drift: OnDrift | None = None
    silver: str | None = None
    quarantine: Quarantine | None = None
    reconcile: ReconcileBlock | None = None
