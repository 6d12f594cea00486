from datetime import date

import duckdb
import pytest

from ingestion.contracts.declared import digits_of, split_declaration
from ingestion.reconcile.dialects import DIALECTS, Origin
from ingestion.reconcile.hashes import HashType, Kind
from ingestion.sql.quoting import quote_oracle, quote_spark, quote_sqlserver, quote_standard, spark_text_literal
from ingestion.sql.quoting import text_literal as quoted_text

PARTITIONS = {
    ("duckdb", "day"): "cast(cast(at as date) as varchar)",
    ("duckdb", "month"): "left(cast(cast(at as date) as varchar), 7)",
    ("duckdb", "year"): "left(cast(cast(at as date) as varchar), 4)",
    ("oracle", "day"): "TO_CHAR(at,'YYYY-MM-DD')",
    ("oracle", "month"): "TO_CHAR(at,'YYYY-MM')",
    ("oracle", "year"): "TO_CHAR(at,'YYYY')",
    ("sqlserver", "day"): "LEFT(CONVERT(VARCHAR(10), at, 23), 10)",
    ("sqlserver", "month"): "LEFT(CONVERT(VARCHAR(10), at, 23), 7)",
    ("sqlserver", "year"): "LEFT(CONVERT(VARCHAR(10), at, 23), 4)",
    ("spark", "day"): "date_format(at, 'yyyy-MM-dd')",
    ("spark", "month"): "date_format(at, 'yyyy-MM')",
    ("spark", "year"): "date_format(at, 'yyyy')",
}


@pytest.mark.parametrize(("dialect", "grain"), PARTITIONS)
def test_a_partition_is_labelled_by_the_front_of_its_day(dialect: str, grain: str) -> None:
    text = DIALECTS[dialect].partition_text(HashType(Kind.TIMESTAMP), Origin("at"), grain)
    assert text == PARTITIONS[dialect, grain]


@pytest.mark.parametrize(("grain", "label"), [("day", "2026-03-01"), ("month", "2026-03"), ("year", "2026")])
def test_the_label_of_duckdb_is_what_it_answers(grain: str, label: str) -> None:
    text = DIALECTS["duckdb"].partition_text(HashType(Kind.DATE), Origin("d"), grain)
    with duckdb.connect() as connection:
        assert connection.execute(f"select {text} from (select ?::date as d)", [date(2026, 3, 1)]).fetchone() == (
            label,
        )


@pytest.mark.parametrize("text", ["plain", 'a"b', "it's", "[a]]b", "a`b", "a\\b", "; drop table x --"])
def test_a_quoted_name_or_text_is_read_back_as_it_was(text: str) -> None:
    with duckdb.connect() as connection:
        relation = connection.sql(f"select {quoted_text(text)} as {quote_standard(text)}")
        assert (relation.columns, relation.fetchall()) == ([text], [(text,)])
    assert quote_sqlserver(text)[1:-1].replace("]]", "]") == text
    assert quote_spark(text)[1:-1].replace("``", "`") == text
    assert spark_text_literal(text)[1:-1].replace("\\'", "'").replace("\\\\", "\\") == text


@pytest.mark.parametrize("name", ['a"b', "a\0b"])
def test_a_name_that_oracle_cannot_quote_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no quotation mark"):
        quote_oracle(name)


@pytest.mark.parametrize(
    ("declared", "base", "arguments", "digits"),
    [
        ("varchar2(40 char)", "VARCHAR2", ("40 char",), 40),
        ("NUMBER(*, 2)", "NUMBER", ("*", "2"), -1),
        ("timestamp(9)  with time zone", "TIMESTAMP WITH TIME ZONE", ("9",), 9),
        ("INTERVAL DAY(2) TO SECOND(6)", "INTERVAL DAY TO SECOND", ("2",), 2),
        ("nvarchar(max)", "NVARCHAR", ("max",), -1),
        ("decimal( 12 ,2)", "DECIMAL", ("12", "2"), 12),
        ("date", "DATE", (), -1),
    ],
)
def test_a_declaration_is_a_name_and_what_stands_in_its_first_brackets(
    declared: str, base: str, arguments: tuple[str, ...], digits: int
) -> None:
    assert split_declaration(declared) == (base, arguments)
    assert digits_of(declared, -1) == digits
