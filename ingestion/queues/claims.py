"""Bodies that are too large for a message, as files in a folder or an object store. Their names are their hashes."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pyarrow as pa
import pyarrow.fs as pafs

from ingestion.errors import ConfigurationError, LakehouseError, LakeUnavailableError, SourceUnavailableError
from ingestion.lake.storage.errors import reaching
from ingestion.lake.storage.filesystem import make_folder, move, open_files
from ingestion.lake.storage.provider import PROVIDERS, is_remote, provider_of
from ingestion.queues.packing import MOST_UNPACKED, UnpackableError
from ingestion.settings import Connection
from ingestion.sources.driver_errors import wrong_extra

_NAME = re.compile(r"[0-9a-f]{64}\.json")


class Claims:
    """
    The place of one queue's claims. Files are never deleted here: that is a rule of the bucket, or a person's.

    Raises ConfigurationError if the place is missing or refuses the login, SourceUnavailableError while it is away.
    """

    def __init__(self, system: str, place: str) -> None:
        self._system, self._place = system, place.rstrip("/")

    @classmethod
    def of(cls, system: str, connection: Connection) -> Claims | None:
        """Return the place that the connection's extra names; None if there is none. Raises ConfigurationError."""
        place = connection.extra.get("claim_check")
        if not place:
            return None
        try:
            is_place = bool(provider_of(place)) if is_remote(place) else place.startswith("/")
        except ConfigurationError:
            is_place = False
        if not is_place:
            forms = ", ".join(each.FORM for each in PROVIDERS.values())
            raise wrong_extra(system, "claim_check", f"an absolute folder or one of {forms}, without a login")
        return cls(system, place)

    def check(self) -> None:
        """Raise if the place cannot be reached. It need not exist before the first claim."""
        with self._reached() as (filesystem, folder):
            filesystem.get_file_info(folder)

    def write(self, body: bytes) -> str:
        """Return the URL of a body; writing the same one again changes nothing."""
        name = f"{hashlib.sha256(body).hexdigest()}.json"
        with self._reached() as (filesystem, folder):
            make_folder(filesystem, folder)
            target = f"{folder}/{name}"
            is_local = isinstance(filesystem, pafs.LocalFileSystem)  # an object store shows whole objects only
            path = f"{folder}/.{uuid.uuid4().hex}" if is_local else target
            with filesystem.open_output_stream(path) as stream:
                stream.write(body)
            if path != target:
                move(filesystem, path, target)
        return f"{self._place}/{name}"

    def read(self, url: str) -> bytes:
        """Return a body. Raises UnpackableError for a claim elsewhere, whatever it names, and for one that is gone."""
        place, _, name = url.rpartition("/")
        if place != self._place or not _NAME.fullmatch(name):
            raise UnpackableError("its claim names no file of the connection's claim_check")
        with self._reached() as (filesystem, folder):
            info = filesystem.get_file_info(f"{folder}/{name}")
            if info.type != pafs.FileType.File:
                raise UnpackableError("the file that its claim names is gone")
            if info.size > MOST_UNPACKED:
                raise UnpackableError(f"the file that its claim names has more than {MOST_UNPACKED} bytes")
            with filesystem.open_input_stream(f"{folder}/{name}") as stream:
                data: bytes = stream.read()
        return data

    @contextmanager
    def _reached(self) -> Iterator[tuple[pafs.FileSystem, str]]:
        try:
            with reaching(self._place) if is_remote(self._place) else nullcontext():
                yield open_files(self._place)
        except ConfigurationError:  # a variable of the storage's login
            raise
        except LakeUnavailableError:
            raise SourceUnavailableError(
                f"{self._system}: the place of its claims ({self._place}) does not answer. The messages stay in the "
                "queue or unsent. Run it again; if it stays so, check the network and the endpoint."
            ) from None
        except (LakehouseError, OSError, pa.ArrowException) as exc:
            number = getattr(exc, "errno", None)
            found = os.strerror(number) if number else type(exc).__name__
            raise ConfigurationError(
                f"{self._system}: claims cannot be read or written below {self._place} ({found}). The "
                "messages stay in the queue or unsent. Check that the folder or bucket exists, and that the login of "
                "the lake's storage (docs/storage.md) may read and write there; else correct the extra claim_check."
            ) from None
