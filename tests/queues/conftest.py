"""Clients of AWS in these tests read AWS's descriptions of its services once: they cost most of the time otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import pytest


@pytest.fixture(scope="session", autouse=True)
def described_once() -> Iterator[None]:
    try:
        from botocore import session
    except ModuleNotFoundError:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "create_loader", lru_cache(session.create_loader))
        yield
