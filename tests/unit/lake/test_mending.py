"""Torn logs and lost files: what is found, what heals without loss, and what every message advises."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from ingestion.errors import IntegrityError, LakeError
from ingestion.lake import duck, mending
from ingestion.lake.base import Commit
from ingestion.lake.damage import lost_data, torn_log
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.embedded.rebuild import rebuild
from ingestion.lake.log import commit_name
from ingestion.lake.mending import SET_ASIDE, Mended, examine_table, mend_table
from ingestion.lake.names import LAYERS, TWO_LEVEL_LAYERS

ENGINE = DeltaRs()
SCHEMA = pa.schema([("id", pa.int64())])
COMMITS = 12


def append(uri: str, batch: int) -> None:
    rows = pa.table({"id": [batch * 10, batch * 10 + 1]}, schema=SCHEMA)
    ENGINE.append(uri, rows, commit=Commit("bronze/erp/x", batch, {"counts": {"appended": 2}}))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Bronze table of twelve batches of two rows each, and a checkpoint at the tenth."""
    uri = tmp_path_factory.mktemp("lake") / "bronze" / "erp" / "x"
    ENGINE.create(str(uri), SCHEMA, append_only=True)
    for batch in range(1, COMMITS + 1):
        append(str(uri), batch)
        if batch == 10:
            ENGINE._open(str(uri)).create_checkpoint()
    return uri


@pytest.fixture
def table(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "bronze" / "erp" / "x"))


def commit(table: Path, version: int = COMMITS) -> Path:
    return table / "_delta_log" / commit_name(version)


def rows(table: Path) -> list[int]:
    with duck.connect() as connection:
        return [row[0] for row in connection.execute(f"select id from {duck.scan(str(table))} order by 1").fetchall()]


def up_to(batch: int) -> list[int]:
    return [id_ for number in range(1, batch + 1) for id_ in (number * 10, number * 10 + 1)]


def cut(path: Path, keep: float) -> int:
    text = path.read_bytes()
    return path.write_bytes(text[: int(len(text) * keep)])


def mend(table: Path, layer: str = "bronze") -> Mended | None:
    return mend_table(ENGINE, str(table), layer)


TEARS: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "cut in its first line": lambda path: cut(path, 0.1),
    "cut in its last line": lambda path: cut(path, 0.99),
    "cut after a line": lambda path: path.write_bytes(path.read_bytes().splitlines()[0] + b"\n"),
    "cut before its last line": lambda path: path.write_bytes(b"\n".join(path.read_bytes().splitlines()[:-1])),
}


@pytest.mark.parametrize("tear", TEARS)
def test_a_torn_newest_commit_stops_every_step_and_loses_only_itself(table: Path, tear: str) -> None:
    TEARS[tear](commit(table))
    torn = commit(table).read_bytes()

    with pytest.raises(LakeError, match=r"bronze\.erp__x: .*`lakehouse doctor --mend`"):
        ENGINE.tip(str(table), "bronze/erp/x")
    with pytest.raises(LakeError, match="doctor --mend"):
        append(str(table), COMMITS)
    findings = [damage.finding for damage in examine_table(ENGINE, str(table))]
    mended = mend(table)

    assert findings
    assert f"commit {COMMITS}" in findings[0]
    assert mended is not None
    assert mended.rows == 2 * (COMMITS - 1)
    assert (Path(mended.folder) / commit_name(COMMITS)).read_bytes() == torn
    assert rows(table) == up_to(COMMITS - 1)
    assert ENGINE.tip(str(table), "bronze/erp/x").batch == COMMITS - 1
    assert ENGINE.version(str(table)) == COMMITS
    assert examine_table(ENGINE, str(table)) == []
    assert mend(table) is None
    append(str(table), COMMITS)
    assert rows(table) == up_to(COMMITS)


def test_the_files_that_a_torn_commit_named_are_kept_from_a_vacuum(table: Path) -> None:
    text = commit(table).read_bytes()
    commit(table).write_bytes(text[:-10])
    named = json.loads(text.splitlines()[1])["add"]["path"]

    mended = mend(table)

    assert mended is not None
    assert mended.rows_aside == 2
    assert mended.files == (commit_name(COMMITS), named)
    assert (Path(mended.folder) / named).read_bytes() == (table / named).read_bytes()


def test_several_commits_that_did_not_reach_the_disk_are_lost_together_and_no_other(table: Path) -> None:
    cut(commit(table), 0.5)
    commit(table, COMMITS - 1).write_bytes(b"")

    mended = mend(table)

    assert mended is not None
    assert rows(table) == up_to(COMMITS - 2)


def test_an_empty_commit_that_others_followed_is_found_and_takes_nothing_else_with_it(table: Path) -> None:
    commit(table, COMMITS - 1).write_bytes(b"")

    found = [damage.finding for damage in examine_table(ENGINE, str(table))]
    mended = mend(table)

    assert found == [f"commit {COMMITS - 1} is empty"]
    assert mended is not None
    assert rows(table) == up_to(COMMITS - 2) + up_to(COMMITS)[-2:]
    assert examine_table(ENGINE, str(table)) == []


