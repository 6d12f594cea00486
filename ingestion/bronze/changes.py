"""SQL that finds which of the rows just read are new to the lake. The workbench runs it.

Tables that the statements refer to:
    arrived       rows of one read of this batch, in Bronze form
    staged        those of them whose key has one row
    bronze        the Bronze table at the version this load began with
    events        enough of bronze to find the newest event of every key (see `ingestion.bronze.checkpoint`)
    source_keys   keys that the source has at the fixed point
    deleted_keys  keys that the source reports as deleted
    gone_keys     live keys of the lake that are deleted according to either of the two
    refused_keys  keys of rows that this batch quarantined
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from ingestion.bronze.rows import METADATA
from ingestion.contracts.model import TYPE_RULE, Column, Contract, Mode, NullWatermark
from ingestion.contracts.types import duckdb_type
from ingestion.sql.quoting import quote_standard as quote
from ingestion.sql.quoting import text_literal

_ORDER = ("_eff", "_seq", "_is_delete", "_batch", "_row")
"""The columns that order the events of a key, as in Silver. They are never null."""
COMPARED_AT_ONCE = 128
"""Columns compared in one join: DuckDB holds a vector of 2,048 values of each in every query operator."""


def live(contract: Contract, columns: tuple[str, ...] = (), *, events: str = "select * from events") -> str:
    """
    Return the state of every key in `events` (a query): key, `columns`, `_deleted`, `_newest` (its newest
    `_eff`).

    Only keys and `_ORDER` are aggregated. The other columns are streamed, so memory does not grow with their number.
    An event that is in the log twice, for example because its batch was appended twice by hand, counts once.
    """
    if not columns:
        keys, places = _list(contract.key_names), _places(contract, events)
        return f"select {keys}, _place._is_delete as _deleted, _place._eff as _newest from ({places}) n"
    wanted = ", ".join(f"e.{quote(name)}" for name in (*contract.key_names, *columns))
    return _newest(contract, f"{wanted}, n._place._is_delete as _deleted, n._place._eff as _newest", events)


def newest_events(contract: Contract) -> str:
    """Return the newest event of every key, as Bronze rows. To be kept, not streamed (see `_newest`)."""
    return _newest(contract, "e.*", "select * from events")


def _newest(contract: Contract, columns: str, events: str) -> str:
    """
    Return columns of the newest event `e` of every key, and of its place `n`; one row per key.

    DuckDB 1.5.5 cannot stream the result: with a million keys it waits for ever, because the second half of the union
    begins only when the first was fetched. Written to a table or a file, it ends.
    """
    joined = f"from ({events}) e join places n on {_is_newest(contract)} and n._place._copies"
    return (
        f"with places as ({_places(contract, events, copies=True)}) "
        f"select {columns} {joined} = 1 union all select distinct {columns} {joined} > 1"
    )


def _is_newest(contract: Contract) -> str:
    return f"{_same(contract.key_names, 'e', 'n')} and e._batch = n._place._batch and e._row = n._place._row"


def _places(contract: Contract, events: str, *, copies: bool = False) -> str:
    """
    Return each key of `events` with the `_place` (values of `_ORDER`) of its newest event.

    A maximum per key takes a quarter of the memory of sorting the events of each key. With `copies`, `_place` also
    counts the event's `_copies` in the log. This doubles the time, so only queries that join rows by place ask for it.
    """
    keys, order = _list(contract.key_names), (*_ORDER, *(("_copies",) if copies else ()))
    placed = f"select {keys}, _eff, _seq, _op = 'D' as _is_delete, _batch, _row from ({events}) x"
    if copies:
        placed = f"select *, count(*) as _copies from ({placed}) o group by all"
    place = ", ".join(f"{name} := {name}" for name in order)
    return f"select {keys}, max(struct_pack({place})) as _place from ({placed}) c group by {keys}"


def duplicates(contract: Contract) -> str:
    """Return the arrived rows whose key has more than one row in the read."""
    return f"select a.* from arrived a where exists ({_repeated(contract)})"


def singles(contract: Contract) -> str:
    """Return the arrived rows whose key has one row in the read."""
    return f"select a.* from arrived a where not exists ({_repeated(contract)})"


def count_duplicates(contract: Contract) -> str:
    """Return how many arrived rows share their key with another."""
    keys = _list(contract.key_names)
    return f"select coalesce(sum(n), 0) from (select count(*) as n from arrived group by {keys} having count(*) > 1)"


def _repeated(contract: Contract) -> str:
    keys = _list(contract.key_names)
    return (
        f"select 1 from (select {keys} from arrived group by {keys} having count(*) > 1) d "
        f"where {_same(contract.key_names, 'a', 'd')}"
    )


@dataclass(frozen=True, slots=True)
class NewRows:
    """The rows of a read that the lake lacks: `query` uses the results of `steps`, which run first, in order."""

    query: str
    steps: tuple[tuple[str, str], ...] = ()


def changed_state(
    contract: Contract, compared: tuple[str, ...], *, op: str | None, moment: datetime, since: datetime | None = None
) -> NewRows:
    """
    Return the staged rows whose key is new to the lake, deleted in it, or different in `compared` from its live row.

    A read shows each key's newest state, so a row is compared with the live row only, not with older events. `_op`
    becomes `op`, or I and U if None. `_eff` is kept if it is later than the key's newest event. Otherwise the time of
    the change is unknown, and `_eff` becomes `moment` (when the state was read, UTC), or just after the newest event
    if that is later.

    `since` lets the scan skip events before that moment (events at `since` are read). This is correct if the staged
    rows changed at `since` or later and `compared` includes the watermark: an older live row has another watermark.
    Events after `moment` are never skipped, because a source's clock may have been set back.

    Whole rows are streamed and joined with keys only; contents are compared `COMPARED_AT_ONCE` columns at a time.
    """
    since = since and min(since, moment)
    parts = [compared[at : at + COMPARED_AT_ONCE] for at in range(0, len(compared), COMPARED_AT_ONCE)]
    differing = {f"differing_{at}": _differing(contract, part, since) for at, part in enumerate(parts)}
    steps = {
        "newest": _places(contract, _events_of_staged(contract, since)),
        **differing,
        "changed": _changed(contract, tuple(differing), op, moment),
    }
    keys, names = contract.key_names, [*contract.arrow_schema.names, *METADATA.names]
    columns = ", ".join(f"{'c' if name in ('_op', '_eff') else 's'}.{quote(name)}" for name in names)
    return NewRows(f"select {columns} from staged s join changed c on {_same(keys, 's', 'c')}", tuple(steps.items()))


def _changed(contract: Contract, differing: tuple[str, ...], op: str | None, moment: datetime) -> str:
    """Return the keys of the staged rows that are new, with the `_op` and `_eff` that they get."""
    keys, first_key = contract.key_names, quote(contract.key_names[0])
    op_value = (
        text_literal(op) if op else f"case when n.{first_key} is null or n._place._is_delete then 'I' else 'U' end"
    )
    differs = " or ".join(f"exists (select 1 from {name} d where {_same(keys, 'd', 's')})" for name in differing)
    return (
        f"select {', '.join(f's.{quote(n)}' for n in keys)}, {op_value} as _op, "
        f"case when n.{first_key} is null or s._eff > n._place._eff then s._eff "
        f"else greatest({_instant(moment)}, n._place._eff + interval 1 microsecond) end as _eff "
        f"from staged s left join newest n on {_same(keys, 's', 'n')} "
        f"where n.{first_key} is null or n._place._is_delete or {differs or 'false'}"
    )


def _differing(contract: Contract, columns: tuple[str, ...], since: datetime | None) -> str:
    """Return the keys of staged rows that differ in some columns from the key's newest event."""
    wanted = ", ".join(f"e.{quote(name)}" for name in dict.fromkeys((*contract.key_names, *columns)))
    recent = (
        ""
        if since is None or contract.null_watermark is NullWatermark.INCLUDE
        else f"where e._eff >= {_instant(since)}"
    )
    differs = " or ".join(f"l.{quote(n)} is distinct from s.{quote(n)}" for n in columns)
    return (
        f"select {', '.join(f's.{quote(n)}' for n in contract.key_names)} from staged s join (select {wanted} "
        f"from events e join newest n on {_is_newest(contract)} {recent}) l "
        f"on {_same(contract.key_names, 's', 'l')} where {differs}"
    )


