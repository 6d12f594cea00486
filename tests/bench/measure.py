"""Runs a command as a child process and says what it cost. Linux only: reads /proc and wait4."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

INTERVAL = 0.05  # seconds between two looks at the memory of the tree
SHARE = 0.02  # of the time may go into looking: the kernel holds a large process up meanwhile


@dataclass(frozen=True, slots=True)
class Cost:
    """
    What a command and every process it waited for cost.

    `wall` and `cpu` (user and system) in seconds. `peak` is the largest sum of resident bytes of the tree that was
    seen, pages that processes share counted once; never less than the largest single process. `written` is bytes
    that went to block devices, a memory file system left out. `output` is standard output and error.
    """

    wall: float
    cpu: float
    peak: int
    written: int
    output: str

    def net(self, start_up: Cost) -> float:
        """Return wall seconds beyond those of an empty run."""
        return self.wall - start_up.wall


def measure(command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Cost:
    """Run a command to its end. Raises RuntimeError with the end of its output unless it exits with 0."""
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        child = subprocess.Popen(command, cwd=cwd, env=env, stdout=output, stderr=subprocess.STDOUT)
        ended = threading.Event()
        peaks: list[int] = []
        watcher = threading.Thread(target=_watch, args=(child.pid, ended, peaks), daemon=True)
        watcher.start()
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        ended.set()
        watcher.join()
        output.seek(0)
        text = output.read().decode(errors="replace")
    if child.returncode:
        raise RuntimeError(f"{' '.join(command[:6])} … ended with {child.returncode}\n{text[-4000:]}")
    return Cost(
        wall=wall,
        cpu=usage.ru_utime + usage.ru_stime,
        peak=max(peaks, default=0),  # not ru_maxrss, which begins with what the parent had when it forked
        written=usage.ru_oublock * 512,
        output=text,
    )


def _watch(pid: int, ended: threading.Event, peaks: list[int]) -> None:
    peak, pause = 0, INTERVAL
    while not ended.wait(pause):
        begin = time.perf_counter()
        first, *others = _tree(pid)
        peak = max(peak, _highest(first), _resident(first) + sum(_resident(process) for process in others))
        pause = max(INTERVAL, (time.perf_counter() - begin) / SHARE)
    peaks.append(peak)


def _tree(pid: int) -> list[int]:
    """Return a process and its descendants; one that ends meanwhile is left out."""
    found, left = [], [pid]
    while left:
        process = left.pop()
        found.append(process)
        for task in _listed(f"/proc/{process}/task"):
            left += [int(child) for child in _text(f"/proc/{process}/task/{task}/children").split()]
    return found


def _resident(pid: int) -> int:
    """Return a process's share of the memory (its proportional set size) in bytes."""
    match = re.search(r"^Pss:\s+(\d+) kB", _text(f"/proc/{pid}/smaps_rollup"), re.MULTILINE)
    return int(match[1]) * 1024 if match else 0


def _highest(pid: int) -> int:
    """Return the most that one process ever had, so that a short peak between two looks counts too."""
    for line in _text(f"/proc/{pid}/status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _listed(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


if __name__ == "__main__":
    cost = measure(sys.argv[1:])
    sys.stdout.write(cost.output)
    sys.stdout.write(
        f"wall={cost.wall:.2f} cpu={cost.cpu:.2f} peak_mb={cost.peak / 1e6:.0f} written_mb={cost.written / 1e6:.0f}\n"
    )
