"""Shows on stderr what a long command is doing, so that stdout has results only."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from ingestion.cli.output.streams import shown

if TYPE_CHECKING:
    from ingestion.cli.output import Output

LINES_EVERY = 30.0
"""Seconds between two lines where stderr is not a terminal."""


class Steps:
    """The step that a command is at. `begin` names the next one; a thread shows it."""

    def __init__(self, text: str, of: int) -> None:
        self._of = of
        self._number = 0
        self._text = text
        self._since = time.monotonic()

    def begin(self, text: str) -> None:
        self._number += 1
        place = f" ({self._number} of {self._of})" if self._of > 1 else ""
        self._text, self._since = f"{text}{place}", time.monotonic()

    def __str__(self) -> str:
        return shown(f"{self._text}, {time.monotonic() - self._since:.0f} s")


@contextmanager
def steps(output: Output, first: str, *, of: int = 1) -> Iterator[Steps]:
    """
    Show the steps of the block, from the text `first` on: on a terminal in one line that is redrawn and removed at the
    end, elsewhere as a line every 30 seconds. With `--json` nothing is shown.
    """
    current = Steps(first, of)
    if output.as_json or sys.stderr is None:
        yield current
        return
    ended = threading.Event()
    show = _redraw if sys.stderr.isatty() else _print_lines
    thread = threading.Thread(target=show, args=(current, ended), daemon=True)
    thread.start()
    try:
        yield current
    finally:
        ended.set()
        thread.join()


@contextmanager
def watched(output: Output, what: str, subjects: Sequence[str]) -> Iterator[Iterable[str]]:
    """Yield the subjects. When one is taken, it becomes the current step of the work `what`."""
    with steps(output, what, of=len(subjects)) as current:
        yield _begun(current, what, subjects)


def _begun(current: Steps, what: str, subjects: Sequence[str]) -> Iterator[str]:
    for subject in subjects:
        current.begin(f"{what} {subject}")
        yield subject


def _print_lines(current: Steps, ended: threading.Event) -> None:
    while not ended.wait(LINES_EVERY):
        click.echo(str(current), err=True)


def _redraw(current: Steps, ended: threading.Event) -> None:
    """Draw only after one second, so that quick commands draw nothing. Other output is printed above the line."""
    from rich.progress import Progress, SpinnerColumn, TextColumn

    from ingestion.cli.output.terminal import Terminal

    if ended.wait(1):
        return
    line = Progress(
        SpinnerColumn(), TextColumn("{task.description}", markup=False), console=Terminal(stderr=True), transient=True
    )
    with line:
        task = line.add_task(str(current))
        while not ended.wait(0.2):
            line.update(task, description=str(current))
