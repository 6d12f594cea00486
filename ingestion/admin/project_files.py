"""
The files of an empty project: written once by `lakehouse new`, compared later by `lakehouse upgrade-project`.

A record in the project, RECORD, has the hash of each file as the package last offered it. A file that still has that
hash was never edited, and a newer version may replace it; any other is a person's, and only shown.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ingestion import shipped
from ingestion.contracts.writing.files import write_whole
from ingestion.errors import ConfigurationError

RECORD = ".lakehouse-project.json"
_FROM_TEMPLATES = {
    ".env.example": "env.example",
    ".gitignore": "gitignore",
    ".github/workflows/ci.yml": "ci.yml",
    "README.md": "README.md",
    "requirements.txt": "requirements.txt",
    "dbt_project/dbt_project.yml": "dbt_project.yml",
}
_EMPTY = ("data_contracts/.gitkeep",)
_AUDIT = "models/audit"


class State(StrEnum):
    """What an upgrade finds of one file."""

    NEW = "new"
    CHANGED = "changed"
    OBSOLETE = "obsolete"
    EDITED = "edited"
    DELETED = "deleted"


TAKEN = (State.NEW, State.CHANGED, State.OBSOLETE)
"""States that `--apply` ends; files in the others are a person's and stay as they are."""


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that the installed version would write differently; `diff` is unified, from the file to that version."""

    path: str
    state: State
    diff: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def project_files() -> dict[str, str]:
    """Return the text of each file of an empty project by its path, sorted."""
    found = dict.fromkeys(_EMPTY, "")
    for path, template in _FROM_TEMPLATES.items():
        text = (shipped.TEMPLATES / template).read_text(encoding="utf-8")
        found[path] = text.replace("{version}", _version()) if template == "requirements.txt" else text
    for file in shipped.DAGS.glob("*.py"):
        found[f"dags/{file.name}"] = file.read_text(encoding="utf-8")
    for file in (shipped.DBT / _AUDIT).iterdir():
        found[f"dbt_project/{_AUDIT}/{file.name}"] = file.read_text(encoding="utf-8")
    return dict(sorted(found.items()))


def write_project(folder: Path) -> list[str]:
    """
    Write an empty project into a folder that is missing or holds nothing but `.git`; return the paths below it.

    Raises ConfigurationError, before anything is written, for any other folder.
    """
    held = sorted(path.name for path in folder.iterdir() if path.name != ".git") if folder.is_dir() else []
    if held or (folder.exists() and not folder.is_dir()):
        raise ConfigurationError(
            f"{folder}: not a new or empty folder; {held[0] if held else 'a file'} is there. Nothing was "
            "written. Name another folder; `lakehouse upgrade-project` renews the files of an existing project."
        )
    files = project_files()
    for path, text in files.items():
        _write(folder / path, text)
    _record(folder, {path: _hash(text) for path, text in files.items()})
    return [*files]


def find_changes(project: Path) -> list[FileChange]:
    """
    Return the files that the installed version would write differently than the version that wrote the project.

    A file that differs only by a person's edits is none of them. Raises ConfigurationError without a record.
    """
    offered, wanted = _recorded(project), project_files()
    return list(_changes(project, offered, wanted))


def apply_changes(project: Path, changes: list[FileChange]) -> None:
    """
    Write, or delete, the files that nobody edited, and record what was offered.

    Of a person's files it only records that their difference was shown: it is not shown again until the package's
    version of the file changes.
    """
    wanted = project_files()
    for change in changes:
        if change.state is State.OBSOLETE:
            (project / change.path).unlink(missing_ok=True)
        elif change.state in TAKEN:
            _write(project / change.path, wanted[change.path])
    _record(project, {path: _hash(text) for path, text in wanted.items()})


def _changes(project: Path, offered: dict[str, str], wanted: dict[str, str]) -> Iterator[FileChange]:
    for path in sorted({*offered, *wanted}):
        before, after = _text_of(project / path), wanted.get(path)
        if before == after or (after is not None and offered.get(path) == _hash(after)):
            continue
        if path not in offered:
            state = State.NEW if before is None else State.EDITED
        elif before is None:
            state = State.DELETED
        elif _hash(before) != offered[path]:
            state = State.EDITED
        else:
            state = State.CHANGED if after is not None else State.OBSOLETE
        yield FileChange(path, state, _diff(path, before or "", after or ""))


def _diff(path: str, before: str, after: str) -> str:
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    compared = difflib.unified_diff(old, new, path, f"{path} (lakehouse {_version()})")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in compared)


def _recorded(project: Path) -> dict[str, str]:
    try:
        given = json.loads((project / RECORD).read_text(encoding="utf-8"))
        return {str(path): str(digest) for path, digest in given["files"].items()}
    except FileNotFoundError:
        finding = "is not there"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        finding = "cannot be read"
    raise ConfigurationError(
        f"{RECORD}: the record of the files that `lakehouse new` wrote to {project} {finding}. Nothing "
        "was compared. Restore it from version control. A checkout of the product itself has none and needs none."
    )


def _record(project: Path, hashes: dict[str, str]) -> None:
    document = {"version": _version(), "files": hashes}
    write_whole(project / RECORD, json.dumps(document, indent=2) + "\n")


def _version() -> str:
    return version(shipped.DISTRIBUTION)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text)


def _text_of(path: Path) -> str | None:
    return path.read_bytes().decode(errors="replace") if path.is_file() else None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
