"""The interface of a provider of object storage, and its values. Each provider is one module."""

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
HADOOP = "3.5.0"  # the version inside pyspark 4.2.0


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
    One provider's module. `found` has the parts of a root's URI, `given` is the environment without empty variables.

    `options` are delta-rs's storage options; they contain secrets. Settings of other libraries are derived from them.
    """

    @property
    def FORM(self) -> str:  # noqa: N802 - a constant of the module
        """The form of a root of this provider, for messages."""
        ...

    @property
    def PREFIXES(self) -> tuple[str, ...]:  # noqa: N802 - a constant of the module
        """The prefixes of the provider's variables."""
        ...

    @property
    def SECRETS(self) -> tuple[str, ...]:  # noqa: N802 - a constant of the module
        """The variables whose values are secret."""
        ...

    def bucket(self, found: SplitResult) -> str | None:
        """Return the bucket or container of a root; None if the URI is incomplete."""
        ...

    def options(self, found: SplitResult, given: Mapping[str, str]) -> dict[str, str]:
        """Raises ConfigurationError if one setting of a pair is missing, or if writers could lose commits."""
        ...

    def file_system(self, options: Mapping[str, str], emulator: str | None) -> pafs.FileSystem: ...

    def location(self, found: SplitResult) -> str:
        """Return the URI in DuckDB's form."""
        ...

    def secret(self, found: SplitResult, options: Mapping[str, str], given: Mapping[str, str]) -> Secret:
        """Raises ConfigurationError if DuckDB does not support the login."""
        ...

    def extensions(self, login: Secret) -> tuple[str, ...]:
        """Return the DuckDB extensions that a secret needs, besides Delta's."""
        ...

    def spark_settings(self, found: SplitResult, options: Mapping[str, str]) -> StorageSettings: ...


def check_pair(given: Mapping[str, str], one: str, other: str) -> None:
    """Raise ConfigurationError if `one` is set without `other`."""
    if (one in given) and (other not in given):
        raise ConfigurationError(f"{other}: not set, but {one} is. Nothing was read or written. Set both or neither.")
