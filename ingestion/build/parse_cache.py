"""
dbt's parse of the project, kept for the next build.

dbt takes longer to parse the project than to find that nothing is new. It can continue from a parse it has saved
(partial parsing), but then trusts that file. So a saved parse is used only for the very same input: its name is a hash
of everything that parsing reads. The result is the same as without the cache.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ingestion.shipped import DBT, DISTRIBUTION

FOLDER = Path("target", "lakehouse")
_SAVED_BY_DBT = "partial_parse.msgpack"
_PACKAGES = ("dbt-core", "dbt-adapters", "dbt-common", "dbt-duckdb", "dbt-spark", DISTRIBUTION)
_NOT_READ = {"target", "logs", "__pycache__"}


class ParseCache:
    """
    The saved parse of one dbt project, in `target/lakehouse` of its folder: at most one file per output of the profile.

    If the folder is not writable, nothing is kept and every build parses the project.
    """

    def __init__(self, project: Path, contracts: Path, output: str) -> None:
        self._folder = project / FOLDER
        self._of_output = f"parse-{output}-"
        self._file = self._folder / f"{self._of_output}{_hash(project, contracts)}.msgpack"

    def lay_out(self, target: Path) -> None:
        """Put the saved parse, if there is one, where dbt looks for it in its target folder."""
        with suppress(OSError):
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._file, target / _SAVED_BY_DBT)

    def keep(self, target: Path) -> None:
        """Keep the parse that dbt has saved in its target folder, and delete those of other inputs. Atomic."""
        saved = target / _SAVED_BY_DBT
        if self._file.exists() or not saved.exists():
            return
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            beside = self._file.with_suffix(f".{os.getpid()}")
            shutil.copyfile(saved, beside)
            beside.replace(self._file)
            for other in self._folder.glob(f"{self._of_output}*"):
                if other != self._file:
                    other.unlink(missing_ok=True)


def _hash(project: Path, contracts: Path) -> str:
    """
    Return a hash of what a parse depends on: programs, the files of the project (the profile too), the contracts and
    the shipped code.

    The environment is not included: dbt compares the variables that the profile, the project and its files use.
    """
    digest = hashlib.sha256()
    for text in (platform.python_version(), str(project.resolve()), *_programs()):
        digest.update(f"{text}\0".encode())
    shared = [] if project.samefile(DBT) else [DBT]  # macros and plugins of the package, for a project of one's own
    for folder in (project, contracts, *shared):
        for file in _files(folder):
            digest.update(f"{file.relative_to(folder)}\0{file.stat().st_size}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:32]


def _programs() -> Iterator[str]:
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            yield f"{package}=={version(package)}"


def _files(folder: Path) -> list[Path]:
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in _NOT_READ and not name.startswith(".")]
        found += [Path(place, name) for name in names]
    return sorted(found)
