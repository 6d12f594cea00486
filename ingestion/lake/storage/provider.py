"""Finds the provider of a lake's root, and translates the environment to the options of each library.

A root is a folder, or a URI of one of the providers. Secrets come from the environment only and are in no file, table
or message. See docs/storage.md.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from urllib.parse import SplitResult, urlsplit

from ingestion.errors import ConfigurationError
from ingestion.lake.storage import adls, gcs, s3
from ingestion.lake.storage.base import Provider, Secret, StorageSettings

PROVIDERS: Mapping[str, Provider] = {"s3": s3, "gs": gcs, "abfss": adls}


def is_remote(root: str) -> bool:
    """Return whether a root is a URI of an object store."""
    return "://" in root


def provider_of(uri: str) -> tuple[Provider, SplitResult]:
    """Return the provider of a URI, and the URI's parts. Raises ConfigurationError for any other form of URI."""
    found = urlsplit(uri)
    provider = PROVIDERS.get(found.scheme)
    if provider is None or not provider.bucket(found) or found.password is not None or found.query or found.fragment:
        forms = [each.FORM for each in PROVIDERS.values()]
        raise ConfigurationError(
            f"LAKEHOUSE_ROOT: must be a folder, {', '.join(forms[:-1])} or {forms[-1]}; it is another form of "
            f"{found.scheme}://. Nothing was read or written. Correct it; logins stand in variables of their own "
            "(docs/storage.md)."
        )
    return provider, found


def storage_options(root: str, environ: Mapping[str, str]) -> dict[str, str]:
    """
    Return delta-rs's options for access to `root`; empty for a local folder. Holds secrets.

    Raises ConfigurationError if one setting of a pair is missing, or if writers could lose commits.
    """
    if not is_remote(root):
        return {}
    provider, found = provider_of(root)
    return provider.options(found, _given(environ))


def location(uri: str) -> str:
    """Return a path or URI in DuckDB's form: unchanged, except Azure's, which uses the blob endpoint."""
    if not is_remote(uri):
        return uri
    provider, found = provider_of(uri)
    return provider.location(found)


def secret(root: str, environ: Mapping[str, str]) -> tuple[Secret, tuple[str, ...]]:
    """Return DuckDB's secret for the bucket of `root` and the extensions that it needs. Raises ConfigurationError."""
    provider, found = provider_of(root)
    made = provider.secret(found, storage_options(root, environ), _given(environ))
    return made, provider.extensions(made)


def spark_settings(root: str, options: Mapping[str, str]) -> StorageSettings:
    """Return what a Spark session needs for access to `root`; nothing for a local folder."""
    if not is_remote(root):
        return StorageSettings()
    provider, found = provider_of(root)
    return provider.spark_settings(found, options)


def forget_empty(environ: MutableMapping[str, str]) -> None:
    """Remove the providers' empty variables from the environment, because delta-rs would log in with empty values."""
    prefixes = tuple(prefix for provider in PROVIDERS.values() for prefix in provider.PREFIXES)
    for name in [name for name, value in environ.items() if not value and name.startswith(prefixes)]:
        del environ[name]


def redacted(text: str, environ: Mapping[str, str]) -> str:
    """Return a text without the environment's secrets, because a library's error may quote a URL with a signature."""
    for name in (name for provider in PROVIDERS.values() for name in provider.SECRETS):
        value = environ.get(name, "")
        for part in (value, *(piece.partition("sig=")[2] for piece in value.split("&") if piece.startswith("sig="))):
            if len(part) > 5:
                text = text.replace(part, "***")
    return text


def _given(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if value}
