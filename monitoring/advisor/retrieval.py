"""
Finds the passages that a question is about: exact links first (a cause's runbook, a named table, column or model), then
DuckDB's full-text search, whose extension comes from its PyPI wheel.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum

from ingestion.lake import duck
from monitoring.advisor.documents import Passage
from monitoring.advisor.signs import models_in, tables_in
from monitoring.advisor.values import Advice, Names

FOUND = 5
_EXCERPT = 320
_MARKUP = re.compile(r"^```\w*$|[|`*#]|-{3,}", re.MULTILINE)


class QueryType(StrEnum):
    """What a question is about, which says whose passages come first."""

    FAILURE = "failure"
    MEANING = "meaning"
    LINEAGE = "lineage"
    DECISION = "decision"
    HOW_TO = "how_to"


_ASKS = (
    (QueryType.LINEAGE, re.compile(r"\b(?:lineage|built from|depends? on|reads?|downstream|upstream|feeds?)\b", re.I)),
    (
        QueryType.DECISION,
        re.compile(r"\b(?:decided|decision|why (?:is|are|do|does|did) (?:we|there|the product))\b", re.I),
    ),
    (
        QueryType.MEANING,
        re.compile(r"\b(?:means?|meaning|definition|defined|column|what is|o que é|significa)\b", re.I),
    ),
)
_FIRST = {
    QueryType.FAILURE: ("runbooks", "incident"),
    QueryType.MEANING: ("word", "column", "contract", "model"),
    QueryType.LINEAGE: ("model", "contract"),
    QueryType.DECISION: ("decisions",),
    QueryType.HOW_TO: (),
}
_AHEAD = 1.3
"""The score of passages of a kind that the query class prefers is multiplied by this."""


def query_type(text: str, cause: str | None) -> QueryType:
    """Return the class of a question; `cause` is what the rules found."""
    if cause is not None:
        return QueryType.FAILURE
    return next((kind for kind, pattern in _ASKS if pattern.search(text)), QueryType.HOW_TO)


class Library:
    """The passages of a project, indexed in memory. To be closed."""

    def __init__(self, passages: Iterable[Passage]) -> None:
        self._passages = {passage.id: passage for passage in passages}
        self._connection = duck.connect_for_text()
        self._connection.execute(
            "create table passages (id varchar, kind varchar, title varchar, body varchar)"
        )  # a title counts twice
        rows = [[p.id, p.kind, f"{p.title} {p.title}", p.text] for p in self._passages.values()]
        if rows:
            columns = [list(column) for column in zip(*rows, strict=True)]
            self._connection.execute("insert into passages select unnest(?), unnest(?), unnest(?), unnest(?)", columns)
        self._connection.execute("pragma create_fts_index('passages', 'id', 'title', 'body', stemmer = 'porter')")

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self._passages)

    def get(self, id_: str) -> Passage | None:
        return self._passages.get(id_)

    def close(self) -> None:
        self._connection.close()

    def find(self, text: str, names: Names, advice: Advice | None = None, *, limit: int = FOUND) -> list[Passage]:
        """Return the passages that are nearest to a text, at most `limit`, the best first."""
        cause = advice.cause if advice is not None else None
        ids = list(dict.fromkeys(id_ for id_ in self.linked(text, names, advice) if id_ in self._passages))
        if len(ids) < limit:
            ids = list(dict.fromkeys([*ids, *self.search(text, query_type(text, cause))]))
        return [self._passages[id_] for id_ in ids[:limit]]

    def search(self, text: str, kind: QueryType) -> list[str]:
        """Return the ids of the passages by full-text search alone, the best first."""
        rows = self._connection.execute(
            "select id from (select id, fts_main_passages.match_bm25(id, ?) * "
            "if(list_contains(?::varchar[], kind), ?, 1) as score from passages) "
            "where score is not null order by score desc, id limit 10",
            [text[:1_000], list(_FIRST[kind]), _AHEAD],
        ).fetchall()
        return [id_ for (id_,) in rows]

    def linked(self, text: str, names: Names, advice: Advice | None = None) -> Iterator[str]:
        """Yield the ids that follow from the advice and from names in a text, without a search."""
        for each in (advice, *advice.also) if advice is not None else ():
            if each.runbook is not None:
                yield each.runbook
        words = set(re.findall(r"\w+", text.casefold()))
        for table in tables_in(text, names)[:2]:
            yield from (f"contract:{table}#{column}" for column in names.columns.get(table, ()) if column in words)
            yield f"contract:{table}"
        yield from (f"model:{model}" for model in models_in(text, names)[:2])


def excerpt(passage: Passage) -> str:
    """Return the begin of a passage in one line."""
    told = " ".join(_MARKUP.sub(" ", passage.text or passage.title).split())
    return told if len(told) <= _EXCERPT else f"{told[: _EXCERPT - 1]}…"
