"""Finds damage in a table's files, and repairs a log whose newest commits or checkpoints are torn.

Files taken out of a log are kept under `<table>/_set_aside/<moment>/`. A torn commit is replaced by one that changes
nothing, so that its version number is not used again for other content.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.errors import IntegrityError, LakeError
from ingestion.lake import duck
from ingestion.lake.base import Engine
from ingestion.lake.damage import way_back, way_out
from ingestion.lake.log import (
    HINT,
    MENDED,
    METADATA_KEY,
    Log,
    actions_of,
    commit_name,
    fault_of,
    has_data_files,
    live_paths,
    read_log,
)
from ingestion.lake.names import DERIVED_LAYERS, table_in
from ingestion.lake.storage.filesystem import listed, make_folder, move, open_files

SET_ASIDE = "_set_aside"


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong with a table: what was found, and what to do."""

    finding: str
    advice: str


@dataclass(frozen=True, slots=True)
class Mended:
    """
    What was done to a table. `rows` were in its complete commits and are in it now; None if it must be rebuilt.

    `files` are in `folder`. `rows_aside` is how many rows the torn commits added, as far as they can be read; None if
    they do not say.
    """

    rows: int | None
    folder: str
    files: tuple[str, ...]
    rows_aside: int | None


@dataclass(slots=True)
class _Wounds:
    """The torn parts of a log: `torn` versions with the fault, and `checkpoints` by name, `_last_checkpoint` too."""

    torn: dict[int, str] = field(default_factory=dict)
    checkpoints: dict[str, str] = field(default_factory=dict)


def examine_table(engine: Engine, uri: str) -> list[Damage]:
    """Return what is wrong with a table's log and data files. Changes nothing; reads no row."""
    log = read_log(uri)
    if not log.commits and not log.checkpoints:
        return [Damage("no Delta log, and data files that one named", way_out(uri))] if _lost_its_log(uri) else []
    wounds = _find_wounds(log)
    found = [Damage(f"commit {version} is {fault}", way_out(uri)) for version, fault in wounds.torn.items()]
    found += [Damage(f"{name} {fault}", way_out(uri)) for name, fault in wounds.checkpoints.items()]
    try:
        files = engine.snapshot(uri, expected_version=engine.version(uri)).files
    except LakeError as exc:
        return found or [Damage(str(exc), way_out(uri))]
    filesystem, folder = open_files(uri)
    inside = listed(filesystem, folder, recursive=True)
    sizes = {info.path.removeprefix(f"{folder}/"): info.size for info in inside if info.is_file}
    missing = sum(file.path not in sizes for file in files)
    cut = sum(sizes.get(file.path, file.bytes) != file.bytes for file in files)
    if missing or cut:
        told = " and ".join(
            f"{n} {what}" for n, what in ((missing, "missing"), (cut, "with another size than was written")) if n
        )
        found.append(Damage(f"of {len(files)} data files {told}", way_back(uri)))
    return found


def mend_table(engine: Engine, uri: str, layer: str) -> Mended | None:
    """
    Repair a table's log; None if nothing in it is torn.

    A log that cannot be repaired is set aside as a whole if the table can be rebuilt (by `layer`), else left unchanged.
    Everything is put back if the table does not then hold exactly what its complete commits say.

    Raises:
        LakeError: the log cannot be repaired here.
        IntegrityError: the repaired table differs from its complete commits.
    """
    log = read_log(uri)
    if not log.commits and not log.checkpoints:
        return None
    aside = _Aside(log, f"{open_files(uri)[1]}/{SET_ASIDE}/{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}")
    wounds = _find_wounds(log)
    if not _opens_without(log, wounds):
        return _beyond(engine, uri, layer, aside)
    if not wounds.torn and not wounds.checkpoints:
        if _opens(engine, uri):
            return None
        if not _is_complete(log) or not log.checkpoints:
            return _beyond(engine, uri, layer, aside)
        wounds.checkpoints = dict.fromkeys([*log.checkpoints, *([HINT] * log.has_hint)], "cannot be read")
    texts = {version: log.read(version) for version in wounds.torn}
    try:
        expected = _expected(log, wounds)
        _take_out(wounds, aside)
        rows = _verify(engine, uri, expected)
    except LakeError:
        aside.put_back()
        return _beyond(engine, uri, layer, aside)
    except Exception:
        aside.put_back()
        raise
    named = _named_rows(texts.values())
    if layer not in DERIVED_LAYERS:
        aside.copy_data(open_files(uri)[1], [path for text in texts.values() for path in _named_files(text)])
    return Mended(rows, aside.folder, tuple(aside.files), named)


