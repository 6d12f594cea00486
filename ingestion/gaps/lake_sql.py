"""SQL for DuckDB: the lake's live rows, and what is known of keys that differ.

Tables that the statements read (beside those of `ingestion.bronze.changes`):
    in_flight     keys that changed in the source after the bound: left out on both sides
    live_rows     the lake's live rows, as `live_rows` selects them
    source_keys   keys of the source up to the bound, including repeated and null ones
    found         keys that differ
    refused       keys all of whose rows in the source are open quarantine entries (`ingestion.bronze.entries`)
    next_window   keys that the next load reads in any case
"""

from __future__ import annotations

from collections.abc import Sequence

from ingestion.bronze.changes import live
from ingestion.bronze.entries import REFUSED_LABEL
from ingestion.contracts.model import Contract
from ingestion.sql.quoting import quote_standard as quote

EXPLAINED, AWAITED, IS_LIVE = "_explained", "_awaited", "_is_live"


def live_rows(contract: Contract, columns: Sequence[str]) -> str:
    """Return the live rows: key, `columns`, and the `_batch` of the newest event."""
    wanted = [name for name in columns if name not in contract.key_names]
    names = ", ".join(quote(name) for name in (*contract.key_names, *wanted))
    return f"select {names}, _batch from ({live(contract, (*wanted, '_batch'))}) where not _deleted"


def known_of_found(contract: Contract) -> str:
    """
    Return `found` with three more columns per key.

    `_explained`: all rows that the source has of the key are open quarantine entries. `_awaited`: the next load reads
    the key. `_is_live`: the lake has a row of it.
    """
    keys = contract.key_names
    return (
        f"select f.* replace (coalesce(f._partition, q.{REFUSED_LABEL}) as _partition), "
        f"q._rows is not null as {EXPLAINED}, w._any is not null as {AWAITED}, "
        f"l._batch is not null as {IS_LIVE} from found f "
        f"left join refused q on {_same(keys, 'f', 'q')} "
        f"left join live_rows l on {_same(keys, 'f', 'l')} "
        f"left join (select {_list(keys)}, true as _any from next_window group by all) w on {_same(keys, 'f', 'w')}"
    )


def missing_keys(contract: Contract) -> str:
    """Return the source's keys that are neither in the lake nor in flight, each once with its number of rows."""
    keys = contract.key_names
    return (
        f"select {_list(keys, 'k')}, count(*) as _there, 0 as _here from source_keys k where {_present(keys, 'k')} "
        f"and not exists (select 1 from live_rows l where {_same(keys, 'k', 'l')}) and {_settled(keys, 'k')} "
        "group by all"
    )


def extra_keys(contract: Contract) -> str:
    """Return the lake's live keys that are neither in the source nor in flight."""
    keys = contract.key_names
    return (
        f"select {_list(keys, 'l')}, 0 as _there, 1 as _here from live_rows l "
        f"where not exists (select 1 from source_keys k where {_same(keys, 'l', 'k')}) and {_settled(keys, 'l')}"
    )


def repeated_keys(contract: Contract) -> str:
    """Return the lake's keys that have several rows in the source."""
    keys = contract.key_names
    return (
        f"select {_list(keys, 'k')}, count(*) as _there, 1 as _here from source_keys k where {_present(keys, 'k')} "
        f"and exists (select 1 from live_rows l where {_same(keys, 'k', 'l')}) and {_settled(keys, 'k')} "
        "group by all having count(*) > 1"
    )


def as_found(contract: Contract, query: str) -> str:
    """Return keys in the shape of the ladder's findings. DuckDB computes the digest: the source cannot hash them."""
    texts = ", ".join(f"md5(cast({quote(name)} as varchar))" for name in contract.key_names)
    return (
        f"select {_list(contract.key_names)}, null::varchar as _partition, null::varchar as _lake_partition, "
        f"md5(concat({texts})) as _key_hash, if(_there > 0, '?', '') as _source_hash, if(_here > 0, '?', '') as "
        f"_lake_hash, _there::bigint as _source_rows, _here::bigint as _lake_rows from ({query})"
    )


def _present(keys: Sequence[str], side: str) -> str:
    return " and ".join(f"{side}.{quote(name)} is not null" for name in keys)


def _settled(keys: Sequence[str], side: str) -> str:
    return f"not exists (select 1 from in_flight f where {_same(keys, side, 'f')})"


def _list(names: Sequence[str], of: str = "") -> str:
    return ", ".join(f"{of}.{quote(name)}" if of else quote(name) for name in names)


def _same(names: Sequence[str], left: str, right: str) -> str:
    return " and ".join(f"{left}.{quote(n)} = {right}.{quote(n)}" for n in names)
