"""Where the lake is stored, and how it is reached: the environment as the options of every reader and writer.

A root is a folder, or one of
    s3://bucket/prefix                                             AWS_REGION, AWS_ENDPOINT_URL (a store that is not
        Amazon's), AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; without them AWS's own chain
    abfss://container@account.dfs.core.windows.net/prefix          AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN,
        AZURE_CLIENT_ID with AZURE_CLIENT_SECRET and AZURE_TENANT_ID; without them the machine's managed identity
    gs://bucket/prefix                                             GOOGLE_APPLICATION_CREDENTIALS or the machine's
        account, and GCS_HMAC_KEY_ID with GCS_HMAC_SECRET

Options have the names that delta-rs gives them. Secrets come from the environment alone: they stand in no file, no
table and no message. See docs/storage.md.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from urllib.parse import SplitResult, urlsplit

from ingestion.errors import ConfigurationError

AZURE_DOMAIN = ".dfs.core.windows.net"
EMULATOR = "devstoreaccount1"
EMULATOR_URL = "http://127.0.0.1:10000"
_EMULATOR_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # public
_PREFIXES = ("AWS_", "AZURE_", "AZURITE_", "GOOGLE_", "GCS_")
_SECRETS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_CLIENT_SECRET",
    "GCS_HMAC_KEY_ID",
    "GCS_HMAC_SECRET",
)
_AZURE_LOGINS = (
    {"AZURE_STORAGE_ACCOUNT_KEY": "azure_storage_account_key"},
    {"AZURE_STORAGE_SAS_TOKEN": "azure_storage_sas_token"},
    {
        "AZURE_CLIENT_ID": "azure_client_id",
        "AZURE_CLIENT_SECRET": "azure_client_secret",
        "AZURE_TENANT_ID": "azure_tenant_id",
    },
    {"AZURE_USE_AZURE_CLI": "azure_use_azure_cli"},
)


def is_remote(root: str) -> bool:
    """Tell whether a root is a URI of an object store."""
    return "://" in root


def parts(uri: str) -> SplitResult:
    """Return the parts of a URI. Raises ConfigurationError unless it is of a store that we know."""
    found = urlsplit(uri)
    known = {"s3": bool(found.hostname), "gs": bool(found.hostname), "abfss": bool(found.username and found.hostname)}
    if not known.get(found.scheme, False) or found.password is not None or found.query or found.fragment:
        raise ConfigurationError(
            f"LAKEHOUSE_ROOT: promised a folder, s3://bucket/prefix, gs://bucket/prefix or "
            f"abfss://container@account{AZURE_DOMAIN}/prefix, found another form of {found.scheme}://. "
            "Nothing was read or written. Correct it; logins stand in variables of their own (docs/storage.md)."
        )
    return found


def storage_options(root: str, environ: Mapping[str, str]) -> dict[str, str]:
    """
    Return what delta-rs needs to reach `root`; nothing for a local folder. Holds secrets.

    Raises ConfigurationError where a setting lacks its other half or would let writers lose commits.
    """
    if not is_remote(root):
        return {}
    found = parts(root)
    given = {name: value for name, value in environ.items() if value}
    if found.scheme == "s3":
        return _s3(given)
    if found.scheme == "abfss":
        return _azure(found, given)
    return _gcs(given)


def forget_empty(environ: MutableMapping[str, str]) -> None:
    """Take variables of a store that are set to nothing out of the environment: delta-rs would log in with nothing."""
    for name in [name for name, value in environ.items() if not value and name.startswith(_PREFIXES)]:
        del environ[name]


def redacted(text: str, environ: Mapping[str, str]) -> str:
    """Return a text without the secrets of the environment: an error of a library may quote the URL it asked for."""
    for name in _SECRETS:
        value = environ.get(name, "")
        for part in (value, *(piece.partition("sig=")[2] for piece in value.split("&") if piece.startswith("sig="))):
            if len(part) > 5:
                text = text.replace(part, "***")
    return text


def _s3(given: Mapping[str, str]) -> dict[str, str]:
    _check_pair(given, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    if given.get("AWS_S3_ALLOW_UNSAFE_RENAME", "").lower() in ("1", "true"):
        raise ConfigurationError(
            "AWS_S3_ALLOW_UNSAFE_RENAME: promised commits that cannot overwrite each other, found the setting that "
            "allows it. Nothing was read or written. Remove it; S3 needs no lock (docs/storage.md)."
        )
    endpoint = given.get("AWS_ENDPOINT_URL_S3") or given.get("AWS_ENDPOINT_URL")
    region = given.get("AWS_REGION") or given.get("AWS_DEFAULT_REGION") or ("us-east-1" if endpoint else None)
    if region is None:
        raise ConfigurationError(
            "AWS_REGION: promised the region of the lake's bucket, found none. Nothing was read or written. "
            "Set it, e.g. AWS_REGION=eu-central-1"
        )
    options = {"aws_region": region, "aws_conditional_put": "etag"}  # a commit never overwrites another one
    if endpoint:
        options |= {"aws_endpoint_url": endpoint.rstrip("/")}
        options |= {"aws_allow_http": "true"} if endpoint.startswith("http://") else {}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        if name in given:
            options[name.lower()] = given[name]
    return options


def _azure(found: SplitResult, given: Mapping[str, str]) -> dict[str, str]:
    account = (found.hostname or "").removesuffix(AZURE_DOMAIN)
    if given.get("AZURE_STORAGE_USE_EMULATOR", "").lower() in ("1", "true"):
        return {
            "azure_storage_account_name": EMULATOR,
            "azure_storage_account_key": _EMULATOR_KEY,
            "azure_storage_use_emulator": "true",
        }
    for names in _AZURE_LOGINS:
        if names.keys() <= given.keys():
            return {
                "azure_storage_account_name": account,
                **{option: given[name].removeprefix("?") for name, option in names.items()},
            }
    _check_pair(given, "AZURE_CLIENT_SECRET", "AZURE_CLIENT_ID")
    _check_pair(given, "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID")
    return {"azure_storage_account_name": account}


def _gcs(given: Mapping[str, str]) -> dict[str, str]:
    _check_pair(given, "GCS_HMAC_KEY_ID", "GCS_HMAC_SECRET")
    file = given.get("GOOGLE_APPLICATION_CREDENTIALS")
    return {"google_application_credentials": file} if file else {}


def _check_pair(given: Mapping[str, str], one: str, other: str) -> None:
    if (one in given) and (other not in given):
        raise ConfigurationError(
            f"{other}: promised beside {one}, found none. Nothing was read or written. Set both or neither."
        )
