"""What a build on Spark says of a model that failed, and what it keeps to itself."""

from __future__ import annotations

import pytest

from ingestion.build.models import reason_of


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (
            "[NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION] 123.45 cannot be represented",
            "[NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION]",
        ),
        ("[CAST_INVALID_INPUT] The value 'ana@b.co' of the type", "[CAST_INVALID_INPUT]"),
        (
            "[UNRESOLVED_COLUMN.WITHOUT_SUGGESTION] `sku` is unknown",
            "[UNRESOLVED_COLUMN.WITHOUT_SUGGESTION] `sku` is unknown",
        ),
    ],
)
def test_an_error_of_spark_is_told_without_values_of_rows(told: str, shown: str) -> None:
    message = f"Runtime Error in model fact_sales (models/gold/sales/fact_sales.sql)\n  {told}\n  == SQL =="

    assert reason_of({"message": message}) == f" ({shown})"
