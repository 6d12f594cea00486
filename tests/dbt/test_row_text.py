"""The text whose hash decides whether a row has changed: another text for every other value, none for a null."""

from __future__ import annotations

import duckdb
import pytest

from tests.dbt.macros import load_macros

VALUES = {
    "int64": ("bigint", ["0", "1", "-1", "10"]),
    "string": ("varchar", ["''", "'0'", "'a=1:b;'", "';'"]),
    "bool": ("boolean", ["false", "true"]),
    "decimal128(10, 2)": ("decimal(10, 2)", ["0", "0.01", "-0.01"]),
    "double": ("double", ["0", "1", "'nan'", "'inf'", "'-inf'"]),
    "float": ("float", ["0", "1", "'nan'"]),
    "date32[day]": ("date", ["'1970-01-01'", "'1969-12-31'", "'9999-12-31'"]),
    "timestamp[us, tz=UTC]": ("timestamptz", ["'1970-01-01 00:00:00+00'", "'0001-01-01 00:00:00+00'"]),
    "binary": ("blob", ["''", "'\\x00'", "'0'"]),
}


@pytest.mark.parametrize("arrow", VALUES)
def test_every_value_of_a_type_and_its_null_have_texts_of_their_own(arrow: str) -> None:
    declared, values = VALUES[arrow]
    rows = ", ".join(f"(cast({value} as {declared}))" for value in ["null", *values])
    macros = load_macros("duckdb")
    types = {"x": arrow}
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        found = connection.execute(
            f"select {macros['sparse_text'](['x'], types)}, {macros['default__sparse_text'](['x'], types)} "
            f"from (values {rows}) as v(x)"
        ).fetchall()

    assert found[0] == ("", "")
    assert len({text for text, _ in found}) == len(values) + 1
    assert all(text == of_other_engines for text, of_other_engines in found)
