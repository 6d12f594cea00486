"""The keys that a comparison found different, as rows for people: what is wrong, where, and what explains it."""

from __future__ import annotations

from ingestion.bronze.rows import shown_columns
from ingestion.gaps.lake_sql import AWAITED, EXPLAINED
from ingestion.gaps.result import Compared
from ingestion.lake import duck
from ingestion.reconcile.leaves import LAKE_ROWS, SOURCE_ROWS
from ingestion.reconcile.sides import PARTITION
from ingestion.sql.quoting import quote_standard, text_literal


def keys_query(connection: duck.Connection, compared: Compared) -> str:
    """
    Register the keys that differ with a connection and return a query of them: the key's columns, `_finding` (what is
    wrong), `_partition`, `_source` and `_lake` (how many rows each has), and `_state`.

    `_state` is `in quarantine` if an entry explains the key, `next load` if the next load reads it, else `open`. Other
    columns than keys are never there; personal keys are shown as their mask says.
    """
    keys = [quote_standard(c.name) for c in compared.contract.keys]
    shown = shown_columns(compared.contract.keys)
    rest = (
        f"_finding, {PARTITION} as _partition, {SOURCE_ROWS} as _source, {LAKE_ROWS} as _lake, "
        f"case when {EXPLAINED} then 'in quarantine' when {AWAITED} then 'next load' else 'open' end as _state"
    )
    parts = []
    for kind, found in compared.found.items():
        name = f"found_{kind.value}"
        connection.register(name, found)
        parts.append(f"select *, {text_literal(kind.value)} as _finding from {name}")
    if not parts:
        columns = [*keys, "_finding", "_partition", "_source", "_lake", "_state"]
        return f"select {', '.join(f'null as {name}' for name in columns)} where false"
    rows = " union all by name ".join(parts)
    order = ", ".join(["_finding", "_partition", *(f"f.{name}" for name in keys)])
    return f"select {', '.join([*shown, rest])} from ({rows}) f order by {order}"
