"""
The way of the data: source table, contract, Bronze, Silver, Gold, exposure; with a picture of one node's neighbours.

The models and what they read are those of the newest builds in the ledger; exposures come from the dbt project.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ingestion.contracts.model import Contract
from ingestion.printable import shown
from monitoring.run_views import BuiltModel

KINDS = ("source", "contract", "bronze", "silver", "gold", "audit", "exposure")
_REF = re.compile(r"ref\(\s*['\"]([^'\"]+)['\"]\s*\)")


def models_in(text: str) -> list[str]:
    """Return the models that a text of a dbt project refers to, in its order; a repeated one is repeated."""
    return _REF.findall(text)


@dataclass(frozen=True, slots=True)
class Node:
    """`id` is `<kind>:<name>`, of a source `source:<system>:<name>`; `name` is what people call it."""

    id: str
    kind: str
    name: str


@dataclass(frozen=True)
class Graph:
    """Nodes by id, and edges from what is read to what reads it. Has no cycle, as dbt and the layers have none."""

    nodes: Mapping[str, Node]
    edges: frozenset[tuple[str, str]]
    _after: Mapping[str, list[str]] = field(default_factory=dict, repr=False, compare=False)
    _before: Mapping[str, list[str]] = field(default_factory=dict, repr=False, compare=False)

    def find(self, name: str) -> Node | None:
        """Return the node of that id, else the most downstream one of that name."""
        if name in self.nodes:
            return self.nodes[name]
        named = [node for node in self.nodes.values() if node.name == name]
        return max(named, key=lambda node: KINDS.index(node.kind), default=None)

    def downstream(self, name: str) -> tuple[str, ...]:
        """Return the names of the models and exposures that are built from a contract or model, sorted."""
        start = self.find(name)
        if start is None:
            return ()
        reached = self._reach(start.id, self._after, len(self.nodes))
        return tuple(sorted({self.nodes[id_].name for id_ in reached if id_ != start.id}))

    def around(self, name: str, steps: int = 2) -> Graph:
        """Return the part of the graph within some steps up and down of a node; all of it for an unknown name."""
        start = self.find(name)
        if start is None:
            return self
        kept = self._reach(start.id, self._after, steps) | self._reach(start.id, self._before, steps)
        return make_graph(
            [node for node in self.nodes.values() if node.id in kept],
            [(a, b) for a, b in self.edges if a in kept and b in kept],
        )

    def connected(self) -> Graph:
        """Return the graph without nodes that have no edge, such as models of the ledger."""
        joined = {id_ for edge in self.edges for id_ in edge}
        return make_graph([node for node in self.nodes.values() if node.id in joined], self.edges)

    @staticmethod
    def _reach(start: str, ways: Mapping[str, list[str]], steps: int) -> set[str]:
        seen, waiting = {start}, deque([(start, 0)])
        while waiting:
            at, depth = waiting.popleft()
            for other in ways.get(at, []) if depth < steps else []:
                if other not in seen:
                    seen.add(other)
                    waiting.append((other, depth + 1))
        return seen

    def columns(self) -> list[list[Node]]:
        """
        Return the nodes in columns from left to right, each in an order in which few edges cross.

        A node's column is the longest way to it; the order follows the median of its neighbours, in two sweeps.
        """
        depth: dict[str, int] = {}
        for id_ in self._sorted():
            depth[id_] = max((depth[before] + 1 for before in self._before.get(id_, [])), default=0)
        columns: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
        for id_ in sorted(depth):
            columns[depth[id_]].append(id_)
        for ways, order in ((self._before, columns[1:]), (self._after, columns[-2::-1])):
            place = {id_: index for column in columns for index, id_ in enumerate(column)}
            for column in order:
                column.sort(key=lambda id_, ways=ways, place=place: (_median(place, ways.get(id_, [])), id_))  # type: ignore[misc]
                place.update({id_: index for index, id_ in enumerate(column)})
        return [[self.nodes[id_] for id_ in column] for column in columns]

    def _sorted(self) -> list[str]:
        """Return the ids so that each comes after all that it reads."""
        left = {id_: len(self._before.get(id_, [])) for id_ in self.nodes}
        ready, done = deque(sorted(id_ for id_, count in left.items() if not count)), []
        while ready:
            done.append(at := ready.popleft())
            for other in self._after.get(at, []):
                left[other] -= 1
                if not left[other]:
                    ready.append(other)
        return done

    def mermaid(self) -> str:
        """Return the graph as text of Mermaid, e.g. for a pull request."""
        ids = {id_: f"n{index}" for index, id_ in enumerate(self.nodes)}
        lines = [f'    {ids[id_]}["{_plain(node.name)}<br/>{node.kind}"]' for id_, node in self.nodes.items()]
        return (
            "\n".join(["flowchart LR", *lines, *(f"    {ids[a]} --> {ids[b]}" for a, b in sorted(self.edges))]) + "\n"
        )


def _plain(text: str) -> str:
    return re.sub(r'["<>&\[\]{}|`]', "_", shown(text))


def _median(place: Mapping[str, int], neighbours: Sequence[str]) -> float:
    found = sorted(place[id_] for id_ in neighbours if id_ in place)
    if not found:
        return 0.0
    middle = len(found) // 2
    return float(found[middle]) if len(found) % 2 else (found[middle - 1] + found[middle]) / 2


def make_graph(nodes: Iterable[Node], edges: Iterable[tuple[str, str]]) -> Graph:
    kept = frozenset(edges)
    after: dict[str, list[str]] = defaultdict(list)
    before: dict[str, list[str]] = defaultdict(list)
    for a, b in sorted(kept):
        after[a].append(b)
        before[b].append(a)
    return Graph({node.id: node for node in nodes}, kept, dict(after), dict(before))


def graph(contracts: Sequence[Contract], models: Sequence[BuiltModel], exposures: Mapping[str, Sequence[str]]) -> Graph:
    """Return the whole graph. A model that reads a table of Bronze is Silver; one that reads the ledger is audit."""
    nodes: dict[str, Node] = {}
    edges: set[tuple[str, str]] = set()

    def add(kind: str, name: str) -> str:
        id_ = f"{kind}:{name}"
        nodes.setdefault(id_, Node(id_, kind, name))
        return id_

    for contract in contracts:
        source = f"source:{contract.system}:{'.'.join(contract.source_table)}"
        nodes[source] = Node(source, "source", ".".join(contract.source_table))
        promise, bronze = add("contract", contract.id), add("bronze", contract.id)
        edges |= {(source, promise), (promise, bronze)}
    ids = {contract.id for contract in contracts}
    reads = {model.model: [name for name in (model.reads or "").split(", ") if name] for model in models}
    kinds = {name: _kind(read, ids) for name, read in reads.items()}
    for name, read in reads.items():
        own = add(kinds[name], name)
        for other in read:
            if other in ids:
                edges.add((f"bronze:{other}", own))
            elif other in kinds:
                edges.add((add(kinds[other], other), own))
    for name, used in exposures.items():
        edges |= {(add(kinds[of], of), add("exposure", name)) for of in used if of in kinds}
    return make_graph(nodes.values(), edges)


def _kind(read: Sequence[str], contracts: set[str]) -> str:
    if any(name.startswith("ops.") for name in read):
        return "audit"
    return "silver" if any(name in contracts for name in read) else "gold"


def read_exposures(dbt_project: Path) -> dict[str, list[str]]:
    """Return the exposures of a dbt project by name, with the models that each reads; unreadable files are left out."""
    found: dict[str, list[str]] = {}
    for path in sorted((dbt_project / "models").rglob("*.y*ml")):
        text = path.read_text(encoding="utf-8", errors="replace")
        if "exposures:" not in text:
            continue
        try:
            document: Any = yaml.safe_load(text)
        except yaml.YAMLError:
            continue
        for exposure in (document or {}).get("exposures") or []:
            found[str(exposure.get("name"))] = models_in(" ".join(map(str, exposure.get("depends_on") or [])))
    return found
