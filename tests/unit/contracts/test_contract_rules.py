"""What a contract says about values, compiled to rules and checks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ingestion.contracts.model import Contract, QualityCheck, Rule

CITY = "      - name: city\n"
CREDIT = "logicalTypeOptions: {minimum: 0}"
CREATED = "        description: When the customer was first entered"


@pytest.mark.parametrize(
    ("options", "rules"),
    [
        pytest.param("{minimum: 0.10}", [Rule("minimum", "0.10")], id="decimal keeps its digits"),
        pytest.param(
            "{maximum: 123456789012.34}", [Rule("maximum", "123456789012.34")], id="no digit is lost to float"
        ),
        pytest.param("{maximum: 1e3}", [Rule("maximum", "1000")], id="exponent becomes plain digits"),
        pytest.param("{minimum: 5, maximum: 5}", [Rule("minimum", "5"), Rule("maximum", "5")], id="one value is left"),
        pytest.param(
            "{exclusiveMinimum: 1, maximum: 9}",
            [Rule("exclusive_minimum", "1"), Rule("maximum", "9")],
            id="bounds that leave room",
        ),
        pytest.param("{exclusiveMinimum: '-5'}", [Rule("exclusive_minimum", "-5")], id="number in quotes"),
        pytest.param(
            "{maximum: 9, minimum: 1}",
            [Rule("minimum", "1"), Rule("maximum", "9")],
            id="order does not depend on the file",
        ),
    ],
)
def test_bound_is_the_exact_number_of_the_file(
    patched: Callable[..., str], contract_of: Callable[[str], Contract], options: str, rules: list[Rule]
) -> None:
    contract = contract_of(patched((CREDIT, f"logicalTypeOptions: {options}")))

    assert list(contract.column("credit_limit").rules) == rules


@pytest.mark.parametrize("written", ["2020-01-01", "2020-01-01T00:00:00", "'2020-01-01 00:00'"])
def test_moment_is_read_as_wall_clock_however_it_is_written(
    patched: Callable[..., str], contract_of: Callable[[str], Contract], written: str
) -> None:
    contract = contract_of(patched((CREATED, f"        logicalTypeOptions: {{minimum: {written}}}\n{CREATED}")))

    assert contract.column("created_at").rules == (Rule("required"), Rule("minimum", "2020-01-01T00:00:00"))


def test_allowed_value_is_the_word_of_the_file_even_where_yaml_knows_another_meaning(
    patched: Callable[..., str], contract_of: Callable[[str], Contract]
) -> None:
    contract = contract_of(patched((CITY, CITY + "        enum: [{value: NO}, {value: 007}, {value: 2020-01-01}]\n")))

    assert contract.column("city").rules == (Rule("enum", ("NO", "007", "2020-01-01")),)


@pytest.mark.parametrize(
    ("entry", "rules", "checks"),
    [
        pytest.param(
            "{metric: invalidValues, arguments: {validValues: [A]}, mustBe: 0}",
            [Rule("enum", ("A",))],
            [],
            id="no invalid value at all is a row rule",
        ),
        pytest.param(
            "{metric: invalidValues, arguments: {pattern: '^A'}, mustBe: 0}",
            [Rule("pattern", "^A")],
            [],
            id="so is a pattern",
        ),
        pytest.param(
            "{id: x, metric: invalidValues, arguments: {pattern: '^A'}, mustBe: 0, severity: warning}",
            [],
            [QualityCheck("x", "invalidValues", "city", "mustBe", 0.0, "rows", "warning", pattern="^A")],
            id="a warning sends no row to quarantine",
        ),
        pytest.param(
            "{metric: invalidValues, arguments: {validValues: [A]}, mustBeLessThan: 5, unit: percent}",
            [],
            [
                QualityCheck(
                    "city_invalidValues", "invalidValues", "city", "mustBeLessThan", 5.0, "percent", "error", ("A",)
                )
            ],
            id="some invalid values are a check of the batch",
        ),
        pytest.param(
            "{id: n, metric: nullValues, mustBeBetween: [0, 100], unit: percent}",
            [],
            [QualityCheck("n", "nullValues", "city", "mustBeBetween", (0.0, 100.0), "percent", "error")],
            id="zero and hundred are percentages",
        ),
        pytest.param(
            "{id: m, metric: missingValues, arguments: {missingValues: [null, '', N/A]}, mustBeBetween: [1, 2]}",
            [],
            [QualityCheck("m", "missingValues", "city", "mustBeBetween", (1.0, 2.0), "rows", "error", missing_values=("", "N/A"))],
            id="missing values",
        ),
    ],
)  # fmt: skip
def test_quality_of_a_column(
    patched: Callable[..., str],
    contract_of: Callable[[str], Contract],
    entry: str,
    rules: list[Rule],
    checks: list[QualityCheck],
) -> None:
    contract = contract_of(patched((CITY, f"{CITY}        quality: [{entry}]\n")))

    assert list(contract.column("city").rules) == rules
    assert [check for check in contract.quality if check.id != "email_mostly_known"] == checks


def test_quality_of_the_table(patched: Callable[..., str], contract_of: Callable[[str], Contract]) -> None:
    table_quality = (
        "    quality:\n      - {id: some, metric: rowCount, mustBeGreaterThan: 0}\n"
        "      - {id: once, metric: duplicateValues, arguments: {properties: [city, phone]}, mustBe: 0}\n"
    )

    contract = contract_of(patched(("slaProperties:", f"{table_quality}slaProperties:")))

    assert contract.quality[1:] == (
        QualityCheck("some", "rowCount", None, "mustBeGreaterThan", 0.0, "rows", "error"),
        QualityCheck("once", "duplicateValues", None, "mustBe", 0.0, "rows", "error", columns=("city", "phone")),
    )


def test_unique_is_implied_by_the_key_and_a_check_elsewhere(
    patched: Callable[..., str], contract_of: Callable[[str], Contract]
) -> None:
    contract = contract_of(
        patched(("        physicalName: TAX_ID\n", "        physicalName: TAX_ID\n        unique: true\n"))
    )

    assert [check.id for check in contract.quality] == ["email_mostly_known", "tax_id_unique"]
    assert contract.quality[1].metric == "duplicateValues"
