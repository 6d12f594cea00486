from __future__ import annotations

import pyarrow as pa
import pytest

from ingestion.contracts.model import Column, Contract, Mode, QualityCheck, Rule
from ingestion.extract.quality import evaluate, rates
from ingestion.extract.split import Tally, split

VALUES = ["a@b", "c@d", "none", None] * 5


def outcome(
    check: QualityCheck, values: list[str | None] | None = None, mode: Mode = Mode.FULL
) -> tuple[str, float | None]:
    """Return how the check ends on a batch of these e-mails, and the number it found."""
    columns = (
        Column("id", "id", "integer", "BIGINT", pa.int64(), True, 1),
        Column("email", "email", "string", "VARCHAR", pa.string()),
    )
    contract = Contract(
        "s.t",
        "1.0.0",
        "s",
        "t",
        "duckdb",
        ("t",),
        columns,
        timezone="UTC",
        mode=mode,
        silver_model="x",
        quality=(check,),
    )
    given = VALUES if values is None else values
    tally = Tally()
    half = len(given) // 2
    for part in (range(half), range(half, len(given))):
        ids, emails = pa.array(list(part), pa.int64()), pa.array([given[i] for i in part], pa.string())
        split(contract, pa.record_batch({"id": ids, "email": emails}), tally)
    (found,) = evaluate(contract, tally)
    return found.outcome, found.found


def check(
    metric: str, operator: str, operand: float | tuple[float, float], unit: str = "rows", **more: object
) -> QualityCheck:
    given = {"id": "c", "column": "email", "severity": "error", **more}
    return QualityCheck(metric=metric, operator=operator, operand=operand, unit=unit, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "ends"),
    [
        (check("nullValues", "mustBeLessThan", 30, "percent"), ("pass", 25.0)),
        (check("nullValues", "mustBeLessThan", 25, "percent"), ("fail", 25.0)),
        (check("nullValues", "mustBe", 0, severity="warning"), ("warn", 5.0)),
        (check("missingValues", "mustBeLessOrEqualTo", 9, missing_values=("none", "n/a")), ("fail", 10.0)),
        (check("invalidValues", "mustBeLessOrEqualTo", 5, pattern="@"), ("pass", 5.0)),
        (check("invalidValues", "mustBe", 0, valid_values=("a@b", "c@d")), ("fail", 5.0)),
        (check("invalidValues", "mustBeBetween", (4, 6), pattern="@"), ("pass", 5.0)),
        (check("invalidValues", "mustNotBeBetween", (4, 6), pattern="@"), ("fail", 5.0)),
        (check("rowCount", "mustBeGreaterThan", 20, column=None), ("fail", 20.0)),
    ],
)
def test_a_check_counts_over_all_batches_and_ends_as_promised(one: QualityCheck, ends: tuple[str, float]) -> None:
    assert outcome(one) == ends


def test_what_was_not_measured_is_not_passed() -> None:
    assert outcome(check("duplicateValues", "mustBe", 0)) == ("not run", None)
    assert outcome(check("nullValues", "mustBe", 0, "percent"), ["x", None]) == ("not run", None)
    assert outcome(check("rowCount", "mustBeGreaterThan", 1, column=None), mode=Mode.INCREMENTAL) == ("not run", None)


def test_duplicates_of_the_key_are_measured() -> None:
    assert outcome(check("duplicateValues", "mustBe", 0, column="id")) == ("pass", 0.0)


def test_the_rates_of_a_read_count_each_column_and_rule_over_all_batches() -> None:
    columns = (
        Column("id", "id", "integer", "BIGINT", pa.int64(), True, 1),
        Column("name", "name", "string", "VARCHAR", pa.string(), rules=(Rule("max_length", 3), Rule("pattern", "a"))),
        Column("price", "price", "number", "INT", pa.int32()),
    )
    table = Contract(
        "s.t", "1.0.0", "s", "t", "duckdb", ("t",), columns, timezone="UTC", mode=Mode.FULL, silver_model="x"
    )
    tally = Tally()
    for ids, names, prices, raw in (
        ([1, 2], ["abc", None], [1, None], [None, "12.5"]),
        ([3, 4], ["", "abcd"], [None, 4], [None, None]),
    ):
        split(
            table,
            pa.record_batch(
                {
                    "id": pa.array(ids, pa.int64()),
                    "name": pa.array(names, pa.string()),
                    "price": pa.array(prices, pa.int32()),
                    "__raw__price": pa.array(raw, pa.string()),
                }
            ),
            tally,
        )

    found = {(rate.dimension, rate.column, rate.measure): (rate.rows, rate.hits) for rate in rates(table, tally)}

    assert found == {
        ("completeness", "id", "null"): (4, 0),
        ("consistency", "id", "type"): (4, 0),
        ("completeness", "name", "null"): (4, 1),
        ("completeness", "name", "empty"): (4, 1),
        ("consistency", "name", "type"): (4, 0),
        ("validity", "name", "max_length"): (4, 1),
        ("validity", "name", "pattern"): (4, 1),
        ("completeness", "price", "null"): (4, 1),
        ("consistency", "price", "type"): (4, 1),
        ("consistency", None, "duplicate_key"): (4, 0),
    }
    assert rates(table, Tally()) == []
