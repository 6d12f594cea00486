"""What of a Delta table's folder is not its newest version: older commits and checkpoints, and files that it lacks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote

import pyarrow.fs as pafs
import pyarrow.parquet as pq

from ingestion.errors import IntegrityError
from ingestion.lake.log import FOLDER, HINT, actions_of, commit_name, fault_of
from ingestion.lake.storage.errors import reaching
from ingestion.lake.storage.filesystem import listed, open_files

_VERSION = re.compile(r"\.?(\d{20})\.")
_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKSUM = re.compile(r"^(.*/)?\.(part-.*)\.crc$")  # Spark writes one beside each file of a local table


@dataclass(frozen=True, slots=True)
class Past:
    """
    Files of a table, by their paths on its file system, that its `version` does not need.

    `commits` are those of `log`. `data` are files of older versions, and files without a commit that were last changed
    before the commit of `version`. `of_newest` is how many files the log has of `version` itself.
    """

    uri: str
    version: int
    live: frozenset[str]
    filesystem: pafs.FileSystem
    data: tuple[str, ...]
    log: tuple[str, ...]
    commits: int
    of_newest: int

    @property
    def is_empty(self) -> bool:
        return not self.data and not self.log

    @property
    def count(self) -> int:
        return len(self.data) + len(self.log)

    def delete(self) -> None:
        """
        Delete them, data files first: while the older commits are there, another call finds what is left.

        Raises IntegrityError, before anything is deleted, unless a checkpoint of `version` names exactly its files.
        """
        with reaching(self.uri):
            self._check_checkpoint()
            for path in (*self.data, *sorted(self.log)):
                self.filesystem.delete_file(path)

    def _check_checkpoint(self) -> None:
        path = f"{open_files(self.uri)[1]}/{FOLDER}/{self.version:020d}.checkpoint.parquet"
        with pq.ParquetFile(path, filesystem=self.filesystem) as file:
            rows = file.read(columns=["add.path"])
        adds = rows.column("add").to_pylist() if "add" in rows.column_names else []
        named = {unquote(add["path"]) for add in adds if add and add["path"] is not None}
        if named != self.live:
            raise IntegrityError(
                f"{self.uri}: version {self.version} has {len(self.live)} files, its checkpoint names {len(named)} or "
                "others. No older version was deleted. This is a fault of the program; report it."
            )


def find_past(uri: str, version: int, live: Sequence[str]) -> Past:
    """Return what a table at its newest `version`, which has the data files `live`, does not need."""
    filesystem, folder = open_files(uri)
    with reaching(uri):
        inside = listed(filesystem, folder, recursive=True)
        tip = next((info for info in inside if info.path == f"{folder}/{FOLDER}/{commit_name(version)}"), None)
        gone = {
            path
            for info in inside
            if info.path.startswith(f"{folder}/{FOLDER}/") and _is_commit_until(version, info.base_name)
            for path in _named_by(filesystem, info.path)
        }
    before, kept = None if tip is None else tip.mtime, frozenset(live)
    data, log, commits, of_newest = [], [], 0, 0
    for info in inside:
        name = _CHECKSUM.sub(r"\1\2", info.path.removeprefix(f"{folder}/"))
        if not info.is_file or name in kept:
            continue
        if name.startswith(f"{FOLDER}/"):
            match = _VERSION.match(info.base_name)
            of_newest += match is not None and int(match[1]) == version
            is_old = int(match[1]) < version if match else info.base_name != HINT and _is_older(info, before)
            log += [info.path] * is_old
            commits += is_old and name.endswith(".json") and not info.base_name.startswith(".")
        elif not name.startswith("_") and (name in gone or _is_older(info, before)):
            data.append(info.path)
    return Past(uri, version, kept, filesystem, tuple(data), tuple(log), commits, of_newest)


def _is_older(info: pafs.FileInfo, moment: datetime | None) -> bool:
    return moment is not None and info.mtime is not None and info.mtime < moment


def _is_commit_until(version: int, name: str) -> bool:
    match = _COMMIT.fullmatch(name)
    return match is not None and int(match[1]) <= version


def _named_by(filesystem: pafs.FileSystem, commit: str) -> Iterator[str]:
    with filesystem.open_input_stream(commit) as stream:
        text = bytes(stream.readall())
    for action in actions_of(text) if fault_of(text) is None else ():
        named = action.get("remove") or action.get("add")
        if named:
            yield unquote(str(named["path"]))
