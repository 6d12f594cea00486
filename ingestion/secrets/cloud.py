"""The secret stores of the clouds behind one interface. A store's client is imported with the first question."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module

from ingestion.errors import ConfigurationError, LakehouseError, SecretStoreUnavailableError
from ingestion.secrets.faults import Fault, StoreError
from ingestion.secrets.names import path_of
from ingestion.secrets.secret import Secret
from ingestion.shipped import pip_install

CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 5.0, 10.0, 3
"""Of one request to a store; a request that is refused for its rate, or not answered, is tried so often in all."""

Read = Callable[[str], str | bytes | None]
"""Returns a secret by its name in the store; None if there is none. Raises StoreError."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """A cloud's store: its module, and the words of its messages."""

    title: str
    separator: str
    right: str
    login: str
    vault: str


_KINDS = {
    "azure": _Kind("Azure Key Vault", "-", "role Key Vault Secrets User", "az login", "its URL"),
    "aws": _Kind("AWS Secrets Manager", "/", "secretsmanager:GetSecretValue", "aws sso login", ""),
    "gcp": _Kind(
        "Google Secret Manager",
        "-",
        "role Secret Manager Secret Accessor",
        "gcloud auth application-default login",
        "the project's id",
    ),
}


class CloudStore:
    """Secrets in a cloud's store, read with the identity of this machine. Keeps no value."""

    def __init__(self, store: str, environ: Mapping[str, str], vault: str, prefix: str) -> None:
        self._store, self._kind, self._prefix = store, _KINDS[store], prefix
        self._setting = "LAKEHOUSE_SECRETS_VAULT" if self._kind.vault else "AWS_REGION"
        self._vault = vault if self._kind.vault else environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION", "")
        if not self._vault:
            raise ConfigurationError(
                f"{self._setting}: not set, but secrets are in {self._kind.title}. Nothing was read. "
                f"Set it to {self._kind.vault or 'the region'}, or LAKEHOUSE_SECRETS=environment."
            )
        if store == "azure" and not vault.startswith("https://"):
            raise ConfigurationError(
                f"{self._setting} is {vault!r}; it must be the vault's URL. Nothing was read. "
                "Write it as https://<vault>.vault.azure.net"
            )
        self._read: Read | None = None

    @property
    def place(self) -> str:
        return f"{self._kind.title} {self._vault}"

    def path(self, name: str) -> str:
        made = path_of(name, prefix=self._prefix, separator=self._kind.separator)
        return made.replace("_", "-") if self._store == "azure" else made  # Key Vault's names have no _

    def get(self, name: str) -> Secret | None:
        try:
            self._read = self._read or self._opened()
            found = self._read(self.path(name))
            value = found.decode() if isinstance(found, bytes) else found
        except StoreError as exc:
            raise self._error(exc, name) from None
        except UnicodeDecodeError:
            raise self._error(StoreError(Fault.UNUSABLE, "no text in UTF-8"), name) from None
        return Secret(value) if value else None

    def _opened(self) -> Read:
        try:
            module = import_module(f"ingestion.secrets.{self._store}")
        except ModuleNotFoundError as exc:
            raise ConfigurationError(
                f"LAKEHOUSE_SECRETS is {self._store}: its client is not installed (no module {exc.name}). "
                f"Nothing was read. Run: {pip_install(f'{self._store}-secrets')}"
            ) from None
        read: Read = module.reader(self._vault)
        return read

    def _error(self, raised: StoreError, name: str) -> LakehouseError:
        words = {"path": self.path(name), "right": self._kind.right, "login": self._kind.login}
        finding, step = (text.format(**words, setting=self._setting) for text in raised.fault.value)
        code = f" ({raised.code})" if raised.code else ""
        kind = SecretStoreUnavailableError if raised.may_pass else ConfigurationError
        return kind(f"{name}: {self.place} {finding}{code}. Nothing was read. {step}")
