"""Shows on stderr what a long command is doing, so that stdout has results only."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ingestion.cli.output import counted
from ingestion.cli.output.streams import say
from ingestion.printable import shown

if TYPE_CHECKING:
    from ingestion.cli.output import Output

LINES_EVERY = 30.0
"""Seconds between two lines where stderr is not a terminal."""


class Steps:
    """
    The step that a command is at, and what it reports of its rows. `begin` names the next one; a thread shows it.

    `finished` gets a line for each step that has ended, if `is_kept`.
    """

    def __init__(self, text: str, of: int, *, is_kept: bool = False) -> None:
        self._of = of
        self._number = 0
        self._text = text
        self._is_kept = is_kept
        self.finished: deque[str] = deque()
        self._start()

    def _start(self) -> None:
        self._since = time.monotonic()
        self._rows, self._phase = 0, ""
        self._first = self._last = self._since

    def begin(self, text: str) -> None:
        """Begin the next step; the one before has ended."""
        self.end()
        self._number += 1
        place = f" ({self._number} of {self._of})" if self._of > 1 else ""
        self._text = f"{text}{place}"
        self._start()

    def over(self, what: str) -> Callable[[Iterable[str]], Iterator[str]]:
        """Return a function that yields subjects. One that is taken becomes the current step of the work `what`."""

        def taken(subjects: Iterable[str]) -> Iterator[str]:
            for subject in subjects:
                self.begin(f"{what} {subject}")
                yield subject

        return taken

    def observe(self, phase: str, rows: int) -> None:
        """Note what a load is doing now, and how many rows it has read since it last said so (`Context.observe`)."""
        now = time.monotonic()
        if rows:
            self._first = self._first if self._rows else now if self._phase else self._since
            self._last = now
        self._rows += rows
        self._phase = phase

    def end(self) -> None:
        if self._is_kept and self._number:
            self.finished.append(shown(f"{self._text}: {self._told(is_over=True)}"))

    def __str__(self) -> str:
        return shown(f"{self._text}{': ' if self._phase else ', '}{self._told()}")

    def _told(self, *, is_over: bool = False) -> str:
        """Return e.g. `1,240,000 rows, 310,000/s, staging, 4 s`; what is not known is left out."""
        seconds = self._last - self._first
        rate = f"{self._rows / seconds:,.0f}/s" if self._rows and seconds >= 1 else ""
        rows = counted(self._rows, "row") if self._phase else ""
        past = f"{time.monotonic() - self._since:.0f} s"
        return ", ".join(filter(None, (rows, rate, "" if is_over else self._phase, past)))


@contextmanager
def steps(output: Output, first: str, *, of: int = 1, keep: bool = False) -> Iterator[Steps]:
    """
    Show the steps of the block, from the text `first` on: on a terminal in one line that is redrawn and removed at the
    end, elsewhere as a line every 30 seconds. With `--json` nothing is shown. `keep`: on a terminal each step that has
    ended leaves a line.
    """
    current = Steps(first, of, is_kept=keep)
    if output.as_json or sys.stderr is None:
        yield current
        return
    ended = threading.Event()
    show = _redraw if sys.stderr.isatty() else _print_lines
    thread = threading.Thread(target=show, args=(current, ended), daemon=True)
    thread.start()
    try:
        yield current
        current.end()
    finally:
        ended.set()
        thread.join()


def _print_lines(current: Steps, ended: threading.Event) -> None:
    while not ended.wait(LINES_EVERY):
        say(str(current))


def _redraw(current: Steps, ended: threading.Event) -> None:
    """Draw only after one second, so that quick commands draw nothing. Other output is printed above the line."""
    from rich.progress import Progress, SpinnerColumn, TextColumn

    from ingestion.cli.output.terminal import Terminal

    if ended.wait(1):
        return
    line = Progress(SpinnerColumn(), TextColumn("{task.description}"), console=Terminal(stderr=True), transient=True)
    with line:
        task = line.add_task(str(current))
        while True:
            is_over = ended.wait(0.2)
            while current.finished:
                line.console.print(current.finished.popleft())
            if is_over:
                return
            line.update(task, description=str(current))
