from __future__ import annotations

import sys

import pytest

from tests.bench.measure import measure

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
MB = 1_000_000


def run(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def test_memory_is_that_of_the_whole_tree_and_not_of_who_asks() -> None:
    ours = bytearray(300 * MB)
    child = run("import time; held = bytearray(60_000_000); time.sleep(0.5)")

    cost = measure(run(f"import subprocess; held = bytearray(60_000_000); subprocess.run({child!r})"))

    assert 120 * MB < cost.peak < 250 * MB < len(ours)


def test_cpu_of_children_counts_and_sleep_does_not() -> None:
    busy = run("import time\nwhile time.process_time() < 0.3: pass")

    cost = measure(run(f"import subprocess, time; subprocess.run({busy!r}); time.sleep(0.3)"))

    assert cost.cpu >= 0.3
    assert cost.wall >= 0.6


def test_a_command_that_fails_is_an_error_with_its_output() -> None:
    with pytest.raises(RuntimeError, match="ended with 3\nsaid"):
        measure(run("import sys; print('said'); sys.exit(3)"))
