"""Which contracts a branch changes, and which of its changes break readers without an announcement."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ingestion.contracts import revisions
from ingestion.contracts.model import Contract
from ingestion.contracts.odcs import read_version
from ingestion.contracts.versions import Change, compare_versions

_ANNOUNCED = re.compile(r"^status: *(deprecated|retired) *$", re.MULTILINE)

_REMOVED = Change(
    "removed", True, "the contract is removed or renamed", note="its table is loaded no longer; its readers lose it"
)


@dataclass(frozen=True)
class ContractChange:
    """What happens to one contract: `old` is None for a new one, `new` for one that is removed or renamed."""

    path: str
    old: Contract | None
    new: Contract | None
    changes: tuple[Change, ...]
    announced: bool
    """By the major version; of a removal by its status in the version before."""

    @property
    def contract(self) -> Contract:
        found = self.new or self.old
        assert found is not None  # noqa: S101 - one of the two is there
        return found

    @property
    def breaks(self) -> bool:
        return any(change.breaking for change in self.changes)


def changes_since(against: str, folder: Path) -> tuple[str, list[ContractChange]]:
    """
    Compare the contracts in `folder` with those of the commit where HEAD left `against`, sorted by path.

    Returns the commit too. A renamed file is one contract removed and a new one, because its table is another one.
    Raises ConfigurationError where git knows nothing to compare with, InvalidContractError.
    """
    base = revisions.merge_base(against, folder)
    found = revisions.changed_files(base, folder, "*.odcs.yaml")
    top = revisions.top_of(folder)
    return base, [_change(base, status, name, top) for name, status in sorted(found.items())]


def _change(base: str, status: str, name: str, top: Path) -> ContractChange:
    file, before = str(top / name), f"{base}:{name}"
    if status == "A":
        new = read_version(file, file)
        return ContractChange(name, None, new, (Change("new", False, "the contract is new", visible=True),), True)
    old = read_version(before, file, folder=top)
    if status == "D":
        announced = bool(_ANNOUNCED.search(revisions.text_of(before, file, folder=top)))
        return ContractChange(name, old, None, (_REMOVED,), announced)
    new = read_version(file, file)
    changes = tuple(compare_versions(old, new))
    return ContractChange(
        name, old, new, changes, all(change.kind != "version" for change in changes if change.breaking)
    )
