"""Writes the first version of a contract from a source's catalog; what the catalog does not say is proposed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.facts import ColumnFacts, TableFacts
from ingestion.contracts.names import UNDESCRIBED, UNSAID, looks_personal
from ingestion.contracts.writing.promises import Promise, Promises
from ingestion.contracts.writing.spelling import is_usable, our_name, scalar

_SERVERS = {
    "oracle": ("host: ${{{0}_HOST}}", "port: 1521", "serviceName: ${{{0}_SERVICE}}"),
    "sqlserver": ("host: ${{{0}_HOST}}", "port: 1433", "database: ${{{0}_DATABASE}}"),
    "duckdb": ("database: ${{{0}_FILE}}",),
}
_CHANGED = re.compile(
    r"(?:^|_)(?:updated|modified|changed|last_?(?:update|upd|modif|change|edit)\w*|dt_?(?:alteracao|atualizacao)"
    r"|(?:upd|update|mod|modification|change)_?(?:at|on|dt|ts|time|date|timestamp))(?:_|$)"
)
_PLAIN_PART = re.compile(r"[^.\"\[\]]+")


@dataclass(slots=True)
class Draft:
    """A contract's text, and notes on what a person should check before the contract is used."""

    entity: str
    text: str
    notes: list[str] = field(default_factory=list)


def draft_contract(
    facts: TableFacts,
    *,
    system: str,
    timezone: str,
    entity: str | None = None,
    promise: Callable[[FoundColumn], Promise] | None = None,
) -> Draft:
    """
    Return a contract of a table.

    Columns whose type no contract can use are left out, with a note. The watermark is a rowversion, or else the first
    moment column whose name suggests a change time of the row; columns that are not nullable come first. Without a
    watermark the table is compared as a whole. If the watermark is nullable, rows without it are loaded. The table must
    have a key.
    `promise` decides the types of columns; without it only the declarations are used.
    """
    entity = entity or entity_name(facts.name)
    dialect = facts.columns[0].found.dialect if facts.columns else "duckdb"
    columns = [c for c in facts.columns if is_usable(dialect, c.found.physical_type)]
    draft = Draft(entity, "")
    draft.notes += [f"left out {c.found.name} ({c.found.physical_type}): no contract can use the type"
                    for c in facts.columns if c not in columns]  # fmt: skip
    names: dict[str, str] = {}
    for column in columns:
        names[column.found.name] = our_name(column.found.name, names.values())
    alone = Promises({(facts.schema, facts.name): facts}, {}, lambda _, __: {})
    promise = promise or (lambda found: alone.of(facts, found))
    lines = list(_head(facts, system, entity, dialect))
    for column in columns:
        position = facts.key.index(column.found.name) + 1 if column.found.name in facts.key else None
        lines += _property(column, names[column.found.name], position, promise(column.found), draft.notes)
    lines += _lake_block(facts, columns, names, timezone, draft.notes)
    draft.text = "\n".join(lines) + "\n"
    return draft


def entity_name(table: str) -> str:
    """Return the entity name for a table's name; another table may have the same."""
    return our_name(table, (), empty="table")


def _head(facts: TableFacts, system: str, entity: str, dialect: str) -> Iterator[str]:
    yield from ("apiVersion: v3.1.0", "kind: DataContract", f"id: {system}.{entity}", "version: 1.0.0")
    yield from ("status: draft", f"name: {scalar(f'{system} {entity}')}", f"domain: {system}", "", "description:")
    purpose = facts.comment or f"Rows of {facts.schema}.{facts.name}; {UNSAID}"
    yield f"  purpose: {scalar(purpose)}"
    yield from ("", "servers:", f"  - server: {system}", f"    type: {dialect}")
    yield from (f"    {line.format(system.upper())}" for line in _SERVERS[dialect])
    yield from ("", "schema:", f"  - name: {scalar(entity)}")
    yield f"    physicalName: {scalar('.'.join(_part(part) for part in (facts.schema, facts.name)))}"
    yield from ("    logicalType: object", "    physicalType: table")
    if facts.comment:
        yield f"    description: {scalar(facts.comment)}"
    yield "    properties:"


def _part(name: str) -> str:
    """Return a part of a table's name, quoted if it contains a dot or a quote."""
    return name if _PLAIN_PART.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def _property(
    column: ColumnFacts, name: str, position: int | None, promise: Promise, notes: list[str]
) -> Iterator[str]:
    found = column.found
    notes += [f"{name}: {promise.note}"] if promise.note else []
    yield f"      - name: {scalar(name)}"
    yield f"        physicalName: {scalar(found.name)}"
    yield f"        logicalType: {promise.logical_type}"
    yield f"        physicalType: {scalar(promise.physical_type)}"
    if position is not None:
        yield from ("        primaryKey: true", f"        primaryKeyPosition: {position}")
    if position is not None or not found.nullable:
        yield "        required: true"
    if looks_personal(name):
        yield "        classification: pii"
        notes.append(f"{name}: looks personal, so it is marked as pii; Gold holds it hashed only")
    block = ["truncate: true"] if promise.truncate else []
    block += [f"sourceType: {scalar(promise.source_type)}"] if promise.source_type else []
    if block:
        yield from ("        customProperties:", "          - property: lake", "            value:")
        yield from (f"              {line}" for line in block)
    yield f"        description: {scalar(column.comment or UNDESCRIBED)}"


def _lake_block(
    facts: TableFacts, columns: Sequence[ColumnFacts], names: dict[str, str], timezone: str, notes: list[str]
) -> Iterator[str]:
    watermark = _watermark([column for column in columns if column.found.name not in facts.key])
    yield from ("", "customProperties:", "  - property: lake", "    value:", f"      timezone: {timezone}")
    if facts.tracks_changes:
        yield from ("      mode: changes", "      deletes: changes")
    elif watermark is None:
        yield from ("      mode: full", "      deletes: keys")
        notes.append("no column looks like a watermark: each load reads the whole table and appends what differs")
    else:
        name = names[watermark.name]
        yield from ("      mode: incremental", f"      watermark: {name}")
        if watermark.nullable:
            yield "      nullWatermark: include"
            notes.append(
                f"{name}: may be null in the source. Rows without it are loaded, and each load reads all of them again "
                "(nullWatermark: include); write quarantine or fail if there should be none"
            )
        if not pa.types.is_integer(watermark.arrow_type or pa.null()):
            yield "      overlap: PT2H"
        yield "      deletes: keys"
        notes.append(f"{name}: proposed as the watermark. Make sure that every change moves it")


def _watermark(columns: Sequence[ColumnFacts]) -> FoundColumn | None:
    found = sorted((column.found for column in columns), key=lambda column: column.nullable)
    versions = [c for c in found if c.physical_type.lower() == "rowversion"]
    moments = [c for c in found if c.arrow_type is not None and pa.types.is_timestamp(c.arrow_type)]
    named = [c for c in moments if _tells_changes(our_name(c.name, ()), [our_name(each.name, ()) for each in found])]
    return next(iter([*versions, *named]), None)


def _tells_changes(name: str, names: Sequence[str]) -> bool:
    """Return whether a moment is named after changes of the row; `price_updated_at` beside `list_price` is not."""
    match = _CHANGED.search(name)
    of = match and name[: match.start()]
    return match is not None and not (of and any(f"_{each}".endswith(f"_{of}") for each in names))
