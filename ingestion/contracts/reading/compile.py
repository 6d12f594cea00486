"""Turns the text of a contract file into a contract, or into the list of all its faults."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ingestion.contracts.model import BronzeMode, Contract, Deletes, DriftAction, DriftPolicy, Mode, Reconcile
from ingestion.contracts.reading.columns import SCHEMA, read_columns
from ingestion.contracts.reading.completeness import incomplete, owner_of
from ingestion.contracts.reading.document import DocumentFaults, parse
from ingestion.contracts.reading.header import Header, read_header, report_secrets
from ingestion.contracts.reading.lake_block import LakeBlock
from ingestion.contracts.reading.lake_rules import check_lake_block, read_freshness, read_lake_block, read_retention
from ingestion.contracts.reading.quality import QualityReader
from ingestion.contracts.reading.shape import read_shape, read_table
from ingestion.errors import Fault

if TYPE_CHECKING:
    from open_data_contract_standard.model import OpenDataContractStandard, SchemaObject

_TABLE = re.compile(r'(?:"((?:[^"]|"")+)"|\[([^\]]+)\]|([^."\[\]]+))(?:\.|$)')
_TABLE_PARTS = {"oracle": 2, "sqlserver": 3, "duckdb": 3}


def examine(
    text: str, shown: str, *, path: str = "", expected_id: str | None = None, strict: bool = False
) -> tuple[Contract | None, list[Fault]]:
    """
    Read one contract file. Returns a contract only if no fault is an error; it may come with warnings.

    Args:
        shown: The file's path in messages.
        path: The path that the contract keeps.
        expected_id: The id that the file's path requires; None if any id is allowed.
        strict: Also report what readers lack (see `completeness`); a contract is returned all the same.
    """
    document, faults = parse(text, shown)
    if document is None:
        return None, faults
    findings = DocumentFaults(document, faults)
    report_secrets(findings)
    contract = read_shape(findings)
    header = read_header(findings, contract, expected_id)
    table = read_table(findings, contract)
    quality = QualityReader(findings, [property_.name or "" for property_ in table.properties or []])
    source_table = read_table_name(findings, table, header.dialect)
    columns = read_columns(findings, table, header.dialect, quality)
    quality.read(table.quality, SCHEMA, None, pa.null())
    block, at = read_lake_block(findings, contract, LakeBlock)
    check_lake_block(findings, block, at, columns, header.dialect)
    freshness, retention = read_freshness(findings, contract), read_retention(findings, contract)
    told = sorted([*findings.faults, *(incomplete(document) if strict else ())], key=lambda fault: fault.line)
    if not findings.is_clean:
        return None, told
    compiled = Contract(
        **identity(header, contract),
        **_loading(block, header),
        owner=owner_of(document.data.get("team")),
        source_table=source_table,
        columns=columns,
        quality=tuple(quality.checks),
        reconcile=Reconcile(**given(block.reconcile), freshness=freshness),
        retention=retention,
        path=path,
    )
    return compiled, told


def read_table_name(findings: DocumentFaults, table: SchemaObject, dialect: str) -> tuple[str, ...]:
    """Return the parts of the table's name in the source. A dot inside `"..."` or `[...]` does not separate parts."""
    at = (*SCHEMA, "physicalName")
    text = (table.physicalName or "").strip()
    if not text:
        findings.error(at, "the table has no physicalName; write its name in the source, e.g. RETAIL.CUSTOMERS")
        return ()
    parts: list[str] = []
    position = 0
    while position < len(text) and (match := _TABLE.match(text, position)):
        quoted, bracketed, plain = match.groups()
        parts.append(quoted.replace('""', '"') if quoted else bracketed or plain)
        position = match.end()
    longest = _TABLE_PARTS.get(dialect, 3)
    if position < len(text) or text.endswith(".") or len(parts) > longest:
        findings.error(at, f"{text} is no table name; write at most {longest} parts with dots between them")
    return tuple(parts)


def identity(header: Header, contract: OpenDataContractStandard) -> dict[str, Any]:
    purpose = contract.description.purpose if contract.description else None
    return {
        "id": header.id,
        "version": header.version,
        "system": header.system,
        "entity": header.entity,
        "dialect": header.dialect,
        "description": " ".join((purpose or "").split()),
    }


def _loading(block: LakeBlock, header: Header) -> dict[str, Any]:
    """Return the contract fields that the block sets; the others keep the defaults of the model."""
    fields = given(block)
    quarantine = given(fields.pop("quarantine", None))
    drift = given(fields.pop("on_drift", None))
    fields.pop("reconcile", None)
    fields["silver_model"] = fields.pop("silver", f"stg_{header.system}__{header.entity}")
    fields.setdefault("deletes", _usual_deletes(block))
    return {
        **fields,
        **{f"quarantine_{key}": value for key, value in quarantine.items()},
        "drift": DriftPolicy(**{key: DriftAction(value) for key, value in drift.items()}),
    }


def _usual_deletes(block: LakeBlock) -> Deletes:
    if block.bronze is BronzeMode.OVERWRITE:
        return Deletes.NONE
    return Deletes.CHANGES if block.mode is Mode.CHANGES else Deletes.KEYS


def given(block: Any) -> dict[str, Any]:
    """Return the fields of a block that the file sets, by their names in Python."""
    if block is None:
        return {}
    return {name: value for name in type(block).model_fields if (value := getattr(block, name)) is not None}
