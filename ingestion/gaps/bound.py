"""The bound of a comparison: the watermark or change-log version that the newest load reached, or should have."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ingestion.bronze.table import BronzeState, BronzeTable
from ingestion.contracts.model import Mode
from ingestion.contracts.window import FixedPoint, Window
from ingestion.extract import windows
from ingestion.runs.context import Context
from ingestion.runs.source_state import NewestLoad
from ingestion.runs.watermark import committed_watermark
from ingestion.sources.base import ChangeFeed


@dataclass(frozen=True, slots=True)
class Bound:
    """
    The point up to which both sides are compared.

    `text` is a watermark or a version of the change log. It equals `committed`, or is later if the newest load failed
    and should have reached a later point. Rows with a watermark of `future` or more are ahead of the source's clock;
    they are not in flight. `is_exact`: rows that changed after the bound can be identified, so they are not reported
    as differences. `low` is where the next window begins. If a table `is_never_loaded`, all its rows are missing and
    none are in flight.
    """

    text: str | None = None
    is_exact: bool = False
    low: str | None = None
    is_never_loaded: bool = False
    committed: str | None = None
    future: str | None = None

    @property
    def in_flight(self) -> Window:
        """The rows that changed since the bound. A row without a change time is never in flight."""
        return Window(low=self.text, high=self.future, nulls=False)

    @property
    def compared(self) -> Window:
        """All rows that are not in flight."""
        return Window() if self.text is None else replace(self.in_flight, inverted=True)


def find_bound(
    context: Context,
    table: BronzeTable,
    state: BronzeState,
    point: FixedPoint,
    *,
    feed: ChangeFeed | None,
    last: NewestLoad,
    is_loaded_state: bool,
) -> Bound:
    """
    Return the bound of a table at a fixed point of its source. `last` is its newest load.

    `feed` is the source's change log, if the table is loaded from one. `is_loaded_state`: the source is compared at the
    state that `last` read.
    """
    contract = table.contract
    committed = committed_watermark(context, table, state)
    if contract.mode is Mode.FULL:
        return Bound(is_exact=is_loaded_state, is_never_loaded=state.is_empty)
    if committed is None:
        return Bound(is_never_loaded=state.is_empty)
    reached = _reached(context, table, state, committed, last.failed_at)
    if contract.mode is Mode.CHANGES:
        is_kept = feed is not None and feed.reaches_back(contract, reached)
        return Bound(reached, is_exact=is_kept, committed=committed)
    return Bound(
        reached,
        is_exact=True,
        low=windows.minus(contract, committed, contract.overlap),
        committed=committed,
        future=windows.future_limit(contract, point),
    )


def _reached(context: Context, table: BronzeTable, state: BronzeState, committed: str, point: FixedPoint | None) -> str:
    """Return the point that the newest load reached or should have reached. Earlier changes are not in flight."""
    contract = table.contract
    if contract.mode is Mode.CHANGES:
        is_logged = point is not None and point.kind == "change_tracking"
        return str(max(int(committed), int(point.value))) if point is not None and is_logged else committed
    # a load that read only bad rows committed no batch; only the ledger has the watermark that it reached
    noted = context.journal.watermark(contract.id, state.batch, since=state.ingested_at)
    clock = None if point is None else windows.clock_text(contract, point.moment)
    texts = [text for text in (committed, noted, clock) if text is not None]
    return max(texts, key=lambda text: windows.order(contract, text))
