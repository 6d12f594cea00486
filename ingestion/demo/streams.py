"""Runs the example streams over the retail world: topics as files, a DuckDB file as target, no broker and no Java."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ingestion.contracts.odcs import STREAMS, list_streams
from ingestion.demo.show import world_folder
from ingestion.demo.tables import ORDER_ITEMS, ORDERS
from ingestion.demo.world import World
from ingestion.errors import ConfigurationError
from ingestion.lake import duck
from ingestion.lake.layout import create_lake
from ingestion.runs.context import open_context
from ingestion.settings import Settings
from ingestion.sql.quoting import text_literal
from ingestion.stream_jobs.run import run_stream

EXAMPLES = Path(__file__).parent / "examples"
MARKER = ".stream-demo"
SCALE = 0.3
"""The smallest world there is: about 6,000 orders."""

# Real faults come with day 2: an unknown state and a broken clock. The others are added here.
_MESSAGES = """
create table lines as
select order_id, count(*) as items, sum(quantity * unit_price - discount) as total from order_items group by 1;

create table orders_topic as
select order_id, ordered_at as sent_at, unnest(range(if(order_id % 40 = 0, 2, 1))) as copy,
    if(order_id % 1000 = 4, '{"order_id": ', to_json({
        'event_id': 'order-' || order_id, 'order_id': order_id, 'customer': {'id': customer_id}, 'channel': channel,
        'currency': if(order_id % 500 = 2, 'XXX', ['BRL', 'BRL', 'EUR', 'USD'][1 + order_id % 4]),
        'items': if(order_id % 400 = 1, 0, items), 'total': total + shipping_fee,
        'ordered_at': strftime(ordered_at, '%Y-%m-%dT%H:%M:%S.%fZ')})::varchar) as value
from orders_2 join lines using (order_id);

create table order_updates_topic as
select order_id, coalesce(nullif(updated_at, timestamp '2099-01-01 00:00:17'), ordered_at) as sent_at, copy,
    to_json({'order_id': order_id, 'status': status,
        'changed_at': strftime(updated_at, '%Y-%m-%dT%H:%M:%S.%fZ')})::varchar as value
from (
    select *, 0 as copy from orders_1
    union all select *, 1 from (from orders_2 except from orders_1)
    union all select *, 2 from orders_1 where order_id % 50 = 0
);
"""
_RATES = """
create table exchange_rates (currency varchar primary key, rate decimal(9, 6));
insert into exchange_rates values ('BRL', 0.158730), ('EUR', 1), ('USD', 0.925926);
"""
_LETTERS = "select stream, breaks, count(*) as messages from lake_dead_letter group by all order by all"
_HOURS = (
    "select strftime(window_start, '%Y-%m-%d %H:%M') as hour, channel, row_count as orders, "
    "sum_total_eur as turnover_eur from orders_hourly order by window_start desc, channel limit 6"
)


@dataclass(slots=True)
class StreamStory:
    """What each stream did, the dead letters by what they break, and the newest hours of orders_stream."""

    project: str
    runs: list[dict[str, Any]] = field(default_factory=list)
    letters: list[dict[str, Any]] = field(default_factory=list)
    hours: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def run_stream_demo(settings: Settings, *, seed: int = 7, progress: Callable[[str], None] | None = None) -> StreamStory:
    """
    Write a project with the ten example streams beside the lake, and run each until it has read all messages.

    An earlier demo's project is replaced. Raises ConfigurationError for a folder of somebody else.
    """
    told = progress or (lambda _step: None)
    world = world_folder(settings)
    folder = world.with_name(f"{world.name.removesuffix('-world')}-streams")
    told("messages")
    own = make_stream_project(folder)
    write_messages(folder / "messages", World(seed, SCALE))
    story = StreamStory(str(folder))
    context = open_context(own)
    for name in list_streams(own.contracts):
        told(name)
        began = time.monotonic()
        done = run_stream(context, name, until_caught_up=True)
        story.runs.append(done | {"seconds": round(time.monotonic() - began, 1)})
    with database_of(folder, "warehouse") as connection:
        story.letters = connection.sql(_LETTERS).to_arrow_table().to_pylist()
        story.hours = connection.sql(_HOURS).to_arrow_table().to_pylist()
    return story


def make_project(folder: Path, contracts: Mapping[str, str], variables: Mapping[str, str]) -> Settings:
    """
    Make a project of stream contracts (file name, text) with its `.env` and lake; return its settings.

    Raises ConfigurationError for a folder of somebody else.
    """
    if folder.exists():
        if not (folder / MARKER).exists():
            raise ConfigurationError(
                f"{folder}: this folder is not of a demo of streams. Nothing was written. Move it away, or set "
                "LAKEHOUSE_ROOT to another lake."
            )
        shutil.rmtree(folder)
    place = folder / "data_contracts" / STREAMS
    place.mkdir(parents=True)
    for name, text in contracts.items():
        (place / name).write_text(text)
    (folder / MARKER).touch()
    variables = {"LAKEHOUSE_ROOT": str(folder / "lake"), **variables}
    (folder / ".env").touch(mode=0o600)
    (folder / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in variables.items()))
    own = Settings.from_environ({**variables, "LAKEHOUSE_PROJECT": str(folder)})
    create_lake(own.lake_root)
    return own


def make_stream_project(folder: Path) -> Settings:
    """Make a project of the ten examples with the target's reference table; return its settings."""
    place = quote(str(folder))
    own = make_project(
        folder,
        {path.name: path.read_text() for path in sorted(EXAMPLES.iterdir()) if path.is_file()},
        {
            "AIRFLOW_CONN_EVENTS": f"files://{place}/messages",
            "AIRFLOW_CONN_WAREHOUSE": f"duckdb://{place}/warehouse.duckdb",
        },
    )
    with database_of(folder, "warehouse") as connection:
        connection.execute(_RATES)
    return own


@contextmanager
def database_of(folder: Path, name: str) -> Iterator[duck.Connection]:
    """Yield a connection (UTC) whose tables are those of the project's file `<name>.duckdb`."""
    with duck.connect() as connection:
        connection.execute(f"attach {text_literal(str(folder / f'{name}.duckdb'))} as target")
        connection.execute("use target")
        yield connection


def write_messages(folder: Path, world: World) -> None:
    """Write the topics orders and order_updates, of two partitions each, by the time of their messages."""
    with duck.connect() as connection:
        connection.register("orders_1", world.rows(ORDERS, 1))
        connection.register("orders_2", world.rows(ORDERS, 2))
        connection.register("order_items", world.rows(ORDER_ITEMS, 2))
        connection.execute(_MESSAGES)
        for topic in ("orders", "order_updates"):
            (folder / topic).mkdir(parents=True)
            for partition in (0, 1):
                path = text_literal(str(folder / topic / f"{partition}.jsonl"))
                connection.execute(
                    "copy (select order_id::varchar as key, value, strftime(sent_at, '%Y-%m-%dT%H:%M:%SZ') as "
                    f'"timestamp" from {topic}_topic where order_id % 2 = {partition} '
                    f"order by copy = 2, sent_at, order_id, copy) to {path} (format json)"
                )
