"""The example streams: each does what its purpose says, and each is declared alike in YAML and in Python."""

from __future__ import annotations

import io
from collections import defaultdict
from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from rich.console import Console

from ingestion.cli.demo_tables import print_streams
from ingestion.contracts.odcs import find_stream, list_streams
from ingestion.demo import pipelines
from ingestion.demo.streams import EXAMPLES, StreamStory, make_stream_project, run_stream_demo
from ingestion.errors import ConfigurationError, InvalidContractError, QuarantineLimitError
from ingestion.settings import Settings
from ingestion.stream_jobs.builder import KafkaConfig, KafkaOracleStreamingPipeline, OracleConfig
from tests.streams.world import StreamWorld

PIPELINES = {declared.__name__: declared for declared in pipelines.PIPELINES}
NAMES = sorted(path.name.partition(".")[0] for path in EXAMPLES.glob("*.odcs.yaml"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    make_stream_project(tmp_path / "project")
    return tmp_path / "project"


def order(order_id: int, **changed: Any) -> dict[str, Any]:
    usual = {"event_id": f"e{order_id}", "order_id": order_id, "customer": {"id": 7}, "channel": "APP"}
    usual |= {"currency": "BRL", "items": 2, "total": "100.00", "ordered_at": "2026-01-01T10:00:00Z"}
    return usual | changed


def update(order_id: int, status: str, hour: int) -> dict[str, Any]:
    return {"order_id": order_id, "status": status, "changed_at": f"2026-01-01T{hour:02d}:00:00Z"}


@pytest.mark.parametrize("name", NAMES)
def test_the_pipeline_in_python_declares_the_stream_of_the_contract(name: str, project: Path) -> None:
    stream = find_stream(project / "data_contracts", name)

    assert PIPELINES[name]().stream(stream.contract.path) == stream
    assert PIPELINES.keys() == {*NAMES}


def test_basic_keeps_the_newest_message_of_each_order(project: Path) -> None:
    world = StreamWorld(project, name="basic")
    world.send(order(1), order(2), order(1, total=5))

    assert world.counts() == (3, 2, 1, 0, 0)
    assert world.target("select order_id, total from basic order by 1") == [
        (1, Decimal("5.00")),
        (2, Decimal("100.00")),
    ]


def test_transformations_read_nested_fields_and_metadata_and_convert_currencies(project: Path) -> None:
    world = StreamWorld(project, name="transformations")
    world.send(order(1), order(2, currency="USD", total="0.05"), at="2026-01-01T12:00:00Z", partition=3)

    assert world.counts() == (2, 2, 0, 0, 0)
    columns = "order_id, customer_id, total_eur, from_partition, from_offset, sent_at::varchar"
    assert world.target(f"select {columns} from transformations order by 1") == [
        (1, 7, Decimal("15.87"), 3, 0, "2026-01-01 12:00:00+00"),
        (2, 7, Decimal("0.05"), 3, 1, "2026-01-01 12:00:00+00"),
    ]


def test_windows_of_five_minutes_count_and_a_late_message_corrects_its_window(project: Path) -> None:
    world = StreamWorld(project, name="windows")
    world.send(order(1), order(2, total=50, ordered_at="2026-01-01T10:04:59Z"))
    world.send(order(3, ordered_at="2026-01-01T10:05:00Z"))
    world.run()
    windows = "select row_count, sum_total, max_total from windows_5min order by window_start, channel"
    assert world.target(windows) == [(2, 150, 100), (1, 100, 100)]

    world.send(order(4, total=200, ordered_at="2026-01-01T10:01:00Z"))
    world.run()
    assert world.target(windows) == [(3, 350, 200), (1, 100, 100)]


def test_quality_split_sends_each_row_one_of_two_ways_with_all_rules_it_breaks(project: Path) -> None:
    world = StreamWorld(project, name="quality_split")
    world.send(order(1), order(2, items=0, total=-1), order(3, currency="XXX"), order(4, channel=None))

    assert world.counts() == (4, 1, 0, 0, 3)
    assert world.target("select order_id from quality_split") == [(1,)]
    assert world.target("select message_offset, breaks from lake_dead_letter order by 1") == [
        (1, "items:minimum; total:minimum"),
        (2, "currency:enum"),
        (3, "channel:required"),
    ]


def test_deduplication_drops_an_event_that_comes_again_within_an_hour(project: Path) -> None:
    world = StreamWorld(project, name="deduplication")
    times = ("10:00", "10:59", "12:30")
    world.send(*(order(n, event_id="same", ordered_at=f"2026-01-01T{at}:00Z") for n, at in enumerate(times)))

    assert world.counts() == (3, 2, 1, 0, 0)
    assert world.target("select order_id from deduplication order by 1") == [(0,), (2,)]


def test_multi_topic_fills_one_row_from_two_topics_in_either_order(project: Path) -> None:
    world = StreamWorld(project, name="multi_topic")
    world.send(order(1))
    world.send(update(2, "NEW", 8), update(1, "PAID", 9), topic="order_updates")
    assert world.counts() == (3, 3, 0, 0, 0)
    world.send(order(2, total=3))
    world.run()

    assert world.target("select order_id, total, status from multi_topic order by 1") == [
        (1, Decimal("100.00"), "PAID"),
        (2, Decimal("3.00"), "NEW"),
    ]


def test_etl_does_its_seven_steps(project: Path) -> None:
    world = StreamWorld(project, name="etl")
    dear, small, broken = order(1, total=1000), order(2, total=10), order(3, items=0)
    world.send(dear, small, broken, dear, order(4, total=60, currency="EUR"), "{bad")

    assert world.counts() == (6, 2, 1, 1, 2)
    assert world.target("select order_id, total_eur from etl order by 1") == [
        (1, Decimal("158.73")),
        (4, Decimal("60.00")),
    ]
    assert world.target("select row_count, sum_total_eur from etl_daily") == [(2, Decimal("218.73"))]


def test_error_handling_repairs_deletes_keeps_and_at_last_stops(project: Path) -> None:
    world = StreamWorld(project, name="error_handling")
    world.send(order(1, channel=None), key="1")
    world.send(order(2), key="2")
    world.send(None, key="2")
    world.send("{bad", key="3")

    assert world.counts() == (4, 2, 1, 0, 1)
    rows = "select order_id, channel from error_handling where lake_deleted = 0"
    assert world.target(rows) == [(1, "WEB")]

    world.send(*["{bad"] * 100, key="4")
    with pytest.raises(QuarantineLimitError):
        world.run()
    assert world.target(rows) == [(1, "WEB")]


def test_order_updates_stream_keeps_the_newest_state_by_its_time(project: Path) -> None:
    world = StreamWorld(project, name="order_updates_stream")
    world.send(update(1, "PAID", 10), update(1, "NEW", 9), update(2, "RETURNED", 9), topic="order_updates")

    assert world.counts() == (3, 1, 1, 0, 1)
    assert world.target("select order_id, status from order_updates_stream") == [(1, "PAID")]
    assert world.target("select status, row_count from order_states_hourly where row_count > 0") == [("PAID", 1)]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> StreamStory:
    folder = tmp_path_factory.mktemp("demo")
    (folder / "data_contracts").mkdir()
    return run_stream_demo(Settings.from_environ({}, folder))


def test_the_demo_accounts_for_each_message_and_its_numbers_are_those_of_the_topics(story: StreamStory) -> None:
    assert [run["stream"] for run in story.runs] == NAMES
    for run in story.runs:
        assert run["read"] == run["merged"] + run["superseded"] + run["filtered"] + run["dead"], run
        assert run["lag"] == 0
    assert {letter["breaks"] for letter in story.letters} == {
        *("(message):decode", "changed_at:future", "currency:enum", "items:minimum", "status:enum")
    }

    statement = f"""
        select distinct v->>'order_id', (v->>'ordered_at')[:13], v->>'channel', (v->>'total')::decimal(12,2) * rate
        from (
            select value::json as v
            from read_json('{story.project}/messages/orders/*.jsonl', columns={{value: 'varchar'}})
            where json_valid(value)
        )
        join warehouse.exchange_rates on currency = (v->>'currency') where (v->>'items')::int > 0
    """
    hours: dict[tuple[str, str], list[Decimal]] = defaultdict(list)
    with duckdb.connect() as connection:
        connection.execute(f"set timezone = 'UTC'; attach '{story.project}/warehouse.duckdb' as warehouse (read_only)")
        for _, hour, channel, euro in connection.execute(statement).fetchall():
            hours[hour, channel].append(euro.quantize(Decimal("0.01"), ROUND_HALF_EVEN))
        found = connection.execute(
            "select strftime(window_start, '%Y-%m-%dT%H'), channel, row_count, sum_total_eur from warehouse.orders_hourly"
        ).fetchall()
    assert sorted(found) == sorted((*key, len(euros), sum(euros)) for key, euros in hours.items())
    assert sum(map(len, hours.values())) > 5_000


def test_what_the_demo_prints_fits_eighty_columns(story: StreamStory) -> None:
    text = io.StringIO()
    print_streams(Console(file=text, width=80), replace(story, project="/lake-streams"))

    assert max(map(len, text.getvalue().splitlines())) <= 80
    line = next(line for line in text.getvalue().splitlines() if "order_updates_stream" in line)
    assert line.split()[1:6] == ["6,228", "6,042", "183", "0", "3"]


def test_the_demo_replaces_only_its_own_project(story: StreamStory, tmp_path: Path) -> None:
    assert list_streams(make_stream_project(Path(story.project)).contracts) == NAMES
    (tmp_path / "mine").mkdir()
    with pytest.raises(ConfigurationError, match="not of a demo of streams"):
        make_stream_project(tmp_path / "mine")


def test_a_pipeline_saves_its_contract_and_runs_as_the_command_does(project: Path) -> None:
    world = StreamWorld(project, name="basic")
    contract = world.settings.contracts / "streams" / "basic.odcs.yaml"
    contract.unlink()
    pipeline = pipelines.basic(world.settings)
    world.send(order(1), "{bad")

    pipeline.create_oracle_table()
    assert world.target("select count(*) from basic") == [(0,)]
    assert (pipeline.get_stream_progress(), pipeline.get_stream_status()) == ({}, None)
    assert pipeline.start(until_caught_up=True)["merged"] == 1
    assert (pipeline.get_stream_progress()["dead"], pipeline.get_stream_status()) == (1, "caught up")
    assert [row["stream"] for row in next(pipeline.monitor_streams())] == ["basic"]
    pipeline.stop_stream()
    pipeline.stop_all_streams()
    asked = [row["stream"] for row in world.ledger() if row["state"] == "stop"]
    assert sorted(asked) == sorted(["basic", *NAMES])
    assert pipeline.wait_for_termination(0)

    world.send(order(2))
    assert world.counts()[1] == 1, "the command goes on where the pipeline ended"
    contract.write_text(contract.read_text().replace("Example 1.", "Another."))
    with pytest.raises(ConfigurationError, match="declares another stream than the pipeline"):
        pipeline.save()


def test_what_a_pipeline_declares_wrongly_is_told_before_anything_runs() -> None:
    kafka, oracle = KafkaConfig("events", ["orders"], budget={"rows": 5}), OracleConfig("warehouse")
    pipeline = KafkaOracleStreamingPipeline("mine", kafka, oracle)
    key = {"logicalType": "integer", "physicalType": "NUMBER(12)", "primaryKey": True, "required": True}
    pipeline.read_kafka_stream({"id": key}).write_to_oracle("SHOP.MINE").validate_stream_schema()

    stream = pipeline.stream()
    assert (stream.contract.dialect, stream.budget.rows, stream.refuses_new_fields) == ("oracle", 5, True)
    with pytest.raises(ConfigurationError, match="amount: no such column"):
        pipeline.add_data_quality_checks({"amount": {"required": True}})
    with pytest.raises(InvalidContractError, match="latness is no known key"):
        pipeline.apply_windowing("W", "PT1H", latness="PT5M").stream()
