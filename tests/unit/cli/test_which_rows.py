"""Which rows? The keys that differ, and the rows in quarantine, without personal values."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from ingestion.cli import cli
from ingestion.load.load_table import load_table
from tests.engines.conftest import Company, company  # noqa: F401 - a fixture

Run = Callable[..., list[dict[str, str]]]


@pytest.fixture
def run(company: Company, monkeypatch: pytest.MonkeyPatch) -> Run:  # noqa: F811
    """Return a runner of commands on the loaded company, which returns the rows of their CSV."""
    for name, value in company.environ.items():
        monkeypatch.setenv(name, value)
    load_table(company.context(), "crm.people")

    def rows(*arguments: str) -> list[dict[str, str]]:
        result: Result = CliRunner().invoke(cli, [*arguments, "--format", "csv"])
        assert result.exit_code == 0, result.output
        return list(csv.DictReader(io.StringIO(result.stdout)))

    return rows


def test_differing_keys_are_listed_with_what_is_wrong_and_where(run: Run, company: Company) -> None:  # noqa: F811
    company.sql(
        "insert into people values (4, 'Dee', 1, '2026-02-01 08:00:00')",
        "update people set name = 'Bee' where id = 2",
        "delete from people where id = 1",
    )

    rows = run("gaps", "crm.people", "--keys")

    assert rows == run("gaps", "keys", "crm.people")
    told = [(row["id"], row["_finding"], row["_source"], row["_lake"]) for row in rows]
    assert told == [
        ("2", "changed", "1", "1"),
        ("4", "missing_in_lake", "1", "0"),
        ("1", "missing_in_source", "0", "1"),
    ]
    assert {row["_partition"] for row in rows} == {"2026-02-01", "2026-03-01"}
    assert {*rows[0]} == {"id", "_finding", "_partition", "_source", "_lake", "_state"}


def test_a_key_that_the_quarantine_explains_says_so(run: Run, company: Company) -> None:  # noqa: F811
    company.sql("insert into people values (4, 'a name too long', 1, '2026-03-01 11:00:00')")
    load_table(company.context(), "crm.people")

    assert [(row["id"], row["_state"]) for row in run("gaps", "crm.people", "--keys")] == [("4", "in quarantine")]


def test_no_key_is_listed_where_all_are_equal(run: Run) -> None:
    assert run("gaps", "crm.people", "--keys") == []


def test_keys_that_are_personal_are_masked(run: Run, company: Company) -> None:  # noqa: F811
    company.amend("people", "name: id,", "name: id, classification: pii,")
    company.sql("insert into people values (4, 'Dee', 1, '2026-02-01 08:00:00')")

    assert [row["id"] for row in run("gaps", "crm.people", "--keys")] == ["(personal)"]


def test_rows_in_quarantine_are_shown_with_their_breaks_and_without_personal_values(
    run: Run,
    company: Company,  # noqa: F811
) -> None:
    company.amend("people", "name: name,", "name: name, classification: pii,")
    company.sql(
        "insert into people values (4, 'a name too long', 1, '2026-03-01 11:00:00'), "
        "(5, 'another that is too long', null, '2026-03-01 11:00:00')"
    )
    load_table(company.context(), "crm.people")

    masked, raw = run("quarantine", "show", "crm.people"), run("quarantine", "show", "crm.people", "--raw")

    assert [(r["id"], r["name"], r["score"], r["_breaks"], r["_state"]) for r in masked] == [
        ("4", "(personal)", "1.00", "name:max_length", "open"),
        ("5", "(personal)", "", "name:max_length", "open"),
    ]
    assert [r["name"] for r in raw] == ["a name too long", "another that is too long"]


def test_settled_rows_are_shown_only_on_request(run: Run, company: Company) -> None:  # noqa: F811
    company.sql("insert into people values (4, 'a name too long', 1, '2026-03-01 11:00:00')")
    load_table(company.context(), "crm.people")
    company.sql("update people set name = 'Dee' where id = 4")
    load_table(company.context(), "crm.people")

    assert run("quarantine", "show", "crm.people") == []
    assert [row["_state"] for row in run("quarantine", "show", "crm.people", "--all")] == ["settled"]
    assert run("quarantine", "show", "crm.people", "--all", "--batch", "99") == []


def test_a_column_is_shown_as_its_mask_says(run: Run, company: Company) -> None:  # noqa: F811
    masked = "classification: pii, customProperties: [{property: lake, value: {mask: %s}}],"
    company.amend("people", "name: name,", f"name: name, {masked % 'partial'}")
    company.amend("people", "name: score,", f"name: score, {masked % 'drop'}")
    company.sql("insert into people values (4, 'ana@example.com', 7, '2026-03-01 11:00:00')")
    load_table(company.context(), "crm.people")

    [row] = run("quarantine", "show", "crm.people")

    assert row["name"] == "a***@e***.com"
    assert "score" not in row


@pytest.mark.parametrize(("mask", "shown"), [("partial", "4***"), ("drop", None)])
def test_a_key_that_differs_is_shown_as_its_mask_says(
    run: Run,
    company: Company,  # noqa: F811
    mask: str,
    shown: str | None,
) -> None:
    personal = f"classification: pii, customProperties: [{{property: lake, value: {{mask: {mask}}}}}],"
    company.amend("people", "name: id,", f"name: id, {personal}")
    company.sql("insert into people values (4, 'Dee', 1, '2026-02-01 08:00:00')")

    [row] = run("gaps", "crm.people", "--keys")

    assert (row.get("id"), row["_finding"]) == (shown, "missing_in_lake")
