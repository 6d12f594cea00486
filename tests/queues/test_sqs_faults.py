"""What SQS answers besides yes: every message is accounted for, what may pass is told from what does not, and by name."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("boto3", reason="needs boto3: pip install '.[sqs]'")

from botocore.exceptions import EndpointConnectionError

from ingestion.errors import ConfigurationError, LoginRefusedError, SourceUnavailableError
from ingestion.queues import open_queue
from ingestion.queues.base import UNAVAILABLE, Refusal, keeping_visible
from ingestion.queues.sqs import SqsQueue
from ingestion.secrets import Secret, Secrets
from ingestion.settings import Connection, parse_connection
from tests.cloud.servers import clear
from tests.examples import examples
from tests.queues.servers import client, connection, new_queue
from tests.queues.strict import URL, Fault, StrictClient, error, failing, fine, raising, size_of
from tests.queues.world import message, noise

CONNECTION = Connection("sqs", extra={"queue_url": URL})
AWAY = Refusal(UNAVAILABLE, is_permanent=False)
FIFO = Connection("sqs", extra={"queue_url": f"{URL}.fifo"})


def queue_on(server: Any, told: Connection = CONNECTION) -> SqsQueue:
    return SqsQueue("conversations", told, server)


def silent(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Successful": [{"Id": entries[0]["Id"], "MessageId": "m"}]}


@pytest.mark.parametrize(
    ("code", "sender", "refusal"),
    [
        ("InvalidMessageContents", True, Refusal("InvalidMessageContents", is_permanent=True)),
        ("AWS.SimpleQueueService.InvalidParameterValue", True, Refusal("InvalidParameterValue", is_permanent=True)),
        ("NobodyKnowsThis", False, Refusal("NobodyKnowsThis", is_permanent=False)),
    ],
)
def test_a_failed_entry_is_refused_alone_and_for_good_if_the_sender_is_at_fault(
    code: str, sender: bool, refusal: Refusal
) -> None:
    server = StrictClient()
    server.faults = [failing(1, code, sender=sender)]

    sent = queue_on(server).send([message(number) for number in range(3)])

    assert sorted(sent.accepted) == ["id 0", "id 2"]
    assert sent.refused == {"id 1": refusal}


@pytest.mark.parametrize("sender", [True, False])
@pytest.mark.parametrize(
    "code",
    [
        *("InternalError", "RequestThrottled", "ThrottlingException", "AWS.SimpleQueueService.OverLimit"),
        *("ServiceUnavailable", "KmsThrottled", "KmsAccessDenied", "AccessDenied", "ExpiredToken", "QueueDoesNotExist"),
    ],
)
def test_a_failed_entry_that_is_not_at_fault_may_be_sent_again(
    code: str, sender: bool, caplog: pytest.LogCaptureFixture
) -> None:
    server = StrictClient()
    server.faults = [failing(1, code, sender=sender)]

    assert queue_on(server).send([message(0), message(1)]).refused == {"id 1": AWAY}
    assert f"conversations: SQS did not take a message now ({code.rpartition('.')[2]})" in caplog.text


def test_an_id_that_the_answer_leaves_out_or_names_twice_is_refused_and_may_be_sent_again() -> None:
    def both(entries: list[dict[str, Any]]) -> dict[str, Any]:
        answer = failing(0, "InternalError", sender=False)(entries)
        assert answer is not None
        return {
            **answer,
            "Successful": [{"Id": e["Id"], "MessageId": "m"} for e in entries] + [{"Id": "9", "MessageId": "m"}],
        }

    server = StrictClient()
    server.faults = [silent, both]
    queue = queue_on(server)

    assert queue.send([message(0), message(1)]).refused == {"id 1": Refusal("Unaccounted", is_permanent=False)}
    sent = queue.send([message(0), message(1)])
    assert (sorted(sent.accepted), sent.refused) == (["id 1"], {"id 0": AWAY})


FAULTS: Sequence[Fault] = (
    *(fine, silent, failing(0, "InternalError", sender=False), failing(0, "InvalidMessageContents", sender=True)),
    raising(error("AWS.SimpleQueueService.InvalidMessageContents")),
    raising(error("RequestThrottled")),
    raising(error("InternalFailure", status=500)),
    raising(error("AWS.SimpleQueueService.NonExistentQueue")),
    raising(EndpointConnectionError(endpoint_url="x")),
    lambda entries: {},
)


@given(st.integers(0, 60), st.lists(st.sampled_from(FAULTS), max_size=12), st.booleans())
@examples(100)
def test_every_id_is_either_accepted_or_refused_whatever_the_queue_answers(
    count: int, faults: list[Fault], is_fifo: bool
) -> None:
    server = StrictClient()
    server.faults = list(faults)
    messages = [message(number) for number in range(count)]

    try:
        sent = queue_on(server, FIFO if is_fifo else CONNECTION).send(messages)
    except (SourceUnavailableError, ConfigurationError):
        assert server.kept == []
        return

    assert sent.accepted.keys() & sent.refused.keys() == set()
    assert sent.accepted.keys() | sent.refused.keys() == {each.id for each in messages}
    kept = [each["MessageAttributes"]["call_id"]["StringValue"] for each in server.kept]
    assert sorted(kept) == sorted(id_.replace("id ", "call-") for id_ in sent.accepted)


@given(st.lists(st.integers(1, 6_000), max_size=40), st.sampled_from([1_024, 8_000, 1024 * 1024]))
@examples(50)
def test_requests_keep_to_the_limits_of_the_queue_and_to_the_order(lengths: list[int], limit: int) -> None:
    server = StrictClient(limit=limit)
    messages = [message(number, noise(length + 2)) for number, length in enumerate(lengths)]

    sent = queue_on(server, FIFO).send(messages)

    assert {refusal.code for refusal in sent.refused.values()} <= {"TooLarge"}
    assert all(len(batch) <= 10 and sum(map(size_of, batch)) <= limit for batch in server.requests)
    order = [each["MessageAttributes"]["call_id"]["StringValue"] for batch in server.requests for each in batch]
    assert order == [f"call-{number}" for number in range(len(lengths)) if f"id {number}" in sent.accepted]
    together = [
        sum(map(size_of, [*one, other[0]])) for one, other in zip(server.requests, server.requests[1:], strict=False)
    ]
    assert all(total > limit or len(one) == 10 for one, total in zip(server.requests, together, strict=False))


def test_calls_of_any_name_are_groups_of_a_fifo_queue_and_their_duplicates_are_told_by_what_the_caller_says() -> None:
    server = StrictClient()
    one, other = message(0, call="שיחה 1"), message(1, call="c" * 200)
    again = replace(message(2, call="שיחה 1"), dedupe=one.dedupe)

    assert queue_on(server, FIFO).send([one, other, again]).refused == {}

    groups = [each["MessageGroupId"] for each in server.kept]
    duplicates = [each["MessageDeduplicationId"] for each in server.kept]
    assert (groups[0] == groups[2], groups[0] == groups[1]) == (True, False)
    assert (duplicates[0] == duplicates[2], duplicates[0] == duplicates[1]) == (True, False)
    assert all("dedupe_id" not in each["MessageAttributes"] for each in server.kept)


def test_a_request_is_filled_to_its_last_byte() -> None:
    server = StrictClient()
    messages = [message(0), message(1)]
    queue_on(server).send(messages)
    server.limit = sum(map(size_of, server.kept))

    queue_on(server).send(messages)

    assert [len(batch) for batch in server.requests] == [2, 2]


def test_the_limit_of_a_queue_is_read_once_and_again_when_something_is_refused_for_good() -> None:
    server = StrictClient(limit=1_024)
    queue = queue_on(server)
    large = message(1, noise(4_000))

    assert queue.send([message(0), large]).refused == {"id 1": Refusal("TooLarge", is_permanent=True)}
    server.limit = 8_000
    assert queue.send([message(0), large]).refused == {"id 1": Refusal("TooLarge", is_permanent=False)}
    assert queue.send([message(0), large]).refused == {}
    asked = server.calls.count("get_queue_attributes")
    assert queue.send([message(0), large]).refused == {}
    assert server.calls.count("get_queue_attributes") == asked

    server.limit = 1_024
    assert queue.send([large, message(0)]).refused == {"id 1": Refusal("BatchRequestTooLong", is_permanent=False)}
    assert queue.send([large]).refused == {"id 1": Refusal("TooLarge", is_permanent=True)}


def test_a_request_that_is_refused_whole_is_sent_again_one_by_one_so_that_one_holds_nobody_up() -> None:
    def picky(entries: list[dict[str, Any]]) -> dict[str, Any] | None:
        if any("call-3" in each["MessageAttributes"]["call_id"]["StringValue"] for each in entries):
            raise error("AWS.SimpleQueueService.InvalidMessageContents")
        return None

    server = StrictClient()
    server.faults = [picky] * 12

    sent = queue_on(server).send([message(number) for number in range(8)])

    assert sent.refused == {"id 3": Refusal("InvalidMessageContents", is_permanent=True)}
    assert len(sent.accepted) == len(server.kept) == 7


@pytest.mark.parametrize("told", [CONNECTION, FIFO])
def test_after_an_error_no_further_request_is_begun_and_what_was_accepted_is_told(told: Connection) -> None:
    server = StrictClient(seconds=0.05)
    server.faults = [fine, *[raising(error("RequestThrottled"))] * 100]

    sent = queue_on(server, told).send([message(number) for number in range(200)])

    assert {f"call-{id_.removeprefix('id ')}" for id_ in sent.accepted} == {
        each["MessageAttributes"]["call_id"]["StringValue"] for each in server.kept
    }
    assert len(sent.accepted) == 10
    assert set(sent.refused.values()) == {AWAY}
    assert len(sent.refused) == 190
    assert server.calls.count("send_message_batch") <= (2 if told is FIFO else 8)
    assert server.most_at_once == (1 if told is FIFO else 4)


def test_a_queue_that_is_deleted_in_the_middle_is_named_and_nothing_accepted_is_forgotten() -> None:
    server = StrictClient()
    gone = error("AWS.SimpleQueueService.NonExistentQueue")
    server.faults = [fine, raising(gone), raising(gone)]
    queue = queue_on(server, FIFO)

    sent = queue.send([message(number) for number in range(15)])

    assert len(sent.accepted) == 10
    assert set(sent.refused.values()) == {AWAY}
    with pytest.raises(
        ConfigurationError, match=r"conversations: there is no queue https.*calls\.fifo \(NonExistentQueue\)"
    ):
        queue.send([message(0)])


@pytest.mark.parametrize(
    ("operation", "act", "action"),
    [
        ("send_message_batch", lambda queue: queue.send([message()]), "sqs:SendMessage"),
        ("receive_message", lambda queue: queue.receive(), "sqs:ReceiveMessage"),
        ("delete_message_batch", lambda queue: queue.delete(["r"]), "sqs:DeleteMessage"),
        ("change_message_visibility_batch", lambda queue: queue.extend(["r"], 9), "sqs:ChangeMessageVisibility"),
        ("get_queue_attributes", lambda queue: queue.describe(), "sqs:GetQueueAttributes"),
        ("get_queue_attributes", lambda queue: queue.send([message()]), "sqs:GetQueueAttributes"),
    ],
)
def test_a_right_that_the_login_lacks_is_named(operation: str, act: Callable[[SqsQueue], object], action: str) -> None:
    server = StrictClient()
    server.denied = {operation}

    with pytest.raises(ConfigurationError, match=f"lacks the right {action} for https") as raised:
        act(queue_on(server))

    assert "a text that nobody is shown" not in str(raised.value)
    assert "AIRFLOW_CONN_CONVERSATIONS" in str(raised.value)


def test_stale_receipts_count_for_nothing_and_one_of_another_queue_spoils_no_other() -> None:
    queue = queue_on(StrictClient())

    assert queue.delete([f"r{number}" for number in range(23)]) == 23
    assert queue.delete(["r1", "stale", "r2"]) == 2
    assert queue.delete(["r1", "foreign", "r2"]) == 2
    queue.extend(["stale", "foreign"], 30)


def test_a_heartbeat_goes_on_after_errors_and_ends_with_its_block(caplog: pytest.LogCaptureFixture) -> None:
    beats: list[float] = []

    class Flaky(StrictClient):
        def _of_receipts(self, entries: list[dict[str, Any]]) -> dict[str, Any]:
            beats.append(time.monotonic())
            if len(beats) == 2:
                raise error("RequestThrottled", "ChangeMessageVisibilityBatch")
            assert [each["VisibilityTimeout"] for each in entries] == [1]
            return super()._of_receipts(entries)

    begun = time.monotonic()
    with keeping_visible(queue_on(Flaky()), ["r"], 1):
        while len(beats) < 3 and time.monotonic() < begun + 30:
            time.sleep(0.02)
    count = len(beats)
    time.sleep(0.5)

    assert count == len(beats) >= 3
    assert beats[2] - begun > 0.5
    assert "SQS does not answer or is busy" in caplog.text


def received(*messages: dict[str, Any]) -> Any:
    class Giving(StrictClient):
        def _receive_message(self, **given: Any) -> dict[str, Any]:
            return {
                "Messages": [
                    {"ReceiptHandle": "r", "Attributes": {"ApproximateReceiveCount": "2"}, **each} for each in messages
                ]
            }

    return Giving()


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ({}, (10, 20, None)),
        ({"most": 3, "wait_seconds": 0, "visibility_seconds": 90}, (3, 0, 90)),
        ({"most": 50, "wait_seconds": 0.1, "visibility_seconds": 0}, (10, 1, 0)),
        ({"wait_seconds": 60}, (10, 20, None)),
    ],
)
def test_a_request_to_receive_waits_as_it_is_asked_to_within_the_limits(
    asked: dict[str, Any], given: tuple[int, int, int | None]
) -> None:
    class Asked(StrictClient):
        def _receive_message(self, **found: Any) -> dict[str, Any]:
            names = ("MaxNumberOfMessages", "WaitTimeSeconds", "VisibilityTimeout")
            assert tuple(found.get(name) for name in names) == given
            assert found["MessageAttributeNames"] == ["All"]
            return {}

    assert queue_on(Asked()).receive(**asked) == []


@pytest.mark.parametrize(
    ("extra", "region", "endpoint"),
    [
        ({"queue_url": URL}, "eu-central-1", "https://sqs.eu-central-1.amazonaws.com"),
        ({"queue_url": URL, "region": "eu-west-1"}, "eu-west-1", "https://sqs.eu-west-1.amazonaws.com"),
        ({"queue_url": "http://127.0.0.1:9/1/calls", "region": "x"}, "x", "http://127.0.0.1:9"),
        ({"queue_url": URL, "endpoint_url": "https://vpce.example"}, "eu-central-1", "https://vpce.example"),
        (
            {"queue_url": "https://sqs.cn-north-1.amazonaws.com.cn/1/c"},
            "cn-north-1",
            "https://sqs.cn-north-1.amazonaws.com.cn",
        ),
    ],
)
def test_region_and_server_are_those_of_the_url_unless_they_are_set(
    extra: dict[str, str], region: str, endpoint: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clear(patch)
        made = SqsQueue("conversations", Connection("sqs", login="k", password="s", extra=extra))._opened()

    assert (made.meta.region_name, made.meta.endpoint_url) == (region, endpoint)


def test_a_body_that_cannot_be_unpacked_comes_raw_with_its_fault_beside_good_ones(tmp_path: Path) -> None:
    encoding = {"DataType": "String", "StringValue": "gzip+base64"}
    odd = {"MessageId": "1", "Body": "x", "MessageAttributes": {"encoding": encoding, "raw": {"BinaryValue": b""}}}
    claim = {"MessageId": "2", "Body": '{"claim": "/etc/passwd", "sha256": "", "bytes": 1}'}
    claim["MessageAttributes"] = {"encoding": {"DataType": "String", "StringValue": "claim"}}  # type: ignore[assignment]
    good = {"MessageId": "3", "Body": "{}"}
    server, extra = received(odd, claim, good), {"queue_url": URL, "claim_check": str(tmp_path)}

    found = queue_on(server, Connection("sqs", extra=extra)).receive()
    without = queue_on(server).receive()

    assert [(each.id, each.body, each.fault, each.times) for each in found] == [
        ("1", b"x", "its body is not gzip in base64", 2),
        ("2", claim["Body"].encode(), "its claim names no file of the connection's claim_check", 2),
        ("3", b"{}", "", 2),
    ]
    assert found[0].attributes == {"encoding": "gzip+base64"}
    assert without[1].fault == "it is a claim, and the connection has no claim_check"


def test_a_place_of_claims_that_fails_holds_up_only_what_needs_it(tmp_path: Path) -> None:
    (tmp_path / "claims").write_text("a file in place of the folder")
    told = Connection("sqs", extra={"queue_url": URL, "claim_check": f"{tmp_path}/claims"})

    sent = queue_on(StrictClient(limit=4_000), told).send([message(0), message(1, noise(9_000)), message(2)])

    assert sorted(sent.accepted) == ["id 0", "id 2"]
    assert sent.refused == {"id 1": Refusal("ClaimRefused", is_permanent=False)}


class Answers(BaseHTTPRequestHandler):
    """Answers as the server's `script` says; the last line of it again and again."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        script: list[tuple[int, str]] = self.server.script  # type: ignore[attr-defined]
        self.server.keys.append(self.headers.get("Authorization", ""))  # type: ignore[attr-defined]
        status, told = script.pop(0) if len(script) > 1 else script[0]
        if status == 0:
            self.close_connection = True
            return
        body = told if status == 200 else json.dumps({"__type": f"com.amazonaws.sqs#{told}", "message": "secret"})
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *given: object) -> None:
        pass


