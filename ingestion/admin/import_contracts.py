"""Writes contracts from a source's catalog for tables that have none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ingestion.admin.looking import look
from ingestion.contracts.facts import ColumnId, TableFacts
from ingestion.contracts.model import Column, Contract
from ingestion.contracts.names import is_place
from ingestion.contracts.odcs import SUFFIX, list_contract_ids, read_contract
from ingestion.contracts.reading.compile import examine
from ingestion.contracts.writing.draft import draft_contract, entity_name
from ingestion.contracts.writing.files import write_whole
from ingestion.contracts.writing.promises import Promises
from ingestion.contracts.writing.spelling import is_usable
from ingestion.errors import ConfigurationError, InvalidContractError, LakehouseError
from ingestion.settings import Settings
from ingestion.sources import open_source


@dataclass(frozen=True, slots=True)
class Written:
    """A new contract file: its path below the project, and notes on what a person should check in it."""

    contract_id: str
    path: str
    notes: tuple[str, ...]


@dataclass(slots=True)
class ImportResult:
    """What an import wrote, the ids of contracts that were there, and a sentence per table that it left out."""

    written: list[Written] = field(default_factory=list)
    existing: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def import_contracts(
    settings: Settings,
    system: str,
    name: str,
    *,
    timezone: str | None = None,
    key: tuple[str, ...] = (),
    entity: str | None = None,
) -> ImportResult:
    """
    Write a contract for each table of `schema`, or for `schema.table`. Existing contracts are not changed.

    A table that cannot be imported is left out and named, and the others are imported. If two tables would have the
    same entity name, the second one gets another name. `entity` sets the name for a single table.

    Raises ConfigurationError if there is no such schema or table, the time zone is not known or `entity` is not a valid
    name; and what the source raises when its catalog is read.
    """
    schema, _, table = name.partition(".")
    _check_names(system, entity, table)
    existing = _contracts_of(settings, system)
    zone = timezone or _zone_of(system, existing)
    source = open_source(system, settings.connection(system))
    tables = source.describe(schema, table or None)
    if not tables:
        raise ConfigurationError(
            f"{system}: there is no table under {name} that this user may read. Nothing was written. "
            "Check the spelling and the user's rights."
        )
    tables = [replace(facts, key=key or facts.key) for facts in tables]
    promises = Promises(
        {(facts.schema, facts.name): facts for facts in tables},
        {_id_of(contract, column): column.arrow_type for contract in existing for column in contract.columns},
        partial(look, source, system),
        frozenset(_id_of(contract, contract.keys[0]) for contract in existing if len(contract.keys) == 1),
    )
    work = _Import(settings, system, zone, promises, existing)
    for facts in tables:
        work.take(facts, entity)
    return work.result


@dataclass(slots=True)
class _Import:
    """One import: what all its tables share, and the result."""

    settings: Settings
    system: str
    zone: str
    promises: Promises
    existing: Sequence[Contract]
    result: ImportResult = field(default_factory=ImportResult)

    def take(self, facts: TableFacts, entity: str | None) -> None:
        """Write a table's contract, or note why it is left out."""
        subject = f"{facts.schema}.{facts.name}"
        try:
            reason = self._obstacle(facts) or self._write(facts, entity or self._entity(facts))
        except InvalidContractError as exc:
            reason = "; ".join(fault.message for fault in exc.faults)
        except LakehouseError as exc:
            reason = str(exc)
        except OSError as exc:
            reason = f"its file cannot be written ({exc.strerror or type(exc).__name__})"
        except Exception as exc:  # the other tables are imported; the error's text may contain row values
            reason = f"an error of ours ({type(exc).__name__}); please report it with the table's definition"
        if reason:
            self.result.left_out.append(f"{subject}: {reason}")

    def _obstacle(self, facts: TableFacts) -> str | None:
        columns = {column.found.name: column.found.physical_type for column in facts.columns}
        unknown = [column for column in facts.key if column not in columns]
        unusable = [f"{c} ({columns[c]})" for c in facts.key if c in columns and not self._is_usable(facts, c)]
        if contract := self._contract_of(facts):
            self.result.existing.append(contract.id)
            return f"{self._shown(contract.entity)} exists and stays as it is"
        if not facts.key:
            return "the catalog knows no primary key; import it alone, with --key COLUMN,…"
        if unknown:
            return f"has no column {', '.join(unknown)} (spell keys as the catalog does)"
        if unusable:
            return (
                f"no contract can use the type of its key {', '.join(unusable)}; import it alone, with --key COLUMN,…"
            )
        return None

    def _is_usable(self, facts: TableFacts, column: str) -> bool:
        found = next(c.found for c in facts.columns if c.found.name == column)
        return is_usable(found.dialect, found.physical_type)

    def _contract_of(self, facts: TableFacts) -> Contract | None:
        """Return the contract of a table: by its exact name, else by its name in another case if no table has that."""
        names = set(self.promises.tables)
        for contract in self.existing:
            own = (
                contract.source_table[-2:] if len(contract.source_table) > 1 else (facts.schema, *contract.source_table)
            )
            folded = tuple(part.casefold() for part in own)
            is_alike = own not in names and folded == (facts.schema.casefold(), facts.name.casefold())
            if own == (facts.schema, facts.name) or is_alike:
                return contract
        return None

    def _write(self, facts: TableFacts, entity: str) -> str | None:
        path = self._path(entity)
        if path.exists():
            return f"{self._shown(entity)} exists and stays as it is; --entity names another one"
        draft = draft_contract(
            facts,
            system=self.system,
            timezone=self.zone,
            entity=entity,
            promise=lambda found: self.promises.of(facts, found),
        )
        _, faults = examine(draft.text, str(path), path=str(path), expected_id=f"{self.system}.{entity}")
        errors = [fault for fault in faults if fault.severity == "error"]
        if errors:
            raise InvalidContractError(errors)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, draft.text)
        self.result.written.append(Written(f"{self.system}.{entity}", self._shown(entity), tuple(draft.notes)))
        return None

    def _entity(self, facts: TableFacts) -> str:
        """Return an unused name: the table's, else with its schema as prefix, else with a number."""
        plain = entity_name(facts.name)
        is_of_this_schema = any(w.contract_id == f"{self.system}.{plain}" for w in self.result.written)
        prefixed = [] if is_of_this_schema else [f"{entity_name(facts.schema)}_{plain}"]
        names = [plain, *prefixed, *(f"{plain}_{number}" for number in range(2, 10_000))]
        return next(name for name in names if not self._path(name).exists())

    def _path(self, entity: str) -> Path:
        return self.settings.contracts / self.system / f"{entity}{SUFFIX}"

    def _shown(self, entity: str) -> str:
        return str(self._path(entity).relative_to(self.settings.project))


