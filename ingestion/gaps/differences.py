"""Compares a check's findings with the differences known before, and records their states in `ops.differences`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ingestion.gaps.findings import Findings, Key
from ingestion.gaps.fingerprints import Fingerprints, Seen, read_fingerprints, write_fingerprints
from ingestion.gaps.lake_sql import AWAITED, EXPLAINED
from ingestion.gaps.result import Compared
from ingestion.ledger import queries
from ingestion.ledger.vocabulary import UNENDED, State
from ingestion.reconcile.leaves import LAKE_HASH, LAKE_PARTITION, LAKE_ROWS, SOURCE_HASH, SOURCE_ROWS, Finding
from ingestion.reconcile.sides import KEY_HASH, PARTITION
from ingestion.reconcile.states import Check, Cure, Difference, PastRun, Settled, settle
from ingestion.runs.context import Context


@dataclass(frozen=True, slots=True)
class Judged:
    """
    A comparison and the differences that are open after it.

    `waived` has the fingerprints of keys that a person waived. `keys` have the order of `compared.found`.
    """

    compared: Compared
    keys: tuple[Key, ...]
    findings: Findings
    settled: Settled
    waived: frozenset[bytes]

    def is_open(self, key: Key) -> bool:
        """Return whether a key's difference is neither explained by the quarantine nor waived."""
        return not key.is_explained and key.mark not in self.waived

    def open_keys(self, kind: Finding) -> list[Key]:
        """Return the open keys of a kind, without those whose partition is reported as a whole."""
        return [key for key in self.findings.single if key.kind is kind and key.mark not in self.waived]


def settle_differences(context: Context, compared: Compared, *, is_repaired: bool = False) -> Judged:
    """Update the states of known differences from what was found, and append changed states to `ops.differences`."""
    contract_id = compared.contract.id
    fingerprints = read_fingerprints(context.lake, contract_id)
    keys = tuple(_keys(compared, fingerprints))
    found = Findings(compared, keys, fingerprints)
    known = _known(context, contract_id, fingerprints)
    check = Check(
        now=datetime.now(UTC),
        source_moment=compared.moment,
        is_complete=compared.is_complete,
        runs=_runs_since(context, contract_id, min((d.first_seen_at for d in known), default=None)),
        is_repaired=is_repaired,
    )
    settled = settle(found.groups(), known, check)
    write_fingerprints(context.lake, contract_id, fingerprints, settled.open)
    rows = [difference_row(context, compared, change, check.now) for change in settled.changes]
    context.journal.append("differences", rows)
    waived = settled.waived(check.now)
    return Judged(compared, keys, found, settled, waived)


def newest_states(context: Context, column: str, value: str) -> list[dict[str, Any]]:
    """Return the newest row of each difference that has a value in a column."""
    return context.journal.select(f"select * from {queries.newest_differences(f'{column} = ?')}", [value])


def difference_row(context: Context, compared: Compared, difference: Difference, now: datetime) -> dict[str, Any]:
    return {
        "difference_id": difference.difference_id,
        "contract_id": compared.contract.id,
        "kind": difference.kind,
        "partition": difference.partition,
        "state": str(difference.state),
        "keys": difference.keys,
        "state_at": now,
        "first_seen_at": difference.first_seen_at,
        "run_id": context.run_id,
        "batch": compared.batch,
        "bound": compared.bound.text,
        "by": difference.by,
        "why": difference.why,
        "until": difference.until,
    }


def _keys(compared: Compared, fingerprints: Fingerprints) -> Iterator[Key]:
    names = (PARTITION, LAKE_PARTITION, EXPLAINED, SOURCE_ROWS, LAKE_ROWS)
    for kind, found in compared.found.items():
        hashes = zip(*(found.column(name).to_pylist() for name in (KEY_HASH, SOURCE_HASH, LAKE_HASH)), strict=True)
        cures = (Cure.LOAD if is_awaited else Cure.NONE for is_awaited in found.column(AWAITED).to_pylist())
        facts = zip(*(found.column(name).to_pylist() for name in names), strict=True)
        for texts, cure, (partition, in_lake, is_explained, there, here) in zip(hashes, cures, facts, strict=True):
            yield Key(kind, fingerprints.digest(*texts), partition, in_lake, is_explained, cure, there, here)


def _known(context: Context, contract_id: str, fingerprints: Fingerprints) -> list[Difference]:
    """Return the differences that were open after the last check."""
    known = []
    for row in newest_states(context, "contract_id", contract_id):
        if row["state"] not in UNENDED:
            continue
        first = row["first_seen_at"]
        kept, last, moment = fingerprints.seen.get(row["difference_id"], Seen(frozenset(), first, first))
        same = {name: row[name] for name in ("difference_id", "kind", "partition", "keys", "by", "why", "until")}
        state = State(row["state"])
        known.append(
            Difference(
                **same, state=state, first_seen_at=first, last_seen_at=last, source_moment=moment, fingerprints=kept
            )
        )
    return known


def _runs_since(context: Context, contract_id: str, since: datetime | None) -> list[PastRun]:
    """Return the successful loads and repairs that began after a moment; none if it is None."""
    if since is None:
        return []
    rows = context.journal.select(
        "select step, started_at, fixed_point, is_full from ops.runs where subject = ? and step in ('load', 'repair') "
        "and status <> 'failed' and started_at > ?::timestamptz",
        [contract_id, since],
    )
    return [
        PastRun(
            row["started_at"],
            None if row["fixed_point"] is None else datetime.fromisoformat(row["fixed_point"]),
            is_load=row["step"] == "load",
            heals=row["step"] == "repair" or bool(row["is_full"]),
        )
        for row in rows
    ]
