"""The steps of docs/tutorial.md: files that a reader writes, and commands, in the order of the page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).parents[2] / "docs" / "tutorial.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"(?:--|#) (\S+)\n")


@dataclass(frozen=True, slots=True)
class Step:
    """One block: `kind` sh is run; sql and yaml are written to the file that their first line names; text is shown."""

    kind: str
    text: str

    @property
    def file(self) -> str:
        """The path that the first line names, relative to where the reader is."""
        named = _NAME.match(self.text)
        assert named is not None, f"names no file: {self.text[:40]}"
        return named[1]


def steps(sections: int | None = None) -> list[Step]:
    """
    Return the blocks of the page, or of its first numbered sections.

    Blocks of the kind console, which install the package, are left out.
    """
    text = FILE.read_text()
    if sections is not None:
        text = text.partition(f"\n## {sections + 1}. ")[0]
    found = [Step(kind, block) for kind, block in _BLOCK.findall(text) if kind != "console"]
    assert {step.kind for step in found} <= {"sh", "sql", "yaml", "text"}
    return found


def script(chosen: list[Step], marker: str) -> str:
    """Return one shell script of the steps; before what a block of commands prints, a line has the marker and its number."""
    parts = ["set -eu"]
    for number, step in enumerate(chosen):
        if step.kind == "sh":
            parts.append(f"echo '{marker}{number}'\n{step.text}")
        elif step.kind != "text":
            parts.append(f"cat > '{step.file}' <<'END_OF_FILE'\n{step.text}END_OF_FILE")
    return "\n".join(parts)
