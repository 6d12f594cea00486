from __future__ import annotations

from pathlib import Path

from tests.bench.monitor import watch


def test_monitor_does_not_cry_wolf_under_constant_writes_and_is_not_blind(tmp_path: Path) -> None:
    told = watch(tmp_path, rounds=5, pause=60.0)

    assert told.checks >= 15
    assert told.transactions > 10
    assert told.long_transactions > 0
    assert (told.false_alarms, told.transient_errors) == (0, 0)
    assert (told.planted, told.found) == (3, 3)
