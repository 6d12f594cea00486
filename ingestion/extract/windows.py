"""Arithmetic on watermarks in the source's own precision, without lossy types.

Watermarks are texts (see `ingestion.contracts.window.Window`). A moment keeps all its fractional
digits. If only some of them can be used in a computation, the result is rounded to the safe side.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa

from ingestion.contracts.model import Contract
from ingestion.contracts.window import FixedPoint, Window


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """
    What one load reads of an incremental table.

    `window` already includes the overlap. `next_low` is the watermark to commit: the
    exclusive end of what the lake then holds. Rows at or above `future` are ahead of the source's
    clock by more than the contract tolerates; None if the watermark is not a moment.
    """

    window: Window
    next_low: str | None
    future: str | None


def plan_window(
    contract: Contract, *, committed: str | None, highest: str | None, fixed_point: FixedPoint
) -> WindowPlan:
    """
    Plan the next window from the committed watermark up to the fixed point.

    `highest` is the source's highest watermark below `future_limit`. The watermark never moves
    back, and never beyond the source's clock: a row within the tolerated future is loaded now and
    read again when the clock has reached its watermark. If the contract truncates the watermark, the
    window ends at a whole microsecond, so that source and lake have the same bound; the overlap
    reads rows with equal watermarks again.
    """
    future = future_limit(contract, fixed_point)
    low = None if committed is None else minus(contract, committed, contract.overlap)
    reached = None if highest is None else successor(contract, _as_kept(contract, highest))
    clock = clock_text(contract, fixed_point.moment)
    if reached is not None and clock is not None:
        reached = min(reached, clock, key=lambda text: order(contract, text))
    candidates = [text for text in (committed, reached) if text is not None]
    next_low = max(candidates, key=lambda text: order(contract, text)) if candidates else None
    return WindowPlan(Window(low=low), next_low, future)


def future_limit(contract: Contract, fixed_point: FixedPoint) -> str | None:
    """
    Return the first watermark that is too far ahead of the source's clock, None for plain numbers.

    A wall clock time that daylight saving repeats is ahead only if the earlier of its instants is.
    """
    if not is_moment(contract):
        return None
    moment = fixed_point.moment + contract.future_tolerance
    if pa.types.is_date(_watermark_type(contract)):
        return _wall_clock(contract, moment + timedelta(days=1)).date().isoformat()
    return _end_of_repetition(contract, moment).isoformat(sep=" ", timespec="microseconds")


def clock_text(contract: Contract, moment: datetime) -> str | None:
    """Return a UTC moment in the text form of this contract's watermark; None for plain numbers."""
    if not is_moment(contract):
        return None
    wall = _wall_clock(contract, moment)
    if pa.types.is_date(_watermark_type(contract)):
        return wall.date().isoformat()
    return wall.isoformat(sep=" ", timespec="microseconds")


def is_moment(contract: Contract) -> bool:
    """Return whether the watermark is a date or a timestamp (else a whole number)."""
    type_ = _watermark_type(contract)
    return bool(pa.types.is_timestamp(type_) or pa.types.is_date(type_))


def minus(contract: Contract, text: str, overlap: timedelta) -> str:
    """Return the watermark `overlap` earlier, rounded down. Numbers are returned unchanged."""
    type_ = _watermark_type(contract)
    if pa.types.is_date(type_):
        days = -(-overlap // timedelta(days=1)) if overlap else 0
        return (date.fromisoformat(text) - timedelta(days=days)).isoformat()
    if pa.types.is_timestamp(type_):
        moment, _ = _split_fraction(text)
        try:
            return (moment - overlap).isoformat(sep=" ", timespec="microseconds")
        except OverflowError:
            return datetime.min.isoformat(sep=" ", timespec="microseconds")
    return text


def successor(contract: Contract, text: str) -> str:
    """Return the least watermark greater than `text`, in the digits that `text` has (at least microseconds)."""
    type_ = _watermark_type(contract)
    if pa.types.is_date(type_):
        return (date.fromisoformat(text) + timedelta(days=1)).isoformat()
    if not pa.types.is_timestamp(type_):
        return str(int(text) + 1)
    moment, beyond = _split_fraction(text)
    if beyond and int(beyond) + 1 < 10 ** len(beyond):
        return moment.isoformat(sep=" ", timespec="microseconds") + str(int(beyond) + 1).zfill(len(beyond))
    try:
        return (moment + timedelta(microseconds=1)).isoformat(sep=" ", timespec="microseconds") + "0" * len(beyond)
    except OverflowError:
        return text


def _as_kept(contract: Contract, text: str) -> str:
    """Return a watermark as the lake stores it: truncated to microseconds if the contract says so."""
    if not contract.column(contract.watermark or "").truncate:
        return text
    return _split_fraction(text)[0].isoformat(sep=" ", timespec="microseconds")


def order(contract: Contract, text: str) -> tuple[int, ...]:
    """Return a key by which watermarks sort."""
    type_ = _watermark_type(contract)
    if pa.types.is_date(type_):
        return (date.fromisoformat(text).toordinal(),)
    if not pa.types.is_timestamp(type_):
        return (int(text),)
    moment, beyond = _split_fraction(text)
    since = moment - datetime.min
    return since.days, since.seconds, since.microseconds, int(beyond.ljust(6, "0") or 0)


def _split_fraction(text: str) -> tuple[datetime, str]:
    """Return the moment truncated to microseconds (without zone: zoned texts are UTC) and the remaining digits."""
    whole, _, fraction = text.strip().removesuffix("+00").removesuffix("Z").partition(".")
    digits = fraction.removesuffix("+00:00")
    moment = datetime.fromisoformat(whole.replace("T", " ").removesuffix("+00:00"))
    return moment.replace(microsecond=int(digits[:6].ljust(6, "0") or 0), tzinfo=None), digits[6:]


def _wall_clock(contract: Contract, moment: datetime) -> datetime:
    zoned = pa.types.is_timestamp(_watermark_type(contract)) and _watermark_type(contract).tz is not None
    zone = UTC if zoned else ZoneInfo(contract.timezone)
    return moment.astimezone(zone).replace(tzinfo=None)


def _end_of_repetition(contract: Contract, moment: datetime) -> datetime:
    """Return the wall clock at a moment; within a repeated hour, the end of the repetition."""
    wall = _wall_clock(contract, moment)
    zone = ZoneInfo(contract.timezone)
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if not first < second == moment:
        return wall
    low, high = first, second  # the clock was set back between them
    while high - low > timedelta(microseconds=1):
        middle = low + (high - low) / 2
        has_gone_back = _wall_clock(contract, middle) - _wall_clock(contract, low) != middle - low
        low, high = (low, middle) if has_gone_back else (middle, high)
    return _wall_clock(contract, low) + (high - low)


def _watermark_type(contract: Contract) -> pa.DataType:
    return contract.column(contract.watermark or "").arrow_type


def hours_between(contract: Contract, earlier: str, later: str) -> float:
    """Return the hours from one watermark to another; negative if the second is earlier."""
    if pa.types.is_date(_watermark_type(contract)):
        return 24.0 * (date.fromisoformat(later) - date.fromisoformat(earlier)).days
    return (_split_fraction(later)[0] - _split_fraction(earlier)[0]).total_seconds() / 3600
