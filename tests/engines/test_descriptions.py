"""Descriptions in the tables of the lake, for catalogs and BI tools: those of the contract, kept up to date."""

from __future__ import annotations

import pytest

from ingestion.lake.descriptions import comments_of, description_of
from ingestion.load.load_table import load_table
from tests.engines.conftest import ON_BOTH_ENGINES_IN_THE_LONG_FORM, Company

pytestmark = ON_BOTH_ENGINES_IN_THE_LONG_FORM
PEOPLE = "crm.people"


def told(company: Company, layer: str) -> tuple[str, dict[str, str]]:
    """Return a table's description and comments, as any reader of Delta finds them."""
    context = company.context()
    schema = context.engine.schema(context.lake.uri(layer, "crm", "people"))
    return description_of(schema), comments_of(schema)


@pytest.mark.parametrize("layer", ["bronze", "quarantine"])
def test_a_new_table_has_the_descriptions_of_its_contract(company: Company, layer: str) -> None:
    description, comments = told(company, layer)
    contract = company.context().contract(PEOPLE)

    assert contract.description in description
    assert {column.name: column.description for column in contract.columns}.items() <= comments.items()
    assert comments["_batch"].startswith("Batch of the table")


def test_a_description_that_changed_is_brought_to_the_table_by_the_next_load_and_nothing_else(company: Company) -> None:
    load_table(company.context(), PEOPLE)
    rows, before = company.lake("from bronze.crm__people order by all"), company.versions()
    company.amend("people", "description: Watermark.", "description: It's when the row changed.")
    load_table(company.context(), PEOPLE)
    once = company.versions()
    load_table(company.context(), PEOPLE)

    assert told(company, "bronze")[1]["changed_at"] == "It's when the row changed."
    assert (once, company.versions()) == (before + 1, before + 1)
    assert company.lake("from bronze.crm__people order by all") == rows
