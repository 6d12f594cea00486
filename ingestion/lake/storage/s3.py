"""Amazon S3 and stores with its protocol: `s3://bucket/prefix`.

Variables: AWS_REGION; AWS_ENDPOINT_URL for a store that is not Amazon's; AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY
and AWS_SESSION_TOKEN. Without keys AWS's default chain is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

import pyarrow.fs as pafs

from ingestion.errors import ConfigurationError
from ingestion.lake.storage.base import (
    CONNECT_SECONDS,
    HADOOP,
    REQUEST_SECONDS,
    Secret,
    StorageSettings,
    check_pair,
)

FORM = "s3://bucket/prefix"
PREFIXES = ("AWS_",)
SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
S3A = "org.apache.hadoop.fs.s3a"
_SPARK = {
    "aws_access_key_id": "access.key",
    "aws_secret_access_key": "secret.key",
    "aws_session_token": "session.token",
    "aws_region": "endpoint.region",
    "aws_endpoint_url": "endpoint",
}


def bucket(found: SplitResult) -> str | None:
    return found.hostname


def options(_: SplitResult, given: Mapping[str, str]) -> dict[str, str]:
    check_pair(given, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    if given.get("AWS_S3_ALLOW_UNSAFE_RENAME", "").lower() in ("1", "true"):
        raise ConfigurationError(
            "AWS_S3_ALLOW_UNSAFE_RENAME: commits must not overwrite each other, and this setting "
            "allows that. Nothing was read or written. Remove it; S3 needs no lock (docs/storage.md)."
        )
    endpoint = given.get("AWS_ENDPOINT_URL_S3") or given.get("AWS_ENDPOINT_URL")
    region = given.get("AWS_REGION") or given.get("AWS_DEFAULT_REGION") or ("us-east-1" if endpoint else None)
    if region is None:
        raise ConfigurationError(
            "AWS_REGION: not set; it must be the region of the lake's bucket. Nothing was read or written. "
            "Set it, e.g. AWS_REGION=eu-central-1"
        )
    made = {"aws_region": region, "aws_conditional_put": "etag"}  # so that a commit never overwrites another one
    if endpoint:
        made |= {"aws_endpoint_url": endpoint.rstrip("/")}
        made |= {"aws_allow_http": "true"} if endpoint.startswith("http://") else {}
    return made | {name.lower(): given[name] for name in SECRETS if name in given}


def file_system(options: Mapping[str, str], _: str | None) -> pafs.FileSystem:
    endpoint = urlsplit(options.get("aws_endpoint_url", ""))
    return pafs.S3FileSystem(
        access_key=options.get("aws_access_key_id"),
        secret_key=options.get("aws_secret_access_key"),
        session_token=options.get("aws_session_token"),
        region=options["aws_region"],
        scheme=endpoint.scheme or "https",
        endpoint_override=endpoint.netloc or None,
        connect_timeout=CONNECT_SECONDS,
        request_timeout=REQUEST_SECONDS,
    )


def location(found: SplitResult) -> str:
    return found.geturl()


def secret(found: SplitResult, options: Mapping[str, str], _: Mapping[str, str]) -> Secret:
    scope, values = f"s3://{found.hostname}/", dict[str, object](region=options["aws_region"])
    if "aws_endpoint_url" in options:
        endpoint = urlsplit(options["aws_endpoint_url"])
        values |= {"endpoint": endpoint.netloc, "use_ssl": endpoint.scheme != "http", "url_style": "path"}
    if "aws_access_key_id" not in options:
        return Secret("s3", scope, "credential_chain", values)
    values |= {"key_id": options["aws_access_key_id"], "secret": options["aws_secret_access_key"]}
    if "aws_session_token" in options:
        values["session_token"] = options["aws_session_token"]
    return Secret("s3", scope, values=values)


def extensions(login: Secret) -> tuple[str, ...]:
    return ("httpfs", "aws") if login.provider == "credential_chain" else ("httpfs",)


def spark_settings(_: SplitResult, options: Mapping[str, str]) -> StorageSettings:
    settings = {"spark.hadoop.fs.s3.impl": f"{S3A}.S3AFileSystem"}  # so that Hadoop reads s3:// as its own s3a://
    settings |= {f"spark.hadoop.fs.s3a.{_SPARK[name]}": value for name, value in options.items() if name in _SPARK}
    if options.get("aws_allow_http", "").lower() == "true":
        settings["spark.hadoop.fs.s3a.connection.ssl.enabled"] = "false"
    if "aws_endpoint_url" in options:  # on servers other than Amazon's, bucket names are not part of the host name
        settings["spark.hadoop.fs.s3a.path.style.access"] = "true"
    if "aws_session_token" in options:
        settings["spark.hadoop.fs.s3a.aws.credentials.provider"] = f"{S3A}.TemporaryAWSCredentialsProvider"
    return StorageSettings(settings, (f"org.apache.hadoop:hadoop-aws:{HADOOP}",))
