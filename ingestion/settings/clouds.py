"""What the cloud and the flags decide, and the settings that contradict each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from ingestion.errors import ConfigurationError
from ingestion.secrets import Secrets
from ingestion.secrets.door import STORES
from ingestion.settings.registry import value_of

CLOUDS = ("local", "azure", "aws", "gcp")
_SCHEMES = {"azure": "abfss", "aws": "s3", "gcp": "gs"}
_YES, _NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


def cloud_of(environ: Mapping[str, str]) -> str:
    """Return the cloud that is set; empty if none is. Raises ConfigurationError."""
    named, alias = environ.get("LAKEHOUSE_CLOUD") or "", environ.get("CLOUD_PROVIDER") or ""
    if named and alias and named != alias:
        raise ConfigurationError(
            f"LAKEHOUSE_CLOUD is {named!r}, but CLOUD_PROVIDER, its other name, is {alias!r}. Nothing was done. "
            "Remove one of them."
        )
    return _one_of(named or alias, "LAKEHOUSE_CLOUD" if named else "CLOUD_PROVIDER", ("", *CLOUDS))


def secret_store(environ: Mapping[str, str]) -> tuple[str, bool]:
    """Return which store is asked for secrets, and whether the cloud says so. Raises ConfigurationError."""
    cloud, named = cloud_of(environ), environ.get("LAKEHOUSE_SECRETS") or ""
    if not named and cloud in _SCHEMES:
        return cloud, True
    return _one_of(value_of("LAKEHOUSE_SECRETS", environ), "LAKEHOUSE_SECRETS", STORES), False


def open_secrets(environ: Mapping[str, str], root: str, seconds: float) -> Secrets:
    """Return the door to the secrets; asks no store. Raises ConfigurationError for settings that contradict."""
    _check_root(cloud_of(environ), root)
    store, _ = secret_store(environ)
    if flag("ENABLE_AZURE_INTEGRATION", environ) is False and (what := on_azure(environ)):
        raise ConfigurationError(
            f"ENABLE_AZURE_INTEGRATION is false, but {what}. Nothing was done. Remove the flag, or the other setting."
        )
    return Secrets.opened(
        environ,
        store=store,
        vault=value_of("LAKEHOUSE_SECRETS_VAULT", environ),
        folder=value_of("LAKEHOUSE_SECRETS_DIR", environ),
        prefix=value_of("LAKEHOUSE_SECRETS_PREFIX", environ),
        seconds=seconds,
    )


def on_azure(environ: Mapping[str, str]) -> str:
    """Return what the settings have on Azure, in words; empty if nothing."""
    if secret_store(environ)[0] == "azure":
        return "secrets are in azure"
    if _scheme(environ.get("LAKEHOUSE_ROOT") or "") == "abfss":
        return "LAKEHOUSE_ROOT is on abfss://"
    return "LAKEHOUSE_MODEL is on Azure" if value_of("LAKEHOUSE_MODEL", environ).startswith("azure:") else ""


def allows_servers(environ: Mapping[str, str], servers: Sequence[str]) -> bool:
    """
    Return whether database servers may be opened; `servers` are the systems with a connection to one.

    Raises ConfigurationError if the flag forbids what is set.
    """
    allowed = flag("ENABLE_REAL_DATABASE_CONNECTIONS", environ) is not False
    if servers and not allowed:
        raise real_database_error(servers[0])
    return allowed


def real_database_error(system: str) -> ConfigurationError:
    return ConfigurationError(
        f"ENABLE_REAL_DATABASE_CONNECTIONS is false, but {system} has a connection to a database server. Nothing was "
        "read. Remove the flag or set it to true, or remove the connection."
    )


def flag(name: str, environ: Mapping[str, str]) -> bool | None:
    """Return a flag, or None if it is not set. Raises ConfigurationError."""
    text = environ.get(name) or ""
    return None if not text else _one_of(text.lower(), name, (*_YES, *_NO)) in _YES


def _check_root(cloud: str, root: str) -> None:
    """Raise ConfigurationError if the lake is in another cloud than the settings say, or nowhere."""
    expected, scheme = _SCHEMES.get(cloud), _scheme(root)
    if expected and not root:
        raise ConfigurationError(
            f"LAKEHOUSE_CLOUD is {cloud}, but LAKEHOUSE_ROOT is not set. Nothing was done. "
            f"Set it to {expected}://…, or to a folder if the lake is to be there."
        )
    if cloud and scheme and scheme != expected:
        raise ConfigurationError(
            f"LAKEHOUSE_CLOUD is {cloud}, but LAKEHOUSE_ROOT begins with {scheme}://. Nothing was done. Correct one of "
            "them; for a lake and secrets in different clouds, set LAKEHOUSE_SECRETS in place of LAKEHOUSE_CLOUD."
        )


def _scheme(root: str) -> str:
    """Return the scheme of an object store's URI; empty for a folder."""
    scheme = urlsplit(root).scheme if "://" in root else ""
    return "" if scheme == "file" else scheme


def _one_of(text: str, name: str, known: Sequence[str]) -> str:
    if text not in known:
        named = [each for each in known if each]
        raise ConfigurationError(
            f"{name} is {text!r}; it must be {', '.join(named[:-1])} or {named[-1]}. Nothing was done. Correct it."
        )
    return text
