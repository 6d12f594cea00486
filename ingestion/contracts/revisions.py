"""Asks git: the text of a file in a revision, and which files a branch changed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from ingestion.errors import ConfigurationError


def text_of(name: str, other: str, *, folder: Path = Path()) -> str:
    """
    Return a text in git: `REVISION:PATH`, from the top of the repository that holds `folder`, or REVISION for the file
    `other` in it.

    Bytes that are not UTF-8 are replaced. Raises ConfigurationError if there is no such file, revision or git.
    """
    revision, colon, path = name.partition(":")
    folder, place = (folder, path) if colon else (Path(other).parent, f"./{Path(other).name}")
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


def merge_base(against: str, folder: Path) -> str:
    """Return the commit where HEAD left a branch. Raises ConfigurationError where there is none."""
    if not against:
        raise _nothing("no branch to compare with is named", "Name it, e.g. origin/main")
    if _ask(folder, "rev-parse", "--quiet", "--verify", "--end-of-options", f"{against}^{{commit}}") is None:
        raise _nothing(f"there is no branch or commit {against}", "Fetch it: git fetch origin")
    base = _ask(folder, "merge-base", against, "HEAD")
    if base is None:
        raise _nothing(f"{against} and HEAD have no commit in common", "Fetch the whole history: git fetch --unshallow")
    return base.strip()


def changed_files(base: str, folder: Path, pattern: str) -> dict[str, str]:
    """Return what became of each file below a folder since a commit (A, D or M), by its path from the top folder."""
    said = _ask(folder, "diff", "--no-renames", "--name-status", "-z", base, "--", f":(glob)**/{pattern}") or ""
    words = said.split("\0")
    return dict(zip(words[1::2], words[::2], strict=False))


def top_of(folder: Path) -> Path:
    """Return the top folder of the repository that holds a folder."""
    return Path((_ask(folder, "rev-parse", "--show-toplevel") or str(folder)).rstrip("\n"))


def _ask(folder: Path, *arguments: str) -> str | None:
    """Return what git says in a folder; None if there is no git, or it fails."""
    git = shutil.which("git")
    if git is None or not folder.is_dir():
        return None
    done = subprocess.run([git, *arguments], cwd=folder, capture_output=True, check=False)
    return None if done.returncode else done.stdout.decode("utf-8", errors="replace")


def _nothing(finding: str, advice: str) -> ConfigurationError:
    return ConfigurationError(f"contracts: {finding}. No contract was compared. {advice}")
