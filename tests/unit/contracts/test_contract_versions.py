"""What changed between two versions of a contract, and what of it breaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ingestion.contracts.model import Contract
from ingestion.contracts.versions import compare_versions

PatchedText = Callable[..., str]
CITY = (
    "      - name: city\n        physicalName: CITY\n        logicalType: string\n"
    "        physicalType: VARCHAR2(80)\n        description: City of the delivery address.\n"
)
MAJOR = ("version: 1.0.0", "version: 2.0.0")
MINOR = ("version: 1.0.0", "version: 1.1.0")


@pytest.fixture
def changes_of(patched: PatchedText, contract_of: Callable[[str], Contract]) -> Callable[..., list[tuple[str, bool]]]:
    """Return (sentence, breaking) of each change that these patches make."""

    def compare(*changes: tuple[str, str]) -> list[tuple[str, bool]]:
        found = compare_versions(contract_of(patched()), contract_of(patched(*changes)))
        return [(change.sentence, change.breaking) for change in found]

    return compare


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        pytest.param(CITY, "", "city is removed", id="column removed"),
        pytest.param("name: city", "name: town", "city is renamed to town", id="column renamed"),
        pytest.param("NUMBER(14,2)", "NUMBER(16,2)", "the type of credit_limit changed from NUMBER(14,2) (number) to NUMBER(16,2) (number)", id="more digits"),
        pytest.param("NUMBER(12)\n", "NUMBER(12)\n        classification: pii\n", "the classification of customer_id changed from none to pii", id="personal data now"),
        pytest.param("        classification: pii\n        description: Full", "        classification: public\n        description: Full", "the classification of customer_name changed from pii to public", id="personal data no more"),
        pytest.param("        required: true\n        description: Segment", "        description: Segment", "segment is no longer required", id="nulls allowed"),
        pytest.param("overlap: PT2H", "overlap: PT2H\n      tracked: [city]", "the tracked columns changed from none to city", id="tracked"),
        pytest.param("watermark: updated_at", "watermark: created_at", "the watermark changed from updated_at to created_at", id="watermark"),
        pytest.param("mode: incremental\n      watermark: updated_at\n      overlap: PT2H", "mode: full\n      watermark: updated_at", "the mode changed from incremental to full", id="mode"),
        pytest.param("America/Sao_Paulo", "UTC", "the time zone changed from America/Sao_Paulo to UTC", id="time zone"),
        pytest.param("silver: stg_customers", "silver: stg_clients", "the Silver model changed from stg_customers to stg_clients", id="Silver model"),
        pytest.param("RETAIL.CUSTOMERS", "RETAIL.CLIENTS", "the source table changed from RETAIL, CUSTOMERS to RETAIL, CLIENTS", id="source table"),
        pytest.param("overlap: PT2H", "overlap: PT2H\n      sequence: customer_id", "the sequence changed from none to customer_id", id="sequence"),
        pytest.param("overlap: PT2H", "overlap: PT2H\n      bronze: merge", "the Bronze mode changed from append to merge", id="Bronze mode"),
    ],
)  # fmt: skip
def test_change_that_breaks(
    changes_of: Callable[..., list[tuple[str, bool]]], old: str, new: str, sentence: str
) -> None:
    assert (sentence, True) in changes_of(MAJOR, (old, new))


def test_change_of_the_key_breaks(changes_of: Callable[..., list[tuple[str, bool]]]) -> None:
    keyed = CITY.replace("        description", "        primaryKey: true\n        primaryKeyPosition: 2\n        required: true\n        description")  # fmt: skip

    assert ("the merge key changed from customer_id to customer_id, city", True) in changes_of(MAJOR, (CITY, keyed))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        pytest.param(CITY, CITY + CITY.replace("city", "town").replace("CITY", "TOWN"), "town is new", id="new column"),
        pytest.param("VARCHAR2(80)", "VARCHAR2(90)", "the declaration of city changed from VARCHAR2(80) (string) to VARCHAR2(90) (string)", id="longer text"),
        pytest.param("NUMBER(12)", "NUMBER(14)", "the declaration of customer_id changed from NUMBER(12) (integer) to NUMBER(14) (integer)", id="more digits of the same 64 bits"),
        pytest.param("{maxLength: 120}", "{maxLength: 60}", "the rules of customer_name changed (max_length)", id="tighter rule"),
        pytest.param("[Consumer, ", "[", "the rules of segment changed (enum)", id="fewer values"),
        pytest.param("VARCHAR2(80)\n", "VARCHAR2(80)\n        required: true\n", "city is required now", id="required now"),
        pytest.param("physicalName: CITY", "physicalName: TOWN", "city is read from TOWN, not CITY", id="source column"),
        pytest.param("City of the delivery address.", "Town.", "the description of city changed", id="description of a column"),
        pytest.param("as the sales desk keeps them", "all", "the description changed", id="description"),
        pytest.param("overlap: PT2H", "overlap: PT4H", "the overlap changed from 2:00:00 to 4:00:00", id="overlap"),
        pytest.param("mustBeLessThan: 20", "mustBeLessThan: 30", "the quality checks changed", id="quality"),
        pytest.param("value: 24", "value: 12", "the limits of the sync gap changed", id="freshness"),
        pytest.param("deletes: keys", "deletes: none", "how deletions are found changed from keys to none", id="deletes"),
    ],
)  # fmt: skip
def test_change_that_breaks_nothing(
    changes_of: Callable[..., list[tuple[str, bool]]], old: str, new: str, sentence: str
) -> None:
    assert changes_of(MINOR, (old, new)) == [(sentence, False)]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        pytest.param("[Consumer, ", "[Private, Consumer, ", "the rules of segment admit more values (enum)", id="more values"),
        pytest.param("[Consumer, ", "[Private, ", "the rules of segment admit more values (enum)", id="other values"),
        pytest.param("{maxLength: 120}", "{maxLength: 121}", "the rules of customer_name admit more values (max_length)", id="wider rule"),
        pytest.param("        logicalTypeOptions: {maxLength: 120}\n", "", "the rules of customer_name admit more values (max_length)", id="rule removed"),
        pytest.param("{maxLength: 120}", "{maxLength: 60}", "the rules of customer_name changed (max_length)", id="tighter rule"),
        pytest.param(CITY, CITY + CITY.replace("city", "town").replace("CITY", "TOWN"), "town is new", id="new column"),
    ],
)  # fmt: skip
def test_a_change_that_readers_see_is_told_apart_from_one_that_nothing_depends_on(
    patched: PatchedText, contract_of: Callable[[str], Contract], old: str, new: str, sentence: str
) -> None:
    changes = compare_versions(
        contract_of(patched()), contract_of(patched(MINOR, (old, new), ("overlap: PT2H", "overlap: PT4H")))
    )

    levels = {change.sentence: change.level for change in changes}
    assert levels == {sentence: "visible to readers", "the overlap changed from 2:00:00 to 4:00:00": "ok"}
    assert next(iter(levels)) == sentence


@pytest.mark.parametrize(
    ("before", "after", "is_breaking"),
    [("quarantine", "include", True), ("include", "fail", True), ("quarantine", "fail", False)],
)
def test_to_load_rows_without_a_watermark_or_no_longer_breaks(
    patched: PatchedText, contract_of: Callable[[str], Contract], before: str, after: str, *, is_breaking: bool
) -> None:
    nullable = ("        required: true\n        description: Watermark.", "        description: Watermark.")
    old, new = (
        contract_of(patched(nullable, ("overlap: PT2H", f"overlap: PT2H\n      nullWatermark: {policy}")))
        for policy in (before, after)
    )

    changes = {change.kind: (change.sentence, change.breaking) for change in compare_versions(old, new)}

    sentence = f"what becomes of rows without a watermark changed from {before} to {after}"
    assert changes["null_watermark"] == (sentence, is_breaking)


def test_renamed_column_is_one_change(changes_of: Callable[..., list[tuple[str, bool]]]) -> None:
    assert changes_of(MAJOR, ("name: city", "name: town")) == [("city is renamed to town", True)]


def test_what_breaks_is_told_first(changes_of: Callable[..., list[tuple[str, bool]]]) -> None:
    changes = changes_of(MAJOR, ("overlap: PT2H", "overlap: PT4H"), (CITY, ""))

    assert [breaking for _, breaking in changes] == [True, False]


def test_equal_promises_have_no_change(changes_of: Callable[..., list[tuple[str, bool]]]) -> None:
    assert changes_of() == []
    assert changes_of(MINOR) == []


@pytest.mark.parametrize("version", ["1.0.0", "1.9.9", "0.9.0"])
def test_breaking_change_without_a_major_version_is_told(
    changes_of: Callable[..., list[tuple[str, bool]]], version: str
) -> None:
    changes = changes_of(("version: 1.0.0", f"version: {version}"), (CITY, ""))

    assert changes == [
        (f"the version goes from 1.0.0 to {version}, but 1 change breaks the contract: make it 2.0.0", True),
        ("city is removed", True),
    ]


def test_change_under_the_same_version_is_told(changes_of: Callable[..., list[tuple[str, bool]]]) -> None:
    assert changes_of(("overlap: PT2H", "overlap: PT4H"))[0] == (
        "the version goes from 1.0.0 to 1.0.0, but the contract changed: make it 1.1.0",
        False,
    )


def test_tenth_minor_version_is_later_than_the_ninth(
    patched: PatchedText, contract_of: Callable[[str], Contract]
) -> None:
    old = replace(contract_of(patched()), version="1.9.0")
    new = replace(old, version="1.10.0", description="Other words.")

    assert [change.kind for change in compare_versions(old, new)] == ["description"]


def test_tighter_rule_says_that_more_rows_may_be_quarantined(
    patched: PatchedText, contract_of: Callable[[str], Contract]
) -> None:
    new = contract_of(patched(MINOR, ("{maxLength: 120}", "{maxLength: 60}")))

    (change,) = compare_versions(contract_of(patched()), new)

    assert (change.column, change.note) == ("customer_name", "other rows may be quarantined than before")


def test_two_contracts_are_not_two_versions(patched: PatchedText, contract_of: Callable[[str], Contract]) -> None:
    contract = contract_of(patched())

    with pytest.raises(ValueError, match="not two versions of one"):
        compare_versions(contract, replace(contract, id="erp.other"))
