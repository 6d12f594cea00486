"""The file `.env` of a project: variables that the environment does not set.

Values are taken as they are written: nothing is expanded. `export` before a name is allowed, so that a shell can read
the same file.
"""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Iterator, MutableMapping
from pathlib import Path

from ingestion.errors import ConfigurationError

FILE = ".env"
_EXPANDED = re.compile(r"\$[A-Za-z_({]|`")


def take_env_file(folder: Path, environ: MutableMapping[str, str]) -> tuple[frozenset[str], str]:
    """
    Set in `environ` the variables of the project's file that are not set there (empty counts as not set).

    Returns their names, and a warning if other users may read the file; without a file neither. Child processes get
    the variables with the environment. Raises ConfigurationError for a file that is no list of NAME=value, that
    everybody may write, or that names another project.
    """
    file = folder / FILE
    try:
        mode, text = file.stat().st_mode, file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return frozenset(), ""
    except (OSError, UnicodeDecodeError) as exc:
        raise _unusable(file, f"cannot be read ({type(exc).__name__})", "Make it a text in UTF-8 of yours.") from None
    if mode & stat.S_IWOTH:
        raise _unusable(file, "may be written by every user", f"Run: chmod 600 {file}")
    taken = {name: value for name, value in _bindings(file, text) if value and not environ.get(name)}
    if "LAKEHOUSE_PROJECT" in taken and Path(taken["LAKEHOUSE_PROJECT"]).expanduser().absolute() != folder:
        raise _unusable(file, "sets LAKEHOUSE_PROJECT to another folder", "Set that in the environment instead.")
    environ.update(taken)
    is_open = os.name == "posix" and mode & (stat.S_IRGRP | stat.S_IROTH)
    return frozenset(taken), _open_warning(file, mode) if taken and is_open else ""


def _bindings(file: Path, text: str) -> Iterator[tuple[str, str]]:
    from dotenv.parser import parse_stream  # noqa: PLC0415 - only a project with such a file needs it

    for binding in parse_stream(io.StringIO(text)):
        blank = binding.original.string[: -len(binding.original.string.lstrip()) or None]
        line = binding.original.line + blank.count("\n")
        if binding.error or (binding.key is not None and binding.value is None):
            raise _unusable(file, f"has no NAME=value in line {line}", "Correct it.")
        if binding.key is None or binding.value is None:
            continue
        is_literal = binding.original.string.partition("=")[2].lstrip().startswith("'")
        if not is_literal and _EXPANDED.search(binding.value):
            raise _unusable(
                file,
                f"has a value in line {line} that a shell would expand, and here nothing is",
                "Write what it stands for, or the value in single quotes if it is meant as it is.",
            )
        yield binding.key, binding.value


def _unusable(file: Path, finding: str, step: str) -> ConfigurationError:
    return ConfigurationError(f"{file}: {finding}. Nothing was done. {step}")


def _open_warning(file: Path, mode: int) -> str:
    return (
        f"{file}: other users may read it (mode {stat.S_IMODE(mode):o}), and it may hold secrets. It was read. "
        f"Run: chmod 600 {file}"
    )
