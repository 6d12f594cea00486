"""Scopes and splits as SQL. Conditions use plain columns where possible, so that indexes and file statistics apply."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import date
from itertools import groupby

from ingestion.reconcile.dialects import Dialect, Origin
from ingestion.reconcile.hashes import HashType, Kind
from ingestion.reconcile.sides import Cut, Scope, Split
from ingestion.runbook.moments import partition_bounds
from ingestion.sql.quoting import text_literal

IN_LIST = 1_000
"""The longest IN list that Oracle accepts."""


def partition_condition(
    dialect: Dialect, type_: HashType, origin: Origin, grain: str, wanted: Collection[str | None]
) -> str:
    """Return the condition that a row is in one of these partitions: by ranges of days if possible, else by labels."""
    conditions = [f"{origin.sql} IS NULL"] if None in wanted else []
    labels, spans = [], []
    for label in sorted(name for name in wanted if name is not None):
        bounds = partition_bounds(label) if type_.kind in (Kind.DATE, Kind.TIMESTAMP) else None
        if bounds is None:
            labels.append(label)
        else:
            spans.append(bounds)
    for first, end in _merged(spans):
        conditions.append(f"({origin.sql} >= {dialect.day(first)} AND {origin.sql} < {dialect.day(end)})")
    conditions += _in_lists(dialect.partition_text(type_, origin, grain), labels)
    return _any(conditions)


def group_expression(dialect: Dialect, split: Split, first_key: str, key_text: str) -> str:
    """Return the expression of a row's group; not for partitions."""
    if split.cut is Cut.RANGE:
        return dialect.whole(first_key, split.low, split.width)
    return dialect.leading_digits(key_text, split.digits)


def group_condition(dialect: Dialect, scope: Scope, first_key: str, key_text: str) -> str:
    """Return the condition that a row is in one of a scope's groups."""
    split, names = scope.split, scope.groups
    if split is None or names is None:
        return ""
    if split.cut is Cut.RANGE:
        conditions = []
        for first, last in _runs(sorted(int(name) for name in names)):
            low, end = split.low + first * split.width, split.low + (last + 1) * split.width
            conditions.append(f"({first_key} >= {low} AND {first_key} < {end})")
        return _any(conditions)
    spelled = sorted(name if dialect.upper_hex else name.lower() for name in names)
    return _any(_in_lists(dialect.leading_digits(key_text, split.digits), spelled))


def _merged(spans: Sequence[tuple[date, date]]) -> Iterator[tuple[date, date]]:
    """Yield ascending spans; adjacent ones are merged."""
    current: tuple[date, date] | None = None
    for first, end in spans:
        if current is not None and first == current[1]:
            current = (current[0], end)
            continue
        if current is not None:
            yield current
        current = (first, end)
    if current is not None:
        yield current


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield first and last of every run of consecutive numbers."""
    for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        yield members[0], members[-1]


def _in_lists(expression: str, texts: Sequence[str]) -> list[str]:
    """Return conditions over texts of digits and dashes, split so that no IN list is too long for Oracle."""
    lists = [texts[at : at + IN_LIST] for at in range(0, len(texts), IN_LIST)]
    return [f"{expression} IN ({', '.join(text_literal(text) for text in some)})" for some in lists]


def _any(conditions: Sequence[str]) -> str:
    return f"({' OR '.join(conditions)})" if conditions else "1 = 0"
