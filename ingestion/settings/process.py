"""Prepares the environment of a process: the project's `.env`, and what a person should know of the variables."""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path

from ingestion.settings.env_file import take_env_file
from ingestion.settings.old_names import old_names_line
from ingestion.settings.values import project_of


def prepare_process(environ: MutableMapping[str, str], project: Path | None = None) -> tuple[frozenset[str], list[str]]:
    """
    Set the variables of the project's `.env` that `environ` lacks; a second time finds nothing to set.

    Returns their names, and lines for people: a file that others may read, old variables. Raises ConfigurationError.
    """
    taken, warning = take_env_file(project or project_of(environ, Path.cwd()), environ)
    return taken, [line for line in (warning, old_names_line(environ)) if line]
