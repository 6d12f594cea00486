"""Secrets of this machine: environment variables, and a folder with one file per secret."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ingestion.errors import ConfigurationError
from ingestion.secrets.secret import Secret


class Environment:
    """Secrets in environment variables. An empty variable counts as not set."""

    place = "the environment"

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def path(self, name: str) -> str:
        return name

    def get(self, name: str) -> Secret | None:
        value = self._environ.get(name)
        return Secret(value) if value else None


class Files:
    """
    Secrets in files named after their variables, as Kubernetes and Docker mount them.

    One line end at the end of a file is no part of the secret; an empty file counts as none.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.place = f"the folder {folder}"

    def path(self, name: str) -> str:
        return name

    def get(self, name: str) -> Secret | None:
        if not self._folder.is_dir():
            raise ConfigurationError(
                f"LAKEHOUSE_SECRETS_DIR: there is no folder {self._folder}. Nothing was read. Mount it, or correct it."
            )
        try:
            value = (self._folder / name).read_text()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigurationError(
                f"{name}: its file in {self._folder} cannot be read ({type(exc).__name__}). Nothing was read. "
                "Give this user the right to read it; it must be a text in UTF-8."
            ) from None
        value = value.removesuffix("\n").removesuffix("\r")
        return Secret(value) if value else None
