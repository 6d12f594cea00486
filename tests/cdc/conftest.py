"""Worlds of conversations on both databases."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cdc.world import CdcWorld
from tests.examples import LONG
from tests.sources.oracle_fixtures import IS_TRUE, VARIABLE, reachable

MakeWorld = Callable[..., CdcWorld]
ON_ORACLE = pytest.param("oracle", marks=pytest.mark.xdist_group("cdc_on_oracle"))
"""All these tests run in one process, for most tables have the same names in each."""
SHORT_ON_ORACLE = pytest.mark.short_on_oracle
"""
Tests that run on Oracle in the short form too: together they run every statement, and what only Oracle does (locks of
rivals, fractions of seconds, LOBs). The others run there in the long form, and wherever a true Oracle is.
"""


@pytest.fixture(params=["duckdb", ON_ORACLE])
def make_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeWorld]:
    """Return a function that makes the world of a test, with rules of its own."""
    made: list[CdcWorld] = []

    def make(columns: dict[str, Any] | None = None, environ: dict[str, str] | None = None, **rules: Any) -> CdcWorld:
        where: dict[str, Any] = {"oracle": os.environ.get(VARIABLE, ""), "name": f"_{uuid.uuid4().hex[:6].upper()}"}
        world = CdcWorld(
            tmp_path,
            {"normal_mode_minutes": 600, "resultTimeout": "P7D", **rules},
            environ or {},
            columns=columns or {},
            **(where if request.param == "oracle" else {}),
        )
        made.append(world)
        if world.oracle:
            world.drop()
        return world.create()

    if request.param == "oracle":
        reachable()
        if not (LONG or IS_TRUE or request.node.get_closest_marker("short_on_oracle")):
            pytest.skip("a long form: make test-long runs it")
    yield make
    for world in made:
        if world.oracle:
            world.drop()
            world.desk.close()


@pytest.fixture
def world(make_world: MakeWorld) -> CdcWorld:
    return make_world()
