"""
Lets pyarrow and DuckDB work without pandas, which nothing here uses.

Where it is installed (some extras need it), both import it with their first array or bound value, only to ask whether
that is a value of pandas: 0.7 s of CPU in every process.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from typing import Any


def hide_pandas() -> None:
    """Make pandas look as if it were not installed, to this whole process, unless it is imported already."""
    sys.meta_path.insert(0, _Hidden())


@contextmanager
def pandas_hidden() -> Iterator[None]:
    """Do the same during a block. For all threads."""
    hidden = _Hidden()
    sys.meta_path.insert(0, hidden)
    try:
        yield
    finally:
        sys.meta_path.remove(hidden)


class _Hidden(MetaPathFinder):
    def find_spec(self, fullname: str, *_: Any) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)
