"""How much `make test` tries, and `make test-long`: 20 times as many examples, and the long forms of tests that have two."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings

LONG = os.environ.get("LAKEHOUSE_TEST_LONG") == "true"  # make test-long: the long forms of tests that have two
SHORT = 100  # what Hypothesis itself takes; a test that names no number gets it
settings.register_profile("test", deadline=None, max_examples=SHORT)
settings.register_profile("nightly", settings.get_profile("test"), max_examples=20 * SHORT)
settings.load_profile("test")


def examples(number: int, **given: Any) -> settings:
    """Return settings with so many examples, times the profile's."""
    return settings(max_examples=number * settings().max_examples // SHORT, **given)
