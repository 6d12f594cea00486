"""The keys of the persons to erase: read from the command line or a file, typed by the contract, never printed."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from ingestion.bronze.quarantine import typed
from ingestion.contracts.model import Contract
from ingestion.errors import ConfigurationError
from ingestion.lake import duck
from ingestion.lake.duck import Connection
from ingestion.sql.quoting import quote_standard as quote

PERSONS = "persons"
"""The relation of the keys: each key column in its type, and as it was given under `_text_<position>`."""
UNTOUCHED = "Nothing was erased."


@dataclass(frozen=True, slots=True)
class Keys:
    """Whole keys, each once. `rows` has the columns of PERSONS."""

    contract: Contract
    rows: pa.Table

    @property
    def count(self) -> int:
        return int(self.rows.num_rows)

    def digests(self, salt: str) -> list[str]:
        """Return for each key a digest that only who has the salt can compute: HMAC-SHA-256, hexadecimal."""
        names = self.contract.key_names
        return [
            hmac.new(
                salt.encode(), json.dumps([self.contract.id, *(str(row[n]) for n in names)]).encode(), hashlib.sha256
            ).hexdigest()
            for row in self.rows.select(list(names)).to_pylist()
        ]

    def register(self, connection: Connection) -> None:
        """Make the relation PERSONS on a connection."""
        connection.register("given_persons", self.rows)
        connection.execute(f"create or replace temporary table {PERSONS} as select * from given_persons")

    def match(self, row: str) -> str:
        """Return the condition that a row of the relation `row`, with typed key columns, has one of the keys."""
        same = " and ".join(f"p.{quote(c.name)} = {row}.{quote(c.name)}" for c in self.contract.keys)
        return f"exists (select 1 from {PERSONS} p where {same})"

    def match_text(self, row: str) -> str:
        """Return the same for quarantined rows, whose keys are texts that may not be of their type."""
        same = " and ".join(
            f"(p.{_text(at)} = {row}.{quote(c.name)} or p.{quote(c.name)} = {typed(c, row)})"
            for at, c in enumerate(self.contract.keys)
        )
        return f"exists (select 1 from {PERSONS} p where {same})"


def keys_of(contract: Contract, pairs: Sequence[str]) -> Keys:
    """
    Return the keys of `COLUMN=VALUE` pairs. With a key of several columns, a person has one pair per column, in turn.

    Raises ConfigurationError, which repeats no value.
    """
    wanted, size = {*contract.key_names}, len(contract.key_names)
    given = [pair.partition("=") for pair in pairs]
    persons = [given[at : at + size] for at in range(0, len(given), size)]
    for person in persons:
        if {name for name, _, _ in person} != wanted or len(person) != size or not all(sign for _, sign, _ in person):
            raise ConfigurationError(
                f"{contract.id}: --key must name each column of the key once per person, as COLUMN=VALUE; the key is "
                f"{', '.join(contract.key_names)}. {UNTOUCHED} Write for each person "
                + " ".join(f"--key {name}=…" for name in contract.key_names)
            )
    texts = [{name: value for name, _, value in person} for person in persons]
    return _typed(contract, pa.Table.from_pylist(texts, _text_schema(contract)))


def keys_in(contract: Contract, file: str | Path) -> Keys:
    """Return the keys in a CSV file whose first line names the key's columns. Raises ConfigurationError."""
    schema = _text_schema(contract)
    try:
        found = pacsv.read_csv(
            file,
            convert_options=pacsv.ConvertOptions(
                column_types=schema, strings_can_be_null=False, include_columns=schema.names
            ),
        )
    except (pa.ArrowException, KeyError, OSError) as exc:  # their texts may hold values
        raise ConfigurationError(
            f"{file}: must be a CSV file whose first line names {', '.join(schema.names)}; it cannot be read as one "
            f"({type(exc).__name__}). {UNTOUCHED} Write it again."
        ) from None
    return _typed(contract, found.select(schema.names))


def merged(contract: Contract, parts: Sequence[Keys]) -> Keys:
    """Return the keys of several ways to give them. Raises ConfigurationError if there is none."""
    rows = pa.concat_tables([part.rows for part in parts]) if parts else None
    if rows is None or not rows.num_rows:
        raise ConfigurationError(
            f"{contract.id}: no person is named. {UNTOUCHED} Give "
            + " ".join(f"--key {name}=…" for name in contract.key_names)
            + ", or --keys-file."
        )
    return Keys(contract, rows)


def _text_schema(contract: Contract) -> pa.Schema:
    return pa.schema([(name, pa.string()) for name in contract.key_names])


def _typed(contract: Contract, texts: pa.Table) -> Keys:
    columns = ", ".join(f"{typed(c, 't')} as {quote(c.name)}" for c in contract.keys)
    given = ", ".join(f"t.{quote(c.name)} as {_text(at)}" for at, c in enumerate(contract.keys))
    with duck.session("") as connection:
        connection.register("texts", texts)
        rows = connection.execute(f"select distinct {columns}, {given} from texts t order by all").to_arrow_table()
    for column in contract.keys:
        if rows.column(column.name).null_count:
            raise ConfigurationError(
                f"{contract.id}: a value given for {column.name} is no {column.logical_type} of its type "
                f"({column.arrow_type}). {UNTOUCHED} The value is not shown here; write it as the source does."
            )
    return Keys(contract, rows)


def _text(at: int) -> str:
    return f"_text_{at}"
