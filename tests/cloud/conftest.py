"""What a lake on a bucket is held against: the same two days in a folder."""

from __future__ import annotations

import pytest

from tests.cloud.day import Rows, content, play_plainly


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """Silver and Gold after both days, in a folder, built once at the end."""
    folder = tmp_path_factory.mktemp("local")
    play_plainly(folder, str(folder / "lake"))
    return content(str(folder / "lake"))
