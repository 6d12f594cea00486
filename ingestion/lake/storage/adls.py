"""Azure Data Lake Storage: `abfss://container@account.dfs.core.windows.net/prefix`.

Variables: AZURE_STORAGE_ACCOUNT_KEY, or AZURE_STORAGE_SAS_TOKEN, or AZURE_CLIENT_ID with AZURE_CLIENT_SECRET and
AZURE_TENANT_ID, or AZURE_USE_AZURE_CLI. Without them the machine's managed identity is used.
AZURE_STORAGE_USE_EMULATOR selects Azurite.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

import pyarrow.fs as pafs

from ingestion.lake.storage.base import HADOOP, Secret, StorageSettings, check_pair

DOMAIN = ".dfs.core.windows.net"
FORM = f"abfss://container@account{DOMAIN}/prefix"
PREFIXES = ("AZURE_", "AZURITE_")
SECRETS = ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN", "AZURE_CLIENT_SECRET")
OAUTH = "org.apache.hadoop.fs.azurebfs.oauth2"
LOGIN = "https://login.microsoftonline.com"
EMULATOR = "devstoreaccount1"
EMULATOR_URL = "http://127.0.0.1:10000"
EMULATOR_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # public
_LOGINS = (
    {"AZURE_STORAGE_ACCOUNT_KEY": "azure_storage_account_key"},
    {"AZURE_STORAGE_SAS_TOKEN": "azure_storage_sas_token"},
    {
        "AZURE_CLIENT_ID": "azure_client_id",
        "AZURE_CLIENT_SECRET": "azure_client_secret",
        "AZURE_TENANT_ID": "azure_tenant_id",
    },
    {"AZURE_USE_AZURE_CLI": "azure_use_azure_cli"},
)


def bucket(found: SplitResult) -> str | None:
    return found.username if found.hostname else None


def options(found: SplitResult, given: Mapping[str, str]) -> dict[str, str]:
    account = (found.hostname or "").removesuffix(DOMAIN)
    if given.get("AZURE_STORAGE_USE_EMULATOR", "").lower() in ("1", "true"):
        return {
            "azure_storage_account_name": EMULATOR,
            "azure_storage_account_key": EMULATOR_KEY,
            "azure_storage_use_emulator": "true",
        }
    for names in _LOGINS:
        if names.keys() <= given.keys():
            return {
                "azure_storage_account_name": account,
                **{option: given[name].removeprefix("?") for name, option in names.items()},
            }
    check_pair(given, "AZURE_CLIENT_SECRET", "AZURE_CLIENT_ID")
    check_pair(given, "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID")
    return {"azure_storage_account_name": account}


def file_system(options: Mapping[str, str], emulator: str | None) -> pafs.FileSystem:
    settings = {
        "account_name": options["azure_storage_account_name"],
        "account_key": options.get("azure_storage_account_key"),
        "sas_token": f"?{token}" if (token := options.get("azure_storage_sas_token")) else None,
        "tenant_id": options.get("azure_tenant_id"),
        "client_id": options.get("azure_client_id"),
        "client_secret": options.get("azure_client_secret"),
    }
    if "azure_storage_use_emulator" in options:
        url = urlsplit(emulator or EMULATOR_URL)
        settings |= {f"{name}_storage_authority": url.netloc for name in ("blob", "dfs")}
        settings |= {f"{name}_storage_scheme": url.scheme for name in ("blob", "dfs")}
    return pafs.AzureFileSystem(**settings)


def location(found: SplitResult) -> str:
    """Return the URI at the blob endpoint, which accounts with and without a hierarchical namespace have."""
    return f"az://{found.username}{found.path}"


def secret(found: SplitResult, options: Mapping[str, str], given: Mapping[str, str]) -> Secret:
    scope, account = f"az://{found.username}/", options["azure_storage_account_name"]
    where = f"DefaultEndpointsProtocol=https;EndpointSuffix={DOMAIN.removeprefix('.dfs.')}"
    if "azure_storage_use_emulator" in options:
        emulator = given.get("AZURITE_BLOB_STORAGE_URL") or EMULATOR_URL
        where = f"DefaultEndpointsProtocol=http;BlobEndpoint={emulator.rstrip('/')}/{account}"
    for option, name in (
        ("azure_storage_account_key", "AccountKey"),
        ("azure_storage_sas_token", "SharedAccessSignature"),
    ):
        if option in options:
            login = f"{where};AccountName={account};{name}={options[option]}"
            return Secret("azure", scope, values={"connection_string": login})
    if "azure_client_secret" in options:
        names = ("tenant_id", "client_id", "client_secret")
        values = {"account_name": account, **{name: options[f"azure_{name}"] for name in names}}
        return Secret("azure", scope, "service_principal", values)
    chain = {"chain": "cli"} if "azure_use_azure_cli" in options else {}
    return Secret("azure", scope, "credential_chain", {"account_name": account, **chain})


def extensions(_: Secret) -> tuple[str, ...]:
    return ("azure",)


def spark_settings(found: SplitResult, options: Mapping[str, str]) -> StorageSettings:
    named = {f"spark.hadoop.fs.azure.{name}.{found.hostname or ''}": value for name, value in _hadoop(options).items()}
    return StorageSettings(named, (f"org.apache.hadoop:hadoop-azure:{HADOOP}",))


def _hadoop(options: Mapping[str, str]) -> dict[str, str]:
    if "azure_storage_account_key" in options:
        return {"account.key": options["azure_storage_account_key"]}
    if "azure_storage_sas_token" in options:
        return {"account.auth.type": "SAS", "sas.fixed.token": options["azure_storage_sas_token"]}
    if "azure_client_secret" in options:
        return {
            "account.auth.type": "OAuth",
            "account.oauth.provider.type": f"{OAUTH}.ClientCredsTokenProvider",
            "account.oauth2.client.id": options["azure_client_id"],
            "account.oauth2.client.secret": options["azure_client_secret"],
            "account.oauth2.client.endpoint": f"{LOGIN}/{options['azure_tenant_id']}/oauth2/token",
        }
    return {"account.auth.type": "OAuth", "account.oauth.provider.type": f"{OAUTH}.MsiTokenProvider"}