def _events_of_staged(contract: Contract, since: datetime | None) -> str:
    """Return the events of the staged keys. A staged row without a watermark may equal an event of any age."""
    matches, recent = _same(contract.key_names, "e", "t"), ""
    if since is not None and contract.null_watermark is NullWatermark.INCLUDE:
        matches += f" and (e._eff >= {_instant(since)} or t.{quote(contract.watermark or '')} is null)"
    elif since is not None:  # outside of the subquery, so that the scan can skip files by it
        recent = f" and e._eff >= {_instant(since)}"
    return f"select e.* from events e where exists (select 1 from staged t where {matches}){recent}"


def vanished_keys(contract: Contract, source_keys: str = "source_keys") -> str:
    """Return the live keys that the source no longer has, with `_newest`."""
    return (
        f"select l.* from ({live(contract)}) l where not l._deleted and not exists "
        f"(select 1 from {source_keys} k where {_same(contract.key_names, 'l', 'k')})"
    )


def reported_keys(contract: Contract, deleted_keys: str = "deleted_keys") -> str:
    """Return the live keys that the source reports as deleted, with `_newest`."""
    return (
        f"select l.* from ({live(contract)}) l where not l._deleted and exists "
        f"(select 1 from {deleted_keys} k where {_same(contract.key_names, 'l', 'k')})"
    )


