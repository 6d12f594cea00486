"""One suite for every kind of queue."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ingestion.errors import ConfigurationError
from ingestion.queues import open_queue
from ingestion.queues.base import DEDUPE_ID, Queue, Received, keeping_visible
from ingestion.settings import Connection, Settings
from ingestion.settings.values import QUEUES
from tests.examples import LONG_FORM
from tests.queues.servers import client, connection, elasticmq, needs_elasticmq, new_queue
from tests.queues.world import local, message, noise

Make = Callable[..., Queue]


ON_ELASTICMQ = [needs_elasticmq, pytest.mark.xdist_group("elasticmq")]
THAT_WAITS = pytest.mark.parametrize(
    "make",
    ["local", pytest.param("moto", marks=LONG_FORM), pytest.param("elasticmq", marks=[*ON_ELASTICMQ, LONG_FORM])],
    indirect=True,
)
"""Marks a test that waits: in its short form only the queue in a file."""


@pytest.fixture(params=["local", "moto", pytest.param("elasticmq", marks=ON_ELASTICMQ)])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Return what opens a queue that is new; a second one of the same test is the same queue, opened again."""
    opened: list[Queue] = []
    find = request.getfixturevalue(f"on_{request.param}") if request.param != "local" else partial(local, tmp_path)

    def make(**extra: str) -> Queue:
        opened.append(open_queue("conversations", find(**extra)))
        return opened[-1]

    yield make
    for queue in opened:
        queue.close()


@pytest.fixture
def on_moto() -> Iterator[Callable[..., Connection]]:
    moto = pytest.importorskip("moto", reason="needs moto: pip install 'moto[server]'")
    with moto.mock_aws():
        yield one_queue(client())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with elasticmq(tmp_path_factory.mktemp("elasticmq")) as address:
        yield address


@pytest.fixture
def on_elasticmq(server: str) -> Callable[..., Connection]:
    return one_queue(client(server))


def one_queue(owner: Any) -> Callable[..., Connection]:
    """Return what makes a queue when it is called first, and returns a connection to it."""
    urls: list[str] = []

    def find(*, fifo: str = "false", **extra: str) -> Connection:
        urls.extend([] if urls else [new_queue(owner, fifo=fifo == "true")])
        return connection(urls[0], **extra)

    return find


def drained(queue: Queue, wait_seconds: float = 0, **how: int) -> list[Received]:
    """Receive until nothing more comes."""
    found: list[Received] = []
    while batch := queue.receive(wait_seconds=wait_seconds, **how):
        found += batch
    return found


def test_what_is_sent_comes_with_body_and_attributes_and_once_deleted_never_again(make: Make) -> None:
    queue = make()
    sent = queue.send([message(number) for number in range(23)])

    found = drained(queue)

    assert (sent.refused, sorted(sent.accepted)) == ({}, sorted(f"id {number}" for number in range(23)))
    assert {each.id for each in found} == set(sent.accepted.values())
    assert sorted(each.body for each in found) == sorted(message(number).body for number in range(23))
    assert all(each.attributes["call_id"] == f"call-{json.loads(each.body)['call']}" for each in found)
    assert all(each.attributes[DEDUPE_ID] == each.attributes["call_id"] + ":1" for each in found)
    assert {(each.times, each.fault) for each in found} == {(1, "")}
    facts = queue.describe()
    assert (facts.is_fifo, facts.waiting, facts.in_flight) == (False, 0, 23)
    assert queue.delete([each.receipt for each in found]) == 23
    facts = queue.describe()
    assert (facts.waiting, facts.in_flight) == (0, 0)


@THAT_WAITS
def test_a_message_that_is_not_deleted_comes_again_and_says_how_often(make: Make) -> None:
    queue = make()
    queue.send([message()])

    [first] = queue.receive(wait_seconds=0, visibility_seconds=2)
    assert queue.receive(wait_seconds=0) == []
    [second] = queue.receive(wait_seconds=5, visibility_seconds=1)

    assert (second.id, second.body, second.times) == (first.id, first.body, 2)
    assert second.receipt != first.receipt
    queue.extend([second.receipt], 0)
    [third] = queue.receive(wait_seconds=5)
    assert third.times == 3


@THAT_WAITS
def test_an_extended_delivery_stays_invisible_and_one_given_back_comes_at_once(make: Make) -> None:
    queue = make()
    queue.send([message()])
    [found] = queue.receive(wait_seconds=0, visibility_seconds=2)

    queue.extend([found.receipt], 30)
    assert queue.receive(wait_seconds=2.2) == []
    queue.extend([found.receipt], 0)
    [again] = queue.receive(wait_seconds=2)

    assert again.id == found.id


