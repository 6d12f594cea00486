"""The policies of the four roles."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from ingestion.admin.grants import KINDS, ROLES, policies, s3
from ingestion.cli import cli
from ingestion.cli.grants import KINDS as NAMED_KINDS
from ingestion.cli.grants import NAMES

MODULES = Path(__file__).parents[2] / "infra" / "terraform" / "modules"
TEMPLATES = MODULES / "lake_bucket" / "policies"
GOOGLE = MODULES / "gcp" / "main.tf"


def test_terraform_creates_the_policies_that_the_command_prints() -> None:
    found = {path.name: path.read_text() for path in TEMPLATES.iterdir()}

    assert found == {f"{role.name}.json.tftpl": s3(role, "${bucket}", "${prefix}") for role in ROLES}


def test_the_command_names_the_kinds_and_roles_that_there_are() -> None:
    assert (tuple(KINDS), tuple(role.name for role in ROLES)) == (NAMED_KINDS, NAMES)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reader_is_given_gold_and_audit_and_no_layer_with_personal_columns(kind: str) -> None:
    text = policies(kind, place="lake", prefix="retail/")["reader"]

    assert "gold" in text
    assert "audit" in text
    for layer in ("bronze", "silver", "quarantine", "ops"):
        assert layer not in text
    for right in ("PutObject", "DeleteObject", "rwx", "objectUser", "MODIFY"):
        assert right not in text


def test_a_loader_cannot_write_what_is_built_and_a_transformer_not_what_is_loaded() -> None:
    def writes(role: str) -> set[str]:
        document = json.loads(policies("s3", place="lake", prefix="")[role])
        [statement] = [one for one in document["Statement"] if one["Sid"] == "ReadAndWrite"]
        return {place.removeprefix("arn:aws:s3:::lake/").partition("/")[0] for place in statement["Resource"]}

    assert writes("loader") == {"bronze", "quarantine", "ops"}
    assert writes("transformer") == {"silver", "gold", "audit", "ops", "_mask_salt.json"}
    assert writes("steward") == {"*"}


def test_on_google_each_role_lists_files_and_has_the_paths_that_terraform_gives() -> None:
    def given(*roles: str) -> set[tuple[str, str]]:
        lines = "".join(policies("gcs", place="lake", prefix="")[role] for role in roles).splitlines()
        found = [(re.search(r"--role=(\S+)", line), re.findall(r"/objects/([^']*)'", line)) for line in lines]
        return {(role[1], path) for role, paths in found if role for path in paths or ["(list)"]}

    terraform = GOOGLE.read_text()
    bound: dict[str, set[tuple[str, str]]] = {}
    for role, grant, paths in re.findall(r'role = "(\w+)", grant = "([^"]+)", paths = (\[.*\])', terraform):
        bound.setdefault(role, {(re.findall(r"roles/storage\.legacy\w+", terraform)[0], "(list)")}).update(
            (grant, path) for path in json.loads(paths)
        )

    reads = {("roles/storage.objectViewer", path) for path in ("bronze/", "quarantine/")}  # of the transformer alone
    assert given("loader", "transformer") - reads == bound["runner"]
    assert given("reader") == bound["reader"]
    assert given("steward") == bound["steward"]


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        ("s3://company/retail", "arn:aws:s3:::company/retail/gold/*"),
        ("abfss://lake@acc.dfs.core.windows.net/retail", '-p "retail/gold"'),
        ("gs://company", "buckets/company/objects/gold/"),
    ],
)
def test_the_command_prints_the_policies_of_the_lake_that_is_set(
    root: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOUSE_ROOT", root)

    result = CliRunner().invoke(cli, ["grants", "--role", "reader"])

    assert (result.exit_code, expected in result.output) == (0, True)


def test_a_lake_in_a_folder_has_the_rights_of_its_file_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LAKEHOUSE_ROOT", str(tmp_path))

    assert "Name the store" in CliRunner().invoke(cli, ["grants"]).output
    told = json.loads(CliRunner().invoke(cli, ["grants", "--for", "unity", "--json"]).stdout)
    assert told["personal"]["erp.customers"] == ["customer_name", "email", "phone", "tax_id"]
