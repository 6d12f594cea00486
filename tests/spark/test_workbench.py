"""DuckDB's words in Spark's mouth: what stands in quotes is a value or a name, and means what it meant."""

from __future__ import annotations

from typing import Any

import pytest

from ingestion.bronze.workbench.spark import DIALECT, translated
from ingestion.lake.spark.session import prepare
from tests.spark.session import NEEDS_SPARK


@pytest.mark.parametrize(
    ("words", "spark"),
    [
        ("select cast(null as varchar)", "select cast(null as string)"),
        ("cast('2026-01-01' as timestamptz)", "cast('2026-01-01' as timestamp_ltz)"),
        ("list_contains(string_split(_breaks, '; '), 'a')", "array_contains(split(_breaks, '; '), 'a')"),
        ("select unnest(string_split(x, '; '))", "select explode(split(x, '; '))"),
        ("max(struct_pack(_eff := _eff, _row := _row))", "max(struct(_eff as _eff, _row as _row))"),
        ("select 'varchar', \"varchar\", 'it''s a blob\\'", "select 'varchar', \"varchar\", 'it\\'s a blob\\\\'"),
        ('select "a""varchar", \'timestamptz\' as varchars', 'select "a""varchar", \'timestamptz\' as varchars'),
    ],
)
def test_words_are_translated_outside_quotes_only(words: str, spark: str) -> None:
    assert translated(words) == spark


class TestOnSpark:
    pytestmark = NEEDS_SPARK

    def test_names_texts_and_moments_mean_what_they_mean_to_duckdb(self, spark: Any) -> None:
        session = prepare(spark.newSession())
        for name, value in DIALECT.items():
            session.conf.set(name, value)
        query = (
            "select 1 as \"a\"\"b\", 'it''s' as q, '\\n' as slash, cast('2026-03-08 02:30:00' as timestamp) as wall, "
            "cast('2026-03-08T02:30:00+02:00' as timestamptz) + interval 1 microsecond as instant, "
            "null is distinct from 1 as other, greatest(1, null) as most, list_contains(string_split('a; b', '; '), 'b') as has"
        )

        found = session.sql(translated(query)).toArrow()

        assert [(field.name, str(field.type)) for field in found.schema][:5] == [
            ('a"b', "int32"), ("q", "string"), ("slash", "string"), ("wall", "timestamp[us]"), ("instant", "timestamp[us, tz=UTC]")
        ]  # fmt: skip
        row = found.to_pylist()[0]
        assert (row["q"], row["slash"], row["other"], row["most"], row["has"]) == ("it's", "\\n", True, 1, True)
        assert (str(row["wall"]), str(row["instant"])) == ("2026-03-08 02:30:00", "2026-03-08 00:30:00.000001+00:00")
