"""Contracts with a column of every type, and what the ledger must say so that every advice is given about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ingestion.contracts.model import Column, Contract, Deletes, Mode, Reconcile
from ingestion.contracts.types import arrow_type
from ingestion.ledger.tables import NO_PARTITION
from monitoring.facts import Facts
from monitoring.ledger_views import Difference, PartitionGap, Run, TableGap

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def contract_of(
    dialect: str, table: Sequence[str], columns: dict[str, str], logical: dict[str, str] | None = None, **changes: Any
) -> Contract:
    """Return a contract of a table of the source; `columns` are source names with their declarations, first the key."""
    given = dict(logical or {})
    made = []
    for at, (name, declared) in enumerate(columns.items()):
        type_ = arrow_type(dialect, declared, given.get(name))
        ours = f"c{at}"
        made.append(Column(ours, name, given.get(name, ""), declared, type_, True, 1 if not at else None))
    plain: dict[str, Any] = {
        "id": "crm.people",
        "version": "1.0.0",
        "system": "crm",
        "entity": "people",
        "dialect": dialect,
        "source_table": tuple(table),
        "timezone": "UTC",
        "mode": Mode.FULL,
        "silver_model": "people",
        "columns": tuple(made),
    }
    return Contract(**{**plain, **changes})


def by_window(contract: Contract, source_name: str) -> Contract:
    """Return a contract that is loaded by a watermark."""
    return replace(contract, mode=Mode.INCREMENTAL, watermark=ours(contract, source_name), overlap=2 * HOUR)


def in_partitions(contract: Contract, source_name: str, grain: str) -> Contract:
    return replace(contract, reconcile=Reconcile(partition=ours(contract, source_name), grain=grain))


def ours(contract: Contract, source_name: str) -> str:
    return next(column.name for column in contract.columns if column.source_name == source_name)


def gap(**changes: Any) -> TableGap:
    given: dict[str, Any] = dict.fromkeys(TableGap.__dataclass_fields__)
    plain = {"contract_id": "crm.people", "run_id": "run-1", "checked_at": NOON, "severity": "OK", "batch": 3}
    return TableGap(**{**given, **plain, "source_count": 100, "lake_count": 100, **changes})


def run(step: str, status: str = "ok", at: datetime = NOON - 2 * HOUR, **changes: Any) -> Run:
    given: dict[str, Any] = dict.fromkeys(Run.__dataclass_fields__)
    plain = {"run_id": "run-1", "step": step, "subject": "crm.people", "status": status}
    return Run(**{**given, **plain, "started_at": at, "finished_at": at, **changes})


def part(name: str, source: int, lake: int) -> PartitionGap:
    return PartitionGap("crm.people", name, source, lake, 0, source - lake, int(lake == 0), None)


def difference(kind: str, state: str = "confirmed", keys: int = 4, first_seen: datetime = NOON) -> Difference:
    given: dict[str, Any] = dict.fromkeys(Difference.__dataclass_fields__)
    plain: dict[str, Any] = {"difference_id": "d", "contract_id": "crm.people", "kind": kind, "state": state}
    return Difference(
        **{**given, **plain, "keys": keys, "state_at": NOON, "first_seen_at": first_seen, "run_id": "run-1"}
    )


def known(contract: Contract, *differences: Difference, **given: Any) -> Facts:
    """Return what the ledger says of a table that was loaded, then checked, and shows these differences."""
    kinds = Counter({each.kind: each.keys or 0 for each in differences})
    return Facts(contract, **{"gap": gap(), "load": run("load"), "differences": differences, "kinds": kinds, **given})


ERRORS = (
    *("SourceUnavailableError", "SnapshotLostError", "ConfigurationError", "InvalidContractError"),
    *("BrokenContractError", "QuarantineLimitError", "DeleteBrakeError", "LakeError", "LakeUnavailableError"),
    *("ValueError", "IntegrityError", "ConcurrentWriteError"),
)


def every_state(contract: Contract, bound: str | None, partitions: Sequence[str]) -> Iterator[Facts]:
    """Yield what the ledger can say of a table: each kind of difference in each state, each way in which a load fails."""
    fresh = replace(contract, reconcile=replace(contract.reconcile, freshness=HOUR))
    missing = gap(bound=bound, missing_keys=9, sync_gap=9)
    yield known(contract, gap=None)
    yield known(contract, gap=gap(severity="UNKNOWN", source_count=None))
    yield known(contract, gap=gap(batch=0), load=None)
    for error in ERRORS:
        yield known(contract, gap=gap(bound=bound), load=run("load", "failed", error=error, message="why"))
    for load in (run("load"), run("load", at=NOON + HOUR)):
        for state in ("suspected", "confirmed"):
            yield known(fresh, difference("stale", state), gap=gap(freshness_lag_hours=2.0), load=load)
            for kind in ("duplicated", "missing_in_source", "changed"):
                for deletes in Deletes:
                    told = replace(contract, deletes=deletes)
                    yield known(told, difference(kind, state), gap=gap(bound=bound, state=state), load=load)
            yield known(contract, difference("missing_in_lake", state), gap=missing, load=load)
            for name in (*partitions, NO_PARTITION):
                yield known(
                    contract, difference("partition", state), gap=missing, load=load, partitions=(part(name, 9, 0),)
                )
                yield known(contract, difference("missing_in_lake", state), gap=missing, partitions=(part(name, 9, 1),))
    yield known(contract, gap=gap(quarantined_count=50))
    yield known(contract, gap=gap(outcome="partial", unverified_columns=f"{contract.key_names[0]}: cannot be hashed"))
    for why in ("the budget of 40 queries is spent", "a side changed while it was compared"):
        yield known(contract, difference("changed"), gap=gap(outcome="partial", why=why))


def lake_tables(contract: Contract) -> list[str]:
    """Return statements that make the lake's tables of a contract in DuckDB, as its Delta tables are read there."""
    from ingestion.contracts.types import duckdb_type

    columns = ", ".join(f'"{column.name}" {duckdb_type(column.arrow_type)}' for column in contract.columns)
    return [
        "create schema if not exists silver",
        "create schema if not exists quarantine",
        f'create or replace table silver."{contract.silver_model}" ({columns}, is_current boolean)',
        f'create or replace table quarantine."{contract.bronze_view}" (_breaks varchar, _replayed_in bigint, _settled_in bigint)',
    ]
