"""How much tests try: `make test-long` runs 20 times as many examples as `make test`, and the long forms of some tests."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import settings

LONG = os.environ.get("LAKEHOUSE_TEST_LONG") == "true"  # make test-long: the long forms of tests that have two
LONG_FORM = pytest.mark.skipif(not LONG, reason="a long form: make test-long runs it")
SHORT = 100  # Hypothesis's default, for tests that name no number
settings.register_profile("test", deadline=None, max_examples=SHORT)
settings.register_profile("nightly", settings.get_profile("test"), max_examples=20 * SHORT)
settings.load_profile("test")


def examples(number: int, **given: Any) -> settings:
    """Return settings with `number` examples, times the factor of the profile (1, in `nightly` 20)."""
    return settings(max_examples=number * settings().max_examples // SHORT, **given)
