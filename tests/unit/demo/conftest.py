from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.demo.sources import Sources


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sources]:
    made = Sources(tmp_path_factory.mktemp("world"))
    yield made
    made.connection.close()
