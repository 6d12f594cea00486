"""Writes the pages as files that work from disk: an artifact of a CI job, or a report to send."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from ingestion.errors import ConfigurationError
from monitoring.web.pages import PAGES
from monitoring.web.render import STATIC, Renderer
from monitoring.web.site import Site

MOST_PAGES = 2000
"""Pages that a report has at most; links to further ones lead to the page without its query."""
_MARK = ".lakehouse-report"


def write_report(site: Site, folder: Path) -> list[Path]:
    """
    Write every page that a link reaches, and what they need, to a folder; return the pages, `index.html` first.

    An earlier report there is replaced. Raises ConfigurationError for a folder that holds anything else, a
    LakehouseError if the lake cannot be read; the folder is unchanged then.
    """
    _refuse_foreign(folder)
    links = _Links()
    renderer = Renderer(links.url, is_live=False)
    pages = {page.name: page for page in PAGES}
    texts: dict[str, str] = {}
    while links.waiting:
        name, query, file = links.waiting.pop(0)
        texts[file] = renderer.page(site, pages[name], query)
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(STATIC, folder / "static", ignore=shutil.ignore_patterns("htmx*"))
    (folder / _MARK).touch()
    for file, text in texts.items():
        (folder / file).write_text(text, encoding="utf-8")
    return [folder / file for file in texts]


class _Links:
    """Gives each page a file, and remembers those that are still to be written."""

    def __init__(self) -> None:
        self._files: dict[tuple[str, tuple[tuple[str, str], ...]], str] = {}
        self.waiting: list[tuple[str, Mapping[str, str], str]] = []
        for page in PAGES:
            self.url(page.name, {})

    def url(self, page: str, query: dict[str, str]) -> str:
        key = (page, tuple(sorted(query.items())))
        if key not in self._files:
            if len(self._files) >= MOST_PAGES:
                return self._files[(page, ())]
            self._files[key] = self._name(page, query)
            self.waiting.append((page, query, self._files[key]))
        return self._files[key]

    def _name(self, page: str, query: Mapping[str, str]) -> str:
        parts = [re.sub(r"[^A-Za-z0-9.-]+", "_", value)[:60] for _, value in sorted(query.items())]
        stem = "-".join(["index" if page == "home" else page, *parts])
        name, count = f"{stem}.html", 1
        while name in self._files.values():
            count += 1
            name = f"{stem}-{count}.html"
        return name


def _refuse_foreign(folder: Path) -> None:
    if folder.exists() and not (folder.is_dir() and ((folder / _MARK).exists() or not any(folder.iterdir()))):
        raise ConfigurationError(
            f"{folder}: holds something else than a report. Nothing was written. Name a new or empty folder."
        )
