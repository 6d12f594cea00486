"""The path of every table of the lake, and the marker file that identifies a lake.

<root>/_lakehouse.json            marker with the format version
<root>/bronze/<system>/<entity>   and quarantine/ likewise
<root>/silver/<model>, gold/<model>, audit/<model>, ops/<table>
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pyarrow.fs as pafs

from ingestion.errors import ConfigurationError, LakeError
from ingestion.lake.names import ONE_LEVEL_LAYERS, TWO_LEVEL_LAYERS
from ingestion.lake.storage.errors import missing, reaching
from ingestion.lake.storage.filesystem import listed, make_folder, move, open_files
from ingestion.lake.storage.provider import forget_empty, is_remote, location, storage_options

MARKER = "_lakehouse.json"
DEMO_MARKER = "_demo"
"""An empty file: all data of the lake is made up."""
MARKS = "_marks"
"""The folder in `ops` with the fingerprints of open differences, which is no table."""
FORMAT_VERSION = 1
_UNUSABLE = "%\\[]*?|^"


@dataclass(frozen=True, slots=True)
class LakeTable:
    """A Delta table of the lake: `schema`.`name` is what SQL calls it."""

    schema: str
    name: str
    uri: str


@dataclass(frozen=True)
class Lake:
    """
    One root folder or bucket. `root` is an absolute local path or a URI without trailing slash.

    `storage_options` are delta-rs's options for access and hold secrets.
    """

    root: str
    storage_options: Mapping[str, str] = field(default_factory=dict, repr=False)

    @cached_property
    def filesystem(self) -> pafs.FileSystem:
        """The Arrow file system of the root; paths on it come from `path`."""
        return self._resolved[0]

    @cached_property
    def is_demo(self) -> bool:
        """Whether all data of the lake is made up."""
        return bool(self.filesystem.get_file_info(self.path(DEMO_MARKER)).type == pafs.FileType.File)

    @cached_property
    def _resolved(self) -> tuple[pafs.FileSystem, str]:
        return open_files(self.root)

    def uri(self, layer: str, *parts: str) -> str:
        """Return the URI of a table, e.g. `uri("bronze", "erp", "customers")`."""
        return "/".join([self.root, layer, *parts])

    def path(self, *parts: str) -> str:
        """Return a path on `filesystem` below the root."""
        return "/".join([self._resolved[1], *parts])

    def path_of(self, uri: str) -> str:
        """Return the path on `filesystem` of a URI made by `uri`."""
        return self.path(uri.removeprefix(self.root).lstrip("/"))

    def location(self, path: str) -> str:
        """Return a path on `filesystem` in the form that DuckDB reads: the path itself, or a URI."""
        return location(self.root) + path.removeprefix(self._resolved[1])

    def tables(self) -> list[LakeTable]:
        """Return every Delta table of the lake, ordered by schema and name."""
        return [table for table in self.table_folders() if self._is_delta(table.uri)]

    def table_folders(self) -> list[LakeTable]:
        """Return every table folder, with or without a Delta log."""
        found = []
        for layer in TWO_LEVEL_LAYERS:
            for system in self._folders(layer):
                for entity in self._folders(layer, system):
                    found.append(LakeTable(layer, f"{system}__{entity}", self.uri(layer, system, entity)))
        for layer in ONE_LEVEL_LAYERS:
            found += [LakeTable(layer, name, self.uri(layer, name)) for name in self._folders(layer)]
        return [table for table in found if (table.schema, table.name) != ("ops", MARKS)]

    def _folders(self, *parts: str) -> Iterator[str]:
        inside = listed(self.filesystem, self.path(*parts))
        yield from sorted(info.base_name for info in inside if info.type == pafs.FileType.Directory)

    def _is_delta(self, uri: str) -> bool:
        info = self.filesystem.get_file_info(self.path_of(uri) + "/_delta_log")
        return bool(info.type == pafs.FileType.Directory)


def lake_at(root: str | Path) -> Lake:
    """
    Return the lake at a local path or URI without accessing it.

    Raises ConfigurationError for an incomplete login, and for a name that DuckDB, delta-rs or Arrow would misread.
    """
    text = str(root).rstrip("/")
    if text.startswith("file://"):
        text = text.removeprefix("file://")
    if is_remote(text):
        forget_empty(os.environ)
    else:
        text = str(Path(text).expanduser().absolute())
    _check_name(text)
    return Lake(text, storage_options(text, os.environ))


def _check_name(root: str) -> None:
    """Raise ConfigurationError for characters that a library reads as a pattern, an escape or the end of a path."""
    found = sorted({character for character in root if character in _UNUSABLE or not character.isprintable()})
    if found:
        raise ConfigurationError(
            f"LAKEHOUSE_ROOT: libraries read a path with {', '.join(map(ascii, found))} in it "
            "differently. Nothing was made or read. "
            f"Choose a folder without {' '.join(_UNUSABLE)} and control characters."
        )


def open_lake(root: str | Path) -> Lake:
    """
    Return the lake at `root` after reading its marker.

    Raises:
        LakeError: there is no lake yet, the folder holds something else, or a newer format; or no bucket, or no access.
        LakeUnavailableError: its storage did not answer.
    """
    lake = lake_at(root)
    with reaching(lake.root):
        if _read_marker(lake) is None:
            _check_bucket(lake)
            raise LakeError(
                f"{lake.root}: there is no lake (no {MARKER}). Nothing was read or written. "
                "Create it with `lakehouse init`, or set LAKEHOUSE_ROOT to an existing lake."
            )
    return lake


def create_lake(root: str | Path) -> Lake:
    """
    Return the lake at `root`, writing the marker if the folder is new or empty. Idempotent.

    A bucket is never created, because its settings are the operator's decision.

    Raises:
        LakeError: the folder holds files of somebody else, or a newer format; or no bucket, or no access.
        LakeUnavailableError: its storage did not answer.
    """
    lake = lake_at(root)
    with reaching(lake.root):
        if _read_marker(lake, or_empty=True) is not None:
            return lake
        _check_bucket(lake)
        inside = listed(lake.filesystem, lake.path())
        others = [info.base_name for info in inside if not info.base_name.startswith(MARKER)]
        if others and _read_marker(lake) is None:  # else another process has just created it
            raise _not_ours(lake, others)
        make_folder(lake.filesystem, lake.path())
        write_marker(lake)
    return lake


def write_marker(lake: Lake) -> None:
    """Write the marker atomically; object stores do so by themselves."""
    path = lake.path(MARKER) if is_remote(lake.root) else lake.path(f"{MARKER}.{uuid.uuid4().hex}.new")
    with lake.filesystem.open_output_stream(path) as stream:
        stream.write(json.dumps({"format": FORMAT_VERSION}).encode())
    if path != lake.path(MARKER):
        move(lake.filesystem, path, lake.path(MARKER))


def mend_marker(lake: Lake) -> None:
    """Write the marker again if the folder has a lake's tables but no marker. Raises LakeError if it has none."""
    if _read_marker(lake, or_empty=True) is not None:
        return
    if not lake.tables():
        raise LakeError(
            f"{lake.root}: there is no lake (no {MARKER} and no tables). Nothing was read or written. "
            "Create it with `lakehouse init`, or set LAKEHOUSE_ROOT to an existing lake."
        )
    write_marker(lake)


