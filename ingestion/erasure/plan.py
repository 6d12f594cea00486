"""What an erasure would remove: rows, versions and files of each table. Writes nothing, and shows no value."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ingestion.erasure.keys import Keys
from ingestion.erasure.places import (
    Held,
    Place,
    count_unkeyed,
    files_beside,
    gold_places,
    held_by,
    places_of,
)
from ingestion.lake.storage.provider import is_remote
from ingestion.runs.context import Context


@dataclass(frozen=True, slots=True)
class PlaceErased:
    """What leaves a table, or would: `rows`, all `versions` that it has, and `files`. `rows` is None for Gold."""

    place: str
    rows: int | None
    versions: int
    files: int


@dataclass(frozen=True, slots=True)
class ErasurePlan:
    """
    `beside` are staged files, checkpoints and files taken out by `doctor --mend`; `unkeyed` quarantined rows without a
    whole key, which nobody can find by it. `notes` say what remains for people to do.
    """

    contract_id: str
    persons: int
    places: tuple[PlaceErased, ...]
    beside: int
    unkeyed: int
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def plan_erasure(context: Context, keys: Keys) -> ErasurePlan:
    """Return what `erase` would remove. Raises LakeError if the rows of a table cannot be told by the key."""
    places = [
        erased(place, held_by(context, place, keys)) for place in (*places_of(context, keys), *gold_places(context))
    ]
    unkeyed = count_unkeyed(context, keys)
    beside = len(files_beside(context, keys))
    return ErasurePlan(keys.contract.id, keys.count, tuple(places), beside, unkeyed, notes(context, keys, unkeyed))


def erased(place: Place, held: Held) -> PlaceErased:
    return PlaceErased(place.name, held.rows.num_rows if place.identity else None, held.versions, held.files)


def notes(context: Context, keys: Keys, unkeyed: int) -> tuple[str, ...]:
    """Return what an erasure leaves to people, a sentence each."""
    contract = keys.contract
    told = [
        f"Erase in {contract.system} first: a row that the source still has comes back with a load that reads it.",
        "Other tables with rows of the same persons need their own erasure; contracts do not tell which those are.",
    ]
    if unkeyed:
        told.append(
            f"{unkeyed} quarantined rows have no whole key. See `lakehouse quarantine show --all {contract.id}`; "
            "they go when the source corrects or removes them and their retention ends."
        )
    if is_remote(context.lake.root):
        told.append(
            f"{context.lake.root}: where the bucket or container keeps versions of objects or deleted ones, "
            "purge those of the deleted files, or wait until its lifecycle rule does."
        )
    return tuple(told)
