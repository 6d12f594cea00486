"""The environment as options of every reader and writer, and what a library's error about storage means."""

from __future__ import annotations

import pickle

import pytest

from ingestion.errors import ConfigurationError, LakeError, LakeUnavailableError
from ingestion.lake.layout import Lake
from ingestion.lake.storage.errors import reaching, told_apart
from ingestion.lake.storage.provider import forget_empty, location, redacted, secret, storage_options

S3 = "s3://lake/retail"
ADLS = "abfss://lake@company.dfs.core.windows.net/retail"
GCS = "gs://lake/retail"
AWS = {"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "the secret's value"}
SAS = "sv=2026&sp=rwdl&sig=c2lnbmF0dXJl%3D"


def test_a_folder_needs_nothing_of_the_environment() -> None:
    assert storage_options("/data/lake", AWS) == {}


def test_on_s3_commits_never_overwrite_each_other() -> None:
    assert storage_options(S3, AWS)["aws_conditional_put"] == "etag"
    with pytest.raises(ConfigurationError, match="must not overwrite each other"):
        storage_options(S3, {**AWS, "AWS_S3_ALLOW_UNSAFE_RENAME": "true"})


def test_a_temporary_login_is_taken_whole() -> None:
    given = storage_options(S3, {**AWS, "AWS_SESSION_TOKEN": "of an hour"})

    assert given["aws_session_token"] == "of an hour"
    assert secret(S3, {**AWS, "AWS_SESSION_TOKEN": "of an hour"})[0].values["session_token"] == "of an hour"


def test_without_keys_each_library_asks_the_machine() -> None:
    machine = {"AWS_REGION": "eu-central-1"}
    found, needed = secret(S3, machine)

    assert storage_options(S3, machine) == {"aws_region": "eu-central-1", "aws_conditional_put": "etag"}
    assert (found.provider, needed) == ("credential_chain", ("httpfs", "aws"))
    assert secret(S3, AWS)[1] == ("httpfs",)
    assert storage_options(ADLS, {}) == {"azure_storage_account_name": "company"}
    assert secret(ADLS, {})[0].provider == "credential_chain"


def test_a_store_that_is_not_amazons_is_asked_by_path() -> None:
    found, _ = secret(S3, {**AWS, "AWS_ENDPOINT_URL": "http://minio:9000/"})

    assert (found.values["endpoint"], found.values["use_ssl"], found.values["url_style"]) == (
        "minio:9000",
        False,
        "path",
    )
    assert storage_options(S3, {**AWS, "AWS_ENDPOINT_URL": "http://minio:9000/"})["aws_allow_http"] == "true"
    assert "aws_allow_http" not in storage_options(S3, {**AWS, "AWS_ENDPOINT_URL": "https://minio:9000"})


@pytest.mark.parametrize(
    ("environ", "option", "provider"),
    [
        ({"AZURE_STORAGE_ACCOUNT_KEY": "a key"}, "azure_storage_account_key", "config"),
        ({"AZURE_STORAGE_SAS_TOKEN": f"?{SAS}"}, "azure_storage_sas_token", "config"),
        (
            {"AZURE_CLIENT_ID": "id", "AZURE_CLIENT_SECRET": "secret", "AZURE_TENANT_ID": "tenant"},
            "azure_client_secret",
            "service_principal",
        ),
        ({"AZURE_USE_AZURE_CLI": "true"}, "azure_use_azure_cli", "credential_chain"),
    ],
)
def test_azure_takes_the_login_that_it_is_given(environ: dict[str, str], option: str, provider: str) -> None:
    given, (found, _) = storage_options(ADLS, environ), secret(ADLS, environ)

    assert option in given
    assert not given[option].startswith("?")
    assert (found.kind, found.provider, found.scope) == ("azure", provider, "az://lake/")
    assert "company" in str(found.values)


def test_google_needs_a_key_that_duckdb_can_use() -> None:
    with pytest.raises(ConfigurationError, match="needs an HMAC key"):
        secret(GCS, {"GOOGLE_APPLICATION_CREDENTIALS": "key.json"})
    keys = {"GCS_HMAC_KEY_ID": "GOOG1", "GCS_HMAC_SECRET": "hmac"}
    assert (secret(GCS, keys)[0].kind, secret(GCS, keys)[0].values) == ("gcs", {"key_id": "GOOG1", "secret": "hmac"})


@pytest.mark.parametrize(
    ("root", "environ", "named"),
    [
        (S3, {"AWS_ACCESS_KEY_ID": "x", "AWS_REGION": "x"}, "AWS_SECRET_ACCESS_KEY"),
        (S3, {}, "AWS_REGION"),
        (ADLS, {"AZURE_CLIENT_SECRET": "x"}, "AZURE_CLIENT_ID"),
        (GCS, {"GCS_HMAC_KEY_ID": "x"}, "GCS_HMAC_SECRET"),
        ("abfss://lake/retail", {}, "LAKEHOUSE_ROOT"),
        ("ftp://lake/retail", {}, "LAKEHOUSE_ROOT"),
        ("s3://key:secret@lake/retail", {"AWS_REGION": "x"}, "LAKEHOUSE_ROOT"),
        (f"s3://lake/retail?{SAS}", {"AWS_REGION": "x"}, "LAKEHOUSE_ROOT"),
    ],
)
def test_half_a_setting_is_named_and_no_value_repeated(root: str, environ: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named) as caught:
        storage_options(root, environ)
    assert "secret@" not in str(caught.value)
    assert "sig=" not in str(caught.value)


def test_duckdb_asks_azure_by_the_endpoint_that_all_accounts_have() -> None:
    assert location(f"{ADLS}/bronze/erp") == "az://lake/retail/bronze/erp"
    assert location("s3://lake/retail") == "s3://lake/retail"
    assert location("/data/lake") == "/data/lake"


def test_no_secret_shows_in_a_statement_or_a_repr() -> None:
    found, _ = secret(S3, AWS)
    lake = Lake(S3, storage_options(S3, AWS))

    for text in (found.statement, repr(found), repr(lake)):
        assert AWS["AWS_SECRET_ACCESS_KEY"] not in text
    assert pickle.loads(pickle.dumps(lake)).storage_options == lake.storage_options


def test_secrets_are_taken_out_of_what_a_library_says() -> None:
    environ = {"AZURE_STORAGE_SAS_TOKEN": SAS, "AWS_SECRET_ACCESS_KEY": "hush-hush"}

    told = redacted(f"GET https://company/?{SAS} and again sig=c2lnbmF0dXJl%3D, hush-hush", environ)

    assert told == "GET https://company/?*** and again sig=***, ***"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AWS Error NO_SUCH_BUCKET during CreateMultipartUpload operation", "no bucket or container of this name"),
        ("Generic S3 error: Error performing list request: 404 <Code>NoSuchBucket</Code>", "no bucket or container"),
        ("Azure Error: [ContainerNotFound] 404 The specified container", "no bucket or container of this name"),
        ("AWS Error ACCESS_DENIED during HeadObject operation: No response body.", "this login may not do that"),
        ("Kernel error -> lacked the necessary privileges\n Error performing GET http: 403 Forbidden", "this login"),
        ("Azure Error: [AuthorizationFailure] 403 Server failed to authenticate the request", "this login may not"),
        (
            "AWS Error UNKNOWN (HTTP status 301) during HeadBucket operation: permanent redirect",
            "not in the region that AWS_REGION names",
        ),
    ],
)
def test_what_somebody_must_change_is_a_lake_error(text: str, expected: str) -> None:
    told = told_apart(S3, OSError(text))

    assert isinstance(told, LakeError)
    assert expected in str(told)


