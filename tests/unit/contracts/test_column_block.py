"""A column says by itself that its moments are cut, or how the source declares it; what makes no sense is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ingestion.contracts.model import Contract
from ingestion.contracts.versions import compare_versions
from ingestion.errors import Fault

Patched = Callable[..., str]
WATERMARK = "physicalType: TIMESTAMP(6)"


def lake(column: str, value: str) -> tuple[str, str]:
    """Return the edit that gives a column a block."""
    block = f"        customProperties: [{{property: lake, value: {value}}}]\n"
    return f"      - name: {column}\n", f"      - name: {column}\n{block}"


def test_a_column_is_cut_and_says_how_the_source_declares_it(
    patched: Patched, contract_of: Callable[[str], Contract]
) -> None:
    plain = contract_of(patched())
    contract = contract_of(
        patched(lake("updated_at", "{truncate: true}"), lake("customer_id", '{sourceType: "NUMBER(38)"}'))
    )

    assert [c.name for c in contract.columns if c.truncate] == ["updated_at"]
    assert {c.name: c.source_type for c in contract.columns if c.source_type} == {"customer_id": "NUMBER(38)"}
    assert {(c.kind, c.column, c.breaking) for c in compare_versions(plain, contract)} == {
        ("truncate", "updated_at", False),
        ("source_type", "customer_id", False),
        ("version", None, False),
    }


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("email", "{truncate: true}", "email: truncate cuts moments, and the column is string; remove it"),
        ("customer_id", "{sourceType: SHAPE}", "customer_id: sourceType: SHAPE is not a type that oracle contracts"),
        ("customer_id", "{sourcetype: NUMBER}", "did you mean sourceType?"),
        ("updated_at", "{truncate: 1}", "updated_at.lake.truncate must be true or false"),
        ("updated_at", "[]", "updated_at: lake must be a mapping"),
        ("email", "{mask: hidden}", "email.lake.mask must be one of partial, token, drop"),
        ("segment", "{mask: drop}", "segment: mask says how a personal value is shown; write a classification"),
    ],
)
def test_a_block_that_makes_no_sense_is_refused(
    column: str, value: str, message: str, patched: Patched, faults_of: Callable[[str], list[Fault]]
) -> None:
    (fault,) = faults_of(patched(lake(column, value)))

    assert message in fault.message


def test_a_watermark_that_is_cut_needs_an_overlap(patched: Patched, faults_of: Callable[[str], list[Fault]]) -> None:
    (fault,) = faults_of(patched(lake("updated_at", "{truncate: true}"), ("overlap: PT2H", "overlap: PT0S")))

    assert fault.message.startswith("lake.overlap: is missing; the watermark updated_at is cut to microseconds")


def test_a_key_is_not_cut(patched: Patched, faults_of: Callable[[str], list[Fault]]) -> None:
    text = patched(
        (
            "logicalType: integer\n        physicalType: NUMBER(12)",
            "logicalType: timestamp\n        physicalType: TIMESTAMP(9)",
        ),
        lake("customer_id", "{truncate: true}"),
    )

    assert [f.message for f in faults_of(text) if "a key cannot be cut" in f.message]


def test_a_personal_column_says_how_it_is_shown_and_a_change_of_that_breaks(
    patched: Patched, contract_of: Callable[[str], Contract]
) -> None:
    plain = contract_of(patched())
    contract = contract_of(patched(lake("email", "{mask: partial}"), lake("phone", "{mask: drop}")))

    shown = {c.name: str(c.mask) for c in contract.columns if c.is_personal}
    changes = {c.sentence: c.breaking for c in compare_versions(plain, contract) if c.kind == "mask"}

    assert shown == {"customer_name": "token", "email": "partial", "phone": "drop", "tax_id": "token"}
    assert changes == {
        "the mask of email changed from token to partial": True,
        "the mask of phone changed from token to drop": True,
    }


def test_no_part_of_a_day_is_shown(patched: Patched, faults_of: Callable[[str], list[Fault]]) -> None:
    personal = ("      - name: created_at\n", "      - name: created_at\n        classification: pii\n")
    block = lake("created_at", "{mask: partial}")
    faults = faults_of(patched((personal[0], block[1].replace(personal[0], personal[1]))))

    assert any("created_at: mask partial shows a part of a text or whole" in fault.message for fault in faults)
