"""dbt as the command that it is, without the seconds of its start: each run is a fork of one process per test worker."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ingestion import scratch
from ingestion.build import dbt_process

_STARTED = multiprocessing.get_context("forkserver")
_STARTED.set_forkserver_preload(["tests.dbt.parsed", __name__])
_started_anew = dbt_process.output_of


def run_dbt(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    outputs: tuple[Path, Path],
    *,
    parsed: bool = True,
    seconds: float = 600,
    starter: str | None = None,
) -> int | None:
    """
    Run dbt in a folder, with these variables alone; return its exit code, None if it was stopped after `seconds`.

    Unless `parsed`, it is not given the parse. `starter` is the script that runs dbt instead of its own command.
    """
    process = _STARTED.Process(target=_be_dbt, args=(arguments, folder, environment, outputs, parsed, starter))
    process.start()
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
        return None
    return process.exitcode


def output_of(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    seconds: float,
    on_line: dbt_process.OnLine | None = None,
) -> tuple[int, str]:
    """Do what `dbt_process.output_of` does. Another command than dbt, and a dbt that takes too long, are left to that."""
    if Path(command[1]).name != "on_duckdb.py":
        return _started_anew(command, folder=folder, environment=environment, seconds=seconds, on_line=on_line)
    with scratch.folder("dbt-said") as said:
        outputs = said / "printed.txt", said / "errors.txt"
        code = run_dbt(command[2:], folder, environment, outputs, seconds=seconds, starter=command[1])
        if code is None:
            return _started_anew(command, folder=folder, environment=environment, seconds=0)
        output = "".join(path.read_text() for path in outputs)
        if on_line is not None:
            for line in output.splitlines():
                on_line(line)
        return code, output


def _be_dbt(
    arguments: Sequence[str],
    cwd: Path,
    environment: Mapping[str, str],
    outputs: Sequence[Path],
    parsed: bool,
    starter: str | None,
) -> None:
    """Become the command dbt in a fresh process: its folder, variables, outputs and exit code."""
    for descriptor, path in enumerate(outputs, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    from dbt.cli.main import cli

    from tests.dbt.parsed import take_over

    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(take_over(environment, arguments) if parsed else environment)
    sys.path.insert(0, environment.get("PYTHONPATH", ""))
    sys.argv = [starter or "dbt", *arguments]
    if starter:
        runpy.run_path(starter, run_name="__main__")
    cli()
