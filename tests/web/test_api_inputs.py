"""Generated requests against the API's own schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.examples import examples
from tests.web.worlds import World

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis: make .venv/dev")
schema = schemathesis.pytest.from_fixture("api_schema")


@pytest.fixture
def api_schema(world: Callable[[str], World], browse: Callable[..., TestClient]) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", browse(world("drift")).app)


@schema.parametrize()  # type: ignore[untyped-decorator]
@examples(10)
def test_no_input_brings_the_api_down_and_every_answer_keeps_the_schema(case: Any) -> None:
    case.call_and_validate()
