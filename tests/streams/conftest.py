from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.streams.broker import Broker, broker
from tests.streams.world import StreamWorld


@pytest.fixture
def world(tmp_path: Path) -> StreamWorld:
    return StreamWorld(tmp_path)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The one broker of this worker; a module that asks for it is marked `needs_broker` and of the group `spark`."""
    with broker(tmp_path_factory.mktemp("kafka")) as made:
        yield made
