"""
Private folders for spilled and staged data, in the system's folder for temporary files (TMPDIR).

They hold unencrypted rows, so only this user can access them. The next process deletes the folders of a killed process:
a folder is in use as long as its process holds the lock on it.
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ingestion.errors import ConfigurationError

_OF_PROCESS: dict[tuple[int, str], Path] = {}


@contextmanager
def folder(purpose: str) -> Iterator[Path]:
    """
    Yield a new folder that is deleted with its content after the block; `purpose` is part of its name.

    Raises ConfigurationError if another user has created the parent folder of our folders.
    """
    path, lock = _made(purpose)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def process_folder(purpose: str) -> Path:
    """Return this process's folder for a purpose; made at the first call, deleted when the process ends."""
    known = _OF_PROCESS.get((os.getpid(), purpose))
    return known or _OF_PROCESS.setdefault((os.getpid(), purpose), _kept(purpose))


def _kept(purpose: str) -> Path:
    path, _lock = _made(purpose)  # the lock is held until the process ends

    def delete(process: int = os.getpid()) -> None:
        if os.getpid() == process:  # a forked process inherits this function
            shutil.rmtree(path, ignore_errors=True)

    atexit.register(delete)
    return path


def sweep() -> int:
    """Delete the folders that ended processes have left; return how many."""
    home, swept = _home(), 0
    with _locked(home, fcntl.LOCK_EX):
        for path in home.iterdir():
            with suppress(OSError):  # it belongs to a running process, or was just deleted
                with _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB):
                    shutil.rmtree(path, ignore_errors=True)
                swept += 1
    return swept


def check_once(subject: str, check: Callable[[], None]) -> None:
    """
    Run a check unless a process of this user has passed it on this machine; `subject` says all that it depends on.

    Nothing is noted of a check that raises. Where no note can be kept, every process runs the check.
    """
    try:
        note = _home() / f"passed-{hashlib.sha256(subject.encode()).hexdigest()[:32]}"
        if note.is_file():
            return
    except (OSError, ConfigurationError):
        check()
        return
    check()
    with suppress(OSError):
        note.touch(mode=0o600)  # empty: its name tells all


def _made(purpose: str) -> tuple[Path, int]:
    home = _home()
    with _locked(home, fcntl.LOCK_SH):  # so that no sweep sees it before it is locked
        path = Path(tempfile.mkdtemp(prefix=f"{purpose}-", dir=home))
        lock = os.open(path, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return path, lock


def _home() -> Path:
    """Return the parent folder of this user's folders. Raises ConfigurationError if it is not private."""
    home = Path(tempfile.gettempdir()) / f"lakehouse-{os.getuid()}"
    with suppress(FileExistsError):
        home.mkdir(mode=0o700)
    found = home.lstat()
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode) or stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigurationError(
            f"{home}: this folder for temporary files belongs to others, or others may enter it. Nothing "
            "was read or written. Remove it, or set TMPDIR to a folder of your own."
        )
    return home


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    """Hold a lock on a folder. Raises BlockingIOError if another process has it and `how` does not wait."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
