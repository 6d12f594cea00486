"""
Lets pyarrow and DuckDB work without pandas, which nothing here uses.

If it is installed (some extras need it), both import it at their first array or bound value, only to check whether that
is a pandas object. This takes 0.7 s of CPU in every process.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from typing import Any


def hide_pandas() -> None:
    """Make pandas look uninstalled to this whole process, unless it is imported already."""
    sys.meta_path.insert(0, _Hidden())


@contextmanager
def pandas_hidden() -> Iterator[None]:
    """Do the same within a block, for all threads."""
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
