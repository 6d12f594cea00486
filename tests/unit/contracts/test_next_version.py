"""The next contract version differs from the last where the drift is, and nowhere else."""

from __future__ import annotations

import difflib
from collections.abc import Callable

import pytest

from ingestion.contracts.drift import Drift, DriftKind, FoundColumn, find_drift
from ingestion.contracts.model import Contract, DriftAction
from ingestion.contracts.types import UnknownTypeError, arrow_type
from ingestion.contracts.versions import compare_versions
from ingestion.contracts.writing.next_version import next_version
from ingestion.errors import ConfigurationError, Fault, InvalidContractError


def drift(kind: DriftKind, column: str, found: str = "no such column", declaration: str = "") -> Drift:
    return Drift(kind, column, "", found, DriftAction.FAIL, declaration)


def new(column: str, found: str = "VARCHAR2(20)", declaration: str = "") -> Drift:
    return drift(DriftKind.NEW_COLUMN, column, found, declaration)


@pytest.fixture
def accept(customers_text: str, contract_of: Callable[[str], Contract]) -> Callable[..., list[str]]:
    """Return the lines that go (-) and come (+) when these drifts are accepted."""

    def changed_lines(*drifts: Drift, text: str = customers_text) -> list[str]:
        result = next_version(text, contract_of(text), drifts)
        lines = difflib.unified_diff(text.splitlines(), result.splitlines(), n=0, lineterm="")
        return [line for line in lines if not line.startswith(("---", "+++", "@@"))]

    return changed_lines


def test_new_column_is_added_after_the_last_and_makes_a_minor_version(accept: Callable[..., list[str]]) -> None:
    assert accept(new("LOYALTY_TIER")) == [
        "-version: 1.0.0",
        "+version: 1.1.0",
        "+      - name: loyalty_tier",
        "+        physicalName: LOYALTY_TIER",
        "+        logicalType: string",
        "+        physicalType: VARCHAR2(20)",
        "+        description: Accepted from the source, null in rows loaded before. Describe it.",
    ]


def test_new_column_whose_name_looks_personal_is_marked_so(accept: Callable[..., list[str]]) -> None:
    assert "+        classification: pii" in accept(new("HOME_PHONE"))


@pytest.mark.parametrize(("found", "is_cut"), [("TIMESTAMP(9)", True), ("TIMESTAMP(6)", False)])
def test_new_moment_of_more_digits_than_the_lake_keeps_is_cut(
    found: str, is_cut: bool, accept: Callable[..., list[str]]
) -> None:
    block = "+        customProperties: [{property: lake, value: {truncate: true}}]"

    assert (block in accept(new("SEEN_AT", found))) is is_cut


def test_day_that_became_a_moment_is_promised_as_one(accept: Callable[..., list[str]], customers_text: str) -> None:
    start, end = customers_text.index("      - name: city"), customers_text.index("      - name: credit_limit")
    day = "      - {name: since, physicalName: SINCE, logicalType: date, physicalType: DATE}\n"

    lines = accept(
        drift(DriftKind.WIDENED, "since", "TIMESTAMP(6)"), text=customers_text[:start] + day + customers_text[end:]
    )

    assert "logicalType: timestamp" in lines[-1]


def test_removed_column_makes_a_major_version(accept: Callable[..., list[str]]) -> None:
    assert accept(drift(DriftKind.REMOVED_COLUMN, "city")) == [
        "-version: 1.0.0",
        "+version: 2.0.0",
        "-      - name: city",
        "-        physicalName: CITY",
        "-        logicalType: string",
        "-        physicalType: VARCHAR2(80)",
        "-        description: City of the delivery address.",
    ]


