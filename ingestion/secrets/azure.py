"""Azure Key Vault. The only module that imports its client; logs in by Azure's default chain.

The chain: AZURE_CLIENT_ID with AZURE_CLIENT_SECRET and AZURE_TENANT_ID, the workload's or the machine's managed
identity, Azure's command line.
"""

from __future__ import annotations

import re
from typing import Any

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.identity import CredentialUnavailableError, DefaultAzureCredential
from azure.keyvault.secrets import SecretClient

from ingestion.secrets import cloud
from ingestion.secrets.faults import Fault, StoreError

_CLOCK = re.compile(r"AADSTS(?:700024|500133)\b|not yet valid|IDX10222")
_EXPIRED = re.compile(r"AADSTS(?:7000222|700082|70043|50173)\b|expired|IDX10223")
_STATES = {403: Fault.REFUSED, 429: Fault.BUSY, 408: Fault.SILENT}


def reader(vault: str, **options: Any) -> cloud.Read:
    """Return what reads a secret's current version. `options` replace those of the client, in tests."""
    credential = options.pop("credential", None) or DefaultAzureCredential()
    given: dict[str, Any] = {
        "retry_total": cloud.ATTEMPTS - 1,
        "connection_timeout": cloud.CONNECT_SECONDS,
        "read_timeout": cloud.READ_SECONDS,
    }
    client = SecretClient(vault, credential, **(given | options))

    def read(path: str) -> str | None:
        try:
            value: str | None = client.get_secret(path).value
        except ResourceNotFoundError:
            return None
        except (ServiceRequestError, ServiceResponseError) as exc:
            raise StoreError(Fault.SILENT, type(exc).__name__) from None
        except AzureError as exc:
            raise _fault_of(exc) from None
        return value

    return read


def _fault_of(error: AzureError) -> StoreError:
    text = str(error)
    if isinstance(error, ClientAuthenticationError):
        if _CLOCK.search(text):
            return StoreError(Fault.CLOCK)
        expired = not isinstance(error, CredentialUnavailableError) and _EXPIRED.search(text)
        return StoreError(Fault.EXPIRED if expired else Fault.NO_LOGIN)
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if status == 403 and "SecretDisabled" in text:
        return StoreError(Fault.UNUSABLE, "SecretDisabled")
    fault = Fault.SILENT if (status or 0) >= 500 else Fault.ANSWER
    return StoreError(_STATES.get(status or 0, fault), status or type(error).__name__)
