"""Counts the lake's side of a sync gap: live keys per partition, keys missing and extra. SQL, run by DuckDB.

Tables the statements speak of (beside those of `ingestion.bronze.changes`):
    in_flight     keys that changed in the source after the bound: left out on both sides
    source_keys   keys of the source up to the bound, with repetitions and nulls as the source has them
"""

from __future__ import annotations

from ingestion.bronze.changes import live
from ingestion.contracts.model import Contract
from ingestion.contracts.types import duckdb_type
from ingestion.lake.duck import identifier as quote

_FORMATS = {"day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}


def lake_keys(contract: Contract) -> str:
    """Return key and `partition` of every live key that is not in flight."""
    partition = contract.reconcile.partition
    columns = (partition,) if partition and partition not in contract.key_names else ()
    label = f"strftime(l.{quote(partition)}, '{_FORMATS[contract.reconcile.grain]}')" if partition else "null::varchar"
    keys = ", ".join(f"l.{quote(name)}" for name in contract.key_names)
    return (
        f'select {keys}, {label} as "partition" from ({live(contract, columns)}) l where not l._deleted '
        f"and not exists (select 1 from in_flight f where {_same(contract, 'l', 'f')})"
    )


def count_partitions() -> str:
    """Count `lake_keys` per partition."""
    return 'select "partition", count(*) as "rows" from lake_keys group by 1'


def missing_keys(contract: Contract) -> str:
    """Return the source's keys, each once, that are neither in the lake nor in flight."""
    keys = ", ".join(f"k.{quote(name)}" for name in contract.key_names)
    present = " and ".join(f"k.{quote(name)} is not null" for name in contract.key_names)
    return (
        f"select distinct {keys} from source_keys k where {present} "
        f"and not exists (select 1 from lake_keys l where {_same(contract, 'k', 'l')}) "
        f"and not exists (select 1 from in_flight f where {_same(contract, 'k', 'f')})"
    )


def extra_keys(contract: Contract) -> str:
    """Return the lake's live keys that the source does not have."""
    keys = ", ".join(f"l.{quote(name)}" for name in contract.key_names)
    return (
        f"select {keys} from lake_keys l "
        f"where not exists (select 1 from source_keys k where {_same(contract, 'l', 'k')})"
    )


def unloadable_rows(contract: Contract) -> str:
    """Count source rows that can never be a key of the lake: a null in the key, or a key that comes again."""
    present = " and ".join(f"{quote(name)} is not null" for name in contract.key_names)
    keys = ", ".join(quote(name) for name in contract.key_names)
    return (
        f"select (select count(*) from source_keys) - "
        f"(select count(*) from (select distinct {keys} from source_keys where {present}))"
    )


def quarantined_missing(contract: Contract) -> str:
    """
    Return `partition`, `keys` and `rows` of missing keys that stand in the open quarantine.

    Of a key that was refused several times the newest batch counts.
    """
    typed = {
        column.name: f"try_cast(q.{quote(column.name)} as {duckdb_type(column.arrow_type)})" for column in contract.keys
    }
    partition = contract.reconcile.partition
    label = "null::varchar"
    if partition is not None:
        label = f"strftime(try_cast(q.{quote(partition)} as timestamp), '{_FORMATS[contract.reconcile.grain]}')"
    keys = ", ".join(f"{expression} as {quote(name)}" for name, expression in typed.items())
    names = ", ".join(quote(name) for name in contract.key_names)
    matched = " and ".join(f"o.{quote(name)} = m.{quote(name)}" for name in contract.key_names)
    return (
        f'select "partition", count(*) as "rows", count(distinct row({names})) as "keys" from ('
        f'select {", ".join(f"o.{quote(n)}" for n in contract.key_names)}, o."partition" from ('
        f"select *, max(_batch) over (partition by {names}) as _newest_batch from ("
        f'select {keys}, {label} as "partition", _batch from quarantine q where q._replayed_in is null)) o '
        f"inner join missing m on {matched} where o._batch = o._newest_batch) group by 1"
    )


def _same(contract: Contract, left: str, right: str) -> str:
    return " and ".join(f"{left}.{quote(n)} = {right}.{quote(n)}" for n in contract.key_names)
