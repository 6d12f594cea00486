"""The report of a pull request on the contracts that it changes, in a repository of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from ingestion.cli import cli

ROOT = Path(__file__).parents[2]
CUSTOMERS, PRODUCTS = ("data_contracts/erp/customers.odcs.yaml", "data_contracts/erp/products.odcs.yaml")
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


class Repository:
    """Two contracts on the branch main; HEAD is on a branch that began there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in (CUSTOMERS, PRODUCTS):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        self.git("init", "-q", "-b", "main")
        self.commit()
        self.git("checkout", "-q", "-b", "change")

    def git(self, *arguments: str) -> None:
        settings = ["-c", "user.name=a", "-c", "user.email=a@b.co", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *settings, *arguments], cwd=self.folder, check=True, capture_output=True)

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "a change")

    def amend(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert old in text
        (self.folder / name).write_text(text.replace(old, new, 1))
        self.commit()

    def diff(self, against: str, *options: str) -> tuple[int, str]:
        """Write the report; return its exit code and what it printed."""
        environ = {"LAKEHOUSE_PROJECT": str(self.folder)}
        done = CliRunner().invoke(cli, ["contract", "report", against, *options], env=environ)
        return done.exit_code, done.output


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_a_break_must_be_announced_and_is_compared_with_where_the_branch_began(repository: Repository) -> None:
    repository.amend(CUSTOMERS, "silver: stg_customers", "silver: stg_clients")
    repository.git("checkout", "-q", "main")
    repository.amend(PRODUCTS, "version: 1.0.0", "version: 3.0.0")  # what others did since is not this branch's
    repository.git("checkout", "-q", "change")
    silent = repository.diff("main")
    repository.amend(CUSTOMERS, "version: 1.0.0", "version: 2.0.0")
    announced = repository.diff("main")

    assert silent[0] == 1
    assert "| BREAKING | the Silver model changed from stg\\_customers to stg\\_clients |" in silent[1]
    assert "NOT ANNOUNCED" in silent[1]
    assert "products" not in silent[1]
    assert announced[0] == 0, announced[1]
    assert "erp.customers 1.0.0 → 2.0.0: breaking, announced" in announced[1]


def test_a_contract_that_is_removed_or_renamed_breaks_unless_its_status_announced_it(repository: Repository) -> None:
    repository.git("mv", CUSTOMERS, CUSTOMERS.replace("customers", "clients"))
    repository.commit()
    renamed = repository.diff("main")
    repository.git("checkout", "-q", "main")
    repository.amend(PRODUCTS, "status: active", "status: deprecated")
    repository.git("checkout", "-q", "-b", "removal")
    (repository.folder / PRODUCTS).unlink()
    repository.commit()

    assert renamed[0] == 1
    assert "| BREAKING | the contract is removed or renamed |" in renamed[1]
    assert "| visible to readers | the contract is new |" in renamed[1]
    code, text = repository.diff("main")
    assert (code, "## erp.products 1.0.0: breaking, announced" in text) == (0, True)


def test_versions_are_named_as_files_or_by_a_revision(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.amend(CUSTOMERS, "[Consumer, ", "[Private, Consumer, ")
    monkeypatch.chdir(repository.folder)
    copy = repository.folder.parent / "a copy.txt"
    copy.write_text((repository.folder / CUSTOMERS).read_text())

    for old, new in (
        ("main", CUSTOMERS),
        (f"main:{CUSTOMERS}", f"change:{CUSTOMERS}"),
        (f"main:{CUSTOMERS}", str(copy)),
    ):
        done = CliRunner().invoke(cli, ["contract", "diff", old, new])

        assert done.exit_code == 0, done.output
        assert "visible to readers  the rules of segment admit more values (enum)" in done.stdout


@pytest.mark.parametrize("name", ["nowhere", f"nowhere:{CUSTOMERS}", "main:nowhere.yaml", "--output=stolen", ""])
def test_a_version_that_is_not_there_is_refused(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(repository.folder)

    done = CliRunner().invoke(cli, ["contract", "diff", "--", name, CUSTOMERS])

    assert (done.exit_code, "this is neither a file nor one in git" in done.stderr) == (10, True), done.output
    assert not (repository.folder / "stolen").exists()


def test_without_anything_to_compare_with_it_fails(repository: Repository) -> None:
    repository.git("checkout", "-q", "--orphan", "island")
    (repository.folder / "island.txt").touch()  # else its commit could be the very first one
    repository.commit()

    for against, found in (
        ("", "no branch"),
        ("nowhere", "no branch or commit nowhere"),
        ("main", "no commit in common"),
    ):
        code, text = repository.diff(against)
        assert (code, found in text) == (10, True), text


def dbt_manifest(folder: Path) -> str:
    """Write what dbt knows of a table: two models, one behind the other, a test, and a dashboard of the second."""
    source, silver, gold = "source.p.erp.customers", "model.p.stg_customers", "model.p.dim_customer"
    owner = {"name": "sales", "email": "sales@retail.example"}
    document = {
        "sources": {source: {"source_name": "erp", "name": "customers"}},
        "exposures": {"exposure.p.board": {"name": "board", "label": "Board | <b>sales</b>", "owner": owner}},
        "child_map": {source: [silver, "test.p.one"], silver: [gold], gold: ["exposure.p.board"]},
    }
    (folder / "manifest.json").write_text(json.dumps(document))
    return str(folder / "manifest.json")


def test_the_report_names_what_changes_who_follows_and_which_columns_become_personal(
    repository: Repository, tmp_path: Path
) -> None:
    repository.amend(CUSTOMERS, "silver: stg_customers", "silver: stg_clients")
    repository.amend(PRODUCTS, "logicalType: string", "classification: pii\n        logicalType: string")

    code, text = repository.diff("main", "--manifest", dbt_manifest(tmp_path), "--output", str(tmp_path / "report.md"))

    base = subprocess.run(
        ["git", "rev-parse", "--short=12", "main"], cwd=repository.folder, capture_output=True, text=True, check=True
    )
    golden = Path(__file__).with_name("contract_report.md")
    told = text.replace(base.stdout.strip(), "0" * 12)
    if os.environ.get("LAKEHOUSE_GOLDEN") == "write":
        golden.write_text(told)
    assert code == 1
    assert told == golden.read_text()
    assert (tmp_path / "report.md").read_text() == text


def test_a_report_without_changes_says_so_and_a_missing_manifest_stops_it(
    repository: Repository, tmp_path: Path
) -> None:
    code, text = repository.diff("main")
    refused = repository.diff("main", "--manifest", str(tmp_path / "none.json"))

    assert (code, "No contract differs" in text) == (0, True)
    assert (refused[0], "No contract was compared" in refused[1]) == (10, True)
