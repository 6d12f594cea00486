"""SQL for the states of quarantine entries: which bad rows does the source still have unchanged?

An entry is one row of a quarantine table. It is *open* while the source has exactly that row, *settled* after a load no
longer found it, *replayed* after a replay appended it, and *waived* if a person accepts it until a moment.

Tables that the statements refer to (beside those of `ingestion.bronze.changes`):
    staged_bad    rows that were judged bad just now, as text
    read_rows     rows that were read just now and kept the contract, in Bronze form
    shown_keys    keys that the load asked the source for, or that the read returned
    in_flight     keys that changed in the source after the bound of a comparison
    live_rows     the lake's live rows
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from ingestion.bronze.changes import key_of_bad
from ingestion.bronze.quarantine import OPEN, typed
from ingestion.contracts.model import DUPLICATE_RULE, Column, Contract
from ingestion.sql.partitions import STRFTIME
from ingestion.sql.quoting import quote_standard as quote
from ingestion.sql.quoting import text_literal

MOST_KEYS = 100_000
"""The maximum number of keys of entries that are read from the source at once."""
STATE = (
    "case when _replayed_in is not null then 'replayed' when _settled_in is not null then 'settled' "
    "when _waived_until > current_timestamp then 'waived' else 'open' end"
)
REFUSED_ROWS, REFUSED_LABEL = "_rows", "_label"
CONTENT = "_content"
"""The digest of all texts of an entry."""


def newly_bad(contract: Contract) -> str:
    """Return the bad rows for which no open entry with the same content and breaks exists."""
    return f"select s.* exclude ({CONTENT}) from {_bad(contract)} s where not {_is_entry(contract)}"


def settled(contract: Contract, *, whole: bool) -> str:
    """
    Return `_batch` and `_row` of the open entries whose row the source no longer has.

    Their key was read with other content or was not found, or (`whole`) all rows were read without them. Entries with
    an incomplete key can only be settled by a read of the whole table.
    """
    asked = f"exists (select 1 from shown_keys k where {_same_key(contract, 'q', 'k')})"
    return (
        f"select q._batch, q._row from {_entries(contract)} q where {'true' if whole else asked} "
        f"and not exists (select 1 from {_bad(contract)} s where q.{CONTENT} = s.{CONTENT})"
    )


def open_keys(contract: Contract, *, without: str) -> str:
    """Return the keys of open entries that are not in the table `without`, the newest first, at most MOST_KEYS."""
    keys = ", ".join(f"q.{_typed_name(c)} as {quote(c.name)}" for c in contract.keys)
    present = " and ".join(f"q.{_typed_name(c)} is not null" for c in contract.keys)
    by = ", ".join(f"q.{_typed_name(c)}" for c in contract.keys)
    return (
        f"select {keys} from {_entries(contract)} q where {present} and not exists "
        f"(select 1 from {without} k where {_same_key(contract, 'q', 'k')}) "
        f"group by {by} order by max(q._batch) desc, {by} limit {MOST_KEYS}"
    )


def count_unkeyed(contract: Contract) -> str:
    """Count the open entries with an incomplete key."""
    absent = " or ".join(f"q.{_typed_name(c)} is null" for c in contract.keys)
    return f"select count(*) from {_entries(contract)} q where {absent}"


def refused(contract: Contract) -> str:
    """
    Return the keys whose rows in the source are all open entries: key, number of `_rows`, and partition `_label`.

    `staged_bad` and `read_rows` hold the source's rows for the keys of open entries.
    """
    keys = [quote(name) for name in contract.key_names]
    listed = ", ".join(keys)
    typed_bad = ", ".join(key_of_bad(key) for key in contract.keys)
    twice = f"select {listed} from read_rows group by all having count(*) > 1"
    mark = text_literal(f"{contract.key_names[0]}:{DUPLICATE_RULE}")
    entry = _digest([_text_of_typed(c, typed(c, "q")) for c in contract.columns])
    doubles = f"(select {entry} as {CONTENT} from quarantine q where {OPEN} and q._breaks = {mark})"
    content = _digest([_text_of_typed(c, f"r.{quote(c.name)}") for c in contract.columns])
    double = " and ".join(f"d.{name} = r.{name}" for name in keys)
    has_key = " and ".join(f"x.{name} is not null" for name in keys)
    return (
        f"select {listed}, count(*) as {REFUSED_ROWS}, max({REFUSED_LABEL}) as {REFUSED_LABEL} from ("
        f"select {typed_bad}, {label(contract, 's')} as {REFUSED_LABEL}, "
        f"{_is_entry(contract)} as _is_entry from {_bad(contract)} s union all "
        f"select {', '.join(f'r.{name}' for name in keys)}, {label(contract, 'r')} as {REFUSED_LABEL}, "
        f"exists (select 1 from {doubles} q where q.{CONTENT} = r.{CONTENT}) "
        f"and exists (select 1 from ({twice}) d where {double}) as _is_entry "
        f"from (select *, {content} as {CONTENT} from read_rows r) r"
        f") x where {has_key} group by {listed} having bool_and(_is_entry)"
    )


def none_refused(contract: Contract) -> str:
    """Return an empty result with the columns of `refused`."""
    listed = ", ".join(quote(name) for name in contract.key_names)
    return f"select {listed}, 0::bigint as {REFUSED_ROWS}, null::varchar as {REFUSED_LABEL} from bronze where false"


def refused_beyond(contract: Contract, found: str) -> str:
    """
    Return `_label` and `_rows` per partition: the number of rows of refused keys that are not in the table `found`,
    less one for each of these keys that the lake has.
    """
    same = " and ".join(f"l.{quote(n)} = r.{quote(n)}" for n in contract.key_names)
    known = " and ".join(f"f.{quote(n)} = r.{quote(n)}" for n in contract.key_names)
    return (
        f"select r.{REFUSED_LABEL}, sum(r.{REFUSED_ROWS} - case when l._batch is null then 0 else 1 end)::bigint as "
        f"{REFUSED_ROWS} from refused r left join live_rows l on {same} "
        f"where not exists (select 1 from {found} f where {known}) group by 1"
    )


def label(contract: Contract, of: str) -> str:
    """Return the partition of a row of the relation `of`, typed or as text; null if it cannot be computed."""
    partition = contract.reconcile.partition
    if partition is None:
        return "null::varchar"
    return f"strftime(try_cast({of}.{quote(partition)} as timestamp), '{STRFTIME[contract.reconcile.grain]}')"


def _entries(contract: Contract) -> str:
    """Return the open entries' positions, contents, and keys in the contract's types (null if one does not fit)."""
    typed_keys = ", ".join(f"{typed(c)} as {_typed_name(c)}" for c in contract.keys)
    return f"(select _batch, _row, {_content(contract)} as {CONTENT}, {typed_keys} from quarantine q where {OPEN})"


def _bad(contract: Contract) -> str:
    return f"(select *, {_content(contract)} as {CONTENT} from staged_bad)"


def _is_entry(contract: Contract) -> str:
    entries = f"select {_content(contract)} as {CONTENT} from quarantine q where {OPEN}"
    return f"exists (select 1 from ({entries}) q where q.{CONTENT} = s.{CONTENT})"


def _content(contract: Contract) -> str:
    return _digest([quote(name) for name in (*contract.arrow_schema.names, "_breaks")])


def _digest(texts: Sequence[str]) -> str:
    """
    Return a digest that is equal for two rows if all of these texts are equal, nulls included.

    Comparing the texts directly would take memory that grows with the number of columns.
    """
    parts = ", ".join(f"coalesce(strlen({text}) || ':' || {text}, '-')" for text in texts)
    return f"sha256(concat({parts}))"


def _text_of_typed(column: Column, value: str) -> str:
    """Return the text of a typed value; 0.0 and -0.0 give the same text."""
    return f"cast({value}{' + 0' if pa.types.is_floating(column.arrow_type) else ''} as varchar)"


def _typed_name(key: Column) -> str:
    return f"_key_{key.key_position}"


def _same_key(contract: Contract, entry: str, other: str) -> str:
    return " and ".join(f"{entry}.{_typed_name(c)} = {other}.{quote(c.name)}" for c in contract.keys)
