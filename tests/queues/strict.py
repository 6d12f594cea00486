"""A strict client in place of boto3's: a queue in memory that refuses what SQS refuses, and fails as it is told."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import ClientError

OPERATIONS = {
    "send_message_batch": "SendMessageBatch",
    "receive_message": "ReceiveMessage",
    "delete_message_batch": "DeleteMessageBatch",
    "change_message_visibility_batch": "ChangeMessageVisibilityBatch",
    "get_queue_attributes": "GetQueueAttributes",
}
URL = "https://sqs.eu-central-1.amazonaws.com/123456789012/calls"
Fault = Callable[[list[dict[str, Any]]], dict[str, Any] | None]
"""Gets the entries of a request; returns the answer in place of the queue's, or None to let the queue answer."""


def error(code: str, operation: str = "SendMessageBatch", status: int = 400) -> ClientError:
    told = {"Error": {"Code": code, "Message": "a text that nobody is shown"}}
    return ClientError({**told, "ResponseMetadata": {"HTTPStatusCode": status}}, operation)


def size_of(entry: dict[str, Any]) -> int:
    attributes = entry["MessageAttributes"].items()
    return len(entry["MessageBody"].encode()) + sum(
        len(part.encode()) for name, each in attributes for part in (name, each["DataType"], each["StringValue"])
    )


def raising(fault: Exception) -> Fault:
    def fail(entries: list[dict[str, Any]]) -> dict[str, Any] | None:
        raise fault

    return fail


def fine(entries: list[dict[str, Any]]) -> dict[str, Any] | None:
    return None


def failing(number: int, code: str, *, sender: bool) -> Fault:
    """Fail one entry of a request, accept the others."""

    def fail(entries: list[dict[str, Any]]) -> dict[str, Any]:
        failed = {"Id": entries[number]["Id"], "Code": code, "SenderFault": sender}
        others = [e for n, e in enumerate(entries) if n != number]
        return {"Successful": [{"Id": e["Id"], "MessageId": f"m{e['Id']}"} for e in others], "Failed": [failed]}

    return fail


class StrictClient:
    """`faults` are those of the next sends, in turn; `denied` operations are refused."""

    def __init__(self, *, limit: int = 1024 * 1024, seconds: float = 0) -> None:
        self.limit, self.seconds = limit, seconds
        self.faults: list[Fault] = []
        self.denied: set[str] = set()
        self.requests: list[list[dict[str, Any]]] = []
        self.kept: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.most_at_once = self._now = 0
        self._lock = threading.Lock()

    def __getattr__(self, method: str) -> Callable[..., dict[str, Any]]:
        def call(**given: Any) -> dict[str, Any]:
            assert given.pop("QueueUrl").startswith(URL)
            self.calls.append(method)
            if method in self.denied:
                raise error("AccessDenied", OPERATIONS[method], 403)
            return getattr(self, f"_{method}")(**given)  # type: ignore[no-any-return]

        if method not in OPERATIONS:
            raise AttributeError(method)
        return call

    def close(self) -> None:
        pass

    def _get_queue_attributes(self, AttributeNames: Sequence[str]) -> dict[str, Any]:  # noqa: N803
        numbers = {"ApproximateNumberOfMessages": len(self.kept), "ApproximateNumberOfMessagesNotVisible": 0}
        found = {"MaximumMessageSize": self.limit, "VisibilityTimeout": 30, **numbers}
        return {"Attributes": {name: str(value) for name, value in found.items()}}

    def _send_message_batch(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        with self._lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            fault = self.faults.pop(0) if self.faults else fine
        try:
            time.sleep(self.seconds)
            return self._answer(Entries, fault)
        finally:
            with self._lock:
                self._now -= 1

    def _answer(self, entries: list[dict[str, Any]], fault: Fault) -> dict[str, Any]:
        self._check(entries)
        answer = fault(entries)
        if answer is None:
            answer = {"Successful": [{"Id": each["Id"], "MessageId": f"m{each['Id']}"} for each in entries]}
        accepted = {each["Id"] for each in answer.get("Successful", ())}
        with self._lock:
            self.requests.append(entries)
            self.kept += [each for each in entries if each["Id"] in accepted]
        return answer

    def _check(self, entries: list[dict[str, Any]]) -> None:
        ids = [each["Id"] for each in entries]
        assert 0 < len(entries) <= 10, "TooManyEntriesInBatchRequest"
        assert len(set(ids)) == len(ids), "BatchEntryIdsNotDistinct"
        assert all(re.fullmatch(r"[\w-]{1,80}", each, re.ASCII) for each in ids), "InvalidBatchEntryId"
        for each in entries:
            assert 0 < len(each["MessageAttributes"]) <= 10
            ordered = [each[name] for name in ("MessageGroupId", "MessageDeduplicationId") if name in each]
            assert all(re.fullmatch("[!-~]{1,128}", text) for text in ordered)
            texts = [each["MessageBody"], *(a["StringValue"] for a in each["MessageAttributes"].values())]
            assert all(re.fullmatch("[\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+", text) for text in texts)
        if sum(map(size_of, entries)) > self.limit:
            raise error("AWS.SimpleQueueService.BatchRequestTooLong")

    def _delete_message_batch(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        return self._of_receipts(Entries)

    def _change_message_visibility_batch(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        return self._of_receipts(Entries)

    def _of_receipts(self, entries: list[dict[str, Any]]) -> dict[str, Any]:
        """Accept what is no stale receipt; refuse a request whole that has a receipt of another queue."""
        assert 0 < len(entries) <= 10, "TooManyEntriesInBatchRequest"
        if any(each["ReceiptHandle"] == "foreign" for each in entries):
            raise error("ReceiptHandleIsInvalid")
        stale = [each for each in entries if each["ReceiptHandle"] == "stale"]
        failed = [{"Id": each["Id"], "Code": "InvalidParameterValue", "SenderFault": True} for each in stale]
        return {"Successful": [{"Id": each["Id"]} for each in entries if each not in stale], "Failed": failed}