@pytest.mark.parametrize(
    ("kind", "column", "found", "lines"),
    [
        pytest.param(
            DriftKind.WIDENED, "credit_limit", "NUMBER(16,4)",
            ["-version: 1.0.0", "+version: 2.0.0", "-        physicalType: NUMBER(14,2)", "+        physicalType: NUMBER(16,4)"],
            id="wider number is another type in the lake",
        ),
        pytest.param(
            DriftKind.WIDENED, "city", "VARCHAR2(200)",
            ["-version: 1.0.0", "+version: 1.1.0", "-        physicalType: VARCHAR2(80)", "+        physicalType: VARCHAR2(200)"],
            id="longer text stays text in the lake",
        ),
        pytest.param(DriftKind.WIDENED, "credit_limit", "NUMBER", [], id="open precision leaves the promise as it is"),
        pytest.param(
            DriftKind.NARROWED, "credit_limit", "NUMBER(8,2)",
            ["-version: 1.0.0", "+version: 2.0.0", "-        physicalType: NUMBER(14,2)", "+        physicalType: NUMBER(8,2)"],
            id="narrower number",
        ),
        pytest.param(
            DriftKind.CHANGED_TYPE, "updated_at", "TIMESTAMP(6) WITH TIME ZONE",
            ["-version: 1.0.0", "+version: 2.0.0", "-        physicalType: TIMESTAMP(6)", "+        physicalType: TIMESTAMP(6) WITH TIME ZONE"],
            id="same logical type",
        ),
        pytest.param(
            DriftKind.CHANGED_TYPE, "created_at", "VARCHAR2(30)",
            ["-version: 1.0.0", "+version: 2.0.0", "-        logicalType: timestamp", "-        physicalType: TIMESTAMP(6)", "+        logicalType: string", "+        physicalType: VARCHAR2(30)"],
            id="another logical type",
        ),
        pytest.param(
            DriftKind.CHANGED_TYPE, "city", "NUMBER(9)",
            ["-version: 1.0.0", "+version: 2.0.0", "-        physicalType: VARCHAR2(80)", "+        physicalType: NUMBER(9)"],
            id="text that became a number is kept as exact text",
        ),
    ],
)  # fmt: skip
def test_type_of_a_column_is_replaced(
    accept: Callable[..., list[str]], customers_text: str, kind: DriftKind, column: str, found: str, lines: list[str]
) -> None:
    text = customers_text.replace("partition: created_at, ", "")

    assert accept(drift(kind, column, found), text=text) == lines


def test_result_is_a_whole_contract_without_this_drift(
    customers_text: str, contract_of: Callable[[str], Contract], faults_of: Callable[[str], list[Fault]]
) -> None:
    def found(name: str, declared: str) -> FoundColumn:
        try:
            return FoundColumn(name, declared, arrow_type("oracle", declared), True, "oracle")
        except UnknownTypeError:
            return FoundColumn(name, declared, None, True, "oracle")

    old = contract_of(customers_text)
    other = {"CITY": "VARCHAR2(200)", "CREDIT_LIMIT": "NUMBER(8,2)", "REGION": ""}
    catalog = [found(c.source_name, other.get(c.source_name, c.physical_type)) for c in old.columns]
    catalog = [column for column in catalog if column.physical_type]
    catalog += [found("Größe", "NUMBER(5,2)"), found("WEIGHT", "NUMBER"), found("ROW_HASH", "RAW(16)")]

    text = next_version(customers_text, old, find_drift(old, catalog))

    accepted = contract_of(text)
    assert faults_of(text) == []
    assert find_drift(accepted, catalog) == []
    assert [change.sentence for change in compare_versions(old, accepted)] == [
        "region is removed",
        "the type of credit_limit changed from NUMBER(14,2) (number) to NUMBER(8,2) (number)",
        "grosse is new",
        "weight is new",
        "source_row_hash is new",
        "the declaration of city changed from VARCHAR2(80) (string) to VARCHAR2(200) (string)",
    ]
    assert next_version(text, accepted, find_drift(old, catalog)) == text


def test_declaration_in_the_contracts_dialect_wins_over_what_the_catalog_says(accept: Callable[..., list[str]]) -> None:
    lines = accept(new("WEIGHT", "DECIMAL(9,3)", "NUMBER(9,3)"))

    assert "+        physicalType: NUMBER(9,3)" in lines
    assert "+        logicalType: number" in lines


@pytest.mark.parametrize(
    ("source_name", "name", "written"),
    [
        ("Order Date", "order_date", "Order Date"),
        ("NO", '"no"', '"NO"'),
        ('say "hi"', "say_hi", r'"say \"hi\""'),
        ("Ação", "acao", '"Ação"'),
        ("2nd_name", "source_2nd_name", '"2nd_name"'),
        ("VALID_FROM", "source_valid_from", "VALID_FROM"),
        ("_batch", "batch", '"_batch"'),
        ("E-MAIL", "e_mail", '"E-MAIL"'),
        ("E MAIL", "e_mail", "E MAIL"),
        ("E.MAIL: x", "e_mail_x", '"E.MAIL: x"'),
        ("EMAIL_", "email_2", "EMAIL_"),
        ("価格", "column", '"価格"'),
    ],
)
def test_any_name_of_a_source_becomes_a_name_of_ours(
    accept: Callable[..., list[str]], source_name: str, name: str, written: str
) -> None:
    lines = accept(new(source_name))

    assert lines[2] == f"+      - name: {name}"
    assert lines[3] == f"+        physicalName: {written}"


