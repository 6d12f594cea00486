"""The reference says what the code says: no command, setting, key or exit code is missing there, and none is made up."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingestion.contracts.model import Contract
from ingestion.contracts.reading import quality, rules
from ingestion.contracts.reading.column_block import ColumnBlock
from ingestion.contracts.reading.compile import examine
from ingestion.contracts.reading.lake_block import LakeBlock
from ingestion.errors import LakehouseError, TransientError, UnexpectedError
from ingestion.load.chunks import chunk_rows
from ingestion.settings import Settings, parse_connection
from ingestion.settings.registry import GROUPS
from tests.docs import commands
from tests.engines.test_contract_keys import COLUMN_FIELDS, OPTIONS, compiled, keys_of

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
SETTINGS = ROOT / "ingestion" / "settings" / "connection.py"
CODE = {".py", ".sql", ".yml", ".yaml", ".example"}
VARIABLE = re.compile(r"\bLAKEHOUSE_[A-Z]+(?:_[A-Z]+)*\b")
NO_VARIABLES = {"LAKEHOUSE_DEMO", "LAKEHOUSE_MASK_PADS"}  # a table of the demo; what dbt hands to a cluster by itself


def test_the_page_of_commands_is_the_one_that_the_command_line_writes() -> None:
    if os.environ.get("LAKEHOUSE_GOLDEN") == "write":
        commands.FILE.write_text(commands.render())

    assert commands.FILE.read_text() == commands.render(), "make golden writes it"


def test_the_commands_that_the_advisor_knows_are_those_of_the_command_line() -> None:
    if os.environ.get("LAKEHOUSE_GOLDEN") == "write":
        commands.GRAMMAR.write_text(commands.grammar())

    assert commands.GRAMMAR.read_text() == commands.grammar(), "make golden writes it"


def table(page: str, heading: str | None = None) -> list[list[str]]:
    """Return the cells of all table rows of a page of the reference, or of those under one heading; no header rows."""
    text = (REFERENCE / page).read_text()
    if heading is not None:
        text = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    headers = {at - 1 for at, line in enumerate(lines) if set(line) <= set("| -")}
    kept = [line for at, line in enumerate(lines) if at not in headers and at - 1 not in headers]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in kept]


def leaves(kind: type[LakehouseError]) -> Iterator[type[LakehouseError]]:
    """Yield each class of errors that has an exit code of its own."""
    for below in kind.__subclasses__():
        yield from leaves(below)
        if "exit_code" in vars(below):
            yield below


def test_every_exit_code_is_in_the_reference_with_whether_a_retry_helps() -> None:
    listed = {row[1].strip("`"): (int(row[0]), row[3]) for row in table("exit-codes.md") if len(row) == 5}

    assert listed.pop("UnexpectedError") == (UnexpectedError.exit_code, "perhaps")
    assert listed == {
        kind.__name__: (kind.exit_code, "yes" if issubclass(kind, TransientError) else "no")
        for kind in leaves(LakehouseError)
        if kind.__module__ == LakehouseError.__module__
    }


def test_every_variable_of_the_product_is_in_the_reference_and_no_other() -> None:
    folders = ("ingestion", "dags", "dbt_project", "monitoring")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in CODE]
    files = [path for path in files if "target" not in path.parts]  # what dbt compiled
    used = {name for path in files for name in VARIABLE.findall(path.read_text())}

    assert set(VARIABLE.findall((REFERENCE / "settings.md").read_text())) == used - NO_VARIABLES


def test_every_setting_of_the_registry_is_in_the_reference_with_its_default_and_no_other() -> None:
    rows = [row for row in table("settings.md") if len(row) == 3]
    names, defaults = [row[0].strip("`") for row in rows], {row[0].strip("`"): row[1] for row in rows}
    settings = [each for group, members in GROUPS.items() if group != "Storage logins" for each in members]
    logins = {each.name for each in GROUPS["Storage logins"]}

    assert sorted(names) == sorted(each.name for each in settings)
    assert {each.name: f"`{each.default}`" for each in settings if each.default} == {
        name: told for name, told in defaults.items() if re.fullmatch("`[^`/]*`|`~.*`", told)
    }
    assert {
        *re.findall(r"`([A-Z_]{6,})`", " ".join(row[1] for row in table("settings.md", "Storage logins")))
    } == logins


def test_the_defaults_of_settings_are_those_of_the_code(tmp_path: Path) -> None:
    defaults = {row[0].strip("`"): row[1].strip("`") for row in table("settings.md") if len(row) == 3}
    read = Settings.from_environ({"LAKEHOUSE_PROJECT": str(tmp_path)})

    assert Path(read.lake_root) == tmp_path / "lake"
    assert defaults["LAKEHOUSE_ENGINE"] == read.engine
    assert defaults["LAKEHOUSE_MEMORY"] == read.memory_limit
    assert defaults["LAKEHOUSE_LOAD_MEMORY"] == read.load_memory
    assert float(defaults["LAKEHOUSE_DBT_SECONDS"]) == read.dbt_seconds


def contract_text() -> str:
    """Return the contract that the reference shows."""
    found = re.search(r"```yaml\n(.*?)```", (REFERENCE / "contract.md").read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def read_block(block: dict[str, Any]) -> Contract:
    """Return the shown contract with another lake block. Each fault fails."""
    document = yaml.safe_load(contract_text())
    document["customProperties"] = [{"property": "lake", "value": block}]
    contract, faults = examine(yaml.safe_dump(document, sort_keys=False), "contract.md")
    assert faults == []
    assert contract is not None
    return contract


LEAST = {"timezone": "Europe/Berlin", "mode": "incremental", "watermark": "changed_at", "nullWatermark": "include"}
LAKE_KEYS = {row[0].strip("`"): row[1:] for row in table("contract.md", "The lake block")}


def test_the_contract_that_the_reference_shows_has_no_fault() -> None:
    contract, faults = examine(contract_text(), "contract.md", expected_id="crm.customers")

    assert faults == []
    assert contract is not None


def test_every_key_of_the_lake_block_is_in_the_reference_and_no_other() -> None:
    assert sorted(LAKE_KEYS) == sorted(keys_of(LakeBlock))


@pytest.mark.parametrize("key", sorted(LAKE_KEYS))
def test_the_example_of_a_key_is_a_valid_contract(key: str) -> None:
    example = yaml.safe_load(LAKE_KEYS[key][-1].strip("`"))
    outer, _, inner = key.partition(".")
    assert inner in example[outer] if inner else outer in example

    read_block(LEAST | example)


@pytest.mark.parametrize("key", [key for key, cells in LAKE_KEYS.items() if cells[0].startswith("`")])
def test_the_default_of_a_key_is_what_a_contract_without_it_has(key: str) -> None:
    outer, _, inner = key.partition(".")
    stated = LAKE_KEYS[key][0].strip("`").replace("<system>", "crm").replace("<entity>", "customers")
    default = yaml.safe_load(stated)
    usual = read_block(LEAST)
    usual = replace(usual, chunk_rows=chunk_rows(usual))  # the default of the program, not of the contract

    given = read_block(LEAST | {outer: {inner: default} if inner else default})

    assert replace(given, chunk_rows=chunk_rows(given)) == usual


def test_every_key_of_a_column_is_in_the_reference_with_an_example_that_is_valid() -> None:
    rows = table("contract.md", "Columns")
    columns = {row[0].strip("`"): row[-1].strip("`") for row in rows}
    nested = {"properties", "items", "map"}  # read only to be refused
    blocks = set(ColumnBlock.model_json_schema(by_alias=True)["properties"])
    operators = set(re.findall(r"`(must\w+)`", (REFERENCE / "contract.md").read_text()))
    metrics = quality._COLUMN_METRICS | quality._TABLE_METRICS

    assert set(columns) == (set(COLUMN_FIELDS) - nested) | set(OPTIONS) | blocks | metrics
    assert operators == set(quality._OPERATORS)
    for key in set(COLUMN_FIELDS) - nested - {"primaryKeyPosition"}:
        if key != "primaryKey":  # the key of that contract has another column already
            assert compiled(columns[key])[1] == [], key
    for option in OPTIONS:
        typed = "logicalType: integer, physicalType: BIGINT, " if option in rules.BOUNDS else ""
        assert compiled(f"{typed}logicalTypeOptions: {{{columns[option]}}}")[1] == [], option
    for metric in quality._COLUMN_METRICS:
        assert compiled(f"quality: [{columns[metric]}]")[1] == [], metric


CONNECTIONS = REFERENCE / "connections.md"
SESSIONS = {  # read and not imported: a driver may lack its system libraries
    "Oracle": ROOT / "ingestion" / "sources" / "oracle" / "session.py",
    "SQL Server": ROOT / "ingestion" / "sources" / "sqlserver" / "session.py",
}


def extras(heading: str) -> set[str]:
    return {row[0].strip("`") for row in table("connections.md", heading)}


@pytest.mark.parametrize("heading", SESSIONS)
def test_the_extras_of_a_server_are_those_that_its_session_reads(heading: str) -> None:
    told = (ast.get_docstring(ast.parse(SESSIONS[heading].read_text())) or "").partition("Its extras:\n")[2]
    described = {name for line in re.findall(r"^    (\S.*?)  ", told, re.MULTILINE) for name in line.split(", ")}
    code = "\n".join(path.read_text() for path in [*SESSIONS[heading].parent.glob("*.py"), SETTINGS])

    assert extras(heading) | extras("Extras of every system") | extras("Extras of Oracle and SQL Server") == described
    assert [name for name in described if f'"{name}"' not in code] == []
    assert set(re.findall(r"extra(?:\.get\(|\[)\"(\w+)\"", code)) <= described


@pytest.mark.parametrize(("heading", "module"), [("Amazon SQS", "sqs.py"), ("A queue in a file", "local.py")])
def test_the_extras_of_a_queue_are_those_that_its_module_reads(heading: str, module: str) -> None:
    queues = ROOT / "ingestion" / "queues"
    own = (queues / module).read_text()
    told = (ast.get_docstring(ast.parse(own)) or "").partition("Its extras:\n")[2]
    code = own + (queues / "claims.py").read_text()
    read = re.findall(r"extra(?:\.get\(|\[)\"(\w+)\"|connection, \"(\w+)\"", code)

    assert extras(heading) == set(re.findall(r"^    (\w+)  ", told, re.MULTILINE)) == {one or two for one, two in read}


def test_every_connection_that_the_reference_shows_can_be_read() -> None:
    text = CONNECTIONS.read_text()
    forms = re.findall(r"`(\w+://\S+)`", text)
    exported = re.findall(r"export AIRFLOW_CONN_\w+='(.*?)'", text, re.DOTALL)

    read = [parse_connection("AIRFLOW_CONN_ERP", value) for value in (*forms[:3], *exported)]

    assert [connection.type for connection in read[:6]] == ["oracle", "mssql", "duckdb"] * 2
    assert (read[3].schema, read[3].password, read[3].extra) == (
        "ERPPDB",
        "s3cret/word",
        {"call_timeout_seconds": "900"},
    )
    assert (read[6].schema, read[6].password, read[6].max_sessions) == ("ERPPDB", "s3cret/word", 2)
    assert len(re.findall("^export", text, re.MULTILINE)) == len(exported) == 4


def test_operations_say_what_to_do_for_every_exit_code_and_every_dag() -> None:
    page = "../operations.md"
    codes = [int(row[0]) for row in table(page) if len(row) == 4 and row[0].isdecimal()]
    dags = {row[0].strip("`") for row in table(page) if len(row) == 4 and row[0].startswith("`")}

    assert codes == sorted({kind.exit_code for kind in leaves(LakehouseError)} | {UnexpectedError.exit_code})
    assert dags == {path.stem for path in (ROOT / "dags").glob("*.py")}
