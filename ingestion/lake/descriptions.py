"""The description of a table and the comments of its columns, as metadata of its Arrow schema.

Catalogs and BI tools show both. In a Delta log they are the table's `description` and `comment` of a column.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

_DESCRIPTION, _COMMENT = "description", "comment"


def described(schema: pa.Schema, description: str, comments: Mapping[str, str]) -> pa.Schema:
    """Return a schema with the table's description, and the comments of the columns that have one."""
    fields = [
        pa.field(f.name, f.type, f.nullable, metadata={_COMMENT: comments[f.name]} if comments.get(f.name) else None)
        for f in schema
    ]
    return with_description(pa.schema(fields), description)


def with_description(schema: pa.Schema, description: str) -> pa.Schema:
    """Return a schema with the table's description alone; the comments of its columns stay as they are."""
    return schema.with_metadata({_DESCRIPTION: description} if description else None)


def description_of(schema: pa.Schema) -> str:
    """Return the table's description; empty if it has none."""
    return _text(schema.metadata, _DESCRIPTION)


def comments_of(schema: pa.Schema) -> dict[str, str]:
    """Return the comments of the columns that have one."""
    return {field.name: comment for field in schema if (comment := _text(field.metadata, _COMMENT))}


def is_described(found: pa.Schema, wanted: pa.Schema) -> bool:
    """Return whether a table has the description and comments that are wanted of it; it may have others besides."""
    return comments_of(wanted).items() <= comments_of(found).items() and (
        description_of(wanted) or description_of(found)
    ) == description_of(found)


def to_give(found: pa.Schema, wanted: pa.Schema) -> tuple[dict[str, str], str]:
    """Return the comments that columns of a table do not have as wanted, and the description; empty if it has it."""
    known, comments = comments_of(found), comments_of(wanted)
    lacking = {n: comments[n] for n in found.names if n in comments and comments[n] != known.get(n)}
    description = description_of(wanted)
    return lacking, description if description != description_of(found) else ""


def _text(metadata: Mapping[bytes, bytes] | None, key: str) -> str:
    return (metadata or {}).get(key.encode(), b"").decode()
