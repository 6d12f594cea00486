"""
The standard streams of a command, and the signals that end it.

Data, names and paths may contain characters that control a terminal: escape sequences, other control characters, marks
that change the direction of text. They are shown as escapes. If the reader of stdout ends (`| head`), the command
continues its work without output.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from ingestion.errors import SIGNALLED
from ingestion.printable import shown
from ingestion.privacy.logs import logger
from ingestion.settings.logs import writes_json


def say(text: str, level: int = logging.INFO, **fields: str | int) -> None:
    """Tell people a line on stderr; where logs are lines of JSON it is a record of this level with these fields."""
    if writes_json():
        logger.log(level, "%s", text, extra={"fields": fields})
    else:
        click.echo(shown(text), err=True)


@contextmanager
def unread() -> Iterator[None]:
    """Continue without output if stdout cannot be written any more."""
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        leave_stdout()


def leave_stdout() -> None:
    """Discard all later output, including that of the interpreter's exit and of child processes."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def end_in_order() -> None:
    """
    Convert SIGTERM and SIGHUP to an exception, so that steps are recorded and folders removed.

    The exit code is 128 plus the signal's number. A second signal ends the process at once. A signal that was ignored
    at the start (`nohup`) stays ignored.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise SystemExit(SIGNALLED + number)
