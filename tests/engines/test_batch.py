"""A batch publishes only what was reviewed, and compares keys only with the rows that were read beside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from ingestion.contracts.window import FixedPoint, Window
from ingestion.errors import IntegrityError
from ingestion.load.batch import Batch, open_batch
from ingestion.load.deletes import check_brake, lacking_keys, source_keys, stage_deletes, vanished_keys
from ingestion.load.load_table import load_table
from ingestion.load.publish import publish, review_rows
from ingestion.load.rows import StagedRows, take
from ingestion.sources.base import Snapshot
from tests.engines.conftest import Company

PEOPLE = "crm.people"


@contextmanager
def open_people(company: Company) -> Iterator[tuple[Batch, Snapshot]]:
    """Open the next batch of the people, and their source."""
    context = company.context()
    table = context.table(context.contract(PEOPLE))
    with (
        context.source(table.contract).snapshot() as snapshot,
        open_batch(table, table.state(), snapshot.fixed_point, memory_limit="200MB") as batch,
    ):
        yield batch, snapshot


def read_all(batch: Batch, snapshot: Snapshot) -> StagedRows:
    found = snapshot.catalog(batch.contract)
    return take(batch, snapshot.read(batch.contract, Window(), found=found), op="R", new_rows=None)


def test_rows_that_were_read_after_the_review_are_not_published(company: Company) -> None:
    with open_people(company) as (batch, snapshot):
        reviewed = review_rows(batch)
        read_all(batch, snapshot)

        with pytest.raises(IntegrityError, match="rows up to 0 were reviewed, those up to 3 are staged"):
            publish(company.context(), batch, reviewed, watermark=None)

    assert company.lake("select count(*) from bronze.crm__people") == [(0,)]


def test_deletes_that_were_staged_after_the_review_are_not_published(company: Company) -> None:
    load_table(company.context(), PEOPLE)
    company.sql("delete from people where id = 1")
    with open_people(company) as (batch, snapshot):
        gone = vanished_keys(batch, source_keys(batch, read_all(batch, snapshot), None))
        reviewed = review_rows(batch)
        stage_deletes(batch, check_brake(batch, gone, allow_deletes=True))

        with pytest.raises(IntegrityError, match="rows up to 2 were reviewed, those up to 3 are staged"):
            publish(company.context(), batch, reviewed, watermark=None)

    assert company.lake("select count(*) from bronze.crm__people where _op = 'D'") == [(0,)]


def test_keys_are_not_compared_with_the_rows_of_a_later_read(company: Company) -> None:
    with open_people(company) as (batch, snapshot):
        first = read_all(batch, snapshot)
        keys = source_keys(batch, first, None)
        read_all(batch, snapshot)

        with pytest.raises(IntegrityError, match="rows of read 1, after read 2"):
            lacking_keys(batch, keys)
        with pytest.raises(IntegrityError, match="rows of read 1, after read 2"):
            source_keys(batch, first, None)


def test_a_batch_bears_the_moment_and_the_fixed_point_that_it_was_opened_with(company: Company) -> None:
    context = company.context()
    table = context.table(context.contract(PEOPLE))
    begun = datetime(2026, 3, 1, 11, tzinfo=UTC)
    point = FixedPoint("test", "1", begun + timedelta(minutes=1))
    with open_batch(table, table.state(), point, memory_limit="200MB", ingested_at=begun) as batch:
        stamp = batch.stamp("R")

    assert (stamp.ingested_at, stamp.moment) == (begun, point.moment)
