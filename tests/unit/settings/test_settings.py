"""Settings: the registry, the cloud, the flags, what contradicts, old names, and what `lakehouse settings` tells."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ingestion.cli import base, cli
from ingestion.errors import ConfigurationError
from ingestion.settings import Settings, value_of
from ingestion.settings.old_names import OLD_NAMES
from ingestion.settings.registry import GROUPS, OF_PROGRAM, known_names
from ingestion.settings.told import ANY_CONNECTION, told_settings, without_login

ROOT = Path(__file__).parents[3]
SECRET = "oracle://lake:geheim@erp-db:1521/ERP"


def read(tmp_path: Path, **environ: str) -> Settings:
    return Settings.from_environ({"LAKEHOUSE_PROJECT": str(tmp_path), **environ})


def told(tmp_path: Path, **environ: str) -> dict[str, tuple[str | None, str]]:
    environ = {"LAKEHOUSE_PROJECT": str(tmp_path), **environ}
    return {each.name: (each.value, each.origin) for each in told_settings(Settings.from_environ(environ), environ)}


CONTRADICTIONS: list[tuple[dict[str, str], str]] = [
    ({"LAKEHOUSE_CLOUD": "mars"}, "LAKEHOUSE_CLOUD is 'mars'; it must be local, azure, aws or gcp"),
    ({"CLOUD_PROVIDER": "mars"}, "CLOUD_PROVIDER is 'mars'"),
    ({"LAKEHOUSE_CLOUD": "aws", "CLOUD_PROVIDER": "gcp"}, "CLOUD_PROVIDER, its other name, is 'gcp'"),
    ({"LAKEHOUSE_CLOUD": "local", "LAKEHOUSE_ROOT": "s3://b/x"}, "is local, but LAKEHOUSE_ROOT begins with s3://"),
    ({"LAKEHOUSE_CLOUD": "gcp", "LAKEHOUSE_ROOT": "s3://b/x"}, "is gcp, but LAKEHOUSE_ROOT begins with s3://"),
    ({"LAKEHOUSE_CLOUD": "azure"}, "is azure, but LAKEHOUSE_ROOT is not set"),
    ({"LAKEHOUSE_CLOUD": "azure", "LAKEHOUSE_ROOT": "lake"}, "LAKEHOUSE_SECRETS_VAULT: not set"),
    ({"LAKEHOUSE_CLOUD": "gcp", "LAKEHOUSE_ROOT": "lake"}, "LAKEHOUSE_SECRETS_VAULT: not set"),
    ({"LAKEHOUSE_CLOUD": "aws", "LAKEHOUSE_ROOT": "lake"}, "AWS_REGION: not set"),
    ({"LAKEHOUSE_SECRETS": "azure", "LAKEHOUSE_SECRETS_VAULT": "retail"}, "'retail'; it must be the vault's URL"),
    ({"LAKEHOUSE_SECRETS": "vault"}, "LAKEHOUSE_SECRETS is 'vault'; it must be environment, azure, aws or gcp"),
    ({"LAKEHOUSE_SECRETS_SECONDS": "0"}, "LAKEHOUSE_SECRETS_SECONDS is '0'; it must be a number of seconds above 0"),
    (
        {"ENABLE_AZURE_INTEGRATION": "false", "LAKEHOUSE_ROOT": "abfss://l@a.dfs.core.windows.net/"},
        "ENABLE_AZURE_INTEGRATION is false, but LAKEHOUSE_ROOT is on abfss://",
    ),
    (
        {"ENABLE_AZURE_INTEGRATION": "0", "LAKEHOUSE_SECRETS": "azure", "LAKEHOUSE_SECRETS_VAULT": "https://v"},
        "ENABLE_AZURE_INTEGRATION is false, but secrets are in azure",
    ),
    (
        {"ENABLE_AZURE_INTEGRATION": "false", "LAKEHOUSE_MODEL": "azure:m"},
        "ENABLE_AZURE_INTEGRATION is false, but LAKEHOUSE_MODEL is on Azure",
    ),
    (
        {"ENABLE_REAL_DATABASE_CONNECTIONS": "False", "AIRFLOW_CONN_ERP": SECRET},
        "ENABLE_REAL_DATABASE_CONNECTIONS is false, but erp has a connection to a database server",
    ),
    ({"ENABLE_AZURE_INTEGRATION": "perhaps"}, "ENABLE_AZURE_INTEGRATION is 'perhaps'; it must be true, 1,"),
]


@pytest.mark.parametrize(("environ", "finding"), CONTRADICTIONS, ids=[str(finding) for _, finding in CONTRADICTIONS])
def test_settings_that_contradict_stop_at_the_start(tmp_path: Path, environ: Mapping[str, str], finding: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read(tmp_path, **environ)

    assert finding in str(raised.value)
    assert re.search(r"Nothing was (done|read)\. [A-Z]", str(raised.value))
    assert "geheim" not in str(raised.value)


@pytest.mark.parametrize(
    "environ",
    [
        {"AIRFLOW_CONN_ERP": SECRET, "LAKEHOUSE_ROOT": "abfss://l@a.dfs.core.windows.net/"},
        {"ENABLE_REAL_DATABASE_CONNECTIONS": "true", "AIRFLOW_CONN_ERP": SECRET},
        {"ENABLE_REAL_DATABASE_CONNECTIONS": "false", "AIRFLOW_CONN_CRM": "duckdb:///data/crm.duckdb"},
        {"LAKEHOUSE_CLOUD": "aws", "LAKEHOUSE_ROOT": "s3://b/x", "AWS_REGION": "eu-central-1"},
        {"LAKEHOUSE_CLOUD": "aws", "LAKEHOUSE_ROOT": "/data/lake", "LAKEHOUSE_SECRETS": "environment"},
        {"LAKEHOUSE_ROOT": "s3://b/x", "LAKEHOUSE_SECRETS": "gcp", "LAKEHOUSE_SECRETS_VAULT": "a-project"},
    ],
    ids=["no flag", "true", "files only", "one cloud", "a folder", "two clouds"],
)
def test_settings_that_agree_are_read(tmp_path: Path, environ: Mapping[str, str]) -> None:
    read(tmp_path, **environ)


def test_a_server_found_among_the_secrets_is_not_opened_either_if_the_flag_forbids_it(tmp_path: Path) -> None:
    (tmp_path / "AIRFLOW_CONN_ERP").write_text(SECRET)
    settings = read(tmp_path, ENABLE_REAL_DATABASE_CONNECTIONS="false", LAKEHOUSE_SECRETS_DIR=str(tmp_path))

    with pytest.raises(ConfigurationError, match="ENABLE_REAL_DATABASE_CONNECTIONS is false, but erp"):
        settings.connection("erp")


def test_flags_that_are_not_set_follow_from_what_is_set(tmp_path: Path) -> None:
    nothing = told(tmp_path)
    lake = "abfss://l@a.dfs.core.windows.net/"
    all_set = told(tmp_path, AIRFLOW_CONN_ERP=SECRET, LAKEHOUSE_ROOT=lake, LAKEHOUSE_MODEL="openai:m")

    for flag in ("ENABLE_REAL_DATABASE_CONNECTIONS", "ENABLE_AZURE_INTEGRATION", "ENABLE_LLM_OBSERVABILITY"):
        assert (nothing[flag], all_set[flag]) == (("false", "derived"), ("true", "derived"))
    assert told(tmp_path, LAKEHOUSE_MODEL="azure:m")["ENABLE_AZURE_INTEGRATION"] == ("true", "derived")
    files = told(tmp_path, AIRFLOW_CONN_TOPICS="files:///data/topics")
    assert files["ENABLE_REAL_DATABASE_CONNECTIONS"] == ("false", "derived")


def test_the_cloud_chooses_the_store_of_the_secrets_unless_that_is_set(tmp_path: Path) -> None:
    cloud = {"LAKEHOUSE_CLOUD": "aws", "LAKEHOUSE_ROOT": "s3://b/x", "AWS_REGION": "eu-central-1"}

    assert told(tmp_path, **cloud)["LAKEHOUSE_SECRETS"] == ("aws", "cloud default")
    assert told(tmp_path, **cloud, LAKEHOUSE_SECRETS="environment")["LAKEHOUSE_SECRETS"] == (
        "environment",
        "environment",
    )
    del cloud["LAKEHOUSE_CLOUD"]
    assert told(tmp_path, **cloud, CLOUD_PROVIDER="aws")["LAKEHOUSE_CLOUD"] == ("aws", "CLOUD_PROVIDER")


SECRETS = [each.name for group in GROUPS.values() for each in group if each.is_secret]


@pytest.mark.parametrize("name", [*SECRETS, *OLD_NAMES])
def test_no_setting_shows_a_secret(tmp_path: Path, name: str) -> None:
    name = name.replace("<SYSTEM>", "ERP")

    shown = told(tmp_path, **{name: SECRET})

    assert shown[name][0] == "set"
    assert "geheim" not in str(shown)


def test_every_variable_that_looks_like_a_secret_is_one() -> None:
    alike = re.compile(r"SECRET$|PASSWORD|TOKEN|_WEBHOOK$|_URLS$|_KEY$|_KEY_ID$|SALT|CONF$|CONN_")
    settings = [each for group in GROUPS.values() for each in group]

    assert [each.name for each in settings if bool(alike.search(each.name)) != each.is_secret] == []


@pytest.mark.parametrize("value", ["s3://key:geheim@bucket/x", "https://host/x?sig=geheim"])
def test_a_login_inside_a_url_is_hidden(value: str) -> None:
    assert "geheim" not in without_login(value)
    assert without_login("abfss://l@a.dfs.core.windows.net/x") == "abfss://l@a.dfs.core.windows.net/x"


def test_the_registry_has_every_variable_that_the_code_reads_and_no_other() -> None:
    folders = ("ingestion", "dags", "dbt_project", "monitoring")
    texts = {
        path: path.read_text()
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".sql", ".yml") and path.name != "registry.py" and "target" not in path.parts
    }
    used = set(re.findall(r"\bLAKEHOUSE_[A-Z]+(?:_[A-Z]+)*\b", "\n".join(texts.values())))
    code = "\n".join(texts.values())

    assert used - {"LAKEHOUSE_DEMO"} == {name for name in known_names() if name.startswith("LAKEHOUSE_")} | {
        *OF_PROGRAM
    }
    assert [name for name in known_names() - {ANY_CONNECTION} if name not in code] == []


def test_an_empty_variable_counts_as_not_set() -> None:
    assert value_of("LAKEHOUSE_MEMORY", {"LAKEHOUSE_MEMORY": ""}) == "1GB"


def command(*arguments: str, folder: Path, **environ: str) -> Result:
    base._say_once.cache_clear()
    hidden: dict[str, str | None] = {name: None for name in os.environ if name.startswith("AIRFLOW_CONN_")}
    given = {**hidden, "LAKEHOUSE_PROJECT": str(folder), **environ}
    return CliRunner().invoke(cli, ["settings", *arguments], env=given)


def test_old_names_are_told_in_one_line_with_todays(tmp_path: Path) -> None:
    old = dict.fromkeys(OLD_NAMES, "geheim")

    result = command("--json", folder=tmp_path, **old)

    [line] = result.stderr.splitlines()
    assert result.exit_code == 0
    assert [name for name in OLD_NAMES if name not in line] == []
    assert "AIRFLOW_CONN_<SYSTEM>" in line
    assert "geheim" not in result.output


def test_a_port_alone_is_no_old_name(tmp_path: Path) -> None:
    assert command(folder=tmp_path, PORT="8080").stderr == ""


def test_variables_of_conversations_are_no_old_names(tmp_path: Path) -> None:
    given = {"ORACLE_HOST": "db", "ORACLE_USER": "lake", "ORACLE_PASSWORD": "geheim", "SQS_QUEUE_URL": "https://queue"}

    result = command(folder=tmp_path, **given)

    assert (result.stderr, "geheim" in result.output) == ("", False)


def test_a_misspelt_setting_is_named(tmp_path: Path) -> None:
    result = command(folder=tmp_path, LAKEHOUSE_ROOOT="lake")

    assert "LAKEHOUSE_ROOOT is no setting." in result.stdout


def test_the_settings_as_json_have_all_that_the_table_has(tmp_path: Path) -> None:
    document: Any = json.loads(command("--json", folder=tmp_path, AIRFLOW_CONN_ERP=SECRET).stdout)

    names = [each["name"] for each in document["settings"]]
    assert {*names} == known_names() - {ANY_CONNECTION} | {"AIRFLOW_CONN_ERP"}
    assert {*document["settings"][0]} == {"group", "name", "value", "origin", "effect"}