def count_live(contract: Contract) -> str:
    return f"select count(*) from ({live(contract)}) where not _deleted"


def delete_rows(
    contract: Contract,
    gone_keys: str = "gone_keys",
    *,
    moment: datetime,
    sequence: int,
    batch: int,
    first_row: int,
    ingested_at: datetime,
) -> str:
    """Return a D row per gone key, keys only. `_eff` is `moment`, or just after the newest event if later."""
    fields = []
    for column in contract.columns:
        value = f"v.{quote(column.name)}" if column.key_position is not None else "null"
        fields.append(f"cast({value} as {duckdb_type(column.arrow_type)}) as {quote(column.name)}")
    by_key = ", ".join(f"v.{quote(name)}" for name in contract.key_names)
    at = _instant(moment)
    return (
        f"select {', '.join(fields)}, 'D' as _op, greatest({at}, v._newest + interval 1 microsecond) as _eff, "
        f"cast({sequence} as bigint) as _seq, cast({batch} as bigint) as _batch, "
        f"row_number() over (order by {by_key}) + {first_row - 1} as _row, "
        f"{text_literal(contract.system)} as _source_system, "
        f"{_instant(ingested_at)} as _ingested_at, "
        f"{text_literal(contract.version)} as _contract_version from {gone_keys} v"
    )


def lacking_keys(contract: Contract, source_keys: str = "source_keys", *, staged: str = "staged") -> str:
    """
    Return the keys that the source has and the lake will lack, or have as deleted, after the staged rows.

    A window includes all rows without a watermark. If the lake has such a row and the read did not return it, the row
    has received a watermark before the window, so its key is returned too.
    """
    first_key = quote(contract.key_names[0])
    columns: tuple[str, ...] = ()
    is_undated = ""
    if contract.mode is Mode.INCREMENTAL and contract.null_watermark is NullWatermark.INCLUDE and contract.watermark:
        columns, is_undated = (contract.watermark,), f" or l.{quote(contract.watermark)} is null"
    return (
        f"select {', '.join(f'k.{quote(n)}' for n in contract.key_names)} from {source_keys} k "
        f"left join ({live(contract, columns)}) l on {_same(contract.key_names, 'k', 'l')} "
        f"where (l.{first_key} is null or l._deleted{is_undated}) "
        f"and not exists (select 1 from {staged} s where {_same(contract.key_names, 's', 'k')}) "
        f"and not exists (select 1 from refused_keys r where {_same(contract.key_names, 'r', 'k')})"
    )


def key_of_bad(key: Column) -> str:
    """Return a bad row's key with the contract's type; null if the source's value has another type."""
    name = quote(key.name)
    typed = f"unhex({name})" if pa.types.is_binary(key.arrow_type) else f"cast({name} as {duckdb_type(key.arrow_type)})"
    misfit = text_literal(f"{key.name}:{TYPE_RULE}")
    return f"case when not list_contains(string_split(_breaks, '; '), {misfit}) then {typed} end as {name}"


def _instant(moment: datetime) -> str:
    return f"cast({text_literal(moment.isoformat())} as timestamptz)"


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(quote(name) for name in names)


def _same(names: tuple[str, ...], left: str, right: str) -> str:
    return " and ".join(f"{left}.{quote(n)} = {right}.{quote(n)}" for n in names)
