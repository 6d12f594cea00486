"""Each kind of trouble is found, named and healed; and a drill says so when one is not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from ingestion.cli import cli
from ingestion.drills import run as drill
from ingestion.drills.run import DRILLS, DrillResult, run_drills
from ingestion.errors import ConfigurationError
from ingestion.settings import Settings

ROOT = Path(__file__).parents[2]
SETTINGS = Settings(ROOT, str(ROOT / "no-lake-of-ours"))
CAUSES = {
    "missing-partition": "lost window",
    "lost-rows": "late or lost rows",
    "stale-table": "loads not running",
    "duplicate-delivery": "",
    "changed-rows": "updates that keep the watermark",
    "orphan-deletes": "hard deletes",
}


def run(kind: str) -> DrillResult:
    [result] = run_drills(SETTINGS, [kind])
    return result


def test_every_kind_of_trouble_has_its_drill() -> None:
    assert list(DRILLS) == list(CAUSES)


@pytest.mark.parametrize("kind", CAUSES)
def test_trouble_is_found_named_and_healed(kind: str) -> None:
    result = run(kind)

    assert result.planted > 0
    assert (result.named, result.healed, result.ok) == (CAUSES[kind], True, True), result
    assert (result.found == "nothing") == (kind == "duplicate-delivery"), result
    assert not Path(SETTINGS.lake_root).exists()


def test_drill_that_is_not_healed_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DRILLS, "orphan-deletes", replace(DRILLS["orphan-deletes"], heal=lambda _site: None))

    result = run("orphan-deletes")

    assert (result.healed, result.ok) == (False, False)


def test_drill_whose_check_is_content_while_rows_differ_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drill, "_is_calm", lambda _gap: True)
    monkeypatch.setitem(DRILLS, "orphan-deletes", replace(DRILLS["orphan-deletes"], heal=lambda _site: None))

    assert run("orphan-deletes").healed is False


def test_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="there are missing-partition, lost-rows"):
        run_drills(SETTINGS, ["no-such"])


def test_command_ends_red_where_a_drill_does_not_end_as_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    good = DrillResult("lost-rows", "shop.orders", 3, "confirmed, WARNING", "late or lost rows", True, True, 1.0)
    monkeypatch.setenv("LAKEHOUSE_PROJECT", str(ROOT))
    monkeypatch.setattr(drill, "run_drills", lambda *_args, **_kwargs: [good, replace(good, healed=False, ok=False)])

    result = CliRunner().invoke(cli, ["drill", "--json"])

    assert result.exit_code == 18
    assert [drilled["ok"] for drilled in json.loads(result.stdout)] == [True, False]
