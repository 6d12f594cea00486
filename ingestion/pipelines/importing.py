"""Contracts from a source's catalog, written beside those that are there already."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ingestion.contracts.compile import examine
from ingestion.contracts.importing import TableFacts, draft_contract
from ingestion.contracts.names import is_place
from ingestion.contracts.odcs import SUFFIX, list_contract_ids, read_contract
from ingestion.contracts.spelling import our_name
from ingestion.errors import ConfigurationError, InvalidContractError
from ingestion.settings import Settings
from ingestion.sources import open_source


@dataclass(frozen=True, slots=True)
class Written:
    """A contract file that is new, its path below the project, and what to look at in it."""

    contract_id: str
    path: str
    notes: tuple[str, ...]


@dataclass(slots=True)
class ImportResult:
    """What an import wrote, and a sentence per table that it left out."""

    written: list[Written] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def import_contracts(
    settings: Settings, system: str, name: str, *, timezone: str | None = None, key: tuple[str, ...] = ()
) -> ImportResult:
    """
    Write a contract per table of `schema` or of `schema.table`. A file that exists is never touched.

    Raises ConfigurationError where the name stands for nothing or the time zone cannot be known, and what the
    source raises.
    """
    if not is_place(system):
        raise ConfigurationError(
            f"{system}: a system's name is lower case letters, digits and single _. Nothing was written. Rename it."
        )
    schema, _, table = name.partition(".")
    zone = timezone or _zone_of(settings, system)
    tables = open_source(system, settings.connection(system)).describe(schema, table or None)
    if not tables:
        raise ConfigurationError(
            f"{system}: promised tables under {name}, found none that this user may read. Nothing was written. "
            "Check the spelling and the user's rights."
        )
    result = ImportResult()
    for facts in tables:
        _import(settings, system, replace(facts, key=key or facts.key), zone, result)
    return result


def _import(settings: Settings, system: str, facts: TableFacts, zone: str, result: ImportResult) -> None:
    subject = f"{facts.schema}.{facts.name}"
    entity = our_name(facts.name, ())
    path = settings.contracts / system / f"{entity}{SUFFIX}"
    unknown = [column for column in facts.key if column not in {c.found.name for c in facts.columns}]
    if path.exists():
        result.left_out.append(f"{subject}: {path.relative_to(settings.project)} exists and stays as it is")
    elif not facts.key:
        result.left_out.append(f"{subject}: the catalog knows no primary key; import it alone, with --key COLUMN,…")
    elif unknown:
        result.left_out.append(f"{subject}: has no column {', '.join(unknown)} (spell keys as the catalog does)")
    else:
        draft = draft_contract(facts, system=system, timezone=zone, entity=entity)
        _, faults = examine(draft.text, str(path), path=str(path), expected_id=f"{system}.{entity}")
        errors = [fault for fault in faults if fault.severity == "error"]
        if errors:
            raise InvalidContractError(errors)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(draft.text, encoding="utf-8")
        result.written.append(
            Written(f"{system}.{entity}", str(path.relative_to(settings.project)), tuple(draft.notes))
        )


def _zone_of(settings: Settings, system: str) -> str:
    """Return the zone that the system's other contracts name."""
    for contract_id in list_contract_ids(settings.contracts):
        if contract_id.partition(".")[0] == system:
            return read_contract(settings.contracts / system / f"{contract_id.partition('.')[2]}{SUFFIX}").timezone
    raise ConfigurationError(
        f"{system}: promised the zone of its wall clocks, found no contract that names it. Nothing was written. "
        "Say it once: --timezone Europe/Berlin"
    )
