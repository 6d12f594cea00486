"""A queue of Amazon SQS, standard or FIFO. The only module of queues that imports AWS's client; translates its errors.

A connection is sqs://key:secret@/?queue_url=…; without keys, AWS's default chain logs in. Its extras:
    queue_url     the queue's URL
    region        default the one in queue_url, else AWS_REGION
    endpoint_url  another server than Amazon's; default the server of queue_url, if that is another one
    role_arn      a role to act as; its keys are renewed before they end
    claim_check   a folder or URI for bodies that are too large for a message
"""

from __future__ import annotations

import logging
import math
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError, NoCredentialsError

from ingestion.errors import ConfigurationError, LakehouseError, LoginRefusedError, SourceUnavailableError
from ingestion.privacy.logs import logger
from ingestion.queues.base import UNACCOUNTED, UNAVAILABLE, Outgoing, QueueFacts, Received, Refusal, Sent
from ingestion.queues.claims import Claims
from ingestion.queues.messages import packed_all, unpacked
from ingestion.queues.packing import MOST_BYTES, STRING, Packed, plain_id
from ingestion.settings import Connection
from ingestion.sources.driver_errors import wrong_extra

logging.getLogger("botocore").setLevel(logging.INFO)  # at DEBUG it logs bodies
AT_ONCE = 10
"""Entries of one request."""
THREADS, ATTEMPTS = 4, 4
CONNECT_SECONDS, READ_SECONDS, LONGEST_WAIT = 5, 30, 20
_UNSTATED_BYTES = 256 * 1024
_AMAZON = re.compile(r"(^|\.)sqs\.([a-z0-9-]+)\.(?:vpce\.)?amazonaws\.com(\.cn)?$")
_MISSING = {"QueueDoesNotExist", "NonExistentQueue", "QueueDeletedRecently", "InvalidAddress"}
_DENIED = {"AccessDenied", "AccessDeniedException", "InvalidSecurity", "UnauthorizedOperation"}
_LOGIN = {
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "OptInRequired",
}
_BUSY = re.compile(r"Throttl|SlowDown|OverLimit|LimitExceeded|ServiceUnavailable|Internal|TooManyRequests|Timeout")


class _RequestRefusedError(Exception):
    """A request that SQS refuses because of what is in it; the text is the code."""


