"""The states of quarantine entries: which rows that broke their contract are still what the source shows. SQL.

An entry is one row of a quarantine table. It is *open* while the source shows that very row, *settled* once a load no
longer found it there, *replayed* once a replay appended it, *waived* where a person accepts it until a moment.

Tables the statements speak of (beside those of `ingestion.bronze.changes`):
    staged_bad    rows that were judged bad just now, as text
    read_rows     rows that were read just now and kept the contract, in Bronze form
    shown_keys    keys that the source was asked for, or that came by themselves
    in_flight     keys that changed in the source after the bound of a comparison
    live_rows     the lake's live rows
"""

from __future__ import annotations

from ingestion.bronze.changes import key_of_bad
from ingestion.bronze.quarantine import OPEN, typed
from ingestion.bronze.rows import QUARANTINE_METADATA
from ingestion.contracts.model import DUPLICATE_RULE, Column, Contract
from ingestion.lake.duck import identifier as quote
from ingestion.lake.duck import literal

MOST_KEYS = 100_000
"""The most keys of entries that are looked up in the source at once."""
STATE = (
    "case when _replayed_in is not null then 'replayed' when _settled_in is not null then 'settled' "
    "when _waived_until > current_timestamp then 'waived' else 'open' end"
)
REFUSED_ROWS, REFUSED_LABEL = "_rows", "_label"


def newly_bad(contract: Contract) -> str:
    """Return the bad rows that no open entry shows already, with the same content and breaks."""
    return f"select s.* from staged_bad s where not exists (select 1 from quarantine q where {_is_entry(contract)})"


def settled(contract: Contract, *, whole: bool) -> str:
    """
    Return `_batch` and `_row` of the open entries that the source no longer shows.

    The source showed their key otherwise, or not at all, or (`whole`) all of its rows without them. Entries without a
    whole key can only be judged by a read of the whole table.
    """
    asked = f"exists (select 1 from shown_keys k where {_same_key(contract, 'q', 'k')})"
    return (
        f"select q._batch, q._row from {_entries(contract)} q where {'true' if whole else asked} "
        f"and not exists (select 1 from staged_bad s where {_is_entry(contract, is_open=False)})"
    )


def open_keys(contract: Contract, *, without: str) -> str:
    """Return the keys of open entries that do not stand in the table `without`, the newest first, at most MOST_KEYS."""
    keys = ", ".join(f"q.{_typed_name(c)} as {quote(c.name)}" for c in contract.keys)
    present = " and ".join(f"q.{_typed_name(c)} is not null" for c in contract.keys)
    by = ", ".join(f"q.{_typed_name(c)}" for c in contract.keys)
    return (
        f"select {keys} from {_entries(contract)} q where {present} and not exists "
        f"(select 1 from {without} k where {_same_key(contract, 'q', 'k')}) "
        f"group by {by} order by max(q._batch) desc, {by} limit {MOST_KEYS}"
    )


def count_unkeyed(contract: Contract) -> str:
    """Count the open entries without a whole key."""
    absent = " or ".join(f"q.{_typed_name(c)} is null" for c in contract.keys)
    return f"select count(*) from {_entries(contract)} q where {absent}"


def refused(contract: Contract) -> str:
    """
    Return the keys all of whose rows in the source are open entries: key, `_rows`, and the entries' partition `_label`.

    `staged_bad` and `read_rows` hold what the source showed of the keys of open entries.
    """
    keys = [quote(name) for name in contract.key_names]
    listed = ", ".join(keys)
    typed_bad = ", ".join(key_of_bad(key) for key in contract.keys)
    twice = f"select {listed} from read_rows group by all having count(*) > 1"
    mark = literal(f"{contract.key_names[0]}:{DUPLICATE_RULE}")
    content = "".join(f" and {typed(c, 'q')} is not distinct from r.{quote(c.name)}" for c in contract.columns)
    double = " and ".join(f"d.{name} = r.{name}" for name in keys)
    has_key = " and ".join(f"x.{name} is not null" for name in keys)
    return (
        f"select {listed}, count(*) as {REFUSED_ROWS}, max({REFUSED_LABEL}) as {REFUSED_LABEL} from ("
        f"select {typed_bad}, {label(contract, 's')} as {REFUSED_LABEL}, "
        f"exists (select 1 from quarantine q where {_is_entry(contract)}) as _is_entry from staged_bad s union all "
        f"select {', '.join(f'r.{name}' for name in keys)}, {label(contract, 'r')} as {REFUSED_LABEL}, "
        f"exists (select 1 from quarantine q where {OPEN} and q._breaks = {mark}{content}) "
        f"and exists (select 1 from ({twice}) d where {double}) as _is_entry from read_rows r"
        f") x where {has_key} group by {listed} having bool_and(_is_entry)"
    )


def none_refused(contract: Contract) -> str:
    """Return no row, in the shape of `refused`."""
    listed = ", ".join(quote(name) for name in contract.key_names)
    return f"select {listed}, 0::bigint as {REFUSED_ROWS}, null::varchar as {REFUSED_LABEL} from bronze where false"


def refused_beyond(contract: Contract, found: str) -> str:
    """
    Return per partition the rows of refused keys that do not stand in the table `found`, less those of keys that the
    lake has: `_label`, `_rows`.
    """
    same = " and ".join(f"l.{quote(n)} = r.{quote(n)}" for n in contract.key_names)
    known = " and ".join(f"f.{quote(n)} = r.{quote(n)}" for n in contract.key_names)
    return (
        f"select r.{REFUSED_LABEL}, sum(r.{REFUSED_ROWS} - case when l._batch is null then 0 else 1 end)::bigint as "
        f"{REFUSED_ROWS} from refused r left join live_rows l on {same} "
        f"where not exists (select 1 from {found} f where {known}) group by 1"
    )


def label(contract: Contract, of: str) -> str:
    """Return the partition of a row of the relation `of`, typed or as text; null where none can be told."""
    partition = contract.reconcile.partition
    if partition is None:
        return "null::varchar"
    return f"strftime(try_cast({of}.{quote(partition)} as timestamp), '{_FORMATS[contract.reconcile.grain]}')"


_FORMATS = {"day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}


def _entries(contract: Contract) -> str:
    """Return the open entries with their keys as the contract types them, null where one does not fit."""
    columns = [*contract.arrow_schema.names, *QUARANTINE_METADATA.names]
    typed_keys = [f"{typed(c)} as {_typed_name(c)}" for c in contract.keys]
    return f"(select {', '.join([*map(quote, columns), *typed_keys])} from quarantine q where {OPEN})"


def _is_entry(contract: Contract, *, is_open: bool = True) -> str:
    content = "".join(f" and q.{quote(n)} is not distinct from s.{quote(n)}" for n in contract.arrow_schema.names)
    return f"{OPEN + ' and ' if is_open else ''}q._breaks = s._breaks{content}"


def _typed_name(key: Column) -> str:
    return f"_key_{key.key_position}"


def _same_key(contract: Contract, entry: str, other: str) -> str:
    return " and ".join(f"{entry}.{_typed_name(c)} = {other}.{quote(c.name)}" for c in contract.keys)
