"""Nothing of a call, and nothing of a message, is written to a log, an error, the ledger or the lake."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ingestion.cdc.results import Receiver
from ingestion.cli import cli
from ingestion.queues.base import Outgoing, Refusal, Sent
from ingestion.queues.local import LocalQueue
from tests.cdc.world import CdcWorld, result_of

MARK = "KANARIENVOGEL"
SPOKEN, ANSWERED = f"{MARK} שלום", f"{MARK}-answer"


class ForeignError(Exception):
    """An error of a library that quotes what it was given."""


def files_with_the_mark(folder: Path) -> list[str]:
    """Return files that hold the mark, compressed or not."""
    import pyarrow.parquet as pq

    found = []
    for path in (path for path in folder.rglob("*") if path.is_file()):
        is_marked = MARK.encode() in path.read_bytes()
        if path.suffix == ".parquet":
            is_marked |= MARK in str(pq.read_table(path).to_pylist())
        found += [str(path.relative_to(folder))] if is_marked else []
    return found


def test_a_marked_text_is_in_no_log_no_error_and_no_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    logs = tmp_path / "logs"
    world = CdcWorld(tmp_path, {"normal_mode_minutes": 600})
    for call in ("good", "refused", "poison", "unknown to them"):
        world.say(call, SPOKEN, f"{SPOKEN} again")
    environ = world.environment() | {"LOG_DIR": str(logs), "LOG_LEVEL": "debug", "LAKEHOUSE_LOG_LEVEL": "debug"}
    told: list[str] = []
    caplog.set_level(logging.DEBUG)

    def run(*words: str, code: int) -> None:
        result = CliRunner().invoke(cli, ["cdc", *words], env=environ)
        told.append(result.output)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            told.append(f"{result.exception}")
        assert result.exit_code == code, result.output

    honest = LocalQueue.send

    def send(queue: LocalQueue, messages: Any) -> Sent:
        bad = {each.id: Refusal("TooLarge", is_permanent=True) for each in messages if each.group == "refused"}
        done = honest(queue, [each for each in messages if each.id not in bad])
        return Sent(done.accepted, {**done.refused, **bad})

    monkeypatch.setattr(LocalQueue, "send", send)
    world.work()  # refused, for ever
    monkeypatch.undo()
    assert world.states() == {"FAILED": 1, "SENT": 3}
    sent = world.sent()
    assert all(MARK in json.dumps(each) for each in sent)
    world.answer(*(each for each in sent if each["call_id"] in ("good", "unknown to them")))
    world.reply(json.dumps(result_of("poison", sentiment=ANSWERED)))
    world.reply(json.dumps(result_of("poison", confidence_score=ANSWERED)))
    world.reply(f"{{{ANSWERED}")
    world.reply(json.dumps(result_of("nobody", classification_primary=ANSWERED)))
    world.queue("results").send([Outgoing("0", ANSWERED.encode(), "g", "d", {"kind": "result", "note": ANSWERED})])

    def failing(*_: Any) -> None:
        raise ForeignError(ANSWERED)

    monkeypatch.setattr(Receiver, "_without_orphans", failing)
    run("run", "--until-idle", code=1)
    monkeypatch.undo()
    _make_visible(world)
    with world.sql() as sql:
        sql(f"alter table {world.segments} rename to elsewhere")
    run("run", "--until-idle", code=10)
    with world.sql() as sql:
        sql(f"alter table elsewhere rename to {world.segments}")
    world.reply(json.dumps(result_of("poison")))
    run("run", "--until-idle", code=0)
    run("check", "--explain", code=0)
    run("gaps", code=30)
    run("status", code=0)
    run("backup", "--to", str(tmp_path / "backups"), code=0)

    assert [row[0] for row in world.results()] == ["good", "poison", "unknown to them"]
    assert len(world.letters()) == 4
    assert MARK not in "".join(told)
    assert MARK not in caplog.text
    assert not files_with_the_mark(logs)
    assert not files_with_the_mark(tmp_path / "lake")
    assert not files_with_the_mark(tmp_path / "backups")
    assert MARK not in str(world.rows("select * from error_log"))
    assert MARK not in str(world.rows("select * from cdc_processing_log"))
    assert {path.name for path in logs.iterdir()} >= {"main.log", "sqs.log", "oracle.log", "errors.log"}
    assert list((tmp_path / "lake").rglob("*.parquet"))


def _make_visible(world: CdcWorld) -> None:
    import sqlite3

    db = sqlite3.connect(world.folder / "back.db")
    db.execute("update messages set visible_at = 0")
    db.commit()
    db.close()
