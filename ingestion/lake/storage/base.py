"""What a provider of object storage has to say, and the values it says it in. One provider is one module."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import SplitResult

import pyarrow.fs as pafs

from ingestion.errors import ConfigurationError
from ingestion.sql.quoting import text_literal

CONNECT_SECONDS, REQUEST_SECONDS = 10, 60
HADOOP = "3.5.0"  # the one inside pyspark 4.2.0


@dataclass(frozen=True, slots=True)
class Secret:
    """A DuckDB secret for one bucket or container. `values` are bound and so not part of any statement."""

    kind: str
    scope: str
    provider: str = "config"
    values: Mapping[str, object] = field(default_factory=dict, repr=False)

    @property
    def statement(self) -> str:
        name = f"lakehouse_{hashlib.sha256(self.scope.encode()).hexdigest()[:12]}"
        given = "".join(f", {key} ${key}" for key in self.values)
        return (
            f"create or replace temporary secret {name} "
            f"(type {self.kind}, provider {self.provider}, scope {text_literal(self.scope)}{given})"
        )


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """Spark settings (they may hold secrets) and the Maven packages of the file system."""

    settings: dict[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = ()


class Provider(Protocol):
    """
    One provider's module. `found` are the parts of a root's URI, `given` the environment without empty variables.

    `options` are those of delta-rs, by its names; all else is made of them. They hold secrets.
    """

    @property
    def FORM(self) -> str:
        """How a root at this provider is written."""
        ...

    @property
    def PREFIXES(self) -> tuple[str, ...]:
        """How the names of the provider's variables begin."""
        ...

    @property
    def SECRETS(self) -> tuple[str, ...]:
        """The variables whose values are secret."""
        ...

    def bucket(self, found: SplitResult) -> str | None:
        """Return the bucket or container of a root, None where the URI lacks a part."""
        ...

    def options(self, found: SplitResult, given: Mapping[str, str]) -> dict[str, str]:
        """Raises ConfigurationError where a setting lacks its other half or would let writers lose commits."""
        ...

    def file_system(self, options: Mapping[str, str], emulator: str | None) -> pafs.FileSystem: ...

    def location(self, found: SplitResult) -> str:
        """Return how DuckDB spells the place."""
        ...

    def secret(self, found: SplitResult, options: Mapping[str, str], given: Mapping[str, str]) -> Secret:
        """Raises ConfigurationError where DuckDB has no such login."""
        ...

    def extensions(self, login: Secret) -> tuple[str, ...]:
        """Return the DuckDB extensions that a secret is for, besides Delta's."""
        ...

    def spark_settings(self, found: SplitResult, options: Mapping[str, str]) -> StorageSettings: ...


def check_pair(given: Mapping[str, str], one: str, other: str) -> None:
    """Raise ConfigurationError where a variable is set without the other one."""
    if (one in given) and (other not in given):
        raise ConfigurationError(
            f"{other}: promised beside {one}, found none. Nothing was read or written. Set both or neither."
        )
