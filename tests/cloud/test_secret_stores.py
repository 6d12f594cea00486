"""Each cloud's secret store, by its true client, against moto (AWS) and doubles of ours (see `secret_stores`)."""

from __future__ import annotations

import json
import logging
import os
import traceback
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from ingestion.errors import ConfigurationError, LakehouseError, SecretStoreUnavailableError
from ingestion.secrets import cloud
from ingestion.secrets.cloud import CloudStore
from ingestion.settings import Settings
from tests.cloud import secret_stores
from tests.cloud.secret_stores import GONE, SILENT, Double, running
from tests.cloud.servers import NEEDS_MOTO, S3, clear, free_port, s3

VALUE = "oracle://lake:geheim@erp-db:1521/ERP"
NAME = "AIRFLOW_CONN_ERP"


def needs(module: str, extra: str) -> pytest.MarkDecorator:
    top = module.partition(".")[0]
    missing = find_spec(top) is None or find_spec(module) is None
    return pytest.mark.skipif(missing, reason=f"needs the extra {extra}")


NEEDS = {
    "aws": needs("boto3", "aws-secrets"),
    "azure": needs("azure.keyvault", "azure-secrets"),
    "gcp": needs("google.cloud", "gcp-secrets"),
}


@dataclass
class Stand:
    """A store behind our interface, and the double that answers for it."""

    store: CloudStore
    double: Double
    login: Callable[[str], None]
    """Makes the next login fail with a text of the cloud's login service."""


@pytest.fixture(autouse=True)
def quick_and_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    clear(monkeypatch)
    monkeypatch.setattr(cloud, "READ_SECONDS", 0.3)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    with running() as double:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", double.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_REGION", "eu-central-1")
        yield Stand(CloudStore("aws", os.environ, "", ""), double, lambda _: None)


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[Stand]:
    from azure.core.credentials import AccessToken
    from azure.core.exceptions import ClientAuthenticationError

    from ingestion.secrets.azure import reader

    refused: list[str] = []

    class Credential:
        def get_token(self, *_: str, **__: object) -> AccessToken:
            if refused:
                raise ClientAuthenticationError(refused[0])
            return AccessToken("a token", 2**31)

    with running(tmp_path) as double:
        store = CloudStore("azure", {}, double.url, "")
        store._read = reader(
            double.url,
            credential=Credential(),
            verify_challenge_resource=False,  # the double is not below vault.azure.net
            connection_verify=str(tmp_path / "cert.pem"),
        )
        yield Stand(store, double, refused.append)


@pytest.fixture
def gcp(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient
    from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
        SecretManagerServiceRestTransport,
    )
    from google.oauth2.service_account import Credentials

    from ingestion.secrets.gcp import reader

    with running() as double, running() as tokens:

        def read_with(credentials: Any) -> cloud.Read:
            host = double.url.removeprefix("http://")
            transport = SecretManagerServiceRestTransport(host=host, url_scheme="http", credentials=credentials)
            return reader("a-project", SecretManagerServiceClient(transport=transport))

        def refuse(text: str) -> None:
            tokens.answers(400, {"error": "invalid_grant", "error_description": text})
            key = secret_stores.google_key(tokens.url)
            store._read = read_with(Credentials.from_service_account_info(key, scopes=["all"]))

        store = CloudStore("gcp", {}, "a-project", "")
        store._read = read_with(AnonymousCredentials())
        yield Stand(store, double, refuse)


def answer(stand: Stand, value: str) -> dict[str, Any]:
    """Return the body of a found secret in the form of a stand's store."""
    if stand.double.is_vault:
        return secret_stores.vault_secret(stand.double.url, value)
    return {"Name": "s", "SecretString": value} | secret_stores.google_secret(value)


CLOUDS = [pytest.param(name, marks=NEEDS[name]) for name in NEEDS]


@pytest.fixture
def stand(request: pytest.FixtureRequest) -> Stand:
    made: Stand = request.getfixturevalue(request.param)
    return made


