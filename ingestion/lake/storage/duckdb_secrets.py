"""The lake's storage in DuckDB's words: extensions, secrets, and how it spells a place."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ingestion.errors import ConfigurationError
from ingestion.sql.quoting import text_literal
from ingestion.lake.storage.login import AZURE_DOMAIN, EMULATOR_URL, is_remote, parts, storage_options


@dataclass(frozen=True, slots=True)
class Secret:
    """A DuckDB secret for one bucket or container. `values` are bound, so that they stand in no statement."""

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


def extensions(login: Secret) -> tuple[str, ...]:
    """Return the extensions that a secret is for, besides Delta's."""
    if login.kind == "azure":
        return ("azure",)
    return ("httpfs", "aws") if login.provider == "credential_chain" else ("httpfs",)


def location(uri: str) -> str:
    """
    Return what DuckDB calls a place: a path or URI as it is, but Azure's by the endpoint for blobs.

    It is the one that storage accounts with and without a hierarchical namespace have.
    """
    if not is_remote(uri) or not uri.startswith("abfss://"):
        return uri
    found = parts(uri)
    return f"az://{found.username}{found.path}"


def secret(root: str, environ: Mapping[str, str]) -> Secret:
    """Return the secret for the bucket or container of `root`. Raises ConfigurationError."""
    found, options = parts(root), storage_options(root, environ)
    if found.scheme == "s3":
        return _s3(f"s3://{found.hostname}/", options)
    if found.scheme == "abfss":
        emulator = environ.get("AZURITE_BLOB_STORAGE_URL") or EMULATOR_URL
        return _azure(f"az://{found.username}/", options, emulator)
    if not environ.get("GCS_HMAC_KEY_ID"):
        raise ConfigurationError(
            "GCS_HMAC_KEY_ID: promised an HMAC key for a lake at gs://, found none: DuckDB reads Google's storage with "
            "no other login. Nothing was read or written. Make one for the lake's service account (docs/storage.md)."
        )
    values = {"key_id": environ["GCS_HMAC_KEY_ID"], "secret": environ["GCS_HMAC_SECRET"]}
    return Secret("gcs", f"gs://{found.hostname}/", values=values)


def _s3(scope: str, options: Mapping[str, str]) -> Secret:
    values: dict[str, object] = {"region": options["aws_region"]}
    if "aws_endpoint_url" in options:
        endpoint = urlsplit(options["aws_endpoint_url"])
        values |= {"endpoint": endpoint.netloc, "use_ssl": endpoint.scheme != "http", "url_style": "path"}
    if "aws_access_key_id" not in options:
        return Secret("s3", scope, "credential_chain", values)
    values |= {"key_id": options["aws_access_key_id"], "secret": options["aws_secret_access_key"]}
    if "aws_session_token" in options:
        values["session_token"] = options["aws_session_token"]
    return Secret("s3", scope, values=values)


def _azure(scope: str, options: Mapping[str, str], emulator: str) -> Secret:
    account = options["azure_storage_account_name"]
    suffix = AZURE_DOMAIN.removeprefix(".dfs.")
    if "azure_storage_use_emulator" in options:
        where = f"DefaultEndpointsProtocol=http;BlobEndpoint={emulator.rstrip('/')}/{account}"
    else:
        where = f"DefaultEndpointsProtocol=https;EndpointSuffix={suffix}"
    if "azure_storage_account_key" in options:
        login = f"AccountKey={options['azure_storage_account_key']}"
        return Secret("azure", scope, values={"connection_string": f"{where};AccountName={account};{login}"})
    if "azure_storage_sas_token" in options:
        login = f"SharedAccessSignature={options['azure_storage_sas_token']}"
        return Secret("azure", scope, values={"connection_string": f"{where};AccountName={account};{login}"})
    if "azure_client_secret" in options:
        names = ("tenant_id", "client_id", "client_secret")
        values = {"account_name": account, **{name: options[f"azure_{name}"] for name in names}}
        return Secret("azure", scope, "service_principal", values)
    chain = {"chain": "cli"} if "azure_use_azure_cli" in options else {}
    return Secret("azure", scope, "credential_chain", {"account_name": account, **chain})
