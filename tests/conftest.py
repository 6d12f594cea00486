"""Fixtures of all rooms."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from tests.dbt import warm
from tests.spark.session import SETTINGS

pytest_plugins = ["tests.system_libraries"]
os.environ["LAKEHOUSE_MASK_SALT"] = "a salt of the tests"  # Gold is not built without one


@pytest.fixture(scope="session", autouse=True)
def warm_dbt() -> Iterator[None]:
    """Builds in this process run a dbt that is started already; builds of a `lakehouse` that a test starts, their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ingestion.build.dbt.output_of", warm.output_of)
        yield


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """The one Spark session of this worker; a module that asks for it is marked NEEDS_SPARK."""
    from ingestion.lake.spark.session import open_session

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Spark's own
        session = open_session(environ={**os.environ, **SETTINGS})
        yield session
        session.stop()
