"""The first Gold model of a table: written once, of all columns, with personal ones hashed; then it is a person's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from ingestion.contracts.model import Column, Contract, Mask
from ingestion.contracts.types import _DUCKDB_NAMES
from ingestion.contracts.writing.dbt_gold import render_dimension, render_dimension_yaml, write_dimension
from ingestion.errors import ConfigurationError

SPARK = {"varchar", "bigint", "integer", "smallint", "tinyint", "float", "double", "boolean", "date", "blob",
         "timestamp", "timestamp with time zone"}  # fmt: skip
"""What dbt's contract of a model is compared with on Spark: see spark__get_empty_schema_sql."""


@pytest.fixture
def people(make_contract: Callable[..., Contract]) -> Contract:
    made = make_contract()
    email = Column("email", "email", "string", "VARCHAR", pa.string(), classification="pii", description="For letters.")
    return replace(made, columns=(*made.columns, email), description="One row per person.")


def test_a_personal_column_is_shown_as_its_hash_alone(people: Contract) -> None:
    sql, told = render_dimension(people, "stg_people"), render_dimension_yaml(people, "dim_people")

    [model] = yaml.safe_load(told)["models"]
    assert [column["name"] for column in model["columns"]] == [
        *("people_sk", "email_hash", "id", "name", "changed_at"),
        *("valid_from", "valid_to", "is_current", "is_deleted", "is_first_version"),
    ]
    assert "set columns = ['id', 'name', 'changed_at'] %}" in sql
    assert "masked('cast(' ~ quoted(['email']) ~ ' as string)', salt=mask_salt()) }} as email_hash" in sql
    assert model["columns"][1]["description"] == "HMAC-SHA-256 of email keyed by the lake's salt. For letters."


def test_gold_shows_a_part_of_a_column_or_none_of_it_where_the_contract_says_so(people: Contract) -> None:
    email = people.columns[-1]
    columns = (*people.columns[:-1], replace(email, mask=Mask.PARTIAL), replace(email, name="phone", mask=Mask.DROP))
    made = replace(people, columns=columns)

    sql, told = render_dimension(made, "stg_people"), render_dimension_yaml(made, "dim_people")

    assert "{{ partly_masked(quoted(['email'])) }} as email_part," in sql
    assert "A part of email, the rest masked. For letters." in told
    assert "phone" not in sql + told


def test_a_table_of_personal_columns_alone_has_no_empty_list(people: Contract) -> None:
    columns = tuple(replace(column, classification="pii") for column in people.columns)

    assert "quoted(columns)" not in render_dimension(replace(people, columns=columns), "stg_people")


def test_a_column_named_as_one_that_the_dimension_adds_is_refused(people: Contract) -> None:
    columns = (*people.columns, Column("people_sk", "PEOPLE_SK", "string", "VARCHAR", pa.string()))

    with pytest.raises(ConfigurationError, match="the table has columns named people_sk"):
        render_dimension(replace(people, columns=columns), "stg_people")


def test_what_is_there_is_never_written_again(people: Contract, tmp_path: Path) -> None:
    files = write_dimension(people, "stg_people", tmp_path)
    assert [path.name for path in files] == ["dim_people.sql", "dim_people.yml"]
    files[0].write_text("select 1")
    files[1].unlink()

    assert write_dimension(people, "stg_people", tmp_path) == [files[1]]
    assert files[0].read_text() == "select 1"


def test_the_same_entity_of_another_system_gets_a_name_of_its_own(people: Contract, tmp_path: Path) -> None:
    write_dimension(replace(people, system="erp"), "stg_people", tmp_path)

    assert [path.stem for path in write_dimension(people, "stg_people", tmp_path)] == ["dim_crm__people"] * 2


def test_both_engines_know_the_types_that_the_model_promises(people: Contract) -> None:
    columns = tuple(replace(people.columns[1], name=f"c{n}", arrow_type=type_) for n, type_ in enumerate(_DUCKDB_NAMES))
    told = render_dimension_yaml(replace(people, columns=(people.columns[0], *columns)), "dim_people")

    [model] = yaml.safe_load(told)["models"]
    assert {column["data_type"] for column in model["columns"]} <= SPARK