def _check_names(system: str, entity: str | None, table: str) -> None:
    if not is_place(system):
        raise ConfigurationError(
            f"{system}: a system's name is lower case letters, digits and single _. Nothing was written. Rename it."
        )
    if entity is not None and not table:
        raise ConfigurationError(
            f"{entity}: an entity names one table, and a whole schema was asked for. Nothing was written. "
            "Import that table alone: SCHEMA.TABLE --entity NAME."
        )
    if entity is not None and not is_place(entity):
        raise ConfigurationError(
            f"{entity}: an entity's name is lower case letters, digits and single _. Nothing was written. Rename it."
        )


def _contracts_of(settings: Settings, system: str) -> list[Contract]:
    """Return the system's valid contracts; `lakehouse contract lint` reports the faults of the others."""
    contracts = []
    for contract_id in list_contract_ids(settings.contracts):
        place, _, entity = contract_id.partition(".")
        if place == system:
            try:
                contracts.append(read_contract(settings.contracts / system / f"{entity}{SUFFIX}"))
            except InvalidContractError:
                continue
    return contracts


def _id_of(contract: Contract, column: Column) -> ColumnId:
    schema, table = ("", *contract.source_table)[-2:]
    return ColumnId(schema, table, column.source_name)


def _zone_of(system: str, contracts: Sequence[Contract]) -> str:
    """Return the time zone of the system's other contracts. Raises ConfigurationError if there are none."""
    if contracts:
        return contracts[0].timezone
    raise ConfigurationError(
        f"{system}: the time zone of its timestamps is not known: no contract names it. Nothing was written. "
        "Say it once: --timezone Europe/Berlin"
    )
