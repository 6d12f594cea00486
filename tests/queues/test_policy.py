"""The rights on exactly two queues."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ingestion.errors import ConfigurationError
from ingestion.queues.policy import policy

TEMPLATE = Path(__file__).parents[2] / "infra" / "terraform" / "modules" / "conversation_queues" / "policy.json.tftpl"
OUT = "https://sqs.eu-central-1.amazonaws.com/123456789012/calls"
IN = "https://sqs.eu-central-1.amazonaws.com/123456789012/results.fifo"


def rights(document: dict[str, Any]) -> set[tuple[str, str]]:
    assert {each["Effect"] for each in document["Statement"]} == {"Allow"}
    return {(action, each["Resource"]) for each in document["Statement"] for action in each["Action"]}


def test_conversations_can_only_be_sent_and_results_only_be_received() -> None:
    arn = "arn:aws:sqs:eu-central-1:123456789012"

    assert rights(policy(OUT, IN)) == {
        ("sqs:SendMessage", f"{arn}:calls"),
        ("sqs:GetQueueAttributes", f"{arn}:calls"),
        ("sqs:ReceiveMessage", f"{arn}:results.fifo"),
        ("sqs:DeleteMessage", f"{arn}:results.fifo"),
        ("sqs:ChangeMessageVisibility", f"{arn}:results.fifo"),
        ("sqs:GetQueueAttributes", f"{arn}:results.fifo"),
    }
    assert policy(f"{arn}:calls", f"{arn}:results.fifo") == policy(OUT, IN)


@pytest.mark.parametrize(
    ("place", "below", "bucket"),
    [("s3://bucket/cdc/claims/", "cdc/claims/*", "arn:aws:s3:::bucket"), ("s3://bucket", "*", "arn:aws:s3:::bucket")],
)
def test_claims_can_be_read_and_written_below_their_place_only(place: str, below: str, bucket: str) -> None:
    added = policy(OUT, IN, place)["Statement"][2:]

    assert rights({"Statement": added}) == {
        ("s3:ListBucket", bucket),
        ("s3:GetObject", f"{bucket}/{below}"),
        ("s3:PutObject", f"{bucket}/{below}"),
    }
    assert added[0]["Condition"] == {"StringLike": {"s3:prefix": [below]}}
    assert policy(OUT, IN, "/data/claims") == policy(OUT, IN)


def test_a_queue_in_another_part_of_aws_has_its_partition() -> None:
    [sent, received, find, _] = policy(
        "https://sqs.cn-north-1.amazonaws.com.cn/123456789012/calls",
        "https://vpce-1.sqs.us-gov-west-1.vpce.amazonaws.com/123456789012/results",
        "s3://bucket",
    )["Statement"]

    assert sent["Resource"] == "arn:aws-cn:sqs:cn-north-1:123456789012:calls"
    assert received["Resource"] == "arn:aws-us-gov:sqs:us-gov-west-1:123456789012:results"
    assert find["Resource"] == "arn:aws-cn:s3:::bucket"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9324/000000000000/calls", "calls", f"{OUT}/*", f"{OUT}*"])
def test_no_policy_is_written_for_what_is_no_queue_at_amazon(url: str) -> None:
    with pytest.raises(ConfigurationError, match="neither the URL of a queue at Amazon nor an ARN"):
        policy(url, IN)


def test_terraform_creates_the_policy_that_is_printed() -> None:
    assert json.loads(TEMPLATE.read_text()) == policy("${conversations}", "${results}")
