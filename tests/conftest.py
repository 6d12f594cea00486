"""Fixtures of all rooms."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from tests.spark.session import SETTINGS

pytest_plugins = ["tests.system_libraries"]
os.environ["LAKEHOUSE_MASK_SALT"] = "a salt of the tests"  # Gold is not built without one


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """The one Spark session of this worker; a module that asks for it is marked NEEDS_SPARK."""
    from ingestion.lake.spark.session import open_session

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Spark's own
        session = open_session(environ={**os.environ, **SETTINGS})
        yield session
        session.stop()
