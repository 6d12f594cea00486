"""Reads the head of a contract file: id, version, and the kind of database."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ingestion.contracts.names import is_place
from ingestion.contracts.reading.document import DocumentFaults, Steps
from ingestion.contracts.reading.shape import dotted
from ingestion.contracts.types import DIALECTS

if TYPE_CHECKING:
    from open_data_contract_standard.model import OpenDataContractStandard, Server

VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")

_API_VERSION = re.compile(r"v3\.[12]\.\d+")
_PLACEHOLDER = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_SECRET_KEY = re.compile(
    r"pass|.*(?:password|passwd|passphrase|pwd|secret|token|credentials?|api_?key|private_?key)", re.IGNORECASE
)
_SECRET_VALUE = re.compile(
    r"(?:password|passwd|pwd|secret|token)\s*[=:]|://[^/\s]*:[^/\s]*@|^[^/\s]+/[^@\s]+@", re.IGNORECASE
)
# keys of a server block with the database's address; for a DuckDB file that is its path
_ADDRESSES = ("host", "endpointUrl", "location", "path", "account")


@dataclass(frozen=True, slots=True)
class Header:
    """The values of the head; a missing or wrong part is empty."""

    id: str
    version: str
    system: str
    entity: str
    dialect: str


def read_header(
    findings: DocumentFaults,
    contract: OpenDataContractStandard,
    expected_id: str | None,
    kinds: frozenset[str] = DIALECTS,
) -> Header:
    """Read and check the head. `expected_id` is the id of the file's path, `kinds` are the types of servers."""
    if not contract.apiVersion or _API_VERSION.fullmatch(contract.apiVersion) is None:
        findings.error(("apiVersion",), "apiVersion must be v3.1.x or v3.2.x; write `apiVersion: v3.1.0`")
    if contract.kind != "DataContract":
        findings.error(("kind",), "kind must be DataContract; write `kind: DataContract`")
    if not contract.version or VERSION.fullmatch(contract.version) is None:
        findings.error(("version",), "version must be major.minor.patch; write e.g. `version: 1.0.0`")
    system, entity = _identity(findings, contract.id, expected_id)
    dialect = _dialect(findings, contract, kinds)
    return Header(f"{system}.{entity}", contract.version or "", system, entity, dialect)


def _identity(findings: DocumentFaults, id_: str | None, expected_id: str | None) -> tuple[str, str]:
    system, _, entity = (id_ or "").partition(".")
    if not id_:
        findings.error(("id",), f"id is missing; write `id: {expected_id or '<system>.<entity>'}`")
    elif not (is_place(system) and is_place(entity)):
        findings.error(
            ("id",),
            f"id is {id_}; write <system>.<entity>, each lower case letters, digits and single _, "
            "beginning with a letter",
        )
    elif expected_id is not None and id_ != expected_id:
        findings.error(
            ("id",), f"id is {id_}, but the file stands at the place of {expected_id}; correct the id or move the file"
        )
    return system, entity


def _dialect(findings: DocumentFaults, contract: OpenDataContractStandard, kinds: frozenset[str]) -> str:
    """Return the one dialect of the servers; empty if there is none or more than one."""
    servers = contract.servers or []
    if not servers:
        findings.error(("servers",), f"servers names no database; write one of type {_or(kinds)}")
    for index, server in enumerate(servers):
        at: Steps = ("servers", index)
        if not server.type:
            findings.error((*at, "type"), f"{dotted(at)} has no type; write {_or(kinds)}")
        elif server.type not in kinds:
            findings.error((*at, "type"), f"{dotted(at)}.type is {server.type}; write {_or(kinds)}")
        _report_addresses(findings, server, at, (contract.id or "erp").partition(".")[0].upper())
    dialects = {server.type for server in servers if server.type in DIALECTS}
    if len(dialects) > 1:
        mixed = _or((str(dialect) for dialect in dialects), "and")
        findings.error(("servers",), f"servers mixes {mixed}; a contract is read from one kind of database")
    return str(dialects.pop()) if len(dialects) == 1 else ""


def _report_addresses(findings: DocumentFaults, server: Server, at: Steps, prefix: str) -> None:
    for key in [*_ADDRESSES, "database"] if server.type == "duckdb" else _ADDRESSES:
        value = getattr(server, key)
        if value is not None and not _is_placeholder(value):
            findings.error(
                (*at, key),
                f"{dotted((*at, key))} names a place, which a contract never does; "
                f"write e.g. ${{{prefix}_{key.upper()}}} and keep the address in the connection",
            )


def report_secrets(findings: DocumentFaults) -> None:
    """Report keys and values that look like a secret, anywhere in the file. No message repeats one."""
    for steps, value in _scalars(findings.document.data, ()):
        named = steps[-1] if steps[-1] != "value" else findings.document.text((*steps[:-1], "property"))
        is_named = isinstance(named, str) and _SECRET_KEY.fullmatch(named) is not None
        is_spelled = steps[0] == "servers" and isinstance(value, str) and _SECRET_VALUE.search(value) is not None
        if (is_named and not _is_placeholder(value)) or is_spelled:
            findings.error(steps, f"{dotted(steps)} looks like a secret; remove it, the connection keeps secrets")
            findings.spoil(steps)


def _is_placeholder(value: object) -> bool:
    return isinstance(value, str) and _PLACEHOLDER.fullmatch(value) is not None


def _scalars(data: Any, at: Steps) -> Iterator[tuple[Steps, Any]]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _scalars(value, (*at, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _scalars(value, (*at, index))
    else:
        yield at, data


def _or(names: Iterable[str], word: str = "or") -> str:
    ordered = sorted(names)
    return f"{', '.join(ordered[:-1])} {word} {ordered[-1]}"
