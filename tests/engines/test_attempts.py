"""What a further attempt at a step on many tables has to do, and the sentence that a run ends with."""

from __future__ import annotations

from contextlib import suppress

import pytest

from ingestion.errors import (
    BrokenContractError,
    LakehouseError,
    PermanentError,
    SourceUnavailableError,
    TablesFailedError,
)
from ingestion.runs.attempts import raise_all, rest_of
from ingestion.runs.context import Context
from ingestion.runs.verdict import summary
from tests.engines.conftest import Company

BROKEN, AWAY = BrokenContractError("crm.b", []), SourceUnavailableError("crm: away")


def attempt(context: Context, subject: str, error: Exception | None = None, step: str = "load", **columns: int) -> None:
    with suppress(LakehouseError), context.recorded(step, subject) as row:
        row.update(columns)
        if error is not None:
            raise error


def test_a_retry_works_on_what_has_no_good_end_and_may_still_have_one(company: Company) -> None:
    run = company.context("run-2")
    attempt(company.context("run-1"), "crm.new")  # another run's end is none of this one
    attempt(run, "crm.good", batch=3, rows_appended=7)
    attempt(run, "crm.b", BROKEN)
    attempt(run, "crm.away", AWAY)
    attempt(run, "crm.unforeseen", ZeroDivisionError())
    attempt(run, "crm.mended", AWAY)
    attempt(run, "crm.mended", batch=1, rows_appended=2)
    attempt(run, "crm.new", step="gaps")

    rest = rest_of(run, "load", ["crm.away", "crm.b", "crm.good", "crm.mended", "crm.new", "crm.unforeseen"])

    assert rest.todo == ("crm.away", "crm.new", "crm.unforeseen")
    assert [str(error) for error in rest.lost] == [str(BROKEN)]
    assert {table: (done["batch"], done["appended"]) for table, done in (rest.done or {}).items()} == {
        "crm.good": (3, 7),
        "crm.mended": (1, 2),
    }


@pytest.mark.parametrize(
    ("errors", "raised"),
    [
        ([BROKEN], BrokenContractError),
        ([BROKEN, BROKEN], PermanentError),
        ([BROKEN, AWAY], TablesFailedError),
    ],
)
def test_several_errors_are_retried_if_a_retry_can_help_one(
    errors: list[LakehouseError], raised: type[LakehouseError]
) -> None:
    raise_all([], of=3)
    with pytest.raises(raised) as told:
        raise_all(errors, of=3)

    assert type(told.value) is raised
    assert "the source no longer keeps the contract" in str(told.value)
    assert ("of 3 tables failed" in str(told.value)) == (len(errors) > 1)


def test_a_run_is_told_in_one_sentence(company: Company) -> None:
    run = company.context("run-1")
    built = {"run_id": "run-1", "step": "gold"}
    attempt(run, "crm.people", AWAY)
    attempt(run, "crm.people", rows_appended=1_200, rows_deleted=34)
    attempt(run, "crm.cities", BROKEN)
    run.journal.append(
        "models", [built | {"model": "dim_a", "status": "ok"}, built | {"model": "b", "status": "failed"}]
    )
    run.journal.append("gaps", [{"run_id": "run-1", "contract_id": "crm.people", "severity": "WARNING"}])

    told = summary(run, "run-1")

    assert told == (
        "1 table loaded (1,234 new rows), 1 table not loaded, 1 model built, 1 model not built, 1 gap to watch."
    )
    assert summary(run, "another") == "0 tables loaded (0 new rows), 0 models built, no gaps."
