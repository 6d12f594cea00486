"""Faults of the storage under real loads: one table fails, says what is safe to do, and loses only what was torn."""

from __future__ import annotations

import errno
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ingestion.admin.mending import damages, mend_lake
from ingestion.admin.status import table_statuses
from ingestion.cli import cli
from ingestion.errors import ConfigurationError, LakeError, SourceUnavailableError
from ingestion.gaps.record import record_sync_gap
from ingestion.ledger.journal import Journal
from ingestion.load.load_table import load_table
from tests.engines.conftest import Company, make_company

PEOPLE, CITIES = "crm.people", "crm.cities"
QUALITY = "description: Name., quality: [{id: filled, metric: nullValues, mustBe: 0}]}"
ROWS = "select id, name, _op, _batch from bronze.crm__people order by _batch, _row"


def newest_commit(company: Company, table: str) -> Path:
    return max((company.folder / "lake" / table / "_delta_log").glob("*.json"))


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """Cities, and people in two batches: the second has an update, an insert, a delete and a row that breaks a rule."""
    made = make_company(tmp_path_factory.mktemp("loaded"))
    load_table(made.context(), CITIES)
    load_table(made.context(), PEOPLE)
    made.sql(
        "update people set name = 'Adele', changed_at = '2026-03-01 11:30:00' where id = 1",
        "insert into people values (4, 'Dora', 1, '2026-03-01 11:40:00'), (5, 'a name too long', 1, '2026-03-01 11:45')",
        "delete from people where id = 2",
    )
    load_table(made.context(), PEOPLE)
    return made


@pytest.fixture
def company(loaded: Company, tmp_path: Path) -> Company:
    """A copy of the loaded company."""
    return Company(Path(shutil.copytree(loaded.folder, tmp_path / "company")))


@pytest.mark.parametrize(
    ("layers", "damage"),
    [(["bronze"], empty), (["quarantine"], tear), (["bronze", "quarantine"], tear)],
    ids=["Bronze", "quarantine", "both"],
)
def test_a_torn_batch_is_mended_and_comes_again_once(
    company: Company, layers: list[str], damage: Callable[[Path], None]
) -> None:
    whole = company.lake(ROWS), company.lake("select id from quarantine.crm__people")
    for layer in layers:
        damage(newest_commit(company, f"{layer}/crm/people"))

    with pytest.raises(LakeError, match="`lakehouse doctor --mend`"):
        load_table(company.context(), PEOPLE)
    mended = mend_lake(company.settings)
    load_table(company.context(), PEOPLE)
    again = load_table(company.context(), PEOPLE)

    assert [(m.table, m.fault) for m in mended] == [(f"{layer}.crm__people", "") for layer in layers]
    assert [row[:3] for row in company.lake(ROWS)] == [row[:3] for row in whole[0]]
    assert company.lake("select id from quarantine.crm__people") == whole[1]
    assert again.batch is None
    assert mend_lake(company.settings) == []


def test_mending_tells_the_rows_that_were_kept_and_set_aside_and_notes_it_in_the_ledger(company: Company) -> None:
    kept, torn = 3, len(company.lake(ROWS)) - 3
    tear(newest_commit(company, "bronze/crm/people"))

    [mended] = mend_lake(company.settings)

    assert (mended.table, mended.rows, mended.rows_aside) == ("bronze.crm__people", kept, torn)
    assert mended.next_step == "lakehouse load crm.people"
    [row] = company.lake("select subject, status, message from ops.runs where step = 'mend'")
    assert row[:2] == ("bronze.crm__people", "ok")
    assert row[2].startswith(f"{kept} rows kept, 3 files with {torn} rows set aside in bronze/crm/people/_set_aside/")