def _find_wounds(log: Log) -> _Wounds:
    wounds = _Wounds({version: "empty" for version, size in log.commits.items() if size == 0})
    for version in reversed(log.commits):  # several commits may be missing on disk
        fault = fault_of(log.read(version))
        if fault is None:
            break
        wounds.torn[version] = fault
    for name in log.checkpoints:
        try:
            pq.read_metadata(f"{log.folder}/{name}", filesystem=log.filesystem)
        except (pa.ArrowException, OSError):
            wounds.checkpoints[name] = "cannot be read"
    if log.has_hint and not _hint_is_right(log, wounds):
        wounds.checkpoints[HINT] = "names no checkpoint that can be read"
    wounds.torn = dict(sorted(wounds.torn.items()))
    return wounds


def _hint_is_right(log: Log, wounds: _Wounds) -> bool:
    with log.filesystem.open_input_stream(f"{log.folder}/{HINT}") as stream:
        text = bytes(stream.readall())
    try:
        version = json.loads(text)["version"]
    except (ValueError, KeyError, TypeError):
        return False
    return version in {v for name, v in log.checkpoints.items() if name not in wounds.checkpoints}


def _expected(log: Log, wounds: _Wounds) -> dict[str, int | None] | None:
    """Return the data files after the complete commits; None if only a checkpoint lists them."""
    covered = max((v for name, v in log.checkpoints.items() if name not in wounds.checkpoints), default=-1)
    if not _is_complete(log) or any(version <= covered for version in wounds.torn):
        return None
    try:
        return live_paths([log.read(version) for version in log.commits if version not in wounds.torn])
    except ValueError:  # an older commit is torn too
        return None


def _is_complete(log: Log) -> bool:
    """Return whether the commits describe the whole table without a checkpoint."""
    return list(log.commits) == list(range(len(log.commits)))


def _opens_without(log: Log, wounds: _Wounds) -> bool:
    """Return whether the log without its torn parts still describes the whole table."""
    whole = [version for name, version in log.checkpoints.items() if name not in wounds.checkpoints]
    start = max(whole, default=-1)
    if 0 in wounds.torn and start < 0:
        return False
    return all(version in log.commits for version in range(start + 1, max([*log.commits, start]) + 1))


def _beyond(engine: Engine, uri: str, layer: str, aside: _Aside) -> Mended | None:
    """Set the whole log aside if the table can be rebuilt, or has only a torn first commit; else raise."""
    if _opens(engine, uri):
        return None
    has_data = has_data_files(uri)
    if layer not in DERIVED_LAYERS and (has_data or list(aside.log.commits) != [0]):
        raise LakeError(
            f"{uri}: its log cannot be healed from what is there. Nothing was changed. "
            "Restore the folder _delta_log from a backup, and leave the data files where they are."
        )
    for name in [*map(commit_name, aside.log.commits), *aside.log.checkpoints, *([HINT] * aside.log.has_hint)]:
        aside.take(name)
    return Mended(None, aside.folder, tuple(aside.files), None)


def _opens(engine: Engine, uri: str) -> bool:
    try:
        engine.snapshot(uri, expected_version=engine.version(uri))
    except LakeError:
        return False
    return True


