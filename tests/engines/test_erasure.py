"""Persons are erased from Bronze, quarantine, Silver and what lies beside them, on both engines, whatever dies."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ingestion.bronze.table import BronzeTable
from ingestion.cli import cli
from ingestion.contracts.model import Contract
from ingestion.erasure import erase as erasing
from ingestion.erasure.erase import erase
from ingestion.erasure.keys import Keys, keys_in, keys_of, merged
from ingestion.erasure.plan import ErasurePlan, plan_erasure
from ingestion.errors import ConcurrentWriteError, ConfigurationError
from ingestion.gaps.record import record_sync_gap
from ingestion.lake import duck
from ingestion.lake.base import APPEND_ONLY, Commit
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.embedded.rebuild import rebuild
from ingestion.load.load_table import load_table
from ingestion.runs.context import Context, open_context
from tests.dbt.macros import load_macros
from tests.dbt.test_history import Facts
from tests.engines.conftest import ON_BOTH_ENGINES_IN_THE_LONG_FORM, Company
from tests.examples import LONG
from tests.files import search

PEOPLE = "crm.people"
SALT = "a salt of the tests"
KEY, TWICE = 770_031_337, 770_042_424
MARKERS = ("MARK", str(KEY), str(TWICE))
VERSION = "sk, id, name, valid_from, valid_to, is_current"
NEXT_DAY = "2026-03-02T12:00:00+00:00"


@cache
def macros(dialect: str) -> dict[str, Any]:
    return {**load_macros(dialect)}


def facts(contract: Contract) -> Facts:
    types = {column.name: str(column.arrow_type) for column in contract.columns}
    return Facts(key=list(contract.key_names), columns=list(types), types=types, tracked=list(contract.tracked_names))


def history(company: Company, dialect: str = "duckdb", events: str = "bronze.crm__people") -> str:
    return str(macros(dialect)["scd2_history"](events, facts(company.context().contract(PEOPLE))))


def build_silver(company: Company) -> None:
    """Build the history as dbt does: a partitioned table, whose commit notes up to which batch."""
    context = company.context()
    table = context.table(context.contract(PEOPLE))
    noted = {"fingerprint": "f", "newest": 1}
    with duck.connect(context.lake) as connection:
        rebuild(
            DeltaRs(),
            connection,
            context.lake.uri("silver", "stg_people"),
            history(company),
            commit=Commit("silver/stg_people", table.state().batch, noted),
            partition_by=["is_current"],
            order_by=["valid_to", "id"],
        )


def lay_out(company: Company) -> None:
    """
    Two days with a person whose texts are markers: changed on day 2, then quarantined, and one who comes twice; with
    Silver of both days and with files that a killed load, a mending and the fingerprints of differences left.
    """
    company.sql(f"insert into people values ({KEY}, 'MARKone', 7, '2026-03-01 10:20:00')")
    load_table(company.context(), PEOPLE)
    build_silver(company)
    company.sql(
        f"update people set name = 'MARKtwo', changed_at = '2026-03-01 11:20:00' where id = {KEY}",
        "update people set name = 'Adam', changed_at = '2026-03-01 11:20:00' where id = 1",
        f"insert into people values ({TWICE}, 'MARKa', 1, '2026-03-01 11:30:00'), ({TWICE}, 'MARKb', 1, '2026-03-01 11:30:00')",
        "insert into people values (6, 'a name too long', 1, '2026-03-01 11:30:00')",
    )
    load_table(company.context(), PEOPLE)
    build_silver(company)
    company.sql(f"update people set name = 'MARKtoolonganame', changed_at = '2026-03-01 11:40:00' where id = {KEY}")
    load_table(company.context(), PEOPLE)
    for at in ("_staging/chunks/chunk-000001.json", "_set_aside/20260301T000000Z/part-1.parquet"):
        left = company.folder / "lake/bronze/crm/people" / at
        left.parent.mkdir(parents=True)
        left.write_text(f'{{"low": "{KEY}", "name": "MARK"}}')
    marks = company.folder / "lake/ops/_marks/crm.people.parquet"
    marks.parent.mkdir()
    marks.write_text("digests")


def erased_in_the_source(company: Company) -> None:
    company.sql(f"delete from people where id in ({KEY}, {TWICE})")


def context_of(company: Company) -> Context:
    return open_context(replace(company.settings, mask_salt=SALT), "run-e")


def persons(context: Context, *ids: int) -> Keys:
    contract = context.contract(PEOPLE)
    return merged(contract, [keys_of(contract, [f"id={number}" for number in ids or (KEY, TWICE)])])


def do_erase(company: Company, *ids: int) -> ErasurePlan:
    context = context_of(company)
    return erase(context, persons(context, *ids), by="ana", reason="request 7")


def rows(company: Company) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of all tables but the ledger, without the persons'."""
    names = ("bronze.crm__people", "quarantine.crm__people", "silver.stg_people")
    return {
        name: company.lake(f"select * from {name} where id::varchar not in ('{KEY}', '{TWICE}') order by all")
        for name in names
    }


