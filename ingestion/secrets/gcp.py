"""Google Secret Manager. The only module that imports its client; logs in by application default credentials."""

from __future__ import annotations

import logging
import re
from typing import Any

from google.api_core import exceptions, retry
from google.auth import exceptions as login
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from requests.exceptions import RequestException

from ingestion.secrets import cloud
from ingestion.secrets.faults import Fault, StoreError

logging.getLogger("google.cloud.secretmanager_v1").setLevel(logging.INFO)  # at DEBUG it logs answers
_AGAIN = (exceptions.TooManyRequests, exceptions.ServerError, RequestException)
_CLOCK = re.compile(r"\biat\b|not yet valid|used too early|reasonable timeframe", re.IGNORECASE)
_EXPIRED = re.compile(r"expired|revoked|invalid_grant", re.IGNORECASE)
_FIRST_PAUSE = 0.5


def reader(project: str, client: Any = None) -> cloud.Read:
    """Return what reads a secret's latest version. `client` is another client, in tests."""
    try:
        client = client or SecretManagerServiceClient(transport="rest")
    except login.DefaultCredentialsError:
        raise StoreError(Fault.NO_LOGIN) from None

    def read(path: str) -> bytes | None:
        name = f"projects/{project}/secrets/{path}/versions/latest"
        attempts = iter(range(1, cloud.ATTEMPTS))
        again = retry.Retry(lambda exc: isinstance(exc, _AGAIN) and next(attempts, None) is not None, _FIRST_PAUSE)
        try:
            answer = client.access_secret_version(name=name, timeout=cloud.READ_SECONDS, retry=again)
        except exceptions.NotFound:
            return None
        except (exceptions.GoogleAPICallError, login.GoogleAuthError, RequestException) as exc:
            raise _fault_of(exc) from None
        found: bytes = answer.payload.data
        return found

    return read


def _fault_of(error: Exception) -> StoreError:
    text = str(error)
    if isinstance(error, login.TransportError | RequestException | exceptions.ServerError | exceptions.RetryError):
        return StoreError(Fault.SILENT, getattr(error, "code", None) or type(error).__name__)
    if isinstance(error, login.DefaultCredentialsError):
        return StoreError(Fault.NO_LOGIN)
    if isinstance(error, login.GoogleAuthError | exceptions.Unauthorized):
        fault = Fault.CLOCK if _CLOCK.search(text) else Fault.EXPIRED if _EXPIRED.search(text) else Fault.NO_LOGIN
        return StoreError(fault)
    if "FAILED_PRECONDITION" in getattr(getattr(error, "response", None), "text", ""):
        return StoreError(Fault.UNUSABLE, "FAILED_PRECONDITION")
    status = int(error.code or 0) if isinstance(error, exceptions.GoogleAPICallError) else 0
    return StoreError({403: Fault.REFUSED, 429: Fault.BUSY}.get(status, Fault.ANSWER), status)