@pytest.mark.parametrize(
    "text",
    [
        "AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 7, Could not connect to server",
        "Generic S3 error: Error performing GET http://x in 1.6s, after 10 retries - HTTP error: error sending request",
        "IO Error: Could not connect to server error for HTTP HEAD to 'http://127.0.0.1/lake'",
        "AzureStorageFileSystem could not open file: 'az://lake/a.parquet', unknown error occurred",
        "AWS Error SLOW_DOWN during PutObject operation: Please reduce your request rate. HTTP status 503",
    ],
)
def test_what_may_pass_is_worth_another_attempt(text: str) -> None:
    with pytest.raises(LakeUnavailableError) as caught, reaching(S3):
        raise OSError(text)
    assert text not in str(caught.value)


def test_other_errors_pass_as_they_are() -> None:
    with pytest.raises(OSError, match="connection refused by the source"), reaching(S3):
        raise OSError("connection refused by the source")
    with pytest.raises(OSError, match="AWS Error"), reaching("/data/lake"):
        raise OSError("AWS Error ACCESS_DENIED")


def test_a_variable_set_to_nothing_is_forgotten() -> None:
    environ = {"AWS_SESSION_TOKEN": "", "AWS_REGION": "eu-central-1", "AZURE_CLIENT_SECRET": "", "OTHER": ""}

    forget_empty(environ)

    assert environ == {"AWS_REGION": "eu-central-1", "OTHER": ""}
