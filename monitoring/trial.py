"""Prepares an advice's SQL on the lake before the advice is shown, to test that it runs. Reads no row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ingestion.lake import duck
from ingestion.lake.layout import Lake
from ingestion.runbook.statements import Runbook
from ingestion.sql.quoting import quote_standard
from monitoring.advisor.gap_advice import GapAdvice


def tried(lake: Lake, advices: Sequence[GapAdvice]) -> list[GapAdvice]:
    """Return advices with a note instead of SQL that the lake cannot run in its current state."""
    if not any(advice.runbook.lake for advice in advices):
        return list(advices)
    known = {(table.schema, table.name): table.uri for table in lake.tables()}
    with duck.connect(at=lake.root) as connection:
        return [replace(advice, runbook=_tried(connection, known, advice.runbook)) for advice in advices]


def _tried(connection: duck.Connection, known: dict[tuple[str, str], str], asked: Runbook) -> Runbook:
    schema, name = asked.lake_table
    if not asked.lake:
        return asked
    if (schema, name) not in known:
        how = "lakehouse build silver" if schema == "silver" else "lakehouse init"
        return replace(asked, note=f"the lake has no table {schema}.{name} yet: {how}")
    connection.execute(f"create schema if not exists {quote_standard(schema)}")
    duck.register(connection, schema, name, known[schema, name])
    try:
        connection.execute(f"explain {asked.lake}")
    except duck.Error:
        note = f"{schema}.{name} has not all columns of the contract yet: lakehouse build silver"
        return replace(asked, note=note)
    return asked
