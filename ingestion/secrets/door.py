"""The one door to secrets: asks each place in order and keeps what it finds for a while."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ingestion.errors import ConfigurationError
from ingestion.secrets.cloud import CloudStore
from ingestion.secrets.local import Environment, Files
from ingestion.secrets.secret import Secret, SecretProvider

STORES = ("environment", "azure", "aws", "gcp")
KEPT_SECONDS = 300.0


class Secrets:
    """
    Secrets by the names of their variables. The first place that has one gives it; what was found, and that nothing
    was, is kept for `seconds`. Pickled, it takes no value along: it opens the same places in the other process.
    """

    def __init__(
        self,
        providers: Sequence[SecretProvider] = (),
        *,
        seconds: float = KEPT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.providers = tuple(providers)
        self.seconds, self._clock = seconds, clock
        self._kept: dict[str, tuple[float, Secret | None]] = {}
        self._lock = threading.Lock()
        self._opened_by: Mapping[str, str] | None = None

    @classmethod
    def opened(cls, environ: Mapping[str, str], *, seconds: float, **named: str) -> Secrets:
        """
        Return the door to the places that are named: `store`, its `vault` and `prefix`, and the `folder` of files.

        Asks none of them. Raises ConfigurationError.
        """
        providers: list[SecretProvider] = [Environment(environ)]
        if named["folder"]:
            providers.append(Files(Path(named["folder"]).expanduser().absolute()))
        if named["store"] != "environment":
            providers.append(CloudStore(named["store"], environ, named["vault"], named["prefix"]))
        made = cls(providers, seconds=seconds)
        made._opened_by = named
        return made

    @property
    def reaches_out(self) -> bool:
        """Whether a secret that the environment lacks may be found elsewhere."""
        return len(self.providers) > 1

    def get(self, name: str) -> Secret:
        """Return a secret. Raises ConfigurationError if no place has it, and what the places raise."""
        found = self.find(name)
        if found is None:
            raise ConfigurationError(
                f"{name}: there is no such secret. Looked for it in {self.places(name)}. Nothing was done. "
                "Add it to one of them."
            )
        return found

    def find(self, name: str) -> Secret | None:
        """Return a secret, or None if no place has it. Raises what the places raise."""
        with self._lock:
            until, found = self._kept.get(name, (0.0, None))
            return found if self._clock() < until else self._ask(name)

    def newest(self, name: str) -> Secret | None:
        """Return a secret as it was last read, however long ago; None if it was not read. Asks no place."""
        with self._lock:
            return self._kept.get(name, (0.0, None))[1]

    def read_again(self, name: str) -> Secret | None:
        """Ask the places again, for a secret that was refused, and return what they have now."""
        with self._lock:
            return self._ask(name)

    def places(self, name: str) -> str:
        """Return in words where a secret is looked for, and under which name."""
        return ", ".join(
            each.place if each.path(name) == name else f"{each.place} ({each.path(name)})" for each in self.providers
        )

    def _ask(self, name: str) -> Secret | None:
        found = next((found for each in self.providers if (found := each.get(name)) is not None), None)
        self._kept[name] = self._clock() + self.seconds, found
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self.seconds, self._opened_by)


def _reopened(seconds: float, named: Mapping[str, str] | None) -> Secrets:
    return Secrets(seconds=seconds) if named is None else Secrets.opened(os.environ, seconds=seconds, **named)
