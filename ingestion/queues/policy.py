"""The policy of IAM for exactly two queues: conversations are sent to one, results received from the other. Pure."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from ingestion.errors import ConfigurationError

SEND = ("sqs:SendMessage", "sqs:GetQueueAttributes")
RECEIVE = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes")
_URL = re.compile(
    r"https://(?:[\w-]+\.)?sqs\.([a-z0-9-]+)\.(?:vpce\.)?amazonaws\.com(?:\.cn)?/(\d{12})/([\w-]+(?:\.fifo)?)"
)
_PARTITIONS = {"cn": "aws-cn", "us-gov": "aws-us-gov"}


def policy(conversations: str, results: str, claims: str = "") -> dict[str, Any]:
    """
    Return the policy of who sends conversations and receives results. A queue is its URL or ARN.

    `claims` is the place of claims; one that is not on S3 needs no right here. Raises ConfigurationError.
    """
    sent, received = _arn(conversations), _arn(results)
    statements = [_allowed("SendConversations", SEND, sent), _allowed("ReceiveResults", RECEIVE, received)]
    if claims.startswith("s3://"):
        statements += _of_claims(claims, sent.split(":")[1])
    return {"Version": "2012-10-17", "Statement": statements}


def _of_claims(place: str, partition: str) -> list[dict[str, Any]]:
    """Return the rights on claims; without that to list, a claim that is gone cannot be told from a refusal."""
    found = urlsplit(place)
    bucket, prefix = f"arn:{partition}:s3:::{found.netloc}", found.path.strip("/")
    below = f"{prefix}/*" if prefix else "*"
    find = _allowed("FindClaims", ("s3:ListBucket",), bucket)
    return [
        find | {"Condition": {"StringLike": {"s3:prefix": [below]}}},
        _allowed("ReadAndWriteClaims", ("s3:GetObject", "s3:PutObject"), f"{bucket}/{below}"),
    ]


def _allowed(sid: str, actions: tuple[str, ...], resource: str) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resource}


def _arn(queue: str) -> str:
    if queue.startswith(("arn:", "${")):
        return queue
    if (found := _URL.fullmatch(queue)) is None:
        raise ConfigurationError(
            f"{queue}: this is neither the URL of a queue at Amazon nor an ARN, so no policy can be written for it. "
            "Nothing was done. Correct queue_url of the connection."
        )
    region, account, name = found.groups()
    partition = next((each for begin, each in _PARTITIONS.items() if region.startswith(f"{begin}-")), "aws")
    return f"arn:{partition}:sqs:{region}:{account}:{name}"
