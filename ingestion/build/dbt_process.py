"""Runs a process and all that it starts, with a time limit."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Thread
from typing import IO

from ingestion.errors import BuildError

STOP_SECONDS = 10

PR_SET_PDEATHSIG = 1

OnLine = Callable[[str], None]
"""Called with each line that a process prints, when it prints it."""


def output_of(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    seconds: float,
    on_line: OnLine | None = None,
) -> tuple[int, str]:
    """
    Run a command in a folder; return its exit code and its output.

    All its processes are stopped in any case, also after an interrupt. Raises BuildError after `seconds`.
    """
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that a JVM that it starts can be stopped too
    ) as process:
        try:
            printed, errors = _read(process, seconds, on_line)
        except subprocess.TimeoutExpired:
            raise BuildError(
                f"dbt: did not end within {seconds:g} s (LAKEHOUSE_DBT_SECONDS) and was "
                "stopped. Each table is whole: as it was, or as this build wrote it. Look at what it waits for, or "
                "set a larger limit, and run it again: what is written already is not written twice."
            ) from None
        finally:
            if process.returncode is None:
                _stop(process)
    return process.returncode, printed + errors


def code_of(command: Sequence[str], *, folder: Path, environment: Mapping[str, str]) -> int:
    """Run a command in a folder, on this process's own streams; return its exit code. It has no time limit."""
    return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


def end_with_parent() -> None:
    """Let this process end when the one that started it is gone, killed without a word; on Linux alone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _read(process: subprocess.Popen[str], seconds: float, on_line: OnLine | None) -> tuple[str, str]:
    """Return what a process prints until its end, line by line to `on_line`. Raises TimeoutExpired."""
    if on_line is None:
        return process.communicate(timeout=seconds)
    kept: tuple[list[str], list[str]] = ([], [])
    streams = zip((process.stdout, process.stderr), kept, strict=True)
    readers = [Thread(target=_pass_on, args=(stream, lines, on_line), daemon=True) for stream, lines in streams]
    for reader in readers:
        reader.start()
    process.wait(seconds)
    for reader in readers:
        reader.join(STOP_SECONDS)  # a process that it left behind may hold the stream open
    return "".join(kept[0]), "".join(kept[1])


def _pass_on(stream: IO[str], lines: list[str], on_line: OnLine) -> None:
    for line in stream:
        lines.append(line)
        on_line(line.rstrip("\n"))


def _stop(process: subprocess.Popen[str]) -> None:
    """End a process and all that it started: by SIGTERM, and after some seconds by SIGKILL."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
