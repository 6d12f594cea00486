"""What both sides of a comparison are compared up to: where the newest load came to, or should have come to."""

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
    What both sides are compared up to.

    `text` is a watermark or a version of the change log: what is `committed`, or further on where the newest load
    failed and should have reached. `future` is the watermark from which on rows are ahead of the source's clock, and so
    not in flight. `is_exact`: whatever changed later can be told from what is lost, so a difference is one. `low` is
    where the next window begins. Of a table that `is_never_loaded` everything is missing, and nothing in flight.
    """

    text: str | None = None
    is_exact: bool = False
    low: str | None = None
    is_never_loaded: bool = False
    committed: str | None = None
    future: str | None = None

    @property
    def in_flight(self) -> Window:
        """The rows that changed since the bound, and no others: one without a change time is never in flight."""
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

    `feed` is the source's log of changes, where the table is loaded by one; `is_loaded_state` says that the source is
    compared at the state which `last` read.
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
    """Return where the newest load came to, or should have: what changed before is not in flight any more."""
    contract = table.contract
    if contract.mode is Mode.CHANGES:
        is_logged = point is not None and point.kind == "change_tracking"
        return str(max(int(committed), int(point.value))) if point is not None and is_logged else committed
    # a load that found nothing but bad rows committed no batch: what it came to stands in the ledger only
    noted = context.journal.watermark(contract.id, state.batch, since=state.ingested_at)
    clock = None if point is None else windows.clock_text(contract, point.moment)
    texts = [text for text in (committed, noted, clock) if text is not None]
    return max(texts, key=lambda text: windows.order(contract, text))