@pytest.mark.parametrize("stand", CLOUDS, indirect=True)
def test_a_secret_is_read_under_the_name_that_airflow_gives_it_and_is_in_no_log(
    stand: Stand, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand.double.answers(200, answer(stand, VALUE))

    for logger in (None, "azure", "google", "urllib3"):
        caplog.set_level(logging.DEBUG, logger)
    monkeypatch.setattr(logging.getLogger("google"), "propagate", True)

    found = stand.store.get(NAME)

    assert found is not None
    assert found.reveal() == VALUE
    assert len(stand.double.asked) == 1
    logged = repr([vars(record) for record in caplog.records])
    assert "geheim" not in logged
    assert b64encode(VALUE.encode()).decode() not in logged
    assert stand.store.path(NAME).replace("/", "-") == "airflow-connections-erp"


def error(code: int, status: str, text: str = "") -> dict[str, Any]:
    """Return the body of an error in the form of all three clouds at once; its text quotes the secret."""
    message = f"{text} {VALUE}"
    return {"__type": status, "message": message, "error": {"code": status, "status": status, "message": message}}


AKV, AWS, GCP = "azure", "aws", "gcp"
FAULTS = [
    # cloud, what is wrong, status, code, text, requests, error, finding
    (AWS, "403", 400, "AccessDeniedException", "", 1, ConfigurationError, "does not let this identity read"),
    (AKV, "403", 403, "Forbidden", "", 1, ConfigurationError, "does not let this identity read"),
    (GCP, "403", 403, "PERMISSION_DENIED", "", 1, ConfigurationError, "does not let this identity read"),
    (AWS, "429", 400, "ThrottlingException", "", 3, SecretStoreUnavailableError, "has too many requests"),
    (AKV, "429", 429, "Throttled", "", 3, SecretStoreUnavailableError, "has too many requests"),
    (GCP, "429", 429, "RESOURCE_EXHAUSTED", "", 3, SecretStoreUnavailableError, "has too many requests"),
    (AWS, "503", 503, "ServiceUnavailable", "", 3, SecretStoreUnavailableError, "did not answer"),
    (AKV, "503", 503, "Unavailable", "", 3, SecretStoreUnavailableError, "did not answer"),
    (GCP, "503", 503, "UNAVAILABLE", "", 3, SecretStoreUnavailableError, "did not answer"),
    (AWS, "time-out", SILENT, "", "", 3, SecretStoreUnavailableError, "did not answer"),
    (AKV, "time-out", SILENT, "", "", 3, SecretStoreUnavailableError, "did not answer"),
    (GCP, "time-out", SILENT, "", "", 3, SecretStoreUnavailableError, "did not answer"),
    (AWS, "hung up", GONE, "", "", 3, SecretStoreUnavailableError, "did not answer"),
    (AKV, "hung up", GONE, "", "", 3, SecretStoreUnavailableError, "did not answer"),
    (GCP, "hung up", GONE, "", "", 3, SecretStoreUnavailableError, "did not answer"),
    (AWS, "expired", 400, "ExpiredTokenException", "", 1, ConfigurationError, "which has expired"),
    (AKV, "expired", 401, "Unauthorized", "IDX10223: The token is expired.", None, ConfigurationError, "has expired"),
    (AWS, "clock", 403, "RequestTimeTooSkewed", "", None, ConfigurationError, "this machine's clock differs"),
    (AWS, "signature", 403, "SignatureDoesNotMatch", "", 1, ConfigurationError, "clock differs from the store's, or"),
    (AWS, "signature", 400, "InvalidSignatureException", "", 1, ConfigurationError, "or the secret key is wrong"),
    (AKV, "clock", 401, "Unauthorized", "IDX10222: The token is not yet valid.", None, ConfigurationError, "clock"),
    (AWS, "deleted", 400, "InvalidRequestException", "", 1, ConfigurationError, "not in a usable state"),
    (AKV, "disabled", 403, "SecretDisabled", "", 1, ConfigurationError, "not in a usable state"),
    (GCP, "disabled", 400, "FAILED_PRECONDITION", "", 1, ConfigurationError, "not in a usable state"),
    (AWS, "odd", 400, "ValidationException", "", 1, ConfigurationError, "did not return"),
    (AKV, "odd", 400, "BadParameter", "", 1, ConfigurationError, "did not return"),
    (GCP, "odd", 400, "INVALID_ARGUMENT", "", 1, ConfigurationError, "did not return"),
]


@pytest.mark.parametrize(
    ("stand", "status", "code", "text", "requests", "kind", "finding"),
    [pytest.param(f[0], *f[2:], marks=NEEDS[f[0]], id=f"{f[0]}-{f[1]}-{f[3]}") for f in FAULTS],
    indirect=["stand"],
)
def test_each_fault_of_a_store_is_one_clear_line_without_the_secret(
    stand: Stand, status: int, code: str, text: str, requests: int | None, kind: type[LakehouseError], finding: str
) -> None:
    stand.double.answers(status, error(status, code, text))

    with pytest.raises(LakehouseError) as raised:
        stand.store.get(NAME)

    assert_clear(raised.value, kind, stand, finding)
    assert requests is None or len(stand.double.asked) == requests


def assert_clear(raised: LakehouseError, kind: type[LakehouseError], stand: Stand, finding: str) -> None:
    told = str(raised)
    assert type(raised) is kind
    assert told.startswith(f"{NAME}: {stand.store.place} ")
    assert finding in told
    assert "Nothing was read." in told
    assert "\n" not in told
    assert "geheim" not in "".join(traceback.format_exception(raised))
    if path := os.environ.get("LAKEHOUSE_TEST_FAULTS"):
        with open(path, "a") as file:
            file.write(f"{told}\n")


LOGINS = [
    (AKV, "AADSTS700024: Client assertion is not within its valid time range.", "clock differs"),
    (AKV, "AADSTS7000222: The provided client secret keys are expired.", "has expired"),
    (AKV, "No managed identity endpoint found.", "accepts no login"),
    (
        GCP,
        "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and "
        "exp values in the JWT claim.",
        "clock differs",
    ),
    (GCP, "Token has been expired or revoked.", "has expired"),
]


@pytest.mark.parametrize(
    ("stand", "text", "finding"),
    [pytest.param(*of, marks=NEEDS[of[0]], id=f"{of[0]}-{of[2]}") for of in LOGINS],
    indirect=["stand"],
)
def test_a_login_that_is_refused_says_why(stand: Stand, text: str, finding: str) -> None:
    stand.login(f"{text} {VALUE}")

    with pytest.raises(LakehouseError) as raised:
        stand.store.get(NAME)

    assert_clear(raised.value, ConfigurationError, stand, finding)
    assert stand.double.asked == []


@pytest.mark.parametrize("stand", CLOUDS, indirect=True)
def test_a_secret_that_is_not_there_is_none(stand: Stand) -> None:
    missing = {"aws": "ResourceNotFoundException", "azure": "SecretNotFound", "gcp": "NOT_FOUND"}[stand.store._store]
    stand.double.answers(400 if stand.store._store == "aws" else 404, error(404, missing))

    assert stand.store.get(NAME) is None


@pytest.mark.parametrize("stand", [CLOUDS[2]], indirect=True)
def test_a_secret_that_is_no_text_is_told_without_its_bytes(stand: Stand) -> None:
    stand.double.answers(200, secret_stores.google_secret("", raw=b"geheim\xff"))

    with pytest.raises(LakehouseError) as raised:
        stand.store.get(NAME)

    assert_clear(raised.value, ConfigurationError, stand, "without a text) (no text in UTF-8)")


@NEEDS["aws"]
def test_a_region_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    store = CloudStore("aws", {"AWS_REGION": "eu central"}, "", "")

    with pytest.raises(ConfigurationError, match=r"AWS Secrets Manager eu central did not return .*InvalidRegionError"):
        store.get(NAME)


@NEEDS["aws"]
def test_a_server_that_is_not_there_did_not_answer(aws: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", f"http://127.0.0.1:{free_port()}")

    with pytest.raises(LakehouseError) as raised:
        aws.store.get(NAME)

    assert_clear(raised.value, SecretStoreUnavailableError, aws, "did not answer (EndpointConnectionError)")


@NEEDS["aws"]
def test_a_machine_without_a_login_is_told_so(aws: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")

    with pytest.raises(LakehouseError) as raised:
        aws.store.get(NAME)

    assert_clear(raised.value, ConfigurationError, aws, "accepts no login of this machine")


@NEEDS_MOTO
@NEEDS["aws"]
def test_a_connection_in_secrets_manager_is_found_and_follows_a_rotation(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch, s3(patch, tmp_path / "moto.log") as server:
        put(server, "CreateSecret", Name="prod/airflow/connections/erp", SecretString=VALUE)
        given = {"LAKEHOUSE_PROJECT": str(tmp_path), "LAKEHOUSE_CLOUD": "aws", "LAKEHOUSE_ROOT": "s3://lake/x"}
        settings = Settings.from_environ({**os.environ, **given, "LAKEHOUSE_SECRETS_PREFIX": "prod"})

        before = settings.connection("erp")
        put(
            server,
            "PutSecretValue",
            SecretId="prod/airflow/connections/erp",
            SecretString=VALUE.replace("geheim", "neu"),
        )
        kept, after = settings.connection("erp"), before.read_again()
        with pytest.raises(ConfigurationError, match=r"Looked for it in .*prod/airflow/connections/shop"):
            settings.connection("shop")

    assert (before.password, kept.password, after.password) == ("geheim", "geheim", "neu")


def put(server: S3, action: str, **given: str) -> None:
    """Send a request to moto's Secrets Manager."""
    given["ClientRequestToken"] = f"{len(json.dumps(given)):0>32}"
    scope = "AWS4-HMAC-SHA256 Credential=owner/20260101/us-east-1/secretsmanager/aws4_request, SignedHeaders=host, Signature=0"
    headers = {"X-Amz-Target": f"secretsmanager.{action}", "Content-Type": "application/x-amz-json-1.1"}
    request = urllib.request.Request(server.url, json.dumps(given).encode(), {**headers, "Authorization": scope})
    urllib.request.urlopen(request, timeout=10).close()