def found(company: Company) -> list[tuple[str, str]]:
    return search(company.folder / "lake", MARKERS).found


@pytest.fixture(scope="module")
def prepared(small_company: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    shutil.copytree(small_company, folder, dirs_exist_ok=True)
    lay_out(Company(folder))
    return folder


@pytest.fixture
def person(prepared: Path, tmp_path: Path) -> Company:
    """The company after `lay_out`; the source has erased the persons since."""
    folder = tmp_path / "company"
    subprocess.run(["cp", "-a", str(prepared), str(folder)], check=True)  # with the times of its files
    made = Company(folder)
    erased_in_the_source(made)
    return made


@ON_BOTH_ENGINES_IN_THE_LONG_FORM
def test_no_file_holds_an_erased_person_and_all_others_go_on_as_they_were(
    company: Company, prepared: Path, request: pytest.FixtureRequest
) -> None:
    subprocess.run(["cp", "-a", f"{prepared}/.", str(company.folder)], check=True)
    company.sql(f"update people set name = 'MARKlong name', changed_at = '2026-03-01 11:50:00' where id = {KEY}")
    load_table(company.context(), PEOPLE)  # on Spark, its commits have other files beside them
    erased_in_the_source(company)
    before, held = rows(company), {name.rsplit("/", 1)[0] for name, _ in found(company)}
    plan, noted = plan_erasure(context_of(company), persons(context_of(company))), noted_in_commits(company)

    done = do_erase(company)

    assert len(held) >= 6  # tables, their logs, and two folders beside them
    assert found(company) == []
    assert rows(company) == before
    assert (plan.places, plan.beside) == (done.places, done.beside)
    assert [place.rows for place in done.places] == [2, 2, 4]
    assert is_append_only(company)
    assert noted_in_commits(company) == noted
    assert silver_anew(company, request) == company.lake(f"select {VERSION} from silver.stg_people order by sk")
    company.sql("update people set name = 'Beate', changed_at = '2026-03-02 10:00:00' where id = 2")
    loaded = load_table(replace(company, clock=NEXT_DAY).context(), PEOPLE)
    gap = record_sync_gap(replace(company, clock=NEXT_DAY).context(), PEOPLE)
    assert (loaded.appended, loaded.deleted, gap.sync_gap, gap.extra_keys) == (1, 0, 0, 0)
    assert found(company) == []


def noted_in_commits(company: Company) -> tuple[Any, ...]:
    """Return what loads and builds go by: the watermark of Bronze, and of Silver its batch and fingerprint."""
    context = company.context()
    silver = context.engine.last_metadata(context.lake.uri("silver", "stg_people"), "silver/stg_people") or {}
    watermark = context.table(context.contract(PEOPLE)).state().watermark
    return watermark, silver["batch"], silver["fingerprint"], silver["newest"]


def is_append_only(company: Company) -> bool:
    context = company.context()
    return context.engine.tip(context.lake.uri("bronze", "crm", "people"), "").properties[APPEND_ONLY] == "true"


def silver_anew(company: Company, request: pytest.FixtureRequest) -> list[tuple[Any, ...]]:
    """Compute Silver of what Bronze has, in the SQL of the company's engine."""
    if company.engine == "embedded":
        return company.lake(f"select {VERSION} from ({history(company)}) order by sk")
    spark, uri = request.getfixturevalue("spark"), company.context().lake.uri("bronze", "crm", "people")
    spark.read.format("delta").load(uri).createOrReplaceTempView("events_left")
    told = spark.sql(f"select {VERSION} from ({history(company, 'spark', 'events_left')}) order by sk").toArrow()
    return [tuple(row.values()) for row in told.to_pylist()]


def test_an_erasure_that_is_repeated_finds_nothing_more(person: Company) -> None:
    do_erase(person)
    before, files = rows(person), len(list((person.folder / "lake/bronze").rglob("*")))

    again = do_erase(person)

    assert [(place.rows, place.versions) for place in again.places] == [(0, 0), (0, 1), (0, 1)]
    assert (rows(person), len(list((person.folder / "lake/bronze").rglob("*")))) == (before, files)


def test_a_load_that_read_the_person_before_the_erasure_is_refused(
    person: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    person.sql(f"insert into people values ({KEY}, 'MARKlate', 7, '2026-03-01 11:50:00')")
    honest = BronzeTable.publish
    begun: list[str] = []

    def erased_meanwhile(table: BronzeTable, *args: Any, **options: Any) -> int:
        if not begun:
            begun.append("once")
            do_erase(person)
        return honest(table, *args, **options)

    monkeypatch.setattr(BronzeTable, "publish", erased_meanwhile)

    with pytest.raises(ConcurrentWriteError, match="Run it again"):
        load_table(person.context(), PEOPLE)
    erased_in_the_source(person)
    load_table(person.context(), PEOPLE)
    do_erase(person)  # the file that the refused load had written

    assert found(person) == []


def test_a_commit_of_another_writer_meanwhile_is_kept(person: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    person.sql("insert into people values (9, 'Ida', 1, '2026-03-01 11:50:00')")
    honest = erasing._commit_of
    begun: list[str] = []

    def loaded_meanwhile(*args: Any) -> Commit:
        commit = honest(*args)
        if args[1].name == "bronze.crm__people" and not begun:
            begun.append("once")
            load_table(person.context(), PEOPLE)
        return commit

    monkeypatch.setattr(erasing, "_commit_of", loaded_meanwhile)

    do_erase(person)

    assert person.lake("select name from bronze.crm__people where id = 9") == [("Ida",)]
    assert found(person) == []


def test_a_person_whom_the_source_still_has_comes_back(prepared: Path, tmp_path: Path) -> None:
    company = Company(shutil.copytree(prepared, tmp_path / "company"))

    done = do_erase(company)
    load_table(company.context(), PEOPLE)

    assert "Erase in crm first" in done.notes[0]
    assert company.lake(f"select count(*) from quarantine.crm__people where id = '{KEY}'") == [(1,)]


def test_rows_whose_key_is_no_number_are_found_by_its_text(person: Company) -> None:
    context = context_of(person)
    contract = context.contract(PEOPLE)
    with duck.connect(context.lake) as connection:
        keys = keys_of(contract, ["id=0042"])
        keys.register(connection)
        texts = "(values ('42'), ('0042'), ('42x'), ('42.0'), (null), ('43')) r(id)"
        matched = connection.execute(f"select id from {texts} where {keys.match_text('r')}").fetchall()

    assert matched == [("42",), ("0042",), ("42.0",)]


def test_keys_come_from_a_file_and_no_error_repeats_a_value(person: Company, tmp_path: Path) -> None:
    contract = person.context().contract(PEOPLE)
    file = tmp_path / "keys.csv"
    file.write_text(f"id\n{KEY}\n{TWICE}\n{KEY}\n")

    assert keys_in(contract, file).count == 2
    for wrong in (["id=secretvalue"], ["name=secretvalue"], ["id"], [f"id={KEY}", "id="]):
        with pytest.raises(ConfigurationError, match="Nothing was erased") as error:
            keys_of(contract, wrong)
        assert "secretvalue" not in str(error.value)
    file.write_text("other\nsecretvalue\n")
    with pytest.raises(ConfigurationError, match="first line names id"):
        keys_in(contract, file)


def test_the_digest_of_a_key_needs_the_salt_and_not_the_spelling(person: Company) -> None:
    contract = person.context().contract(PEOPLE)

    assert keys_of(contract, ["id=42"]).digests(SALT) == keys_of(contract, ["id=042"]).digests(SALT)
    assert keys_of(contract, ["id=42"]).digests(SALT) != keys_of(contract, ["id=42"]).digests(SALT + "x")


def test_nothing_is_erased_without_a_salt_a_reason_or_yes(person: Company) -> None:
    before = found(person)
    run = CliRunner()

    def command(*arguments: str, **environ: str) -> Any:
        given = ["erase", PEOPLE, "--key", f"id={KEY}", *arguments]
        return run.invoke(cli, given, env={**person.environ, "LAKEHOUSE_MASK_SALT": SALT, **environ})

    assert "Run it again with --yes and --reason" in command().output
    assert command("--yes").exit_code == ConfigurationError.exit_code
    assert command("--yes", "--reason", "r", LAKEHOUSE_MASK_SALT="").exit_code == ConfigurationError.exit_code
    assert found(person) == before
    assert command("--yes", "--reason", "r").exit_code == 0
    assert [value for _, value in found(person) if value == str(KEY)] == []


SCRIPT = """
import sys
from pathlib import Path
from tests.engines.conftest import Company
from tests.engines.deadly import die_at
from tests.engines.test_erasure import do_erase

die_at(sys.argv[2], int(sys.argv[3]), sys.argv[4])
do_erase(Company(Path(sys.argv[1])))
"""
REMOVE, FORGET = "ingestion.lake.embedded.engine.DeltaRs.remove", "ingestion.lake.embedded.engine.DeltaRs.forget"
DELETE, APPEND = "pyarrow.fs.LocalFileSystem.delete_file", "ingestion.ledger.journal.Journal.append"
CHECKPOINT = "deltalake.DeltaTable.create_checkpoint"
DEATHS = {
    **{f"{when} the commit to {table}": (REMOVE, call, when) for call, table in enumerate(("Silver", "Bronze", "quarantine"), 1) for when in ("before", "after")},
    **{f"after the checkpoint of {table}": (CHECKPOINT, call, "after") for call, table in enumerate(("Silver", "Bronze", "quarantine"), 1)},
    **{f"after the past of {table}": (FORGET, call, "after") for call, table in enumerate(("Silver", "Bronze", "quarantine"), 1)},
    "before the receipt": (APPEND, 1, "before"),
    "after the begun receipt": (APPEND, 1, "after"),
    "before the finished receipt": (APPEND, 2, "before"),
    "before the row of the step": (APPEND, 3, "before"),
}  # fmt: skip


@pytest.mark.parametrize("death", DEATHS if LONG else ["after the commit to Bronze"])
def test_an_erasure_that_is_killed_is_finished_by_the_next(person: Company, death: str) -> None:
    before = rows(person)
    target, call, when = DEATHS[death]
    command = [sys.executable, "-c", SCRIPT, str(person.folder), target, str(call), when]

    killed = subprocess.run(command, cwd=Path(__file__).parents[2], check=False, capture_output=True)
    load_table(person.context(), PEOPLE)  # a load in between finds a table that it can write to
    do_erase(person)

    assert killed.returncode == -9, killed.stderr
    assert found(person) == []
    assert {**rows(person), "bronze.crm__people": []} == {**before, "bronze.crm__people": []}
    assert person.lake("select count(*) from bronze.crm__people") == [(len(before["bronze.crm__people"]),)]
    assert person.lake("select state from ops.erasures order by state_at desc limit 1") == [("finished",)]
