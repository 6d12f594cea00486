from __future__ import annotations

from pathlib import Path

import pytest

from tests.streams.world import StreamWorld


@pytest.fixture
def world(tmp_path: Path) -> StreamWorld:
    return StreamWorld(tmp_path)
