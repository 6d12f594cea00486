"""Writes what dbt reads of the contracts: a sources file per system, and a macro with the facts that scd2 needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from math import ceil
from pathlib import Path
from typing import Any

import yaml

from ingestion.contracts.model import Column, Contract
from ingestion.contracts.writing.dbt_silver import write_silver_models
from ingestion.contracts.writing.files import write_whole
from ingestion.contracts.writing.spelling import as_dbt_text

HEADER = "# Generated from data_contracts by `lakehouse contract sources`; change a contract, not this file.\n"

FACTS_HEAD = """{#
    What a model's source table promises: `key`, `columns`, `types` (Arrow), `tracked`, `personal`.
    Generated from data_contracts by `lakehouse contract sources`; change a contract, not this file.
#}
{% macro lake_facts(source_name, table_name) %}
{% set facts = {
"""
FACTS_TAIL = """} %}
{% set id = source_name ~ '.' ~ table_name %}
{% if id not in facts %}
    {{ exceptions.raise_compiler_error(id ~ ': no contract has this id, or `lakehouse contract sources` was not run') }}
{% endif %}
{{ return(facts[id]) }}
{% endmacro %}
"""


class _Dumper(yaml.SafeDumper):
    """Indents lists below their key and repeats values in full instead of pointing to the first."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def render_sources(contracts: Iterable[Contract]) -> dict[str, str]:
    """Return the text of each sources file by its name. The order of the contracts does not change the bytes."""
    ordered = sorted(contracts, key=lambda contract: (contract.system, contract.entity))
    files = {}
    for system, group in groupby(ordered, key=lambda contract: contract.system):
        source = {
            "name": system,
            "schema": "bronze",
            "description": f"Bronze tables of the system {system}: an append-only log of what was read.",
            "tables": [_table(contract) for contract in group],
        }
        document = {"version": 2, "sources": [_as_told(source)]}
        text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)
        files[_file_name(system)] = HEADER + text
    return files


def write_sources(contracts: Iterable[Contract], folder: Path, *, check: bool = False) -> list[Path]:
    """
    Update a folder's generated sources files from the contracts; the file of a system without contracts is removed.

    Returns:
        The files that differed, sorted. With `check` they are only returned, not written.
    """
    wanted = render_sources(contracts)
    changed = [folder / name for name, text in wanted.items() if _text_of(folder / name) != text]
    stale = [
        path
        for path in folder.glob(_file_name("*"))
        if path.name not in wanted and (_text_of(path) or "").startswith(HEADER)
    ]
    if not check:
        folder.mkdir(parents=True, exist_ok=True)
        for path in changed:
            write_whole(path, wanted[path.name])
        for path in stale:
            path.unlink()
    return sorted([*changed, *stale])


def render_facts(contracts: Iterable[Contract]) -> str:
    """
    Return the macro `lake_facts(source_name, table_name)`: key, columns, Arrow types, tracked and personal columns.

    It is a macro and not the sources' `meta`, because dbt's unit tests and parser cannot access the graph.
    """
    ordered = sorted(contracts, key=lambda contract: (contract.system, contract.entity))
    entries = [
        f"    '{contract.id}': {{\n"
        f"        'key': {list(contract.key_names)},\n"
        f"        'columns': {[column.name for column in contract.columns]},\n"
        f"        'types': { {column.name: str(column.arrow_type) for column in contract.columns} },\n"
        f"        'tracked': {list(contract.tracked_names)},\n"
        f"        'personal': {[column.name for column in contract.columns if column.is_personal]},\n"
        f"    }},\n"
        for contract in ordered
    ]
    return FACTS_HEAD + "".join(entries) + FACTS_TAIL


def write_facts(contracts: Iterable[Contract], file: Path, *, check: bool = False) -> list[Path]:
    """Update the generated macro from the contracts; return the file if it differed. `check` writes nothing."""
    wanted = render_facts(contracts)
    if _text_of(file) == wanted:
        return []
    if not check:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, wanted)
    return [file]


def write_dbt_files(contracts: Sequence[Contract], dbt_project: Path, *, check: bool = False) -> list[Path]:
    """Update all generated dbt files from the contracts; return those that differed. `check` writes nothing."""
    return [
        *write_sources(contracts, dbt_project / "models" / "bronze", check=check),
        *write_facts(contracts, dbt_project / "generated" / "lake_facts.sql", check=check),
        *write_silver_models(contracts, dbt_project, check=check),
    ]


def _as_told(value: Any) -> Any:
    """Return a document with every text in it escaped for dbt."""
    if isinstance(value, dict):
        return {key: _as_told(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_told(item) for item in value]
    return as_dbt_text(value) if isinstance(value, str) else value


def _table(contract: Contract) -> dict[str, Any]:
    return {
        "name": contract.entity,
        "identifier": contract.bronze_view,
        "description": contract.description,
        "config": {"meta": {"contract_id": contract.id}} | _freshness(contract),
        "columns": [_column(column) for column in contract.columns],
    }


def _freshness(contract: Contract) -> dict[str, Any]:
    """
    Return what `dbt source freshness` checks: the age of the state of the source that the newest good load read.

    As in a gap check, a table is late beyond the promised age, and an error beyond twice that age.
    """
    if contract.reconcile.freshness is None:
        return {}
    minutes = ceil(contract.reconcile.freshness.total_seconds() / 60)
    period, size = ("minute", 1) if minutes % 60 else ("hour", 60)
    return {
        "loaded_at_query": (
            "select cast(max(fixed_point) as timestamp with time zone) from ops.runs "
            f"where step = 'load' and subject = '{contract.id}' and status <> 'failed'"
        ),
        "freshness": {
            "warn_after": {"count": minutes // size, "period": period},
            "error_after": {"count": 2 * minutes // size, "period": period},
        },
    }


def _column(column: Column) -> dict[str, Any]:
    meta = {"contract_type": f"{column.logical_type} ({column.physical_type})"}
    if column.classification:
        meta["classification"] = column.classification
    return {"name": column.name, "description": column.description, "config": {"meta": meta}}


def _file_name(system: str) -> str:
    return f"_{system}__sources.yml"


def _text_of(path: Path) -> str | None:
    return path.read_bytes().decode(errors="replace") if path.is_file() else None
