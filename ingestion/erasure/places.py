"""Where the lake keeps rows of one contract's table: its tables, and the files beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.fs as pafs

from ingestion.bronze.rows import POSITION
from ingestion.erasure.keys import UNTOUCHED, Keys
from ingestion.errors import LakeError
from ingestion.gaps.fingerprints import marks_path
from ingestion.lake import duck
from ingestion.lake.layout import LakeTable
from ingestion.lake.past import find_past
from ingestion.lake.storage.errors import reaching
from ingestion.lake.storage.filesystem import listed
from ingestion.runs.context import Context
from ingestion.sql.quoting import quote_standard as quote

BESIDE = ("_staging", "_live", "_set_aside")
"""Folders of a table with rows that no version names: of loads, of checkpoints, and what `doctor --mend` took out."""
VERSION_KEY = ("sk",)


@dataclass(frozen=True, slots=True)
class Place:
    """
    A table that holds rows of the persons: by `identity` its rows are told apart, `app_id` notes what it holds.

    `is_text`: its key columns are texts. Tables whose commits a load could add to are `loaded`.
    """

    table: LakeTable
    app_id: str
    identity: tuple[str, ...]
    is_text: bool = False
    is_loaded: bool = False

    @property
    def name(self) -> str:
        return f"{self.table.schema}.{self.table.name}"


def places_of(context: Context, keys: Keys) -> list[Place]:
    """
    Return the tables with rows of the contract's table that exist, in the order in which rows leave them.

    Silver comes before Bronze, so that what a table is built from goes last. Raises LakeError if the Silver model
    lacks the key: then its rows cannot be told.
    """
    contract = keys.contract
    silver = LakeTable("silver", contract.silver_model, context.lake.uri("silver", contract.silver_model))
    parts = (contract.system, contract.entity)
    bronze = LakeTable("bronze", contract.bronze_view, context.lake.uri("bronze", *parts))
    quarantine = LakeTable("quarantine", contract.bronze_view, context.lake.uri("quarantine", *parts))
    places = [
        Place(silver, f"silver/{silver.name}", VERSION_KEY),
        Place(bronze, contract.app_id, POSITION, is_loaded=True),
        Place(quarantine, contract.app_id, POSITION, is_text=True, is_loaded=True),
    ]
    found = [place for place in places if context.engine.exists(place.table.uri)]
    for place in found:
        lacking = {*contract.key_names, *place.identity} - {*context.engine.schema(place.table.uri).names}
        if lacking:
            raise LakeError(
                f"{place.name}: lacks the columns {', '.join(sorted(lacking))}, so a person's rows cannot be found in "
                f"it. {UNTOUCHED} Give its model the key of {contract.id}, build it, and run it again."
            )
    return found


def gold_places(context: Context) -> list[Place]:
    """Return Gold's tables. They hold what their models made of Silver, so they are built anew and not searched."""
    return [Place(t, f"gold/{t.name}", ()) for t in context.lake.tables() if t.schema == "gold"]


@dataclass(frozen=True, slots=True)
class Held:
    """
    What a table holds of the persons at its newest `version`: the identities of their `rows`, and what goes with them.

    `versions` are all that the table has, and `files` those that a new version without the rows and without a past
    does not need. Both are 0 if there is nothing to erase; a table that is loaded into gets a new version all the same.
    """

    version: int
    rows: pa.Table
    versions: int
    files: int


def held_by(context: Context, place: Place, keys: Keys) -> Held:
    """Return what a table holds. Of a table without an identity no rows are looked for."""
    uri = place.table.uri
    snapshot = context.engine.snapshot(uri, expected_version=context.engine.version(uri))
    past = find_past(uri, snapshot.version, [file.path for file in snapshot.files])
    rows, in_files = _rows_in(context, place, keys, snapshot.version)
    if past.is_empty and not rows.num_rows and not place.is_loaded:
        return Held(snapshot.version, rows, 0, 0)
    return Held(snapshot.version, rows, past.commits + 1, in_files + past.count + past.of_newest)


def _rows_in(context: Context, place: Place, keys: Keys, version: int) -> tuple[pa.Table, int]:
    """Return the identities of the persons' rows in a table, and in how many files they are."""
    if not place.identity:
        return pa.table({}), 0
    match = keys.match_text("r") if place.is_text else keys.match("r")
    names = ", ".join(quote(name) for name in place.identity)
    with duck.session(place.table.uri, memory_limit=context.settings.memory_limit) as connection:
        keys.register(connection)
        connection.execute(
            f"create temporary table found as select {names}, filename from {duck.scan(place.table.uri, version)} r "
            f"where {match}"
        )
        counted = connection.execute("select count(distinct filename) from found").fetchone()
        rows = connection.execute(f"select distinct {names} from found").to_arrow_table()
    return rows, int(counted[0]) if counted else 0


def count_unkeyed(context: Context, keys: Keys) -> int:
    """Count the quarantined rows without a whole key: nothing tells whose they are."""
    uri = context.lake.uri("quarantine", keys.contract.system, keys.contract.entity)
    if not context.engine.exists(uri):
        return 0
    absent = " or ".join(f"{quote(name)} is null" for name in keys.contract.key_names)
    with duck.session(uri) as connection:
        row = connection.execute(f"select count(*) from {duck.scan(uri)} where {absent}").fetchone()
    return int(row[0]) if row else 0


def files_beside(context: Context, keys: Keys) -> list[pafs.FileInfo]:
    """Return the files beside the contract's tables that may hold rows, and the fingerprints of its differences."""
    return list(_beside(context, keys))


def _beside(context: Context, keys: Keys) -> Iterator[pafs.FileInfo]:
    lake, contract = context.lake, keys.contract
    uris = [lake.uri(layer, contract.system, contract.entity) for layer in ("bronze", "quarantine")]
    uris += [lake.uri("silver", contract.silver_model), *(place.table.uri for place in gold_places(context))]
    with reaching(lake.root):
        for uri in uris:
            for name in BESIDE:
                beside = listed(lake.filesystem, f"{lake.path_of(uri)}/{name}", recursive=True)
                yield from (info for info in beside if info.is_file)
        marks = lake.filesystem.get_file_info(marks_path(lake, contract.id))
        if marks.is_file:
            yield marks