@THAT_WAITS
def test_a_batch_stays_invisible_while_it_is_open_however_long_that_takes(make: Make) -> None:
    queue = make()
    queue.send([message(number) for number in range(12)])
    batch = drained(queue, visibility_seconds=2)

    with keeping_visible(queue, [each.receipt for each in batch], 2):
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            assert queue.receive(wait_seconds=0) == []
            time.sleep(0.1)

    assert [thread for thread in threading.enumerate() if thread.name == "visibility"] == []
    assert queue.delete([each.receipt for each in batch]) == len(batch) == 12


def test_stale_and_unknown_receipts_are_passed_over(make: Make) -> None:
    queue = make()
    queue.send([message(0), message(1)])
    gone, kept = queue.receive(wait_seconds=0)
    assert queue.delete([gone.receipt]) == 1

    queue.extend([gone.receipt, kept.receipt], 30)
    queue.delete([gone.receipt])

    assert queue.describe().in_flight == 1
    assert queue.delete([kept.receipt]) == 1
    assert queue.delete([]) == 0
    queue.extend([], 30)


@THAT_WAITS
def test_receiving_waits_for_the_first_message_and_not_longer(make: Make) -> None:
    queue, other = make(), make()
    queue.describe()
    later = threading.Timer(0.5, lambda: other.send([message()]))
    later.start()

    begun = time.monotonic()
    found = queue.receive(wait_seconds=10)

    later.join()
    assert len(found) == 1
    assert 0.4 < time.monotonic() - begun < 5


def test_a_conversation_of_two_megabytes_goes_by_claim_and_comes_whole(make: Make, tmp_path: Path) -> None:
    queue = make(claim_check=str(tmp_path / "claims"))
    said = "".join(
        chr(0x5D0 + (number * 7919) % 27) + chr(0x1F600 + (number * 104729) % 80) for number in range(350_000)
    )
    large = message(1, json.dumps({"said": said}, ensure_ascii=False).encode())
    assert len(large.body) > 2_000_000

    sent = queue.send([message(0), large, message(2)])
    found = {each.attributes["call_id"]: each for each in drained(queue)}

    assert sent.refused == {}
    assert found["call-1"].body == large.body
    assert found["call-1"].attributes == {**large.attributes, DEDUPE_ID: large.dedupe}
    assert found["call-0"].body == message(0).body


def test_what_does_not_fit_is_refused_for_good_and_holds_nobody_else_up(make: Make) -> None:
    queue = make()
    wrong = replace(message(2), attributes={"a b": "x"})

    sent = queue.send([message(0), message(1, noise(2_000_000)), wrong, message(3)])

    assert sorted(sent.accepted) == ["id 0", "id 3"]
    assert {id_: (each.code, each.is_permanent) for id_, each in sent.refused.items()} == {
        "id 1": ("TooLarge", True),
        "id 2": ("InvalidAttributes", True),
    }
    assert len(drained(queue)) == 2


def test_characters_that_sqs_refuses_arrive(make: Make) -> None:
    queue = make()
    odd = "\x00\x0b\x1f\ufffe\uffff\ud83d"
    messages = [
        message(number, f'{{"said": "a{character}b"}}'.encode(errors="surrogatepass"), call=f"call{character}")
        for number, character in enumerate(odd)
    ]

    sent = queue.send([*messages, message(9)])
    found = {each.id: each for each in drained(queue)}

    assert sent.refused == {}
    for each in messages:
        arrived = found[sent.accepted[each.id]]
        assert (arrived.body, arrived.attributes["call_id"]) == (each.body, each.group)


def test_a_fifo_queue_drops_what_it_had_and_keeps_the_order_of_a_call(make: Make) -> None:
    queue = make(fifo="true")
    assert queue.describe().is_fifo
    messages = [message(number, call=f"שיחה {number % 2}") for number in range(12)]
    messages = [replace(each, dedupe=f"{each.group}:{n // 2}") for n, each in enumerate(messages)]

    first, again = queue.send(messages), queue.send(messages)
    found: list[Received] = []
    while batch := queue.receive(wait_seconds=0):
        found += batch
        assert queue.delete([each.receipt for each in batch]) == len(batch)

    assert (first.refused, again.refused) == ({}, {})
    for call in ("שיחה 0", "שיחה 1"):
        assert [each.body for each in found if each.attributes["call_id"] == call] == [
            each.body for each in messages if each.group == call
        ]