@contextmanager
def scripted(*script: tuple[int, str]) -> Iterator[Any]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.script, server.keys = list(script), []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


def url_of(server: Any) -> str:
    return f"http://127.0.0.1:{server.server_port}/123456789012/calls"


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the pauses that boto makes between its attempts, which are not waited for."""
    made: list[float] = []
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=made.append))  # not the sleep of other threads
    return made


FACTS = json.dumps(
    {
        "Attributes": dict.fromkeys(
            ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "VisibilityTimeout"), "1"
        )
    }
)


@pytest.mark.parametrize(
    "fault",
    [
        (400, "RequestThrottled"),
        (503, "ServiceUnavailable"),
        (502, "BadGateway"),
        (0, ""),
    ],
)
def test_what_may_pass_is_tried_again_after_growing_random_pauses(fault: tuple[int, str], pauses: list[float]) -> None:
    with scripted(fault, fault, (200, FACTS)) as server:
        facts = open_queue("conversations", connection(url_of(server))).describe()
    with scripted(fault) as server:
        queue = open_queue("conversations", connection(url_of(server)))
        with pytest.raises(
            SourceUnavailableError, match=r"conversations: SQS does not answer or is busy, .*4 attempts"
        ):
            queue.receive()

    assert (facts.waiting, facts.max_bytes) == (1, 256 * 1024)
    assert len(server.keys) == 4
    assert len(pauses) == 5
    assert all(0 <= pause <= 2**number for pause, number in zip(pauses, (0, 1, 0, 1, 2), strict=True))
    assert len(set(pauses)) == 5


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        ((400, "QueueDoesNotExist"), ConfigurationError, "there is no queue http"),
        ((403, "AccessDeniedException"), ConfigurationError, "lacks the right sqs:GetQueueAttributes"),
        ((400, "KmsAccessDenied"), ConfigurationError, "lacks the right to use the queue's key"),
        ((403, "InvalidClientTokenId"), LoginRefusedError, "AWS refuses the login .InvalidClientTokenId"),
        ((403, "InvalidSignatureException"), LoginRefusedError, "this machine's clock"),
    ],
)
def test_what_does_not_pass_is_told_at_once_and_without_the_server_s_text(
    answer: tuple[int, str], kind: type[Exception], told: str
) -> None:
    with scripted(answer) as server, pytest.raises(kind, match=told) as raised:
        open_queue("conversations", connection(url_of(server))).describe()

    assert len(server.keys) == 1
    assert "secret" not in str(raised.value)


def test_keys_that_were_renewed_since_they_were_read_are_looked_up_again() -> None:
    class Rotated:
        place, keys = "a store", iter(["old", "new"])

        def path(self, name: str) -> str:
            return name

        def get(self, name: str) -> Secret:
            return Secret(f"sqs://{next(self.keys)}:secret@/?queue_url={url}&region=eu-central-1")

    with scripted((403, "InvalidClientTokenId"), (200, FACTS)) as server:
        url = url_of(server).replace(":", "%3A").replace("/", "%2F")
        secrets = Secrets([Rotated()])
        found = secrets.get("AIRFLOW_CONN_CONVERSATIONS")
        told = parse_connection("AIRFLOW_CONN_CONVERSATIONS", found.reveal())
        queue = SqsQueue("conversations", replace(told, origin=(secrets, "AIRFLOW_CONN_CONVERSATIONS")))

        assert queue.describe().waiting == 1

    assert ["Credential=old" in server.keys[0], "Credential=new" in server.keys[1]] == [True, True]


@pytest.mark.parametrize("role", [{}, {"role_arn": "arn:aws:iam::123456789012:role/conversations"}])
def test_a_machine_without_a_login_is_told_where_to_write_one(
    monkeypatch: pytest.MonkeyPatch, role: dict[str, str]
) -> None:
    clear(monkeypatch)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nowhere")

    with pytest.raises(LoginRefusedError, match=r"no login for AWS .*NoCredentialsError.*AIRFLOW_CONN_CONVERSATIONS"):
        open_queue("conversations", Connection("sqs", extra={"queue_url": URL, **role})).describe()


@pytest.mark.parametrize("url", ["", "calls", "arn:aws:sqs:eu-central-1:123456789012:calls"])
def test_a_connection_without_the_url_of_a_queue_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="conversations: the connection's extra queue_url must be"):
        open_queue("conversations", Connection("sqs", extra={"queue_url": url}))


def test_a_connection_of_another_kind_is_no_queue() -> None:
    with pytest.raises(ConfigurationError, match="conversations: a connection of type kafka is no known kind of queue"):
        open_queue("conversations", Connection("kafka"))


def test_a_role_is_assumed_with_the_keys_of_the_connection_or_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    moto = pytest.importorskip("moto", reason="needs moto: pip install 'moto[server]'")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "machine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "machine")
    with moto.mock_aws():
        url = new_queue(client())
        role = {"role_arn": "arn:aws:iam::123456789012:role/conversations"}
        for told in (connection(url, **role), replace(connection(url, **role), login="", password="")):
            queue = SqsQueue("conversations", told)
            assert queue.send([message()]).refused == {}
            keys = queue._client._request_signer._credentials
            assert (keys.method, keys.access_key[:4]) == ("assume-role", "ASIA")
            assert keys.refresh_needed(refresh_in=3_601)


def test_no_word_of_a_conversation_is_logged_at_any_level(caplog: pytest.LogCaptureFixture) -> None:
    moto = pytest.importorskip("moto", reason="needs moto: pip install 'moto[server]'")
    with moto.mock_aws(), caplog.at_level(logging.DEBUG):
        queue = open_queue("conversations", connection(new_queue(client())))
        queue.send([message(0, b'{"said": "geheim"}')])
        [found] = queue.receive(wait_seconds=0)

    assert found.body == b'{"said": "geheim"}'
    assert "geheim" not in caplog.text
