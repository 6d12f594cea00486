"""Incidents from findings to messages: who is told what, once."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.errors import ConfigurationError
from ingestion.ledger.journal import Journal
from ingestion.secrets import Secrets
from ingestion.secrets.local import Environment
from monitoring.board import Board
from monitoring.findings import Finding, Kind, Level
from monitoring.incidents import alerting
from monitoring.incidents.channels import URLS, WEBHOOK, ByApprise, Webhook, channels
from monitoring.incidents.messages import Message, read_quiet_hours
from monitoring.incidents.run import evaluate_lake
from monitoring.incidents.states import Event, Incident, State, tell, transitions
from tests.examples import examples
from tests.web.worlds import DAY, HOUR, NOW, World

Find = Callable[[str], World]


def finding(kind: str = "gap", subject: str = "crm.people", level: Level = Level.CRITICAL, **more: Any) -> Finding:
    return Finding(Kind(kind), subject, level, NOW, f"{kind} of {subject}.", f"lakehouse gaps {subject}", **more)


class Memory:
    """Evaluations of findings one after the other, without a ledger."""

    def __init__(self) -> None:
        self.incidents: dict[str, Incident] = {}
        self.told: list[tuple[Event, str, str]] = []
        self._ids, self._now = count(), NOW

    def evaluate(self, *found: Finding) -> list[tuple[Event, str, str]]:
        self._now += HOUR
        changed = transitions(found, [*self.incidents.values()], self._now, lambda: f"id-{next(self._ids)}")
        now = []
        for incident, event in tell(changed):
            self.incidents[incident.incident_id] = incident
            if event is not None:
                now.append((event, incident.kind, incident.subject))
        self.told += now
        return now

    def state(self, subject: str = "crm.people") -> str:
        return next(one.state for one in [*self.incidents.values()][::-1] if one.subject == subject)


def test_a_confirmed_fault_is_told_once_and_its_end_once() -> None:
    memory = Memory()

    assert memory.evaluate(finding()) == [(Event.OPENED, "gap", "crm.people")]
    assert memory.evaluate(finding()) == memory.evaluate(finding()) == []
    assert memory.evaluate() == []
    assert memory.evaluate() == [(Event.RECOVERED, "gap", "crm.people")]
    assert memory.evaluate() == []


def test_any_other_fault_opens_when_it_is_found_twice() -> None:
    memory, stale = Memory(), finding("stale")

    assert memory.evaluate(stale) == []
    assert memory.evaluate() == []
    assert memory.evaluate(stale) == []
    assert memory.evaluate(stale) == [(Event.OPENED, "stale", "crm.people")]


def test_a_fault_that_flaps_is_told_once() -> None:
    memory = Memory()

    for _ in range(5):
        memory.evaluate(finding())
        memory.evaluate()

    assert memory.told == [(Event.OPENED, "gap", "crm.people")]


def test_what_follows_from_another_fault_is_not_told_until_it_stands_alone() -> None:
    memory, root = Memory(), finding("load_failed")
    late = finding("stale", behind=root.key)
    alone = finding("stale")

    for _ in range(3):
        memory.evaluate(root, late)
    assert memory.told == [(Event.OPENED, "load_failed", "crm.people")]
    memory.evaluate(alone)
    memory.evaluate(alone)
    assert memory.told[1:] == [(Event.OPENED, "stale", "crm.people"), (Event.RECOVERED, "load_failed", "crm.people")]


def test_worse_is_told_again_even_if_somebody_works_on_it() -> None:
    memory = Memory()
    memory.evaluate(finding(level=Level.WARNING))
    [(id_, incident)] = memory.incidents.items()
    memory.incidents[id_] = Incident(**{**incident.as_dict(), "state": State.ACKNOWLEDGED, "by": "ana"})

    assert memory.evaluate(finding(level=Level.WARNING)) == []
    assert memory.state() == State.ACKNOWLEDGED
    assert memory.evaluate(finding(level=Level.CRITICAL)) == [(Event.WORSE, "gap", "crm.people")]
    assert memory.evaluate(finding(level=Level.WARNING)) == memory.evaluate(finding(level=Level.CRITICAL)) == []


def test_a_waiver_is_silent_until_it_ends() -> None:
    memory = Memory()
    memory.evaluate(finding("stale"))
    [(id_, incident)] = memory.incidents.items()
    waived = {"state": State.WAIVED, "by": "ana", "why": "migration", "until": NOW + 3 * HOUR}
    memory.incidents[id_] = Incident(**{**incident.as_dict(), **waived})

    assert memory.evaluate(finding("stale")) == []
    assert memory.evaluate(finding("stale")) == [(Event.OPENED, "stale", "crm.people")]


KINDS = st.sampled_from(["gap", "stale", "load_failed"])
FINDINGS = st.lists(
    st.builds(
        lambda kind, level, is_behind: finding(kind, level=level, behind=("source", "x") if is_behind else None),
        KINDS,
        st.sampled_from([Level.WARNING, Level.CRITICAL]),
        st.booleans(),
    ),
    max_size=3,
)


@given(st.lists(FINDINGS, max_size=12))
@examples(100)
def test_every_told_incident_opens_once_may_get_worse_once_and_ends_once(rounds: list[list[Finding]]) -> None:
    memory = Memory()
    for found in [*rounds, [], []]:
        memory.evaluate(*found)

    assert all(incident.is_ended for incident in memory.incidents.values())
    counts = Counter((event, kind) for event, kind, _ in memory.told)
    for kind in ("gap", "stale", "load_failed"):
        assert counts[Event.OPENED, kind] == counts[Event.RECOVERED, kind]
        assert counts[Event.WORSE, kind] <= counts[Event.OPENED, kind]
        assert counts[Event.OPENED, kind] <= sum(one.kind == kind for one in memory.incidents.values())


class Recorder:
    """A channel of the tests: keeps what it is sent, and refuses while `refuses`."""

    def __init__(self, name: str = "recorder") -> None:
        self.name, self.refuses = name, False
        self.sent: list[Message] = []

    def send(self, message: Message) -> None:
        if self.refuses:
            raise ConnectionError("https://user:secret@host/hook")
        self.sent.append(message)


def evaluate(world: World, *to: Any, now: datetime = NOW, **options: Any) -> alerting.Outcome:
    site = world.site(now)
    board: Board = site.board().value
    outcome = alerting.evaluate(world.journal, board, to, now=now, **options)
    site.close()
    return outcome


def test_a_message_says_what_since_when_who_is_hit_and_the_next_step(own_world: Find) -> None:
    channel, world = Recorder(), own_world("source_down")

    evaluate(world, channel, link="https://lake.example/")

    [message] = channel.sent
    assert (message.event, message.title) == ("opened", "CRITICAL: crm: source unavailable")
    assert message.body.split("\n") == [
        "The last 2 loads failed: crm: db.example:1521 did not answer in 20 s. Nothing was read. Look at its listener.",
        "Since 2026-02-28 10:29 UTC.",
        "Read by dim_person, fact_visits, stg_people.",
        "Last good data: 2026-02-27 08:30 UTC.",
        "Owner: data One person..",
        "Next step: lakehouse doctor",
        "Runbook: https://lake.example/runbooks?kind=source_unavailable",
        "https://lake.example/",
    ]


def test_a_personal_value_is_in_no_message_and_no_row(own_world: Find) -> None:
    channel, world = Recorder(), own_world("empty")
    board = world.site().board().value

    class One:
        findings = (Finding(Kind.GAP, "crm.people", Level.CRITICAL, NOW, "Row of maria.souza@example.com is gone."),)
        tables = board.tables

    alerting.evaluate(world.journal, One, [channel], now=NOW)  # type: ignore[arg-type]

    stored = [*world.journal.select("from ops.messages"), *world.journal.select("from ops.incidents")]
    assert "is withheld" in channel.sent[0].body
    assert "souza" not in f"{stored} {channel.sent}"


def test_a_second_evaluation_sends_nothing_again_and_the_end_is_told(own_world: Find) -> None:
    channel, world = Recorder(), own_world("source_down")
    evaluate(world, channel)

    assert evaluate(world, channel).sent == evaluate(world, channel, now=NOW + HOUR).sent == 0
    world.day(NOW + 2 * HOUR)
    world.build(NOW + 2 * HOUR)
    evaluate(world, channel, now=NOW + 2 * HOUR)
    assert evaluate(world, channel, now=NOW + 3 * HOUR).sent == 1

    assert Counter(message.event for message in channel.sent) == {"opened": 1, "recovered": 1}
    assert alerting.current(world.journal) == []


def test_a_refused_message_is_kept_and_tried_with_the_same_key_after_a_pause(own_world: Find) -> None:
    channel, world = Recorder(), own_world("drift")
    channel.refuses = True
    first = evaluate(world, channel)
    assert (first.sent, first.failed) == (0, 1)

    channel.refuses = False
    assert evaluate(world, channel, now=NOW + timedelta(seconds=30)).sent == 0
    assert evaluate(world, channel, now=NOW + timedelta(minutes=2)).sent >= 1

    [row] = world.journal.select("select * from ops.messages where tries = 1 and state = 'failed'")
    assert row["error"] == "ConnectionError"
    assert row["message_id"] in {message.message_id for message in channel.sent}
    assert len({message.message_id for message in channel.sent}) == len(channel.sent)


def test_a_dead_channel_is_told_on_the_others(own_world: Find) -> None:
    dead, alive, world = Recorder("dead"), Recorder("alive"), own_world("drift")
    dead.refuses = True

    for minutes in (0, 2, 10, 20, 30):
        evaluate(world, dead, alive, now=NOW + timedelta(minutes=minutes))

    told = [message.title for message in alive.sent]
    assert "CRITICAL: dead: channel dead" in told
    assert not any("secret" in str(row) for row in world.journal.select("select * from ops.messages"))


def test_a_killed_process_sends_later_what_it_had_recorded(own_world: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    channel, world = Recorder(), own_world("drift")
    with monkeypatch.context() as patch:
        patch.setattr(alerting, "deliver", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            evaluate(world, channel)

    evaluate(world, channel, now=NOW + timedelta(minutes=1))

    assert [message.title for message in channel.sent].count("CRITICAL: crm.people: gap") == 1


def test_quiet_hours_hold_back_what_is_not_critical(own_world: Find) -> None:
    channel, world = Recorder(), own_world("quarantine")
    quiet = read_quiet_hours("10:00-11:00 Europe/Berlin")  # NOW is 10:30 there

    for minutes in (0, 5, 10, 15):
        evaluate(world, channel, now=NOW + timedelta(minutes=minutes), quiet=quiet)
    assert {message.title.split(":")[0] for message in channel.sent} == {"CRITICAL"}
    evaluate(world, channel, now=NOW + timedelta(minutes=31), quiet=quiet)

    assert {message.title.split(":")[0] for message in channel.sent} == {"CRITICAL", "WARNING"}


@pytest.mark.parametrize("text", ["22-7", "25:00-07:00", "22:00-07:00 Mars/Base", "22:00"])
def test_wrong_quiet_hours_are_an_error(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no span of hours"):
        read_quiet_hours(text)


def test_a_digest_lists_each_owners_incidents_once_a_day(own_world: Find) -> None:
    channel, world = Recorder(), own_world("source_down")
    evaluate(world)

    assert alerting.digest(world.journal, [channel], now=NOW).sent == 1
    assert alerting.digest(world.journal, [channel], now=NOW + HOUR).sent == 0
    assert alerting.digest(world.journal, [channel], now=NOW + DAY).sent == 1
    assert channel.sent[0].title == "1 open incident of data One person."
    assert channel.sent[0].body.count("Next step: lakehouse ") == 1


def test_incidents_are_acknowledged_and_waived_by_name(own_world: Find) -> None:
    world = own_world("source_down")
    evaluate(world)

    [known] = alerting.acknowledge(world.journal, "load_failed:crm.people", by="ana", why="", now=NOW + HOUR)
    [gone] = alerting.waive(
        world.journal, "load_failed:crm.notes", by="ana", why="moves", until=NOW + DAY, now=NOW + HOUR
    )
    assert (known.state, gone.state) == ("acknowledged", "waived")
    evaluate(world, now=NOW + 2 * HOUR)
    states = {one.subject: one.state for one in alerting.current(world.journal) if one.kind == "load_failed"}
    assert states == {"crm.people": "acknowledged", "crm.notes": "waived", "crm.places": "open"}
    with pytest.raises(ConfigurationError, match="none that is open is named"):
        alerting.acknowledge(world.journal, "crm.nobody", by="ana", why="", now=NOW)
    with pytest.raises(ConfigurationError, match="ends in the future"):
        alerting.waive(world.journal, "crm.places", by="ana", why="x", until=NOW, now=NOW)


def test_a_thousand_incidents_are_sent_in_parts(own_world: Find) -> None:
    channel, world = Recorder(), own_world("empty")
    found = tuple(finding("gap", f"crm.table_{number}") for number in range(1000))
    site = world.site()
    board = site.board().value

    class Many:
        findings, tables = found, board.tables

    first = alerting.evaluate(world.journal, Many, [channel], now=NOW)  # type: ignore[arg-type]
    second = alerting.evaluate(world.journal, Many, [channel], now=NOW + HOUR)  # type: ignore[arg-type]

    assert (first.sent, second.sent) == (alerting.MOST_AT_ONCE, alerting.MOST_AT_ONCE)
    assert len({message.message_id for message in channel.sent}) == 2 * alerting.MOST_AT_ONCE


@pytest.fixture
def hook() -> Iterator[tuple[str, list[dict[str, Any]], list[int]]]:
    """A webhook on loopback: its address, what it got, and the statuses that it answers next."""
    got: list[dict[str, Any]] = []
    statuses: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            got.append({**body, "key": self.headers["Idempotency-Key"]})
            self.send_response(statuses.pop(0) if statuses else 204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook?token=secret", got, statuses
    server.shutdown()
    thread.join()
    server.server_close()


MESSAGE = Message("key-1", "webhook", "i", "opened", "waiting", NOW, 0, NOW, "Title", "Body")


def test_a_webhook_gets_json_and_a_refusal_is_an_error(
    hook: tuple[str, list[dict[str, Any]], list[int]],
) -> None:
    address, got, statuses = hook
    Webhook(address).send(MESSAGE)
    statuses.append(500)
    with pytest.raises(OSError, match="500"):
        Webhook(address).send(MESSAGE)

    assert got[0] == {
        "message_id": "key-1",
        "incident_id": "i",
        "event": "opened",
        "title": "Title",
        "body": "Body",
        "key": "key-1",
    }
    assert len(got) == 2


def test_apprise_sends_and_its_refusal_is_an_error(hook: tuple[str, list[dict[str, Any]], list[int]]) -> None:
    pytest.importorskip("apprise", reason="needs apprise: make .venv/dev")
    address, got, statuses = hook
    channel = ByApprise("json-1", address.replace("http://", "json://"))
    channel.send(MESSAGE)
    statuses.append(500)
    with pytest.raises(ConnectionError, match="not accepted"):
        channel.send(MESSAGE)

    assert (got[0]["title"], got[0]["message"]) == ("Title", "Body")


def secrets(environ: dict[str, str]) -> Secrets:
    return Secrets([Environment(environ)])


def test_channels_are_known_by_name_and_their_addresses_are_never_told() -> None:
    pytest.importorskip("apprise", reason="needs apprise: make .venv/dev")
    found = channels(secrets({WEBHOOK: "https://host/secret", URLS: "slack://a/b/c mailto://user:secret@example.com"}))

    assert [channel.name for channel in found] == ["webhook", "slack-1", "mailto-2"]
    assert "secret" not in repr(found)
    with pytest.raises(ConfigurationError) as error:
        channels(secrets({WEBHOOK: "ftp://secret"}))
    assert "secret" not in str(error.value)


def test_the_journal_keeps_every_state(own_world: Find) -> None:
    world: World = own_world("drift")
    evaluate(world)
    journal: Journal = world.journal

    [row] = journal.select("select * from ops.incidents where kind = 'gap'")

    assert (row["state"], row["level"], row["told_level"], row["subject"]) == ("open", 3, 3, "crm.people")
    assert row["since"] == NOW - 5 * HOUR
    assert row["opened_at"] == NOW.astimezone(UTC)


def test_a_contract_that_cannot_be_read_is_an_incident_as_on_the_page(own_world: Find) -> None:
    world = own_world("green")
    file = world.folder / "data_contracts" / "crm" / "people.odcs.yaml"
    file.write_text(file.read_text().replace("kind: DataContract", "kind: Nothing"))

    outcome = evaluate_lake(world.settings(), {})

    assert ("contract_invalid", "people", "open") in {(one.kind, one.subject, one.state) for one in outcome.changed}
