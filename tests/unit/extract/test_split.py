from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.contracts.model import Column, Contract, Mode, NullWatermark, Rule
from ingestion.errors import IntegrityError
from ingestion.extract.split import Tally, split


def contract(*columns: Column, **changes: object) -> Contract:
    given: dict[str, object] = {"mode": Mode.FULL, **changes}
    return Contract("s.t", "1.0.0", "s", "t", "duckdb", ("t",), columns, timezone="UTC", silver_model="x", **given)  # type: ignore[arg-type]


def one(type_: pa.DataType, *rules: Rule, name: str = "c") -> Column:
    return Column(name, name, "x", "x", type_, rules=rules)


def broken(type_: pa.DataType, rule: Rule, values: list[object]) -> list[bool]:
    """Return per value whether the split refuses it."""
    batch = pa.record_batch({"c": pa.array(values, type_)})
    return [not good for good in split(contract(one(type_, rule)), batch, Tally()).is_good.to_pylist()]


@pytest.mark.parametrize(
    ("type_", "rule", "values", "refused"),
    [
        (pa.string(), Rule("required"), ["a", None, ""], [False, True, False]),
        (pa.string(), Rule("pattern", "^[0-9]+$"), ["12", "1a", None, ""], [False, True, False, True]),
        (pa.string(), Rule("enum", ("A", "B")), ["A", "a", None], [False, True, False]),
        (pa.int64(), Rule("enum", ("1", "2")), [1, 3, None], [False, True, False]),
        (pa.string(), Rule("max_length", 2), ["éé", "abc", None], [False, True, False]),
        (pa.string(), Rule("min_length", 1), ["", "a"], [True, False]),
        (pa.int32(), Rule("exclusive_minimum", "0"), [0, 1, None], [True, False, False]),
        (pa.int32(), Rule("maximum", "2.5"), [2, 3], [False, True]),
        (pa.decimal128(38, 2), Rule("minimum", "0"), [Decimal("-0.01"), Decimal("0.00")], [True, False]),
        (pa.decimal128(12, 2), Rule("maximum", "9999999999.99"), [Decimal("9999999999.99")], [False]),
        (pa.timestamp("us"), Rule("minimum", "2020-01-01"), [0, 1_767_225_600_000_000], [True, False]),
        (pa.date32(), Rule("maximum", "2020-01-01"), [0, 20_000], [False, True]),
        (pa.int64(), Rule("maximum", str(2**63 - 1)), [2**63 - 1], [False]),
    ],
)  # fmt: skip
def test_each_rule_refuses_what_it_must_and_lets_nulls_pass(
    type_: pa.DataType, rule: Rule, values: list[object], refused: list[bool]
) -> None:
    assert broken(type_, rule, values) == refused


def test_a_bad_row_names_every_break_in_contract_order() -> None:
    table = contract(
        one(pa.int64(), Rule("required"), name="a"),
        one(pa.string(), Rule("pattern", "^x"), Rule("max_length", 1), name="b"),
    )
    batch = pa.record_batch({"a": pa.array([None, 1], pa.int64()), "b": ["yy", "x"]})

    parts = split(table, batch, Tally())

    assert parts.breaks.to_pylist() == ["a:required; b:pattern; b:max_length"]
    assert (parts.bad.num_rows, parts.good.num_rows) == (1, 1)


def test_a_value_outside_its_type_breaks_type_and_not_required() -> None:
    table = contract(one(pa.int64(), Rule("required")))
    batch = pa.record_batch({"c": pa.array([None, 2], pa.int64()), "__raw__c": ["1.5", None]})

    parts = split(table, batch, Tally())

    assert parts.breaks.to_pylist() == ["c:type"]
    assert parts.bad.column("__raw__c").to_pylist() == ["1.5"]
    assert parts.good.schema.names == ["c"]


def test_a_watermark_ahead_of_the_clock_is_refused() -> None:
    table = contract(one(pa.timestamp("us")), watermark="c")
    batch = pa.record_batch({"c": pa.array([0, 10_000_000], pa.timestamp("us"))})

    parts = split(table, batch, Tally(), future="1970-01-01 00:00:10.000000")

    assert parts.breaks.to_pylist() == ["c:future_watermark"]


@pytest.mark.parametrize(
    ("policy", "rules", "breaks"),
    [
        (NullWatermark.INCLUDE, (), ["c:type"]),
        (NullWatermark.QUARANTINE, (), ["c:null_watermark", "c:type"]),
        (NullWatermark.QUARANTINE, (Rule("required"),), ["c:required", "c:type"]),
        (NullWatermark.FAIL, (), ["c:null_watermark", "c:type"]),
        (NullWatermark.FAIL, (Rule("required"),), ["c:required; c:null_watermark", "c:type"]),
    ],
)
def test_a_row_without_a_watermark_breaks_what_the_contract_says_and_a_misfit_is_none(
    policy: NullWatermark, rules: tuple[Rule, ...], breaks: list[str]
) -> None:
    table = contract(one(pa.timestamp("us"), *rules), watermark="c", null_watermark=policy)
    batch = pa.record_batch({"c": pa.array([0, None, None], pa.timestamp("us")), "__raw__c": [None, None, "infinity"]})
    tally = Tally()

    parts = split(table, batch, tally, future="1970-01-02 00:00:00")

    assert parts.breaks.to_pylist() == breaks
    assert tally.broken.get("c:null_watermark", 0) == (1 if "null_watermark" in breaks[0] else 0)


def test_other_types_than_promised_stop_the_load_and_are_named() -> None:
    with pytest.raises(IntegrityError, match=r"c: expected int64, found c double"):
        split(contract(one(pa.int64())), pa.record_batch({"c": [1.5]}), Tally())


def test_a_corrupt_batch_stops_the_load_without_showing_a_value() -> None:
    wide = pa.array([Decimal("99999.99")], pa.decimal128(38, 2)).buffers()
    corrupt = pa.Array.from_buffers(pa.decimal128(5, 2), 1, wide)
    with pytest.raises(IntegrityError) as caught:
        split(contract(one(pa.decimal128(5, 2))), pa.record_batch({"c": corrupt}), Tally())

    assert "99999" not in str(caught.value)


@given(st.lists(st.tuples(st.one_of(st.none(), st.integers(-5, 5)), st.one_of(st.none(), st.text(max_size=3)))))
def test_read_is_good_plus_bad_and_every_row_stays_itself(rows: list[tuple[int | None, str | None]]) -> None:
    table = contract(
        one(pa.int64(), Rule("required"), Rule("minimum", "0"), name="a"),
        one(pa.string(), Rule("max_length", 2), name="b"),
    )
    batch = pa.record_batch(
        {"a": pa.array([a for a, _ in rows], pa.int64()), "b": pa.array([b for _, b in rows], pa.string())}
    )
    tally = Tally()

    parts = split(table, batch, tally)

    keeps = [a is not None and a >= 0 and (b is None or len(b) <= 2) for a, b in rows]
    assert parts.is_good.to_pylist() == keeps
    assert parts.good.to_pylist() == [{"a": a, "b": b} for (a, b), keep in zip(rows, keeps, strict=True) if keep]
    assert parts.bad.to_pylist() == [{"a": a, "b": b} for (a, b), keep in zip(rows, keeps, strict=True) if not keep]
    assert tally.read == tally.good + tally.bad == len(rows)