class _Aside:
    """The folder for files taken out of a log; can put them back."""

    def __init__(self, log: Log, folder: str) -> None:
        self.log = log
        self.folder = folder
        self.files: list[str] = []

    def take(self, name: str) -> None:
        make_folder(self.log.filesystem, self.folder)
        move(self.log.filesystem, f"{self.log.folder}/{name}", f"{self.folder}/{name}")
        self.files.append(name)

    def replace(self, version: int) -> None:
        """Keep a copy of a commit and atomically replace it by one that changes nothing."""
        name, files = commit_name(version), self.log.filesystem
        make_folder(files, self.folder)
        for text, path in ((self.log.read(version), name), (_nothing(name), f"{name}.new")):
            with files.open_output_stream(f"{self.folder}/{path}") as stream:
                stream.write(text)
        move(files, f"{self.folder}/{name}.new", self.log.path(version))
        self.files.append(name)

    def put_back(self) -> None:
        for name in self.files:
            move(self.log.filesystem, f"{self.folder}/{name}", f"{self.log.folder}/{name}")
        self.files.clear()

    def copy_data(self, table: str, paths: Sequence[str]) -> None:
        """Copy the data files that only a torn commit refers to, because a later vacuum deletes the originals."""
        files = self.log.filesystem
        for path in paths:
            if files.get_file_info(f"{table}/{path}").is_file:
                name = path.rsplit("/", 1)[-1]
                files.copy_file(f"{table}/{path}", f"{self.folder}/{name}")
                self.files.append(name)


def _take_out(wounds: _Wounds, aside: _Aside) -> None:
    for name in wounds.checkpoints:
        aside.take(name)
    for version in wounds.torn:
        aside.replace(version)


def _nothing(name: str) -> bytes:
    now = datetime.now(UTC)
    info = {
        "timestamp": int(now.timestamp() * 1000),
        "operation": MENDED,
        "operationParameters": {},
        "engineInfo": "lakehouse",
        METADATA_KEY: json.dumps({"app": "mend", "batch": None, "set_aside": name}),
    }
    return json.dumps({"commitInfo": info}).encode()


def _verify(engine: Engine, uri: str, expected: dict[str, int | None] | None) -> int:
    """Return the row count of a mended table. Raises IntegrityError unless it has the expected files and rows."""
    snapshot = engine.snapshot(uri, expected_version=engine.version(uri))
    found = {file.path: file.rows for file in snapshot.files}
    known = sum(rows or 0 for rows in found.values())
    if expected is not None:
        promised = {unquote(path): rows for path, rows in expected.items()}
        if found.keys() != promised.keys() or known != sum(rows or 0 for rows in promised.values()):
            raise IntegrityError(
                f"{uri}: the whole commits name {len(promised)} data files, {len(found)} are in the mended table. "
                "All was put back as it was. Restore the folder _delta_log from a backup, and report it."
            )
    with duck.connect(at=uri) as connection:
        row = connection.execute(f"select count(*) from {duck.scan(uri, snapshot.version)}").fetchone()
    counted = int(row[0]) if row else 0
    if None not in found.values() and counted != known:
        raise IntegrityError(
            f"{uri}: the log tells of {known} rows, {counted} can be read. All was put back as it was. {way_back(uri)}"
        )
    return counted


def _named_files(text: bytes) -> list[str]:
    return [unquote(str(add["path"])) for add in _readable_adds(text)]


def _named_rows(texts: Iterable[bytes]) -> int | None:
    """Return how many rows the torn commits added; None if they end before their first file."""
    adds = [add for text in texts for add in _readable_adds(text)]
    if not adds:
        return None
    return sum(json.loads(add.get("stats") or "{}").get("numRecords") or 0 for add in adds)


def _readable_adds(text: bytes) -> Iterator[dict[str, str]]:
    for line in text.splitlines():
        try:
            actions = actions_of(line)
        except ValueError:
            continue
        yield from (action["add"] for action in actions if "add" in action)


def _lost_its_log(uri: str) -> bool:
    """Return whether a table without a commit had one. While a table is rebuilt, files may precede its first commit."""
    found = table_in(uri)
    return found is not None and found[0] not in DERIVED_LAYERS and has_data_files(uri)
