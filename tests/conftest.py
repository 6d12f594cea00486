"""Fixtures of all rooms."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ingestion.build import dbt_process
from tests import examples
from tests.dbt import warm
from tests.spark.session import SETTINGS

__all__ = ["examples"]  # it sets the profile of Hypothesis
pytest_plugins = ["tests.system_libraries"]
os.environ["LAKEHOUSE_MASK_SALT"] = "a salt of the tests"  # Gold is not built without one


@pytest.fixture(scope="session", autouse=True)
def warm_dbt() -> Iterator[None]:
    """Builds in this process run a dbt that is started already; builds of a `lakehouse` that a test starts, their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ingestion.build.dbt.output_of", warm.output_of)
        yield


@pytest.fixture(scope="session", autouse=True)
def roomy_disk() -> Iterator[None]:
    """The page and incidents of this process find half of the lake's disk free, whatever the machine has."""
    with pytest.MonkeyPatch.context() as patch:
        half = SimpleNamespace(disk_usage=lambda _: SimpleNamespace(total=2**40, free=2**39))
        patch.setattr("monitoring.upkeep.shutil", half)
        yield


@pytest.fixture
def started_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds of this test start dbt as the product does: by its command, in a process of its own."""
    monkeypatch.setattr("ingestion.build.dbt.output_of", dbt_process.output_of)


@pytest.fixture(scope="session")
def small_company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `company` copies, made once per process. No file of it names its place."""
    from tests.engines.conftest import make_company

    return make_company(tmp_path_factory.mktemp("company")).folder


@pytest.fixture(scope="session")
def loaded_company(small_company: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `loaded` copies, made once per process. No file of it names its place."""
    from tests.engines.conftest import load_by_window

    return load_by_window(shutil.copytree(small_company, tmp_path_factory.mktemp("loaded"), dirs_exist_ok=True))


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """The one Spark session of this worker; a module that asks for it is marked NEEDS_SPARK."""
    from ingestion.lake.spark.session import open_session

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Spark's own
        session = open_session(environ={**os.environ, **SETTINGS})
        yield session
        session.stop()