CHECKPOINTS: dict[str, Callable[[Path], object]] = {
    "the checkpoint is cut": lambda log: cut(next(log.glob("*.checkpoint.parquet")), 0.5),
    "the checkpoint is empty": lambda log: next(log.glob("*.checkpoint.parquet")).write_bytes(b""),
    "the checkpoint is gone": lambda log: next(log.glob("*.checkpoint.parquet")).unlink(),
    "the checkpoint's content is damaged": lambda log: spoil(next(log.glob("*.checkpoint.parquet"))),
    "the hint is garbage": lambda log: (log / "_last_checkpoint").write_text("{gar"),
    "the hint is empty": lambda log: (log / "_last_checkpoint").write_text(""),
    "the hint names another version": lambda log: (log / "_last_checkpoint").write_text('{"version":5,"size":1}'),
    "both are damaged": lambda log: [path.write_bytes(b"{gar") for path in log.glob("*checkpoint*")],
}


def spoil(path: Path) -> int:
    """Overwrite the pages of a Parquet file and leave its footer."""
    text = bytearray(path.read_bytes())
    text[4:400] = bytes(396)
    return path.write_bytes(text)


@pytest.mark.parametrize("damage", CHECKPOINTS)
def test_a_damaged_or_missing_checkpoint_loses_nothing(table: Path, damage: str) -> None:
    CHECKPOINTS[damage](table / "_delta_log")

    assert examine_table(ENGINE, str(table)) != []
    mended = mend(table)

    assert mended is not None
    assert mended.rows == 2 * COMMITS
    assert rows(table) == up_to(COMMITS)
    assert examine_table(ENGINE, str(table)) == []


def test_a_missing_hint_is_no_damage(table: Path) -> None:
    (table / "_delta_log" / "_last_checkpoint").unlink()

    assert examine_table(ENGINE, str(table)) == []
    assert rows(table) == up_to(COMMITS)


@pytest.mark.parametrize("layer", ["bronze", "silver"])
def test_a_log_beyond_mending_is_left_alone_unless_its_table_can_be_made_again(table: Path, layer: str) -> None:
    commit(table, 5).unlink()
    for file in [*(table / "_delta_log").glob("*checkpoint*")]:
        file.unlink()
    before = sorted(path.name for path in (table / "_delta_log").iterdir())

    if layer == "bronze":
        with pytest.raises(LakeError, match=r"Nothing was changed\. Restore the folder _delta_log"):
            mend(table, layer)
        assert sorted(path.name for path in (table / "_delta_log").iterdir()) == before
    else:
        mended = mend(table, layer)
        assert mended is not None
        assert sorted(mended.files) == before
        assert not ENGINE.exists(str(table))


def test_what_does_not_come_out_as_the_whole_commits_say_is_put_back(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut(commit(table), 0.5)
    torn = commit(table).read_bytes()
    monkeypatch.setattr(mending, "live_paths", lambda _commits: {"another.parquet": 2})

    with pytest.raises(IntegrityError, match="All was put back"):
        mend(table)

    assert commit(table).read_bytes() == torn


def test_a_table_whose_log_is_gone_is_not_made_anew_over_its_files(table: Path) -> None:
    shutil.rmtree(table / "_delta_log")

    with pytest.raises(LakeError, match=r"it is gone, but data files that it named are there"):
        ENGINE.create(str(table), SCHEMA)

    assert not (table / "_delta_log").exists()


def test_missing_and_cut_data_files_are_found_by_name_of_the_table(table: Path) -> None:
    files = sorted(table.glob("*.parquet"))
    files[0].unlink()
    cut(files[1], 0.5)

    [damage] = examine_table(ENGINE, str(table))

    assert damage.finding == f"of {COMMITS} data files 1 missing and 1 with another size than was written"
    assert "Restore the file from a backup" in damage.advice


def test_a_derived_table_with_lost_data_files_is_made_again_whole(tmp_path: Path) -> None:
    uri = str(tmp_path / "gold" / "x")
    with duck.connect() as connection:
        rebuild(ENGINE, connection, uri, "select range as id from range(5)", commit=Commit("gold/x", 1))
        next(Path(uri).glob("*.parquet")).unlink()
        [damage] = examine_table(ENGINE, uri)
        rebuild(ENGINE, connection, uri, "select range as id from range(5)", commit=Commit("gold/x", 1))

    assert "lakehouse build gold --full-refresh" in damage.advice
    assert rows(Path(uri)) == [0, 1, 2, 3, 4]


def test_what_was_set_aside_survives_a_vacuum(table: Path) -> None:
    cut(commit(table), 0.99)
    mend(table)

    ENGINE.vacuum(str(table), keep=timedelta(0))

    assert sorted(path.suffix for path in (table / SET_ASIDE).rglob("*") if path.is_file()) == [".json", ".parquet"]


@pytest.mark.parametrize("layer", LAYERS)
def test_no_message_about_a_damaged_table_advises_to_delete_it(layer: str) -> None:
    uri = f"/lake/{layer}/erp/x" if layer in TWO_LEVEL_LAYERS else f"/lake/{layer}/x"

    told = [str(torn_log(uri, "a torn one")), str(lost_data(uri, "a file missing"))]

    for message in told:
        assert message.startswith(f"{layer}.{'erp__x' if layer in TWO_LEVEL_LAYERS else 'x'}: ")
        assert "--full`" not in message
        assert "delete" not in message.lower()
    assert ("lakehouse build" in told[0]) == (layer in ("silver", "gold", "audit"))
