"""Reads the text of a file in a revision of git."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from ingestion.errors import ConfigurationError


def text_of(name: str, other: str) -> str:
    """
    Return a text in git: `REVISION:PATH`, from the top of the repository, or REVISION for the file `other` in it.

    Bytes that are not UTF-8 are replaced. Raises ConfigurationError if there is no such file, revision or git.
    """
    revision, colon, path = name.partition(":")
    folder, place = (Path(), path) if colon else (Path(other).parent, f"./{Path(other).name}")
    git = shutil.which("git")
    if git is not None and revision and not revision.startswith("-") and folder.is_dir():
        shown = subprocess.run(
            [git, "show", "--no-textconv", f"{revision}:{place}"], cwd=folder, capture_output=True, check=False
        )
        if shown.returncode == 0:
            return shown.stdout.decode("utf-8", errors="replace")
    raise ConfigurationError(
        f"{name}: this is neither a file nor one in git. Nothing was compared. Name a file, REVISION:PATH (from the "
        "top of the repository), or a REVISION beside the other version's file."
    )
