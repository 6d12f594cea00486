"""What Spark is told of the lake's storage: the options of `ingestion.lake.storage.login`, in Hadoop's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

HADOOP = "3.5.0"  # the one inside pyspark 4.2.0
S3A = "org.apache.hadoop.fs.s3a.S3AFileSystem"
OAUTH = "org.apache.hadoop.fs.azurebfs.oauth2"
LOGIN = "https://login.microsoftonline.com"
_S3 = {
    "aws_access_key_id": "access.key",
    "aws_secret_access_key": "secret.key",
    "aws_session_token": "session.token",
    "aws_region": "endpoint.region",
    "aws_endpoint_url": "endpoint",
}


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """Spark settings (they may hold secrets) and the packages, in Maven's spelling, of the file system."""

    settings: dict[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = ()


def storage_settings(root: str, options: Mapping[str, str]) -> StorageSettings:
    """Return what a session needs to reach the lake at `root`; nothing for a local folder."""
    scheme = urlsplit(root).scheme
    if scheme == "s3":
        return StorageSettings(_s3(options), (f"org.apache.hadoop:hadoop-aws:{HADOOP}",))
    if scheme == "abfss":
        return StorageSettings(_azure(root, options), (f"org.apache.hadoop:hadoop-azure:{HADOOP}",))
    return StorageSettings()  # gs: a connector that the platform brings, by the machine's own account


def _s3(given: Mapping[str, str]) -> dict[str, str]:
    settings = {"spark.hadoop.fs.s3.impl": S3A}  # delta-rs says s3://, Hadoop s3a://: one spelling for both
    settings |= {f"spark.hadoop.fs.s3a.{_S3[name]}": value for name, value in given.items() if name in _S3}
    if given.get("aws_allow_http", "").lower() == "true":
        settings["spark.hadoop.fs.s3a.connection.ssl.enabled"] = "false"
    if "aws_endpoint_url" in given:  # a server that is not Amazon's: no buckets as hosts
        settings["spark.hadoop.fs.s3a.path.style.access"] = "true"
    if "aws_session_token" in given:
        provider = "org.apache.hadoop.fs.s3a.TemporaryAWSCredentialsProvider"
        settings["spark.hadoop.fs.s3a.aws.credentials.provider"] = provider
    return settings


def _azure(root: str, given: Mapping[str, str]) -> dict[str, str]:
    host = urlsplit(root).hostname or ""

    def named(setting: str) -> str:
        return f"spark.hadoop.fs.azure.{setting}.{host}"

    if "azure_storage_account_key" in given:
        return {named("account.key"): given["azure_storage_account_key"]}
    if "azure_storage_sas_token" in given:
        token = given["azure_storage_sas_token"]
        return {named("account.auth.type"): "SAS", named("sas.fixed.token"): token}
    if "azure_client_secret" in given:
        return {
            named("account.auth.type"): "OAuth",
            named("account.oauth.provider.type"): f"{OAUTH}.ClientCredsTokenProvider",
            named("account.oauth2.client.id"): given["azure_client_id"],
            named("account.oauth2.client.secret"): given["azure_client_secret"],
            named("account.oauth2.client.endpoint"): f"{LOGIN}/{given['azure_tenant_id']}/oauth2/token",
        }
    return {named("account.auth.type"): "OAuth", named("account.oauth.provider.type"): f"{OAUTH}.MsiTokenProvider"}
