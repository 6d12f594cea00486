"""How Gold shows personal values: the macros of both masks, against Python and against what lists of rows show."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest

from ingestion.lake import duck
from ingestion.lake.mask_salt import hmac_pads
from ingestion.privacy.masker import PIIMasker
from ingestion.privacy.partial import partial_sql
from ingestion.sql.quoting import spark_text_literal, text_literal
from tests.dbt.macros import load_macros
from tests.spark.session import NEEDS_SPARK

SALTS = ("a salt of the tests", "it's a \\ salt of the sea", "x" * 64, "ü" * 70)
VALUES = {
    "j.doe@example.com": "j***@e***.com",
    " ana@sub.example.co.uk ": "a***@s***.uk",
    "ana@example": "a***",
    "529.982.247-25": "***.***.247-25",
    "52998224725": "***.***.247-25",
    "11912345678": "***-5678",
    "+55 (11) 91234-5678": "***-5678",
    "4111 1111 1111 1111": "***-1111",
    "1234567": "1***",
    "Ana Maria da Silva": "A***",
    "Rua 12345678 de abril, 5": "R***",
    "@": "@***",
    "": "***",
}
"""A value and what the mask `partial` shows of it."""
LIKE_FREE_TEXT = ("j.doe@example.com", "529.982.247-25", "52998224725", "+55 (11) 91234-5678", "4111 1111 1111 1111")


def answers(sql: list[str], engine: str, request: pytest.FixtureRequest) -> list[Any]:
    query = f"select {', '.join(f'{text} as c{n}' for n, text in enumerate(sql))}"
    if engine == "spark":
        return list(request.getfixturevalue("spark").sql(query).collect()[0])
    with duck.connect() as connection:
        return list(connection.execute(query).fetchall()[0])


ON_BOTH = pytest.mark.parametrize("engine", ["duckdb", pytest.param("spark", marks=NEEDS_SPARK)])


@ON_BOTH
def test_the_hash_of_a_person_is_the_hmac_that_every_library_computes(
    engine: str, request: pytest.FixtureRequest
) -> None:
    quote = spark_text_literal if engine == "spark" else text_literal
    hmac_hex = load_macros(engine)["masked"]
    sql = [hmac_hex(quote(" Ana.Müller@B.co "), quote(hmac_pads(salt))) for salt in SALTS]

    expected = [hmac.new(salt.encode(), "ana.müller@b.co".encode(), hashlib.sha256).hexdigest() for salt in SALTS]
    assert answers([*sql, hmac_hex("null", quote(hmac_pads(SALTS[0])))], engine, request) == [*expected, None]


@ON_BOTH
def test_gold_shows_the_part_of_a_value_that_lists_of_rows_show(engine: str, request: pytest.FixtureRequest) -> None:
    quote = spark_text_literal if engine == "spark" else text_literal
    shown = answers([load_macros(engine)["partly_masked"](quote(value)) for value in VALUES], engine, request)

    assert dict(zip(VALUES, shown, strict=True)) == VALUES
    assert answers([load_macros(engine)["partly_masked"]("null")], engine, request) == [None]


def test_a_list_of_rows_shows_it_so_too(request: pytest.FixtureRequest) -> None:
    shown = answers([partial_sql(text_literal(value)) for value in VALUES], "duckdb", request)

    assert dict(zip(VALUES, shown, strict=True)) == VALUES
    assert answers([partial_sql("null")], "duckdb", request) == [None]


@pytest.mark.parametrize("value", LIKE_FREE_TEXT)
def test_a_column_and_a_free_text_show_a_value_alike(value: str) -> None:
    assert PIIMasker().mask(value) == VALUES[value]
