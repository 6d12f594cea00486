"""What a source's catalog says about tables that have no contract yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ingestion.contracts.drift import FoundColumn


class ColumnId(NamedTuple):
    """A column anywhere in a source, in the catalog's spelling."""

    schema: str
    table: str
    column: str


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """A column of the catalog and its comment there."""

    found: FoundColumn
    comment: str = ""


@dataclass(frozen=True, slots=True)
class TableFacts:
    """
    A table or view as its catalog describes it; columns in catalog order.

    `key` holds the primary key's columns in key order, empty if the catalog has none. `references` are its foreign
    keys: own column -> the column that it refers to. `tracks_changes` says that the database keeps a log of its changed
    keys.
    """

    schema: str
    name: str
    columns: tuple[ColumnFacts, ...]
    key: tuple[str, ...] = ()
    comment: str = ""
    tracks_changes: bool = False
    references: Mapping[ColumnId, ColumnId] = field(default_factory=dict)