def _not_ours(lake: Lake, others: Sequence[str]) -> LakeError:
    if lake.tables():
        return LakeError(
            f"{lake.root}: has the tables of a lake but not its marker {MARKER}. "
            "Nothing was written. If this is your lake, run `lakehouse doctor --mend`, which writes the marker "
            "again and touches no table; else set LAKEHOUSE_ROOT to another folder."
        )
    return LakeError(
        f"{lake.root}: this folder is neither empty nor a lake: {len(others)} other entries and no {MARKER}. "
        "Nothing was written. Set LAKEHOUSE_ROOT to another folder."
    )


def _check_bucket(lake: Lake) -> None:
    """Raise LakeError if the bucket itself is missing, which otherwise looks like missing files."""
    if not is_remote(lake.root):
        return
    try:
        with reaching(lake.root):
            found = lake.filesystem.get_file_info(lake.path().split("/", 1)[0])
    except LakeError:
        return  # a login for one prefix may have no right to list the bucket
    if found.type == pafs.FileType.NotFound:
        raise missing(lake.root)


def _read_marker(lake: Lake, *, or_empty: bool = False) -> int | None:
    """Return the format version; None if there is no marker or (`or_empty`) an empty one."""
    info = lake.filesystem.get_file_info(lake.path(MARKER))
    if info.type == pafs.FileType.NotFound or (or_empty and info.size == 0):
        return None
    try:
        with lake.filesystem.open_input_stream(lake.path(MARKER)) as stream:
            found = int(json.loads(stream.readall())["format"])
    except (ValueError, KeyError, TypeError) as exc:
        raise LakeError(
            f"{lake.root}: the marker {MARKER} is not readable. Nothing was read or written. "
            f'If this is your lake, write {{"format": {FORMAT_VERSION}}} into it; its tables are not touched by that.'
        ) from exc
    if found > FORMAT_VERSION:
        raise LakeError(
            f"{lake.root}: this lake has format {found}, this program knows up to {FORMAT_VERSION}. "
            "Nothing was read or written. Upgrade the program."
        )
    return found
