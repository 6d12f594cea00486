"""What people do with conversations: commands, the demo, the check of calls."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ingestion.cdc.gaps import check_calls
from ingestion.cdc.run import STATISTICS, run_cdc
from ingestion.cli import cli
from ingestion.contracts.odcs import STREAMS
from ingestion.contracts.reading.stream_block import ConversationBlock
from ingestion.errors import CriticalGapError
from ingestion.shipped import EXAMPLE
from ingestion.stream_jobs.run import ask_to_stop, statuses
from tests.cdc.world import CdcWorld


@pytest.fixture
def world(tmp_path: Path) -> CdcWorld:
    return CdcWorld(tmp_path)


def call(world: CdcWorld, *words: str) -> tuple[int, Any]:
    environ: Mapping[str, str] = world.environment()
    result = CliRunner().invoke(cli, ["cdc", *words, "--json"], env=dict(environ), catch_exceptions=False)
    return result.exit_code, json.loads(result.stdout) if result.stdout.startswith(("{", "[")) else result.output


def test_init_prints_and_creates_the_tables_and_leaves_what_is_there(world: CdcWorld) -> None:
    code, statements = call(world, "init", "--print")
    assert code == 0
    assert any("cdc_processed_calls" in each for each in statements)

    assert call(world, "init")[0] == call(world, "init")[0] == 0
    assert world.states() == {}


def test_check_names_what_is_missing_and_explain_says_where_calls_are(world: CdcWorld) -> None:
    code, before = call(world, "check")
    assert code == 10
    assert [each["next_step"] for each in before["checks"] if each["what"] == "cdc_calls"] == [
        "Run: lakehouse cdc init"
    ]

    call(world, "init")
    assert call(world, "check", "--explain")[1]["verdict"].startswith("No cycle was completed yet")
    world.say("late", "one", "two", ago=timedelta(minutes=7))
    world.work()
    code, found = call(world, "check", "--explain")
    assert (code, found["stages"]["sent, without a result"]) == (0, 1)
    assert "no results come" in found["verdict"]
    world.answer()
    world.work()
    assert call(world, "check", "--explain")[1]["verdict"] == "All calls are on their way."


def test_the_statistics_are_those_of_the_tables_and_go_on_after_a_restart(world: CdcWorld) -> None:
    for name in ("a", "b", "c"):
        world.say(name, "one", "two", ago=timedelta(minutes=7))
    world.work()
    world.answer()
    world.reply("no JSON")
    world.work()

    code, status = call(world, "status")

    assert code == 0
    numbers = status["statistics"]
    assert {*STATISTICS} - {"uptime_seconds"} <= {*numbers}
    told = [numbers[name] for name in ("calls_processed", "sqs_sent", "ml_results_received", "ml_results_written")]
    assert told == [3, 3, 4, 3]
    assert status["states"] == {"DONE": 3}
    assert {mode["health"] for mode in status["modes"]} == {"HEALTHY"}


def test_calls_that_no_poll_reaches_are_found_twice_and_entered_anew(world: CdcWorld) -> None:
    world.work()
    world.say("late", "one", "two", ago=timedelta(minutes=30))
    world.work()
    assert world.states() == {}

    assert call(world, "gaps")[0] == CriticalGapError.exit_code
    assert call(world, "gaps", "--exit-zero")[1]["unsent"] == ["late"]
    code, found = call(world, "gaps", "--repair")
    assert (code, found["repaired"]) == (0, 1)
    world.work()
    assert [each["call_id"] for each in world.sent()] == ["late"]
    assert call(world, "gaps")[1]["total"] == 0


def test_a_call_that_is_just_being_judged_is_no_gap(world: CdcWorld) -> None:
    world.work()
    world.say("new", "one", "two", ago=timedelta(minutes=30))
    with world.cdc() as cdc:
        first = cdc.reader.touched

        def judged_meanwhile(*window: Any) -> list[Any]:
            found = first(*window)
            if found:
                cdc.reader.again(found)
            return found

        object.__setattr__(cdc, "reader", _Watched(cdc.reader, judged_meanwhile))
        assert check_calls(cdc).total == 0


class _Watched:
    def __init__(self, reader: Any, touched: Any) -> None:
        self._reader, self.touched = reader, touched

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)


def test_a_result_that_is_lost_after_it_was_written_is_asked_for_again(world: CdcWorld) -> None:
    world.say("call", "one", "two", ago=timedelta(minutes=7))
    world.work()
    world.answer()
    world.work()
    world.rows("delete from dicta_call_summary")

    assert call(world, "gaps", "--repair")[1]["lost"] == ["call"]
    world.work()
    world.answer()
    world.work()
    assert world.results() == [("call", 2, "neutral")]


def test_purge_leaves_what_is_known_of_calls_and_backup_leaves_texts_out(world: CdcWorld, tmp_path: Path) -> None:
    world.say("call", "a secret word", ago=timedelta(minutes=7))
    world.work()
    world.answer()
    world.work()

    assert call(world, "backup", "--to", str(tmp_path / "backups"))[0] == 0
    files = [*(tmp_path / "backups").rglob("*.parquet")]
    assert len(files) == 8
    assert not any(b"secret" in file.read_bytes() for file in files)
    world.rows("update cdc_processed_calls set enqueued_at = now() - interval 100 day")
    assert call(world, "purge")[1]["cdc_processed_calls"] == 1
    world.work()
    assert world.sent() == []


def test_one_queue_for_both_directions_is_refused_with_what_to_do(world: CdcWorld) -> None:
    world.environ["AIRFLOW_CONN_RESULTS"] = world.environment()["AIRFLOW_CONN_CONVERSATIONS"]
    world.__dict__.pop("settings", None)

    code, output = call(world, "run", "--until-idle")

    assert code == 10
    assert "Make a second queue for results" in str(output)


def test_the_run_of_conversations_is_stopped_by_its_name_and_results_name_it(
    world: CdcWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion.stream_jobs.run.ASKED_EVERY", 0.0)

    def stream(*words: str) -> Result:
        return CliRunner().invoke(cli, ["stream", *words], env=dict(world.environment()))

    refused = stream("stop", "dicta.call_summary")
    assert refused.exit_code == 10
    assert "Stop that one: lakehouse stream stop rtbi.call_segments" in " ".join(refused.output.split())

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(run_cdc, world.context(), until_idle=False)
        while not any(row["state"] == "running" for row in statuses(world.context(), ["rtbi.call_segments"])):
            time.sleep(0.1)
        stopped = stream("stop", "rtbi.call_segments")
        ask_to_stop(world.context(), ["rtbi.call_segments"] if stopped.exit_code else [])
        assert done.result(30)["state"] == "stopped"
    assert stopped.exit_code == 0
    assert stream("wait", "rtbi.call_segments", "--seconds", "0").exit_code == 0


def test_log_files_tell_numbers_and_no_word_of_a_call(world: CdcWorld, tmp_path: Path) -> None:
    world.environ["LOG_DIR"] = str(tmp_path / "logs")
    world.say("call", "a secret word", ago=timedelta(minutes=7))
    world.work()
    world.answer()
    world.reply("a secret word")

    assert call(world, "run", "--until-idle")[0] == 0

    written = {file.name: file.read_text() for file in (tmp_path / "logs").iterdir()}
    assert {"main.log", "oracle.log", "sqs.log", "errors.log", "performance.log"} == {*written}
    assert '"mode": "CDC_NORMAL_MODE"' in written["oracle.log"]
    assert "secret" not in "".join(written.values())


def test_the_error_that_ends_a_run_is_in_the_log_of_errors(world: CdcWorld, tmp_path: Path) -> None:
    world.environ["LOG_DIR"] = str(tmp_path / "logs")
    world.environ["AIRFLOW_CONN_RESULTS"] = f"queue://{tmp_path}/nowhere/back.db"

    assert call(world, "run", "--until-idle")[0] == 10

    assert "error" in (tmp_path / "logs" / "errors.log").read_text()


def test_results_whose_call_has_another_type_are_refused_before_anything_is_read(world: CdcWorld) -> None:
    path = world.settings.contracts / STREAMS / "dicta.call_summary.odcs.yaml"
    path.write_text(
        path.read_text().replace("logicalType: string", "logicalType: integer", 1).replace("VARCHAR", "BIGINT", 1)
    )

    code, output = call(world, "run", "--until-idle")

    assert code == 10
    assert "call_id must be string" in str(output)


def test_the_demo_ends_with_one_result_per_call(world: CdcWorld, tmp_path: Path) -> None:
    world.environ |= {"LAKEHOUSE_PROJECT": str(EXAMPLE), "LAKEHOUSE_ROOT": str(tmp_path / "demo")}

    code, story = call(world, "demo")

    assert code == 0
    told = dict(story["steps"])
    assert told["calls with a result"] == 220
    assert story["statistics"]["ml_results_written"] == story["statistics"]["sqs_sent"] == 223


def test_every_key_of_conversations_is_in_the_document() -> None:
    text = (Path(__file__).parents[2] / "docs" / "conversations.md").read_text()
    keys = [field.alias or name for name, field in ConversationBlock.model_fields.items()]
    assert [key for key in keys if f"| `{key}` |" not in text] == []


def test_the_shipped_contracts_of_conversations_are_in_order() -> None:
    folder = EXAMPLE / "data_contracts" / STREAMS
    assert {path.name for path in folder.iterdir()} >= {
        "rtbi.call_segments.odcs.yaml",
        "dicta.call_summary.odcs.yaml",
    }
