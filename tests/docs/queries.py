"""The queries of docs/queries.md, by the heading that each stands under."""

from __future__ import annotations

import re
from pathlib import Path

FILE = Path(__file__).parents[2] / "docs" / "queries.md"


def read_queries() -> dict[str, str]:
    """Return the SQL under each heading of the second level. Headings with none or several queries are refused."""
    found = {}
    for section in FILE.read_text().split("\n## ")[1:]:
        heading, _, text = section.partition("\n")
        [found[heading]] = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    return found