class SqsQueue:
    """One queue. `client` is boto3's, for tests; else it is opened with the first request."""

    def __init__(self, name: str, connection: Connection, client: Any = None) -> None:
        self._name, self._connection, self._client = name, connection, client
        self._url = connection.extra.get("queue_url") or ""
        if urlsplit(self._url).scheme not in ("http", "https"):
            raise wrong_extra(name, "queue_url", "the queue's URL, percent-encoded in a URI")
        self._is_fifo = self._url.endswith(".fifo")
        self._claims = Claims.of(name, connection)
        self._max_bytes: int | None = None
        self._lock = threading.Lock()

    def describe(self) -> QueueFacts:
        if self._claims is not None:
            self._claims.check()
        found = self._attributes()
        return QueueFacts(
            url=self._url,
            is_fifo=self._is_fifo,
            max_bytes=self._limit(found),
            waiting=int(found["ApproximateNumberOfMessages"]),
            in_flight=int(found["ApproximateNumberOfMessagesNotVisible"]),
            visibility_seconds=int(found["VisibilityTimeout"]),
        )

    def _attributes(self) -> Mapping[str, str]:
        found: Mapping[str, str] = self._call("get_queue_attributes", AttributeNames=["All"])["Attributes"]
        return found

    def _limit(self, attributes: Mapping[str, str]) -> int:
        self._max_bytes = min(int(attributes.get("MaximumMessageSize", _UNSTATED_BYTES)), MOST_BYTES)
        return self._max_bytes

    def send(self, messages: Sequence[Outgoing]) -> Sent:
        limit = self._max_bytes or self._limit(self._attributes())
        packed, refused = packed_all(messages, limit, self._claims, is_fifo=self._is_fifo)
        entries = [self._entry(index, *each) for index, each in enumerate(packed)]
        requests = list(_requests(entries, [ready.size for _, ready in packed], limit))
        accepted, failed = self._all("send_message_batch", requests)
        ids = {entry["Id"]: message.id for entry, (message, _) in zip(entries, packed, strict=True)}
        refused |= {ids[id_]: refusal for id_, refusal in failed.items()}
        if any(each.is_permanent for each in refused.values()) and self._has_other_limit(limit):
            refused = {id_: Refusal(each.code, is_permanent=False) for id_, each in refused.items()}
        return Sent({ids[id_]: answer["MessageId"] for id_, answer in accepted.items()}, refused)

    def _has_other_limit(self, limit: int) -> bool:
        """Look whether the queue's limit was changed, so that what was too large may fit, or the other way round."""
        with suppress(LakehouseError):
            return self._limit(self._attributes()) != limit
        return False

    def _entry(self, index: int, message: Outgoing, ready: Packed) -> dict[str, Any]:
        attributes = {name: {"DataType": STRING, "StringValue": text} for name, text in ready.attributes.items()}
        entry = {"Id": str(index), "MessageBody": ready.body, "MessageAttributes": attributes}
        if self._is_fifo:
            entry |= {
                "MessageGroupId": plain_id(message.group),
                "MessageDeduplicationId": plain_id(message.dedupe),
            }
        return entry

    def receive(
        self, *, most: int = 10, wait_seconds: float = 20, visibility_seconds: int | None = None
    ) -> list[Received]:
        asked: dict[str, Any] = {
            "MaxNumberOfMessages": min(most, AT_ONCE),
            "WaitTimeSeconds": min(math.ceil(wait_seconds), LONGEST_WAIT),
            "MessageAttributeNames": ["All"],
            "MessageSystemAttributeNames": ["ApproximateReceiveCount"],
        }
        if visibility_seconds is not None:
            asked["VisibilityTimeout"] = visibility_seconds
        answer = self._call("receive_message", **asked)
        return [
            unpacked(
                each["MessageId"],
                each["ReceiptHandle"],
                each["Body"],
                {n: a["StringValue"] for n, a in each.get("MessageAttributes", {}).items() if "StringValue" in a},
                int(each["Attributes"]["ApproximateReceiveCount"]),
                claims=self._claims,
            )
            for each in answer.get("Messages") or ()
        ]

    def extend(self, receipts: Sequence[str], seconds: int) -> None:
        self._of_receipts("change_message_visibility_batch", receipts, VisibilityTimeout=seconds)

    def delete(self, receipts: Sequence[str]) -> int:
        return self._of_receipts("delete_message_batch", receipts)

    def _of_receipts(self, method: str, receipts: Sequence[str], **given: int) -> int:
        """Return for how many receipts it was done. Raises if it was done for none of them because of the queue."""
        entries = [{"Id": str(index), "ReceiptHandle": each, **given} for index, each in enumerate(receipts)]
        done, _ = self._all(method, [entries[at : at + AT_ONCE] for at in range(0, len(entries), AT_ONCE)])
        return len(done)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _all(self, method: str, requests: Sequence[list[dict[str, Any]]]) -> tuple[dict[str, Any], dict[str, Refusal]]:
        """
        Return the queue's answers and the refusals by entry. After an error no further request is begun.

        The requests of a FIFO queue go one after the other. Raises the first error if nothing was accepted.
        """
        errors: list[LakehouseError] = []
        tried = partial(self._tried, method, errors)
        if self._is_fifo or len(requests) < 2:
            parts = [tried(each) for each in requests]
        else:
            with ThreadPoolExecutor(min(THREADS, len(requests))) as pool:
                parts = list(pool.map(tried, requests))
        accepted = {id_: answer for part in parts for id_, answer in part[0].items()}
        if errors and not accepted:
            raise errors[0]
        return accepted, {id_: refusal for part in parts for id_, refusal in part[1].items()}

    def _tried(
        self, method: str, errors: list[LakehouseError], entries: list[dict[str, Any]]
    ) -> tuple[dict[str, Any], dict[str, Refusal]]:
        """Return answers and refusals of one request; if SQS refuses it whole, of its entries one by one."""
        ids = [entry["Id"] for entry in entries]
        try:
            answer = {} if errors else self._call(method, Entries=entries)
        except _RequestRefusedError as exc:
            if len(entries) == 1:
                return {}, {ids[0]: Refusal(str(exc), is_permanent=True)}
            parts = [self._tried(method, errors, [entry]) for entry in entries]
            return {k: v for part in parts for k, v in part[0].items()}, {k: v for p in parts for k, v in p[1].items()}
        except LakehouseError as exc:
            errors.append(exc)
            answer = {}
        if errors and not answer:
            return {}, dict.fromkeys(ids, Refusal(UNAVAILABLE, is_permanent=False))
        failed = {each["Id"]: self._refusal(each) for each in answer.get("Failed") or ()}
        done = {each["Id"]: each for each in answer.get("Successful") or () if each["Id"] not in failed}
        unnamed = Refusal(UNACCOUNTED, is_permanent=False)
        return (
            {id_: done[id_] for id_ in ids if id_ in done},
            {id_: failed.get(id_, unnamed) for id_ in ids if id_ not in done},
        )

    def _refusal(self, failed: Mapping[str, Any]) -> Refusal:
        code = str(failed.get("Code", "")).rpartition(".")[2] or UNACCOUNTED
        if _BUSY.search(code) or code in _MISSING | _DENIED | _LOGIN or code.startswith("Kms"):
            logger.warning("%s: SQS did not take a message now (%s)", self._name, code)
            return Refusal(UNAVAILABLE, is_permanent=False)
        return Refusal(code, is_permanent=bool(failed.get("SenderFault")))

    def _call(self, method: str, **given: Any) -> Mapping[str, Any]:
        """Send one request; AWS's client repeats it, with growing random pauses, while SQS is busy or silent."""
        try:
            answer: Mapping[str, Any] = getattr(self._opened(), method)(QueueUrl=self._url, **given)
        except ClientError as exc:
            if _code(exc) in _LOGIN and self._has_new_keys():
                return self._call(method, **given)
            raise self._refused(exc) from None
        except (HTTPClientError, ConnectionError) as exc:
            raise self._silent(type(exc).__name__) from None
        except BotoCoreError as exc:
            raise LoginRefusedError(
                f"{self._name}: no login for AWS can be used ({type(exc).__name__}). Nothing was sent or received. "
                f"Write keys or region in {self._variable}, or give the machine an identity (AWS's default chain)."
            ) from None
        return answer

    def _opened(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = _client(self._connection.newest(), self._url)
            return self._client

    def _has_new_keys(self) -> bool:
        """Look the connection up again after its keys were refused."""
        with self._lock:
            before, self._connection = self._connection.newest(), self._connection.read_again()
            if self._connection == before:
                return False
            self.close()
            self._client = None
            return True

    def _refused(self, error: ClientError) -> Exception:
        code, status = _code(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if _BUSY.search(code) or status >= 500 or status == 429:
            return self._silent(code)
        if code in _MISSING:
            return ConfigurationError(
                f"{self._name}: there is no queue {self._url} ({code}). Nothing was sent or received. Create it "
                f"(infra/terraform has a module), or correct queue_url in {self._variable}."
            )
        if code in _LOGIN:
            return LoginRefusedError(
                f"{self._name}: AWS refuses the login ({code}). Nothing was sent or received. Correct keys or role in "
                f"{self._variable} or the machine's identity, and check this machine's clock."
            )
        if code in _DENIED or code.startswith("Kms"):
            action = _action(error.operation_name, code)
            return ConfigurationError(
                f"{self._name}: this login lacks the right {action} for {self._url} ({code}). Nothing was sent or "
                f"received. Grant it, or correct the login in {self._variable}."
            )
        return _RequestRefusedError(code)

    def _silent(self, code: str) -> SourceUnavailableError:
        return SourceUnavailableError(
            f"{self._name}: SQS does not answer or is busy, also after {ATTEMPTS} attempts ({code}). What was not "
            "accepted is to be sent again; what was received stays in the queue. Try again; if it stays so, check "
            f"network, region and endpoint in {self._variable}."
        )

    @property
    def _variable(self) -> str:
        return f"AIRFLOW_CONN_{self._name.upper()}"


def _requests(
    entries: Sequence[dict[str, Any]], sizes: Sequence[int], most_bytes: int
) -> Iterator[list[dict[str, Any]]]:
    """Yield entries in order, as many in one request as the limits of entries and bytes allow."""
    batch: list[dict[str, Any]] = []
    total = 0
    for entry, size in zip(entries, sizes, strict=True):
        if batch and (len(batch) == AT_ONCE or total + size > most_bytes):
            yield batch
            batch, total = [], 0
        batch.append(entry)
        total += size
    if batch:
        yield batch


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "")).rpartition(".")[2]


