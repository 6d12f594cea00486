"""A contract file as text, plain values and positions.

Values come from the YAML loader. Positions and exact scalar texts come from the YAML node tree.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, ClassVar

import yaml

from ingestion.errors import Fault

Steps = tuple[str | int, ...]
MAX_DEPTH = 50
"""Maximum nesting depth of a contract file; a valid one needs at most 9 levels."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """
    Safe loader (libyaml if present) that keeps moments as text, so that no time zone is assumed, and every key as it is
    written: `on` is a key, and not the value true of YAML 1.1.
    """

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:bool":
                key.tag = "tag:yaml.org,2002:str"
        return super().construct_mapping(node, deep)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Document:
    """One parsed file. `shown` is its path in messages; `data` a mapping of plain values."""

    shown: str
    root: yaml.MappingNode
    data: dict[Any, Any]

    def node(self, steps: Steps) -> yaml.Node | None:
        """Return the value node at that path, or None."""
        found: yaml.Node | None = self.root
        for step in steps:
            pair = _child(found, step)
            if pair is None:
                return None
            found = pair[1]
        return found

    def line(self, steps: Steps) -> int:
        """Return the line of the path, or of the nearest existing block around it; 0 if there is none."""
        found: yaml.Node | None = self.root
        line = 0
        for step in steps:
            pair = _child(found, step)
            if pair is None:
                break
            line, found = pair[0].start_mark.line + 1, pair[1]
        return line

    def text(self, steps: Steps) -> str | None:
        """Return the scalar at that path as it is written (numbers keep every digit); None for null or none."""
        node = self.node(steps)
        if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:null":
            return None
        return str(node.value)


@dataclass(slots=True)
class DocumentFaults:
    """Collects the faults of one document. A path marked as faulty (`spoil`) gets no second fault."""

    document: Document
    faults: list[Fault] = field(default_factory=list)
    _spoiled: set[Steps] = field(default_factory=set)

    def error(self, steps: Steps, message: str) -> None:
        """Add a fault at that path, unless the path or a block around it is marked as faulty."""
        self._add(steps, message, "error")

    def warn(self, steps: Steps, message: str) -> None:
        self._add(steps, message, "warning")

    def spoil(self, steps: Steps) -> None:
        """Mark the value at that path as faulty, so that no consequential fault is reported."""
        self._spoiled.add(steps)

    @property
    def is_clean(self) -> bool:
        return all(fault.severity != "error" for fault in self.faults)

    def _add(self, steps: Steps, message: str, severity: str) -> None:
        if any(steps[:length] in self._spoiled for length in range(len(steps) + 1)):
            return
        self.faults.append(Fault(self.document.shown, self.document.line(steps), message, severity))


def parse(text: str, shown: str) -> tuple[Document | None, list[Fault]]:
    """Parse one file. If there is no document, the faults say why. A document may also have faults (duplicate keys)."""
    too_deep = _line_too_deep(text)
    if too_deep:
        return None, [Fault(shown, too_deep, f"is nested more than {MAX_DEPTH} levels deep; nothing was checked")]
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            return None, [Fault(shown, 0, "holds no mapping; write an ODCS data contract (apiVersion, kind, id, ...)")]
        aliased, repeated = _walk(root)
        faults = [
            *(Fault(shown, line, "an alias repeats this value; write it out where it is used") for line in aliased),
            *(Fault(shown, line, f"the key {key} is there twice; keep one of them") for line, key in repeated),
        ]
        return None if aliased else Document(shown, root, loader.construct_document(root)), faults
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        return None, [_syntax_fault(exc, shown)]
    finally:
        loader.dispose()


def _line_too_deep(text: str) -> int:
    """Return the line where nesting exceeds MAX_DEPTH, else 0. Building a deeper tree may crash the process."""
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_Loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                return event.start_mark.line + 1 if event.start_mark else 1
    except (yaml.YAMLError, ValueError, RecursionError):  # reported with its position when the tree is built
        pass
    return 0


def _syntax_fault(exc: Exception, shown: str) -> Fault:
    mark = getattr(exc, "problem_mark", None)
    reason = getattr(exc, "problem", None) or getattr(exc, "reason", None) or type(exc).__name__
    return Fault(shown, mark.line + 1 if mark else 0, f"is not YAML: {reason}; nothing after this place was checked")


def _walk(root: yaml.Node) -> tuple[list[int], list[tuple[int, str]]]:
    """Return the lines of values that an alias refers to, and the duplicate keys of mappings."""
    aliased, repeated = [], []
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            aliased.append(node.start_mark.line + 1)
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            waiting += [value for _, value in node.value]
            keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
            twice = {name for name, count in keys.items() if count > 1}
            places = {str(key.value): key.start_mark.line + 1 for key, _ in node.value if str(key.value) in twice}
            repeated += [(line, name) for name, line in places.items()]
    return aliased, repeated


def _child(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """Return the node that gives the position (a key, or an item) and the value node."""
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
        return (node.value[step], node.value[step]) if 0 <= step < len(node.value) else None
    if isinstance(node, yaml.MappingNode):
        for key, value in reversed(node.value):  # of a repeated key the last one wins
            if isinstance(key, yaml.ScalarNode) and key.value == step:
                return key, value
    return None
