"""What a branch does to contracts, as Markdown for a pull request: what changes, whom it hits, who must be asked."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ingestion.contracts.changes import ContractChange
from ingestion.contracts.model import Contract
from ingestion.printable import shown

_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+!|~&])")


@dataclass(frozen=True)
class Followers:
    """What is built from a table, as dbt's manifest knows it. Sorted names; `people` own the exposures."""

    models: tuple[str, ...] = ()
    exposures: tuple[str, ...] = ()
    people: tuple[str, ...] = ()


def followers(contract: Contract, manifest: Mapping[str, Any]) -> Followers:
    """Return the models and exposures downstream of a contract's table. Empty for a table that no model reads."""
    named = [
        id_
        for id_, source in manifest.get("sources", {}).items()
        if (source["source_name"], source["name"]) == (contract.system, contract.entity)
    ]
    seen, waiting = {*named}, deque(named)
    while waiting:
        for other in manifest["child_map"].get(waiting.popleft(), ()):
            if other not in seen:
                seen.add(other)
                waiting.append(other)
    exposures = [each for id_, each in manifest.get("exposures", {}).items() if id_ in seen]
    people = {each["owner"].get("email") or each["owner"].get("name") or "" for each in exposures}
    return Followers(
        tuple(sorted(id_.split(".")[2] for id_ in seen if id_.startswith("model."))),
        tuple(sorted(each.get("label") or each["name"] for each in exposures)),
        tuple(sorted(people - {""})),
    )


def markdown(base: str, changes: Sequence[ContractChange], manifest: Mapping[str, Any] | None) -> str:
    """Return the report. Without a manifest it says that followers are not known. No contract's text is markup."""
    if not changes:
        return f"# Contracts\n\nNo contract differs from `{base[:12]}`, where this branch began.\n"
    breaking = sum(change.breaks for change in changes)
    silent = sum(change.breaks and not change.announced for change in changes)
    title = f"# Contracts: {len(changes)} changed, {breaking} breaking, {silent} of these not announced"
    parts = [title, f"Compared with `{base[:12]}`, where this branch began."]
    for change in sorted(changes, key=lambda each: (not each.breaks, each.path)):
        parts += _table(change, manifest)
    if silent:
        parts.append(
            "**To do:** a change that breaks readers needs a new major version; a removal needs a version with "
            "`status: deprecated` before. A table under another name is another contract."
        )
    return "\n\n".join(parts) + "\n"


def _table(change: ContractChange, manifest: Mapping[str, Any] | None) -> Iterator[str]:
    versions = " → ".join(each.version for each in (change.old, change.new) if each is not None)
    verdict = "breaking, announced" if change.announced else "breaking, NOT ANNOUNCED"
    yield f"## {_plain(change.contract.id)} {versions}: {verdict if change.breaks else 'not breaking'}"
    rows = [f"| {each.level} | {_plain(each.sentence)} | {_plain(each.note)} |" for each in change.changes]
    yield (
        "\n".join(["| level | change | consequence |", "| --- | --- | --- |", *rows])
        if rows
        else ("No difference that anything depends on.")
    )
    if personal := list(_personal(change.old, change.new)):
        yield "**Personal data:** " + "; ".join(personal)
    owners = {each.owner for each in (change.old, change.new) if each is not None and each.owner}
    if manifest is None:
        yield "**Follows:** not looked up, because no manifest of dbt was given"
        found = Followers()
    else:
        found = followers(change.contract, manifest)
        yield f"**Follows:** models {_listed(found.models)}; exposures {_listed(found.exposures)}"
    yield f"**Ask:** {_listed(sorted(owners | {*found.people}))}"


def _personal(old: Contract | None, new: Contract | None) -> Iterator[str]:
    """Say of each column how it became personal, ceased to be, or is masked in another way."""
    before, after = ({c.name: c for c in each.columns} if each is not None else {} for each in (old, new))
    for name in sorted(before.keys() | after.keys()):
        was, will_be = before.get(name), after.get(name)
        is_before, is_after = was is not None and was.is_personal, will_be is not None and will_be.is_personal
        if is_after and not is_before:
            yield f"{_plain(name)} becomes personal" if was else f"{_plain(name)} is new and personal"
        elif is_before and not is_after:
            yield (
                f"{_plain(name)} is no longer personal: Gold would show it unmasked"
                if will_be
                else (f"{_plain(name)}, which is personal, goes")
            )
        elif was and will_be and is_after and was.mask is not will_be.mask:
            yield f"the mask of {_plain(name)} changes from {was.mask} to {will_be.mask}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(_plain, names)) or "none"


def _plain(text: str) -> str:
    """Return a text without meaning in Markdown or HTML, on one line."""
    return _MARKUP.sub(r"\\\1", shown(" ".join(text.split())))
