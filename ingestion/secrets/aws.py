"""AWS Secrets Manager. The only module that imports its client; logs in by AWS's default chain.

Variables: AWS_REGION, and those of AWS's own chain. AWS_ENDPOINT_URL_SECRETS_MANAGER names another server.
"""

from __future__ import annotations

import logging
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)

from ingestion.secrets import cloud
from ingestion.secrets.faults import Fault, StoreError

logging.getLogger("botocore").setLevel(logging.INFO)  # at DEBUG it logs answers, with the secret
_FAULTS = {
    "AccessDeniedException": Fault.REFUSED,
    "AccessDenied": Fault.REFUSED,
    "DecryptionFailure": Fault.REFUSED,  # no right to use the key of KMS
    "InvalidRequestException": Fault.UNUSABLE,
    "UnrecognizedClientException": Fault.NO_LOGIN,
    "InvalidClientTokenId": Fault.NO_LOGIN,
    "ExpiredTokenException": Fault.EXPIRED,
    "ExpiredToken": Fault.EXPIRED,
    "RequestTimeTooSkewed": Fault.CLOCK,
    "RequestExpired": Fault.CLOCK,
    "SignatureDoesNotMatch": Fault.SIGNATURE,
    "InvalidSignatureException": Fault.SIGNATURE,
    "ThrottlingException": Fault.BUSY,
    "TooManyRequestsException": Fault.BUSY,
    "LimitExceededException": Fault.BUSY,
}


def reader(region: str) -> cloud.Read:
    """Return what reads a secret's current version."""
    retries = {"mode": "standard", "total_max_attempts": cloud.ATTEMPTS}
    config = Config(connect_timeout=cloud.CONNECT_SECONDS, read_timeout=cloud.READ_SECONDS, retries=retries)
    try:  # with a session of its own: the default one would keep an earlier login
        client: Any = boto3.session.Session().client("secretsmanager", region_name=region, config=config)
    except BotoCoreError as exc:
        raise StoreError(Fault.ANSWER, type(exc).__name__) from None

    def read(path: str) -> str | bytes | None:
        try:
            answer = client.get_secret_value(SecretId=path)
        except ClientError as exc:
            if (code := exc.response.get("Error", {}).get("Code", "")) == "ResourceNotFoundException":
                return None
            raise _fault_of(exc, code) from None
        except (NoCredentialsError, PartialCredentialsError):
            raise StoreError(Fault.NO_LOGIN) from None
        except (HTTPClientError, ConnectionError) as exc:
            raise StoreError(Fault.SILENT, type(exc).__name__) from None
        except BotoCoreError as exc:  # the chain: a profile, an SSO session, a web identity
            expired = "Token" in type(exc).__name__ or "SSO" in type(exc).__name__
            raise StoreError(Fault.EXPIRED if expired else Fault.ANSWER, type(exc).__name__) from None
        found: str | bytes | None = answer.get("SecretString") or answer.get("SecretBinary")
        return found

    return read


def _fault_of(error: ClientError, code: str) -> StoreError:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    fault = Fault.BUSY if status == 429 else Fault.SILENT if status >= 500 else Fault.ANSWER
    return StoreError(_FAULTS.get(code, fault), code or status)