def test_comments_quotes_and_line_ends_of_the_rest_stay(customers_text: str, accept: Callable[..., list[str]]) -> None:
    text = customers_text.replace("version: 1.0.0", "version: '1.0.0'  # as agreed")
    text = text.replace("\nslaProperties:", "      # end of columns\n\n# SLA\nslaProperties:").replace("\n", "\r\n")

    assert accept(new("A"), text=text)[:2] == ["-version: '1.0.0'  # as agreed", "+version: '1.1.0'  # as agreed"]


def test_result_of_windows_lines_has_windows_lines(customers_text: str, contract_of: Callable[[str], Contract]) -> None:
    text = customers_text.replace("\n", "\r\n")

    result = next_version(text, contract_of(text), [new("A")])

    assert result.count("\n") == result.count("\r\n")


def test_last_column_can_go_while_another_comes(customers_text: str, contract_of: Callable[[str], Contract]) -> None:
    text = customers_text.replace("mode: incremental\n      watermark: updated_at\n      overlap: PT2H", "mode: full")

    result = next_version(text, contract_of(text), [drift(DriftKind.REMOVED_COLUMN, "updated_at"), new("A")])

    assert [column.name for column in contract_of(result).columns][-2:] == ["created_at", "a"]


def test_column_written_in_one_line_can_be_changed(customers_text: str, accept: Callable[..., list[str]]) -> None:
    start, end = customers_text.index("      - name: city"), customers_text.index("      - name: credit_limit")
    line = "      - {name: city, physicalName: CITY, logicalType: string, physicalType: VARCHAR2(80)}\n"

    lines = accept(
        drift(DriftKind.CHANGED_TYPE, "city", "NUMBER(9,2)"),
        text=customers_text[:start] + line + customers_text[end:],
    )

    assert lines[-1] == '+      - {name: city, physicalName: CITY, logicalType: string, physicalType: "NUMBER(9,2)"}'


def test_column_is_added_after_a_last_one_that_is_written_in_one_line(
    customers_text: str, accept: Callable[..., list[str]]
) -> None:
    last = "      - {name: note, physicalName: NOTE, logicalType: string, physicalType: CLOB}  # free text\n"

    lines = accept(new("A"), text=customers_text.replace("\nslaProperties:", f"{last}\nslaProperties:"))

    assert lines[:3] == ["-version: 1.0.0", "+version: 1.1.0", "+      - name: a"]


def test_no_drift_changes_nothing(accept: Callable[..., list[str]]) -> None:
    assert accept() == []


def test_column_that_the_contract_has_already_is_not_added_again(accept: Callable[..., list[str]]) -> None:
    assert accept(new("City")) == []


def test_watermark_that_is_gone_cannot_be_accepted(accept: Callable[..., list[str]]) -> None:
    with pytest.raises(InvalidContractError, match=r"lake\.watermark: updated_at is no column of the table"):
        accept(drift(DriftKind.REMOVED_COLUMN, "updated_at"))


def test_type_that_nobody_knows_cannot_be_accepted(accept: Callable[..., list[str]]) -> None:
    with pytest.raises(InvalidContractError, match="SDO_GEOMETRY is not a type that oracle contracts can use"):
        accept(new("SHAPE", "SDO_GEOMETRY"))


def test_properties_in_one_line_are_left_to_the_author(contract_of: Callable[[str], Contract]) -> None:
    text = """\
apiVersion: v3.1.0
kind: DataContract
id: crm.people
version: 1.0.0
servers: [{type: duckdb}]
schema: [{name: p, physicalName: p, properties: [{name: id, physicalName: id, logicalType: integer, physicalType: INT, primaryKey: true, required: true}]}]
customProperties: [{property: lake, value: {timezone: UTC, mode: full}}]
"""

    with pytest.raises(ConfigurationError, match="are not a block list"):
        next_version(text, contract_of(text), [new("A", "INT")])
