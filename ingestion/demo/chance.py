"""Pseudo-random numbers without a generator: each depends on the seed, the name of a stream and a row's number only.

`pick(stream, i, n)` is a whole number from 0 to n - 1, taken from an MD5 hash. So a world does not depend on threads,
the order of rows, the DuckDB version or the date. No calculation uses floats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ingestion.demo import clock, words
from ingestion.lake.duck import Connection
from ingestion.sql.quoting import text_literal

_MACROS = """
create macro pick(stream, i, n) as
    (md5_number_lower(concat_ws(':', getvariable('seed'), stream, i)) % n::ubigint)::bigint;

create macro one_of(list, stream, i) as list[1 + pick(stream, i, len(list))];

-- A rank from 1 to n that favours the first, four times the average: u * (3u + 1) / 4 for u in twenty bits.
create macro favourite(stream, i, n) as
    1 + ((n * pick(stream, i, 1048576) * (3 * pick(stream, i, 1048576) + 1048576)) >> 42);

create macro span(seconds, microseconds) as to_seconds(seconds) + to_microseconds(microseconds);

-- Seconds from one moment to a later one.
create macro seconds_between(low, high) as epoch(high)::bigint - epoch(low)::bigint;

create macro money(cents) as (cents * 0.01)::decimal(14, 2);

create macro day_1() as getvariable('day_1');
create macro day_2() as getvariable('day_2');

-- The last moments of a day are kept free for its newest change, the watermark's maximum.
create macro last_tick(day) as day - getvariable('last_tick');
create macro is_reserved(moment) as
    (moment >= last_tick(day_1()) and moment < day_1()) or (moment >= last_tick(day_2()) and moment < day_2());
create macro moment_for(moment) as case when is_reserved(moment) then moment + interval 5 minutes else moment end;
"""

_VARIABLES = f"""
set variable day_1 = {clock.sql_moment(clock.DAY_1)};
set variable day_2 = {clock.sql_moment(clock.DAY_2)};
set variable last_tick = to_microseconds({int(clock.LAST_TICK.total_seconds() * 1_000_000)});
set variable late_by = to_seconds({int(clock.LATE_BY.total_seconds())});
set variable erp_offset = to_seconds({int(clock.ERP_OFFSET.total_seconds())});
set variable broken_clock = {clock.sql_moment(clock.BROKEN_CLOCK)};
set variable first_order = {clock.sql_moment(datetime.combine(clock.FIRST_ORDER_DATE, datetime.min.time()))};
set variable first_customer = {clock.sql_moment(datetime.combine(clock.FIRST_CUSTOMER_DATE, datetime.min.time()))};
set variable lost_day = date '{clock.LOST_DAY}';
"""

_Literal = int | str | Sequence["_Literal"] | Mapping[str, "_Literal"]


def prepare(connection: Connection, seed: int, sizes: Mapping[str, int]) -> None:
    """Set the variables and macros that the generator's statements use: seed, sizes, moments and words."""
    connection.execute(_VARIABLES)
    variables: dict[str, _Literal] = {"seed": seed, **sizes, **_word_lists()}
    for name, value in variables.items():
        connection.execute(f"set variable {name} = {_sql(value)}")
    connection.execute(_MACROS)


def _word_lists() -> dict[str, _Literal]:
    brands = {category: (letters, names) for category, letters, names in words.CATEGORIES}
    return {
        "first_names": words.FIRST_NAMES,
        "surnames": words.SURNAMES,
        "mail_domains": words.MAIL_DOMAINS,
        "segment_names": [segment for segment, _ in words.SEGMENTS],
        "segments": [segment for segment, weight in words.SEGMENTS for _ in range(weight)],
        "channels": [channel for channel, weight in words.CHANNELS for _ in range(weight)],
        "hours": [hour for hour, weight in enumerate(words.HOUR_WEIGHTS) for _ in range(weight)],
        "variants": words.VARIANTS,
        "cities": [
            {"region": region, "city": city, "area_code": area_code}
            for region, city, area_code, weight in words.CITIES
            for _ in range(weight)
        ],
        "goods": [
            {
                "category": category,
                "letters": brands[category][0],
                "brands": brands[category][1],
                "good": good,
                "low": low,
                "high": high,
            }
            for category, good, low, high in words.GOODS
        ],
    }


def _sql(value: _Literal) -> str:
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return text_literal(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"'{key}': {_sql(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(_sql(item) for item in value) + "]"
    raise TypeError(f"no SQL literal for {type(value).__name__}")
