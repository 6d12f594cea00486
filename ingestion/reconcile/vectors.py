"""Checks with golden vectors that a server converts and hashes every type as defined, before its hashes are used.

A type that fails on a server is unverified there: its columns are left out of the server's hashes. Rows are fetched to
compare them, or the report says that they were not compared. They are never reported as a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from ingestion.reconcile import canonical
from ingestion.reconcile.dialects import Dialect, Origin
from ingestion.reconcile.hashes import HashColumn, HashType, Kind, RowPlan
from ingestion.reconcile.vector_values import vectors

RunSql = Callable[[str], Sequence[Sequence[Any]]]
"""Runs one query and returns its rows; raises what its driver raises."""


class TypeThere(NamedTuple):
    """A hash type and its declaration on one side (None: the lake's)."""

    type: HashType
    physical: str | None = None


class Expected(NamedTuple):
    """The result that a server must return for one value. Lanes are texts, because a driver could round numbers."""

    number: int
    hash: str
    lane_1: str
    lane_2: str


def verify_vectors(run_sql: RunSql, dialect: Dialect, types: Iterable[TypeThere]) -> frozenset[TypeThere]:
    """
    Return the types that this server does not hash as defined, or cannot hash at all.

    Runs one query per type, of constants only: no table is read. Raises the driver's error if even the query for whole
    numbers fails.
    """
    return frozenset(type_ for type_ in types if not _holds(run_sql, dialect, type_))


def _holds(run_sql: RunSql, dialect: Dialect, there: TypeThere) -> bool:
    values = vectors(there.type, there.physical)
    try:
        rows = run_sql(vector_query(dialect, there, values))
    except Exception:
        run_sql(vector_query(dialect, TypeThere(HashType(Kind.INTEGER)), [1]))  # a lost connection must raise
        return False
    answers = {Expected(int(n), str(h).upper(), str(one), str(two)) for n, h, one, two in rows}
    return answers == set(expected(there.type, values))


def vector_query(dialect: Dialect, there: TypeThere, values: Sequence[Any]) -> str:
    """Return the query that yields each value's number, its hash and both lanes."""
    plan = _plan(there.type)
    from_nowhere = " FROM DUAL" if dialect.name == "oracle" else ""
    constants = " UNION ALL ".join(
        f"SELECT {n} AS n, {dialect.literal(there.type, there.physical, value)} AS v{from_nowhere}"
        for n, value in enumerate(values)
    )
    text = dialect.row_text(plan, {"v": Origin("v", there.physical)})
    hashed = f"SELECT n, {dialect.hash_hex(text)} AS x, {dialect.hash_value(text)} AS h FROM ({constants}) vectors"
    lanes = [dialect.exact_text(lane) for lane in ("lane_1", "lane_2")]
    return f"SELECT n, x, {', '.join(lanes)} FROM ({dialect.with_lanes(hashed, ('n', 'x'))}) laned"


def expected(type_: HashType, values: Sequence[Any]) -> list[Expected]:
    """Return the results that the definition gives for these values."""
    plan = _plan(type_)
    hashes = [canonical.row_hash(plan, {"v": value}) for value in values]
    return [Expected(n, h, *(str(lane) for lane in canonical.lanes(h))) for n, h in enumerate(hashes)]


def _plan(type_: HashType) -> RowPlan:
    return RowPlan(("v",), (HashColumn("v", type_, 0),))
