"""The types that golden vectors are kept for, and `hashes.json`: what every engine must answer, frozen.

`python -m tests.golden.vectors` writes the file anew. Do that only when the spelling is meant to change.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ingestion.reconcile.canonical import field_text
from ingestion.reconcile.hashes import HashType, Kind
from ingestion.reconcile.vector_values import vectors
from ingestion.reconcile.vectors import expected

FILE = Path(__file__).parent / "hashes.json"
DECIMALS = [(38, 0), (38, 10), (12, 2), (38, 37), (38, 38), (5, 5), (1, 0), (19, 4)]
TYPES = {
    **{kind.value: HashType(kind) for kind in Kind if kind is not Kind.DECIMAL},
    **{f"decimal({p},{s})": HashType(Kind.DECIMAL, p, s) for p, s in DECIMALS},
    "text, empty is null": HashType(Kind.TEXT, empty_is_null=True),
    "char, empty is null": HashType(Kind.CHAR, empty_is_null=True),
    "long text": HashType(Kind.TEXT, empty_is_null=True, digested=True),
    "long binary": HashType(Kind.BINARY, digested=True),
}


def told() -> dict[str, list[dict[str, Any]]]:
    """Return text, hash and lanes of every vector as the definition has them now."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, type_ in TYPES.items():
        values = vectors(type_, None)
        answers = zip(values, expected(type_, values), strict=True)
        found[name] = [
            {"text": field_text(type_, value), "hash": answer.hash, "lanes": [answer.lane_1, answer.lane_2]}
            for value, answer in answers
        ]
    return found


if __name__ == "__main__":
    lines = [
        f"{json.dumps(name)}: [\n" + ",\n".join(json.dumps(vector) for vector in found) + "\n]"
        for name, found in told().items()
    ]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
