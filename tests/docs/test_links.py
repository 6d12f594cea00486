"""Links between documents work on GitHub; `make site` checks those of the site, and this its list of pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ABOVE = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "GLOSSARY.md", "CHANGELOG.md")]
PAGES = sorted([*ABOVE, *DOCS.rglob("*.md")])
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def links(page: Path) -> list[str]:
    """Return the targets of the links of a page within the repository."""
    return [target for target in LINK.findall(FENCED.sub("", page.read_text())) if "://" not in target]


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {text.strip().replace(" ", "-") for text in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_of_the_site_and_a_heading_that_exist(page: Path) -> None:
    broken = []
    for link in links(page):
        target, _, anchor = link.partition("#")
        aimed = (page.parent / target).resolve() if target else page
        is_of_the_site = aimed in ABOVE or aimed.is_relative_to(DOCS)
        if not is_of_the_site or not aimed.exists() or (anchor and anchor not in anchors(aimed)):
            broken.append(link)

    assert broken == []


def test_the_site_lists_every_page_once() -> None:
    listed = sorted(pages_of(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    decisions = {path for path in PAGES if path.parent.name == "decisions"}  # .ci/site.py lists them
    pages = [path.relative_to(DOCS if path.is_relative_to(DOCS) else ROOT) for path in PAGES if path not in decisions]

    assert listed == sorted(map(str, pages))


def test_the_index_leads_to_every_page() -> None:
    index = DOCS / "index.md"
    told = {(DOCS / link.partition("#")[0]).resolve() for link in links(index)}
    lists = {DOCS / "decisions": DOCS / "decisions", DOCS / "runbooks": DOCS / "runbooks" / "index.md"}

    assert {lists.get(page.parent, page) for page in PAGES} - {index} == told


def pages_of(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    return [page for entry in (nav.values() if isinstance(nav, dict) else nav) for page in pages_of(entry)]