def _action(operation: str, code: str) -> str:
    """Return the action of IAM that a request needs."""
    if code.startswith("Kms"):
        return "to use the queue's key (kms:Decrypt, kms:GenerateDataKey)"
    return f"{'sts' if operation == 'AssumeRole' else 'sqs'}:{operation.removesuffix('Batch')}"


def _client(connection: Connection, url: str) -> Any:
    host = urlsplit(url).hostname or ""
    amazon = _AMAZON.search(host)
    region = connection.extra.get("region") or (amazon[2] if amazon else None)
    core = botocore.session.get_session()
    if connection.login:
        core.set_credentials(connection.login, connection.password)
    if role := connection.extra.get("role_arn"):
        if (keys := core.get_credentials()) is None:
            raise NoCredentialsError
        assume = AssumeRoleCredentialFetcher(
            partial(core.create_client, region_name=region),
            keys,
            role,
            extra_args={"RoleSessionName": "lakehouse"},
        )
        core = botocore.session.get_session()
        core._credentials = DeferredRefreshableCredentials(assume.fetch_credentials, "assume-role")
    elsewhere = None if amazon else f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"
    return boto3.session.Session(botocore_session=core, region_name=region).client(
        "sqs",
        endpoint_url=connection.extra.get("endpoint_url") or elsewhere,
        config=Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=THREADS + 4,
        ),
    )