def test_a_torn_ledger_stops_no_batch_and_is_mended_alone(company: Company) -> None:
    noted = company.lake("select count(*) from ops.runs")[0][0]
    empty(newest_commit(company, "ops/runs"))
    company.sql("insert into people values (6, 'Fay', 1, '2026-03-01 11:50:00')")

    with pytest.raises(
        LakeError, match=r"the step load committed batch 3 to Bronze, which stays; only its row"
    ) as told:
        load_table(company.context(), PEOPLE)
    [mended] = mend_lake(company.settings)
    again = load_table(company.context(), PEOPLE)

    assert "ops.runs: the Delta log is damaged" in str(told.value)
    assert "doctor --mend" in str(told.value)
    assert (mended.table, mended.rows) == ("ops.runs", noted - 1)
    assert (again.batch, again.last_batch) == (None, 3)
    assert company.lake("select count(*) from bronze.crm__people where id = 6") == [(1,)]


def test_a_cached_fold_of_a_batch_that_was_torn_is_set_aside_with_it(company: Company) -> None:
    cached = company.folder / "lake/bronze/crm/people/_live/00000002-6.parquet"
    cached.parent.mkdir()
    cached.write_bytes(b"of a batch that is no more")
    tear(newest_commit(company, "bronze/crm/people"))

    [mended] = mend_lake(company.settings)

    assert "00000002-6.parquet" in mended.files_aside
    assert not cached.exists()


def test_a_damaged_fold_is_not_needed(company: Company) -> None:
    cached = company.folder / f"lake/bronze/crm/people/_live/00000002-{len(company.lake(ROWS))}.parquet"
    cached.parent.mkdir()
    cached.write_bytes(b"PAR1 cut")

    assert load_table(company.context(), PEOPLE).batch is None


def damaged(company: Company, how: str) -> None:
    """Damage people's Bronze."""
    folder = company.folder / "lake/bronze/crm/people"
    data = min(folder.glob("*.parquet"))
    match how:
        case "torn log":
            tear(newest_commit(company, "bronze/crm/people"))
        case "lost log":
            shutil.rmtree(folder / "_delta_log")
        case "data file deleted":
            data.unlink()
        case "data file cut":
            data.write_bytes(data.read_bytes()[:400])


DAMAGES = ["torn log", "lost log", "data file deleted", "data file cut"]


