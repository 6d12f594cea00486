"""Stores salted digests of the keys of open differences, in one file per table beside the ledger.

    ops/_marks/<contract id>.parquet    difference_id, mark; in its metadata the salt and when each was seen

Keys are never stored, and each file has its own salt. If a file is lost, its differences start again as suspected.
"""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from ingestion.lake.layout import MARKS, Lake
from ingestion.lake.storage.filesystem import make_folder, move
from ingestion.reconcile.states import Difference

_SCHEMA = pa.schema([("difference_id", pa.string()), ("mark", pa.binary(16))])
_META = b"lakehouse"


class Seen(NamedTuple):
    """What the ledger does not store of a difference."""

    fingerprints: frozenset[bytes]
    last_seen_at: datetime
    source_moment: datetime


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """The fingerprints of one table's open differences, and their salt."""

    salt: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    seen: dict[str, Seen] = field(default_factory=dict)

    def digest(self, *texts: str) -> bytes:
        """Return the digest of texts: the hashes of a key and its row, or the name of another finding."""
        return blake2b("|".join(texts).encode(), key=self.salt, digest_size=16).digest()


def read_fingerprints(lake: Lake, contract_id: str) -> Fingerprints:
    """Return a table's stored fingerprints; none, with a new salt, if its file is missing or cannot be read."""
    path = marks_path(lake, contract_id)
    if lake.filesystem.get_file_info(path).type != pafs.FileType.File:
        return Fingerprints()
    try:
        with lake.filesystem.open_input_file(path) as file:
            table = pq.read_table(file)
        meta = json.loads(table.schema.metadata[_META])
        by_id: dict[str, list[bytes]] = {name: [] for name in meta["seen"]}
        for name, mark in zip(table.column(0).to_pylist(), table.column(1).to_pylist(), strict=True):
            by_id[name].append(mark)
        seen = {
            name: Seen(frozenset(by_id[name]), *(datetime.fromisoformat(text) for text in moments))
            for name, moments in meta["seen"].items()
        }
        return Fingerprints(bytes.fromhex(meta["salt"]), seen)
    except (pa.ArrowException, ValueError, KeyError, TypeError):
        return Fingerprints()


def write_fingerprints(
    lake: Lake, contract_id: str, fingerprints: Fingerprints, differences: Iterable[Difference]
) -> None:
    """Store the fingerprints of the open differences; delete the file if there are none."""
    path, filesystem = marks_path(lake, contract_id), lake.filesystem
    kept = list(differences)
    if not kept:
        if fingerprints.seen:
            filesystem.delete_file(path)
        return
    rows = [(d.difference_id, mark) for d in kept for mark in sorted(d.fingerprints)]
    seen = {d.difference_id: [d.last_seen_at.isoformat(), d.source_moment.isoformat()] for d in kept}
    meta = {_META: json.dumps({"salt": fingerprints.salt.hex(), "seen": seen}).encode()}
    columns = [pa.array([row[at] for row in rows], field.type) for at, field in enumerate(_SCHEMA)]
    make_folder(filesystem, lake.path("ops", MARKS))
    new = f"{path}.{uuid.uuid4().hex[:8]}"
    with filesystem.open_output_stream(new) as stream:
        pq.write_table(pa.Table.from_arrays(columns, schema=_SCHEMA.with_metadata(meta)), stream)
    move(filesystem, new, path)


def marks_path(lake: Lake, contract_id: str) -> str:
    """Return the path (on the lake's file system) of a table's fingerprints."""
    return lake.path("ops", MARKS, f"{contract_id}.parquet")