def test_a_fifo_queue_gives_no_later_message_of_a_call_while_an_earlier_one_is_open(make: Make) -> None:
    queue = make(fifo="true")
    queue.send([message(0, call="one")])
    [open_] = queue.receive(wait_seconds=0)
    queue.send([replace(message(1, call="one"), dedupe="one:2"), message(2, call="two")])

    assert [each.attributes["call_id"] for each in queue.receive(wait_seconds=0)] == ["two"]
    queue.delete([open_.receipt])
    assert [each.attributes["call_id"] for each in queue.receive(wait_seconds=0)] == ["one"]


def test_an_id_that_is_given_twice_is_an_error_of_the_caller(make: Make) -> None:
    with pytest.raises(ValueError, match="the same id"):
        make().send([message(0), message(0)])


WORKER = """
import sys
from ingestion.queues import open_queue
from ingestion.settings import parse_connection
from ingestion.settings import Connection, Settings
from ingestion.settings.values import QUEUES
from tests.queues.servers import client, connection, elasticmq, needs_elasticmq, new_queue
from tests.queues.world import message
queue = open_queue("conversations", parse_connection("AIRFLOW_CONN_CONVERSATIONS", sys.argv[1]))
worker = int(sys.argv[2])
for number in range(10):
    print(*queue.send([message(100 * worker + number)]).accepted, flush=True)
"""


def test_processes_share_a_local_queue_and_killed_ones_lose_nothing_that_was_accepted(tmp_path: Path) -> None:
    uri = f"queue:///{tmp_path}/calls.db".replace("////", "///")
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, uri, str(number)], stdout=subprocess.PIPE, text=True)
        for number in range(2)
    ]
    accepted = [workers[0].stdout.readline() for _ in range(3)]  # type: ignore[union-attr]
    workers[0].kill()
    for worker in workers:
        accepted += worker.communicate(timeout=60)[0].splitlines(keepends=True)
    queue = open_queue("conversations", local(tmp_path))

    found = [json.loads(each.body)["call"] for each in drained(queue)]

    told = {int(each.removeprefix("id ")) for each in accepted if each.endswith("\n")}
    assert len(found) == len(set(found))
    assert told <= set(found)
    assert {100 + n for n in range(10)} <= told


def test_several_receivers_of_a_local_queue_get_each_message_once(tmp_path: Path) -> None:
    queue = open_queue("conversations", local(tmp_path))
    queue.send([message(number) for number in range(120)])

    with ThreadPoolExecutor(4) as pool:
        found = [each for part in pool.map(lambda _: drained(queue), range(4)) for each in part]

    assert sorted(json.loads(each.body)["call"] for each in found) == list(range(120))
    assert {each.times for each in found} == {1}


def test_a_local_queue_whose_file_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    queue = open_queue("conversations", local(tmp_path))
    queue.send([message()])
    (tmp_path / "calls.db").unlink()

    with pytest.raises(ConfigurationError, match=r"conversations: the queue .*/calls\.db cannot be read or written"):
        queue.receive(wait_seconds=0)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("extra", [{"fifo": "yes"}, {"max_bytes": "0"}, {"visibility_seconds": "1.5"}])
def test_an_extra_of_a_local_queue_that_is_wrong_is_named(tmp_path: Path, extra: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=f"extra {next(iter(extra))} must be"):
        open_queue("conversations", local(tmp_path, **extra))


@pytest.mark.parametrize("connections", [{}, {"conversations": Connection("oracle", host="db")}])
def test_who_sets_no_queue_is_told_how_a_queue_is_written(tmp_path: Path, connections: dict[str, Connection]) -> None:
    settings = Settings(project=tmp_path, lake_root=str(tmp_path), connections=connections)

    with pytest.raises(ConfigurationError, match=r"sqs://key:secret@/\?queue_url=\S+ or queue:///folder/name\.db"):
        settings.connection("conversations", "queue", kinds=QUEUES)


def test_a_queue_in_a_file_is_no_server_and_sqs_is_one(tmp_path: Path) -> None:
    forbidden = {"LAKEHOUSE_PROJECT": str(tmp_path), "ENABLE_REAL_DATABASE_CONNECTIONS": "false"}

    Settings.from_environ({**forbidden, "AIRFLOW_CONN_CONVERSATIONS": f"queue://{tmp_path}/calls.db"})
    with pytest.raises(ConfigurationError, match="conversations has a connection to a database server"):
        Settings.from_environ({**forbidden, "AIRFLOW_CONN_CONVERSATIONS": "sqs:///?queue_url=x"})