@pytest.mark.parametrize("how", DAMAGES)
def test_one_damaged_table_is_named_with_what_is_safe_and_ends_nothing_for_the_others(
    company: Company, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged(company, how)
    company.sql("insert into people values (9, 'Zoe', 1, '2026-03-01 11:50:00')")

    faults = []
    for step in (load_table, record_sync_gap):
        with pytest.raises(LakeError) as told:
            step(company.context("run-2"), PEOPLE)
        faults.append(str(told.value))
        step(company.context("run-2"), CITIES)
    statuses = {status.contract_id: status for status in table_statuses(company.context())}
    found = {name: damage.finding for name, damage in damages(company.context().lake)}

    for fault in faults:
        assert fault.startswith(("bronze.crm__people: the Delta log is damaged", "bronze.crm__people: a data file"))
        assert "--full`" not in fault
    assert [*found] == ["bronze.crm__people"]
    assert (statuses[PEOPLE].fault or "").startswith(found["bronze.crm__people"])
    assert statuses[CITIES].fault is None
    assert company.lake("select distinct error from ops.runs where run_id = 'run-2' and status = 'failed'") == [
        ("LakeError",)
    ]


def test_fingerprints_of_open_differences_are_no_damaged_table(company: Company) -> None:
    load_table(company.context(), PEOPLE)
    company.sql("update people set name = 'Eve' where id = 1")  # without a new change time
    gap = record_sync_gap(company.context(), PEOPLE)

    assert (gap.differing_keys, [*(company.folder / "lake/ops/_marks").iterdir()] != []) == (1, True)
    assert list(damages(company.context().lake)) == []


@pytest.mark.parametrize("how", DAMAGES[2:])
def test_a_query_of_a_damaged_table_names_it_with_what_is_safe(company: Company, how: str) -> None:
    damaged(company, how)

    told = CliRunner().invoke(cli, ["sql", "select * from bronze.crm__people"], env=company.environ)
    wrong = CliRunner().invoke(cli, ["sql", "select * from read_parquet('nowhere.parquet')"], env=company.environ)

    assert (told.exit_code, wrong.exit_code) == (LakeError.exit_code, ConfigurationError.exit_code)
    assert "error: bronze.crm__people: a data file is missing, cut off or damaged: part-" in told.stderr
    assert "Restore the file from a backup" in told.stderr


class _Full:
    """A Delta writer on a disk that has just been filled."""

    def __call__(self, *_args: Any, **_options: Any) -> None:
        raise OSError(
            "Generic LocalFileSystem error: Unable to copy data to file: No space left on device (os error 28)"
        )


def test_a_disk_that_is_full_at_the_commit_leaves_the_lake_whole_and_says_so(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = company.lake(ROWS)
    company.sql("insert into people values (6, 'Fay', 1, '2026-03-01 11:50:00')")
    with monkeypatch.context() as patched:
        patched.setattr("ingestion.lake.embedded.engine.DeltaTable.create_write_transaction", _Full())
        with pytest.raises(LakeError, match=r"bronze\.crm__people: no space is left for what is written"):
            load_table(company.context(), PEOPLE)
    unchanged = company.lake(ROWS) == before

    load_table(company.context(), PEOPLE)

    assert unchanged
    assert company.lake("select count(*) from bronze.crm__people where id = 6") == [(1,)]


@pytest.mark.parametrize("table", ["runs", "quality"])
def test_a_load_that_committed_says_so_when_the_ledger_cannot_be_written(
    company: Company, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    company.amend("people", "description: Name.}", QUALITY)
    company.sql("insert into people values (6, 'Fay', 1, '2026-03-01 11:50:00')")
    honest = Journal.append

    def full(journal: Journal, name: str, rows: Any) -> None:
        if name == table:
            raise OSError(errno.ENOSPC, "No space left on device")
        honest(journal, name, rows)

    monkeypatch.setattr(Journal, "append", full)

    with pytest.raises(LakeError, match=r"batch 3 (is committed )?to Bronze(, which| and) stays") as told:
        load_table(company.context(), PEOPLE)

    assert "no space is left" in str(told.value)
    assert company.lake("select count(*) from bronze.crm__people where id = 6") == [(1,)]


def test_the_ledgers_own_failure_does_not_hide_the_cause(
    company: Company, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (company.folder / "crm.duckdb").write_bytes(b"cut")
    monkeypatch.setattr(Journal, "append", _Full())

    with pytest.raises(SourceUnavailableError), caplog.at_level(logging.WARNING, logger="lakehouse"):
        load_table(company.context(), PEOPLE)
    with pytest.raises(SourceUnavailableError):
        record_sync_gap(company.context(), PEOPLE)

    assert "only its row in the ledger (ops.runs) could not be written" in caplog.text


@pytest.mark.parametrize("keep", [0.0, 0.4, 0.99], ids=["emptied", "cut in the middle", "cut at its end"])
def test_a_source_file_that_is_cut_is_a_source_that_does_not_answer(company: Company, keep: float) -> None:
    company.sql("insert into people select range + 10, 'Eve', 1, '2026-03-01 11:50:00' from range(200000)")
    data = company.file.read_bytes()
    company.file.write_bytes(data[: int(len(data) * keep)])

    with pytest.raises(SourceUnavailableError, match=r"crm: .*DuckDB file crm\.duckdb"):
        load_table(company.context(), PEOPLE)


def test_doctor_mends_on_request_and_says_by_its_exit_code_what_is_still_wrong(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOUSE_PROJECT", str(company.folder))
    monkeypatch.setenv("LAKEHOUSE_ROOT", str(company.folder / "lake"))
    monkeypatch.setenv("AIRFLOW_CONN_CRM", f"duckdb://{company.file}")
    tear(newest_commit(company, "bronze/crm/people"))

    found, mended, whole = (
        CliRunner().invoke(cli, arguments, env={"COLUMNS": "80"})
        for arguments in (["doctor"], ["doctor", "--mend"], ["doctor", "--mend"])
    )

    assert found.exit_code == LakeError.exit_code, found.output
    assert "damaged" in found.output
    assert mended.exit_code == 0, mended.output
    assert (
        "bronze.crm__people: 3 rows, all kept.\n  set aside: 3 files (3 rows), in\n  bronze/crm/people/"
        in mended.output
    )
    assert "  next: lakehouse load crm.people\n" in mended.output
    assert "No table had a torn log." in whole.output
