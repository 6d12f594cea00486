"""Gathers the ledger's facts about a table, for advice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ingestion.contracts.model import Contract
from monitoring import ledger_views
from monitoring.ledger_views import Difference, PartitionGap, Run, TableGap

if TYPE_CHECKING:
    from ingestion.ledger.journal import Journal


@dataclass(frozen=True, slots=True)
class Facts:
    """The ledger's facts about a table. `load` and `check` are the newest ones, successful or not."""

    contract: Contract
    gap: TableGap | None = None
    partitions: tuple[PartitionGap, ...] = ()
    differences: tuple[Difference, ...] = ()
    load: Run | None = None
    check: Run | None = None
    kinds: Counter[str] = field(default_factory=Counter)
    """Keys of open differences by kind."""

    @property
    def is_outdated(self) -> bool:
        """Whether a load has succeeded since the newest check, so that its findings may be closed."""
        load = self.load
        return self.gap is not None and load is not None and load.is_good and load.finished_at > self.gap.checked_at

    def awaits_load(self, *kinds: str) -> bool:
        """
        Tell whether a load may still close the open differences of these kinds.

        Not if they are confirmed (no load closed them, or none reads them) or if a load has succeeded since.
        """
        own = [difference for difference in self.differences if difference.kind in kinds]
        load = self.load if self.load is not None and self.load.is_good else None
        states = {difference.state for difference in own} or {self.gap.state or "" if self.gap is not None else ""}
        came_after = load is not None and any(load.started_at > difference.first_seen_at for difference in own)
        return states == {"suspected"} and (self.is_outdated or not came_after)

    def count(self, kind: str, counted: int | None = None) -> int:
        """Return how many keys of a kind differ: by the newest check, else by the open differences."""
        return counted if counted else self.kinds[kind]


def gather(journal: Journal, contracts: Sequence[Contract]) -> list[Facts]:
    """Read the ledger's facts about these tables."""
    ids = [contract.id for contract in contracts]
    gaps = {gap.contract_id: gap for gap in ledger_views.current_gaps(journal, ids)}
    partitions = ledger_views.partition_gaps(journal, ids)
    differences = ledger_views.open_differences(journal, ids)
    runs = {(run.step, run.subject): run for run in ledger_views.newest_runs(journal, ids)}
    facts = []
    for contract in contracts:
        own = tuple(d for d in differences if d.contract_id == contract.id)
        kinds: Counter[str] = Counter()
        for difference in own:
            kinds[difference.kind] += difference.keys or 0
        facts.append(
            Facts(
                contract,
                gaps.get(contract.id),
                tuple(p for p in partitions if p.contract_id == contract.id),
                own,
                runs.get(("load", contract.id)),
                runs.get(("gaps", contract.id)),
                kinds,
            )
        )
    return facts
