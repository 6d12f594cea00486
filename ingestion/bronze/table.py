"""A contract's Bronze and quarantine tables: their paths, their committed state, and the commit of a batch."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.bronze.checkpoint import checkpoints
from ingestion.bronze.entries import STATE
from ingestion.bronze.quarantine import OPEN
from ingestion.bronze.rows import (
    POSITION,
    bronze_schema,
    described_schemas,
    quarantine_schema,
    shown_columns,
    unindexed_columns,
)
from ingestion.contracts.drift import Drift, DriftKind, bronze_drift
from ingestion.contracts.model import BronzeMode, Contract, DriftAction
from ingestion.contracts.types import duckdb_type
from ingestion.errors import Break, ConcurrentWriteError, RetypeError
from ingestion.lake import duck
from ingestion.lake.base import Commit, Engine, StagedFile
from ingestion.lake.descriptions import is_described
from ingestion.lake.embedded.parquet_files import FileWriter
from ingestion.lake.embedded.rewrite import write_partitioned
from ingestion.lake.layout import Lake
from ingestion.lake.statistics import file_statistics, indexed_columns
from ingestion.lake.storage.filesystem import move
from ingestion.sql.quoting import quote_standard


@dataclass(frozen=True, slots=True)
class BronzeState:
    """
    What the lake holds of a table, read at Delta versions that stay fixed for the whole load.

    `batch` is the last committed one (0: none yet), `next_batch` the next free number of Bronze and
    quarantine together. `watermark` is the exclusive end of what is loaded by
    `watermark_column`, in source form; None if the log no longer has it or nothing was loaded.
    `ingested_at` is when the last batch was made, by the loader's clock; None if the log no longer has it.
    """

    batch: int
    next_batch: int
    version: int
    quarantine_version: int
    watermark: str | None
    watermark_column: str | None
    ingested_at: datetime | None = None

    @property
    def is_empty(self) -> bool:
        return self.batch == 0


class BronzeTable:
    """The Bronze and quarantine tables of one contract on one engine."""

    def __init__(self, lake: Lake, engine: Engine, contract: Contract) -> None:
        self.lake = lake
        self.engine = engine
        self.contract = contract
        self.uri = lake.uri("bronze", contract.system, contract.entity)
        self.quarantine_uri = lake.uri("quarantine", contract.system, contract.entity)

    def create(self) -> tuple[str, ...]:
        """
        Create both tables, empty, unless they exist; add and retype columns where the contract has changed since.

        Returns a sentence for each change of existing rows. Raises RetypeError if they cannot be converted,
        ConcurrentWriteError if another load commits meanwhile.
        """
        _, entries = described_schemas(self.contract)
        self.engine.create(self.quarantine_uri, entries, unindexed=self.contract.arrow_schema.names)
        told = self.create_rows()
        found = self.engine.schema(self.quarantine_uri)
        if not {*entries.names} <= {*found.names}:
            self.engine.add_columns(self.quarantine_uri, list(entries))
        if not is_described(found, entries):
            self.engine.describe(self.quarantine_uri, entries)
        return told

    def create_rows(self) -> tuple[str, ...]:
        """Create or change the Bronze table alone, as `create` does."""
        contract = self.contract
        rows, _ = described_schemas(contract)
        self.engine.create(
            self.uri,
            rows,
            append_only=contract.bronze is BronzeMode.APPEND,
            unindexed=unindexed_columns(contract),
            partition_by=[contract.partition] if contract.partition else [],
        )
        found = self.engine.schema(self.uri)
        told = self._evolve(found)
        if not is_described(found, rows):
            self.engine.describe(self.uri, rows)
        return told

    def _evolve(self, schema: pa.Schema) -> tuple[str, ...]:
        contract = self.contract
        if not bronze_drift(contract, schema):
            return ()
        is_empty = self.engine.tip(self.uri, contract.app_id).batch == 0
        drifts = bronze_drift(contract, schema, is_empty=is_empty)
        failing = [
            Break(d.column, d.promised, f"{d.found}, which does not become it exactly")
            for d in drifts
            if d.action is DriftAction.FAIL
        ]
        if failing:
            raise RetypeError(contract.id, failing)
        retyped = [d.column for d in drifts if d.kind is not DriftKind.NEW_COLUMN]
        if retyped:
            self._retype(retyped)
        if len(retyped) < len(drifts):
            self.engine.add_columns(self.uri, list(bronze_schema(contract)))
        return () if is_empty else tuple(_told(contract, drift) for drift in drifts)

    def _retype(self, columns: Sequence[str]) -> None:
        types = {name: self.contract.column(name).arrow_type for name in columns}
        for checkpoint in checkpoints(self.lake.filesystem, self.checkpoint_folder):
            self.lake.filesystem.delete_file(checkpoint.path)  # it has rows of the old types; a load writes it again
        misfits = self.engine.retype(self.uri, types)
        if misfits:
            found = {name: f"{count:,} values in Bronze that do not fit it" for name, count in misfits.items()}
            raise RetypeError(self.contract.id, [Break(n, str(types[n]), text) for n, text in found.items()])

    def state(self) -> BronzeState:
        """Return the committed state."""
        app_id = self.contract.app_id
        rows, quarantine = (self.engine.tip(uri, app_id) for uri in (self.uri, self.quarantine_uri))
        metadata = (self.engine.last_metadata(self.uri, app_id) or {}) if rows.batch else {}
        if metadata.get("batch") != rows.batch:
            metadata = {}
        return BronzeState(
            batch=rows.batch,
            next_batch=max(rows.batch, quarantine.batch) + 1,
            version=rows.version,
            quarantine_version=quarantine.version,
            watermark=metadata.get("watermark"),
            watermark_column=metadata.get("watermark_column"),
            ingested_at=datetime.fromisoformat(metadata["ingested_at"]) if "ingested_at" in metadata else None,
        )

    def newest_watermark(self, state: BronzeState) -> str | None:
        """Return the highest watermark among the Bronze rows, in source form with the digits that Bronze keeps."""
        column = quote_standard(self.contract.watermark or "")
        with duck.session(self.uri) as connection:
            row = connection.execute(
                f"select cast(max({column}) as varchar) from {duck.scan(self.uri, state.version)} where _op <> 'D'"
            ).fetchone()
        return None if row is None else row[0]

    def quarantine_at(self, connection: duck.Connection, version: int) -> str:
        """Attach the quarantine at a Delta version and return a query of it; columns added later are null."""
        lacking = ", ".join(
            f"cast(null as {duckdb_type(field.type)}) as {quote_standard(field.name)}"
            for field in quarantine_schema(self.contract)
        )
        none = f"select {lacking} where false"
        if self._has_no_entry(version):
            return none
        return (
            f"select * from ({none}) union all by name "
            f"select * from {duck.attached(connection, self.quarantine_uri, version)}"
        )

    def count_in_quarantine(self, state: BronzeState) -> int:
        """Return the number of open entries, waived ones included: the source still had their rows when last read."""
        if self._has_no_entry(state.quarantine_version):
            return 0
        with duck.session(self.uri) as connection:
            entries = self.quarantine_at(connection, state.quarantine_version)
            row = connection.execute(f"select count(*) from ({entries}) q where {OPEN}").fetchone()
        return int(row[0]) if row else 0

    def _has_no_entry(self, version: int) -> bool:
        """Return whether the quarantine is as it was created: attaching it would take as long as a small load."""
        return version == 0 and not self.engine.newest(self.quarantine_uri)[1]

    def entries_by_rule(self, connection: duck.Connection, state: BronzeState) -> str:
        """Return a query of the entries: state, column, rule, rows, first and last batch."""
        return (
            "select state, split_part(mark, ':', 1), split_part(mark, ':', 2), count(*), min(_batch), max(_batch) "
            f"from (select {STATE} as state, unnest(string_split(_breaks, '; ')) as mark, _batch "
            f"from ({self.quarantine_at(connection, state.quarantine_version)})) group by 1, 2, 3 "
            f"order by array_position(['open', 'waived', 'settled', 'replayed'], state), 2, 3"
        )

    def entries(
        self, connection: duck.Connection, state: BronzeState, *, batch: int | None, is_all: bool, masked: bool
    ) -> str:
        """
        Return a query of the entries: `_batch`, `_row`, `_state`, `_breaks`, then the columns in the source's spelling.

        `is_all` includes settled and replayed ones. `masked`: personal columns are shown as their masks say.
        """
        every = [quote_standard(column.name) for column in self.contract.columns]
        columns = shown_columns(self.contract.columns) if masked else every
        chosen = [] if batch is None else [f"_batch = {int(batch)}"]
        chosen += [] if is_all else [OPEN]
        entries = self.quarantine_at(connection, state.quarantine_version)
        return (
            f"select {', '.join(['_batch', '_row', f'{STATE} as _state', '_breaks', *columns])} "
            f"from ({entries}) q where {' and '.join(chosen) or 'true'} "
            "order by q._batch, q._row"
        )

    def end_entries(self, positions: pa.Table, column: str, value: int | datetime, *, expected_version: int) -> None:
        """
        Write one value into a column of the quarantined rows at `positions` (`_batch`, `_row`), in one commit.

        Raises ConcurrentWriteError if the quarantine is no longer at `expected_version`.
        """
        if not positions.num_rows:
            return
        type_ = quarantine_schema(self.contract).field(column).type
        changed = positions.append_column(column, pa.repeat(pa.scalar(value, type_), positions.num_rows))
        changed = changed.append_column("_change", pa.repeat(pa.scalar("U"), positions.num_rows))
        self.engine.merge(
            self.quarantine_uri,
            changed.to_reader(),
            key=POSITION,
            commit=Commit(f"quarantine/{self.contract.id}", None),
            expected_version=expected_version,
            op="_change",
        )

    @property
    def checkpoint_folder(self) -> str:
        """Folder (on the lake's file system) of the checkpoints; see `ingestion.bronze.checkpoint`."""
        return self.lake.path_of(self.uri) + "/_live"

    def staging_folder(self, token: str) -> str:
        """Return the folder (on the lake's file system) of one attempt's files."""
        return self.lake.path_of(self.uri) + f"/_staging/{token}"

    def adopt(self, path: str, footer: pq.FileMetaData, size: int, *, batch: int, uri: str) -> StagedFile:
        """Move a staged file into its table's folder under a new name and describe it for the commit."""
        schema = bronze_schema(self.contract) if uri == self.uri else quarantine_schema(self.contract)
        unindexed = unindexed_columns(self.contract) if uri == self.uri else self.contract.arrow_schema.names
        name = f"part-{batch:08d}-{uuid.uuid4()}.parquet"
        move(self.lake.filesystem, path, f"{self.lake.path_of(uri)}/{name}")
        return StagedFile(name, int(footer.num_rows), size, file_statistics(footer, indexed_columns(schema, unindexed)))

    def write_partitions(self, connection: duck.Connection, rows: str) -> list[StagedFile]:
        """Write the rows of a query to new files of one partition each, as Delta requires, and describe them."""
        schema = bronze_schema(self.contract)
        partition = [self.contract.partition] if self.contract.partition else []
        indexed = [c for c in indexed_columns(schema, unindexed_columns(self.contract)) if c not in partition]
        return write_partitioned(FileWriter(connection, self.uri, schema, partition, indexed), rows, partition, ())

    def publish(
        self,
        uri: str,
        files: Sequence[StagedFile],
        *,
        batch: int,
        metadata: Mapping[str, Any],
        after: int | None = None,
    ) -> int:
        """
        Commit one batch to Bronze or quarantine, with its number and metadata.

        Raises ConcurrentWriteError if another load has committed this batch number meanwhile, or any batch later than
        `after`, the one that the rows were compared with.
        """
        version = self.engine.publish(
            uri,
            files,
            commit=Commit(self.contract.app_id, batch, metadata, after),
            overwrite=uri == self.uri and self.contract.bronze is BronzeMode.OVERWRITE,
            schema=bronze_schema(self.contract) if uri == self.uri else None,
        )
        if version is None:
            raise ConcurrentWriteError(
                f"{self.contract.id}: batch {batch} was committed by another load meanwhile. "
                "Nothing of this attempt was kept. Run it again."
            )
        return version


def _told(contract: Contract, drift: Drift) -> str:
    """Return a sentence on what a change of Bronze means for its existing rows."""
    if drift.kind is not DriftKind.NEW_COLUMN:
        return (
            f"{drift.column} was retyped in Bronze to {drift.promised} ({drift.found} before); the next build follows"
        )
    return (
        f"{drift.column} is new in Bronze: null in all rows loaded before, until they change or somebody runs "
        f"`lakehouse load --full {contract.id}`"
    )
