from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from monitoring.web.app import create_app
from monitoring.web.site import Site
from tests.web.worlds import WORLDS, World


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], World]:
    """Return a world by name, made once; tests only read it."""
    made: dict[str, World] = {}

    def find(name: str) -> World:
        if name not in made:
            made[name] = WORLDS[name](tmp_path_factory.mktemp(name))
        return made[name]

    return find


@pytest.fixture
def own_world(tmp_path: Path) -> Callable[[str], World]:
    """Make a world that a test may change."""
    return lambda name: WORLDS[name](tmp_path)


@pytest.fixture
def browse() -> Iterator[Callable[..., TestClient]]:
    """Return a client of the application on a site or world."""
    clients: list[tuple[TestClient, Site]] = []

    def make(of: World | Site, **options: object) -> TestClient:
        site = of.site() if isinstance(of, World) else of
        client = TestClient(create_app(site, **options), raise_server_exceptions=True)  # type: ignore[arg-type]
        clients.append((client, site))
        return client

    yield make
    for client, site in clients:
        client.close()
        site.close()
