"""
Hooks of mkdocs: what the site shows beside docs/, so that every link works there and on GitHub.

README, CONTRIBUTING, GLOSSARY and CHANGELOG are above docs/. The site shows them as pages; their links, and the links
to them, are rewritten to those pages. The decisions are listed from their folder, which GitHub lists by itself.
"""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
ABOVE = ("README.md", "CONTRIBUTING.md", "GLOSSARY.md", "CHANGELOG.md")
OVERVIEW = "decisions/index.md"
_ITEM = re.compile(r"(?:- |\d+\. )")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List all decisions in the navigation, below their overview."""
    for entry in config.nav or []:
        if "Decisions" in entry:
            entry["Decisions"] = [OVERVIEW, *(f"decisions/{path.name}" for path in _decisions())]
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages that are above docs/, and the overview of the decisions."""
    for name in ABOVE:
        file = File.generated(config, name, content=(ROOT / name).read_text())
        if name == "README.md":  # else it would be the home page, which index.md is
            file.dest_uri = "readme/index.html"
        files.append(file)
    titles = [(path.read_text().partition("\n")[0].lstrip("# "), path.name) for path in _decisions()]
    listed = "\n".join(f"- [{title}]({name})" for title, name in titles)
    files.append(File.generated(config, OVERVIEW, content=f"# Decisions\n\n{listed}\n"))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Rewrite links of pages above docs/, links to them, and links to the folder of decisions."""
    place = page.file.src_uri
    folder = ROOT if place in ABOVE else (DOCS / place).parent

    def rewritten(found: re.Match[str]) -> str:
        target, mark, anchor = found[1].partition("#")
        if not target or "://" in target:
            return found[0]
        aimed = (folder / target).resolve()
        if aimed == DOCS / "decisions":
            aimed = DOCS / OVERVIEW
        if not aimed.is_relative_to(ROOT):
            return found[0]
        inside = aimed.relative_to(DOCS if aimed.is_relative_to(DOCS) else ROOT).as_posix()
        return f"]({'../' * place.count('/')}{inside}{mark}{anchor})"

    return _LINK.sub(rewritten, _with_lists(markdown))


def _with_lists(markdown: str) -> str:
    """Put an empty line before each list that follows a paragraph: GitHub needs none there, mkdocs does."""
    lines: list[str] = []
    is_code = False
    for line in markdown.split("\n"):
        is_code ^= line.startswith("```")
        before = lines[-1] if lines else ""
        if not is_code and _ITEM.match(line) and before.strip() and not _ITEM.match(before):
            lines.append("")
        lines.append(line)
    return "\n".join(lines)


def _decisions() -> list[Path]:
    return sorted((DOCS / "decisions").glob("[0-9]*.md"))
