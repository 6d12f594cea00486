"""Records which chunks of a table are read, so that an interrupted load can continue at the same fixed point.

A folder has the staged files, `plan.json` with what is being read, and `chunk-<n>.json` per chunk whose files are
complete. It is a cache: if the folder is deleted, the table is read again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pyarrow.fs as pafs

from ingestion.contracts.window import FixedPoint, Window
from ingestion.extract.split import Tally
from ingestion.lake.staging import ParquetFile, open_parquet
from ingestion.lake.storage.filesystem import make_folder, move


@dataclass(frozen=True, slots=True)
class StagedRead:
    """
    The result of one read: good rows in Bronze form (one file, perhaps empty), bad ones in quarantine form.

    `ascends`: the keys of the good rows ascend strictly; False means that it is not known.
    """

    arrived: ParquetFile
    bad: ParquetFile | None
    tally: Tally
    ascends: bool = False


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """
    What a load reads and the values that it writes into each row, so that a continued load writes the same ones.

    `chunks` are the fields of `ingestion.sources.base.Chunk`. `ingested_at` is UTC. `watermark` is what the batch
    commits.
    """

    fixed_point: FixedPoint
    window: Window
    ingested_at: datetime
    chunks: tuple[tuple[str, str | None, str | None], ...]
    watermark: str | None = None


class ChunkLedger:
    """The chunks of one batch of one table in one folder."""

    def __init__(self, filesystem: pafs.FileSystem, folder: str) -> None:
        self.filesystem = filesystem
        self.folder = folder

    def plan(self) -> ChunkPlan | None:
        """Return the plan of an interrupted load; None if there is none to continue."""
        found = self._read("plan")
        if found is None:
            return None
        return ChunkPlan(
            FixedPoint.from_dict(found["fixed_point"]),
            Window(**found["window"]),
            datetime.fromisoformat(found["ingested_at"]),
            tuple(tuple(chunk) for chunk in found["chunks"]),
            found["watermark"],
        )

    def begin(self, plan: ChunkPlan) -> None:
        self._write(
            "plan",
            {
                "fixed_point": plan.fixed_point.as_dict(),
                "window": asdict(plan.window),
                "ingested_at": plan.ingested_at.isoformat(),
                "chunks": plan.chunks,
                "watermark": plan.watermark,
            },
        )

    def finish(self, index: int, read: StagedRead) -> None:
        """Record that a chunk's files are complete. Written last, so a recorded chunk is complete."""
        noted = {"arrived": _noted(read.arrived), "bad": read.bad and _noted(read.bad)}
        self._write(_chunk(index), {**noted, "tally": asdict(read.tally), "ascends": read.ascends})

    def finished(self, index: int) -> StagedRead | None:
        """Return the result of a chunk; None if it was not read completely, or a file is missing or truncated."""
        noted = self._read(_chunk(index))
        if noted is None:
            return None
        arrived = self._file(noted["arrived"])
        bad = self._file(noted["bad"]) if noted["bad"] else None
        if arrived is None or (noted["bad"] and bad is None):
            return None
        return StagedRead(arrived, bad, Tally(**noted["tally"]), noted.get("ascends", False))

    def clear(self) -> None:
        """Delete all records and staged files. Idempotent."""
        if self.filesystem.get_file_info(self.folder).type == pafs.FileType.Directory:
            self.filesystem.delete_dir(self.folder)

    def _file(self, noted: Mapping[str, Any]) -> ParquetFile | None:
        path = f"{self.folder}/{noted['name']}"
        info = self.filesystem.get_file_info(path)
        if info.type != pafs.FileType.File or info.size != noted["bytes"]:
            return None
        return open_parquet(self.filesystem, path)

    def _read(self, name: str) -> Any:
        path = f"{self.folder}/{name}.json"
        if self.filesystem.get_file_info(path).type != pafs.FileType.File:
            return None
        with self.filesystem.open_input_stream(path) as stream:
            return json.loads(stream.readall())

    def _write(self, name: str, content: dict[str, Any]) -> None:
        make_folder(self.filesystem, self.folder)
        path = f"{self.folder}/{name}.json"
        with self.filesystem.open_output_stream(path + ".new") as stream:
            stream.write(json.dumps(content).encode())
        move(self.filesystem, path + ".new", path)


def _chunk(index: int) -> str:
    return f"chunk-{index:06d}"


def _noted(file: ParquetFile) -> dict[str, Any]:
    return {"name": file.path.rsplit("/", 1)[-1], "bytes": file.bytes}
