"""A Delta log as files: which commits and checkpoints a table has, and whether a commit is whole.

Delta readers accept an empty commit, and one that was truncated at the end of a line, as a complete one. The next
writer continues after it, so its rows would be lost silently. Our own commits can be checked: their first line says
what they contain, and their last line is the application transaction.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow.fs as pafs

from ingestion.lake.damage import torn_log
from ingestion.lake.storage.filesystem import listed, open_files

FOLDER = "_delta_log"
HINT = "_last_checkpoint"
METADATA_KEY = "userMetadata"  # the only key that Spark's writer option can set too
MENDED = "MEND"  # the operation of the commit that replaces one that was set aside
_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(?:\..+)?\.parquet")
_COUNTS = {  # the writers' names for the number of their actions
    "add": ("num_added_files", "numAddedFiles", "numTargetFilesAdded", "numFiles"),
    "remove": ("num_removed_files", "numRemovedFiles", "numTargetFilesRemoved"),
}
_NOTED = {"add": "into", "remove": "files"}  # in the metadata of a swap of files


@dataclass(frozen=True, slots=True)
class Log:
    """The files of a table's log; `commits` holds the size of each version, `checkpoints` the version of each file."""

    filesystem: pafs.FileSystem
    folder: str
    commits: Mapping[int, int]
    checkpoints: Mapping[str, int]
    has_hint: bool

    def path(self, version: int) -> str:
        return f"{self.folder}/{commit_name(version)}"

    def read(self, version: int) -> bytes:
        with self.filesystem.open_input_stream(self.path(version)) as stream:
            return bytes(stream.readall())


def commit_name(version: int) -> str:
    return f"{version:020d}.json"


def read_log(uri: str) -> Log:
    """List the log files of a table; empty if there is no log."""
    filesystem, path = open_files(uri)
    folder = f"{path}/{FOLDER}"
    commits, checkpoints, has_hint = {}, {}, False
    for info in listed(filesystem, folder):
        if match := _COMMIT.fullmatch(info.base_name):
            commits[int(match[1])] = info.size
        elif match := _CHECKPOINT.fullmatch(info.base_name):
            checkpoints[info.base_name] = int(match[1])
        elif info.base_name == HINT:
            has_hint = True
    return Log(filesystem, folder, dict(sorted(commits.items())), checkpoints, has_hint)


def has_data_files(uri: str) -> bool:
    """Return whether a table's folder holds data files, committed or not."""
    filesystem, folder = open_files(uri)
    return any(
        info.is_file and info.extension == "parquet" and not info.path.removeprefix(f"{folder}/").startswith("_")
        for info in listed(filesystem, folder, recursive=True)
    )


def check_has_no_past(uri: str) -> None:
    """Raise LakeError if the folder of a table to be created holds data files: only its log was lost."""
    if has_data_files(uri):
        raise torn_log(uri, "it is gone, but data files that it named are there")


def check_whole(uri: str, version: int) -> None:
    """Raise LakeError if a table's newest commit is empty or truncated where readers do not notice."""
    filesystem, path = open_files(uri)
    try:
        with filesystem.open_input_stream(f"{path}/{FOLDER}/{commit_name(version)}") as stream:
            fault = fault_of(bytes(stream.readall()))
    except FileNotFoundError:
        return  # deleted by log clean-up; a checkpoint has its content
    if fault is not None:
        raise torn_log(uri, f"commit {version} {fault}")


def committed_at(uri: str, version: int) -> datetime | None:
    """Return when a version was committed, by the clock of its storage; None if its commit was cleaned up."""
    filesystem, path = open_files(uri)
    moment: datetime | None = filesystem.get_file_info(f"{path}/{FOLDER}/{commit_name(version)}").mtime
    return moment


def was_mended(uri: str, version: int) -> bool:
    """Return whether a version was a torn commit and has been replaced by an empty one."""
    filesystem, path = open_files(uri)
    try:
        with filesystem.open_input_stream(f"{path}/{FOLDER}/{commit_name(version)}") as stream:
            return any(
                action.get("commitInfo", {}).get("operation") == MENDED for action in actions_of(stream.readall())
            )
    except FileNotFoundError:
        return False


def actions_of(text: bytes) -> list[dict[str, Any]]:
    """Return the actions of a commit. Raises ValueError if it is truncated."""
    actions = [json.loads(line) for line in text.splitlines() if line.strip()]
    if not all(isinstance(action, dict) for action in actions):
        raise ValueError("an action is no object")
    return actions


def fault_of(text: bytes) -> str | None:
    """Return what is wrong with a commit's text, worded to follow its name; None if it is complete."""
    if not text.strip(b"\0 \r\n\t"):
        return "empty"
    try:
        actions = actions_of(text)
    except ValueError:  # the truncation may split a character
        return "cut off"
    info: dict[str, Any] = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
    noted = _noted(info)
    found = {kind: sum(kind in action for action in actions) for kind in _COUNTS}
    metrics = info.get("operationMetrics") or {}
    promised = _promised(metrics)
    if not str(info.get("engineInfo", "")).startswith(
        "delta-rs"
    ):  # Spark's counts may differ, but a count above 0 needs an action
        if str(metrics.get("numOutputRows")) == "0":
            promised.pop("add", None)  # it counts a file without rows, and does not add it
        return "cut off" if any(count and not found[kind] for kind, count in promised.items()) else None
    promised |= {kind: noted[name] for kind, name in _NOTED.items() if isinstance(noted.get(name), int)}
    lacks_end = noted.get("batch") is not None and not any("txn" in action for action in actions)
    return "cut off" if lacks_end or any(found[kind] < count for kind, count in promised.items()) else None


def _noted(info: Mapping[str, Any]) -> dict[str, Any]:
    try:
        noted = json.loads(info.get(METADATA_KEY) or "null")
    except ValueError:
        return {}
    return noted if isinstance(noted, dict) else {}


def _promised(metrics: Mapping[str, Any]) -> dict[str, int]:
    """Return how many actions of each kind a commit has according to its own metrics."""
    return {
        kind: int(metrics[name]) for kind, names in _COUNTS.items() for name in names if _is_count(metrics.get(name))
    }


def _is_count(value: object) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and value.isdecimal())


def live_paths(commits: Sequence[bytes]) -> dict[str, int | None]:
    """Return a table's data files after a log's complete commits (oldest first), and the rows of each."""
    live: dict[str, int | None] = {}
    for text in commits:
        for action in actions_of(text):
            if "remove" in action:
                live.pop(action["remove"]["path"], None)
            elif "add" in action:
                live[action["add"]["path"]] = _rows(action["add"])
    return live


def _rows(add: Mapping[str, Any]) -> int | None:
    rows = json.loads(add.get("stats") or "{}").get("numRecords")
    return int(rows) if rows is not None else None
