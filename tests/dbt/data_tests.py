"""Builds without the data tests of their models, which take longer than the models of a small lake."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ingestion.build import dbt
from tests.examples import LONG


@contextmanager
def without_data_tests() -> Iterator[None]:
    """
    Unless in the long form, builds of this process run no data tests.

    For builds whose tables are compared with those of a build that ran them, or whose tables no assertion is about.
    """
    with pytest.MonkeyPatch.context() as patch:
        if not LONG:
            honest = dbt._arguments  # they end with `--exclude-resource-type unit_test`
            patch.setattr(dbt, "_arguments", lambda layer, **given: [*honest(layer, **given), "test"])
        yield
