"""dbt sources as generated: stable text, whole meaning, nothing that dbt would run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from ingestion.contracts.model import Contract
from ingestion.contracts.odcs import read_contract, read_contracts
from ingestion.contracts.writing.dbt_sources import HEADER, render_facts, render_sources, write_facts, write_sources

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: crm.people
version: 1.0.0
description: {purpose: "People: all of them."}
servers: [{type: duckdb}]
schema:
  - name: people
    physicalName: main.people
    properties:
      - {name: id, physicalName: Id, logicalType: integer, physicalType: BIGINT, primaryKey: true, required: true}
      - {name: email, physicalName: E, logicalType: string, physicalType: VARCHAR, classification: pii, description: Null if unknown.}
      - {name: balance, physicalName: B, logicalType: number, physicalType: "DECIMAL(12,2)"}
customProperties: [{property: lake, value: {timezone: UTC, mode: full}}]
"""

GOLDEN = """\
version: 2
sources:
  - name: crm
    schema: bronze
    description: 'Bronze tables of the system crm: an append-only log of what was read.'
    tables:
      - name: people
        identifier: crm__people
        description: 'People: all of them.'
        config:
          meta:
            contract_id: crm.people
        columns:
          - name: id
            description: ''
            config:
              meta:
                contract_type: integer (BIGINT)
          - name: email
            description: Null if unknown.
            config:
              meta:
                contract_type: string (VARCHAR)
                classification: pii
          - name: balance
            description: ''
            config:
              meta:
                contract_type: number (DECIMAL(12,2))
"""


@pytest.fixture
def people(contract_of: Callable[[str], Contract]) -> Contract:
    return contract_of(CONTRACT)


def another(contract: Contract, system: str, entity: str) -> Contract:
    return replace(contract, id=f"{system}.{entity}", system=system, entity=entity)


def test_sources_of_a_contract_are_exactly_this_text(people: Contract) -> None:
    assert render_sources([people]) == {"_crm__sources.yml": HEADER + GOLDEN}


def test_each_system_has_a_file_and_the_order_of_contracts_does_not_matter(people: Contract) -> None:
    contracts = [people, another(people, "erp", "items"), another(people, "crm", "accounts")]

    files = render_sources(contracts)

    assert list(files) == ["_crm__sources.yml", "_erp__sources.yml"]
    tables = yaml.safe_load(files["_crm__sources.yml"])["sources"][0]["tables"]
    assert [table["name"] for table in tables] == ["accounts", "people"]
    assert render_sources(reversed(contracts)) == files


def test_files_are_written_once_and_then_left_alone(people: Contract, tmp_path: Path) -> None:
    assert write_sources([people], tmp_path / "models") == [tmp_path / "models" / "_crm__sources.yml"]
    assert write_sources([people], tmp_path / "models") == []


def test_check_tells_and_writes_nothing(people: Contract, tmp_path: Path) -> None:
    (tmp_path / "_old__sources.yml").write_text(HEADER)

    changed = write_sources([people], tmp_path, check=True)

    assert [path.name for path in changed] == ["_crm__sources.yml", "_old__sources.yml"]
    assert [path.name for path in tmp_path.iterdir()] == ["_old__sources.yml"]


def test_generated_file_of_a_system_without_contracts_is_removed_and_a_written_one_stays(
    people: Contract, tmp_path: Path
) -> None:
    (tmp_path / "_old__sources.yml").write_text(HEADER + "version: 2\n")
    (tmp_path / "_mine__sources.yml").write_text("version: 2\n")

    write_sources([people], tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["_crm__sources.yml", "_mine__sources.yml"]


ENVIRONMENT = "{{ env_var('AIRFLOW_CONN_PLANTED') }}"
TEXTS = (
    f"{{% endraw %}}{ENVIRONMENT}{{% raw %}}",
    ENVIRONMENT,
    f"{{{{ '{{' }}}} {ENVIRONMENT} {{{{{{ 1 }}}}}}",
    f"{{# open {ENVIRONMENT}",
    f"{{%- if true -%}}{ENVIRONMENT}{{% endif %}}",
    f"100 %}} of }}}} '#}}' {{ {ENVIRONMENT}\\n\r\n\"é\" {{{{ doc('x') }}}}\n",
    "{{ ref('nothing') }} {{ not_run() }} {% nor this %} 100 % 'é' #",
)


@pytest.fixture
def dbt_parse(tmp_path: Path) -> Callable[[], Any]:
    """Return a function that lets dbt parse the folder's models, a secret in its environment; returns the manifest."""
    (tmp_path / "dbt_project.yml").write_text("name: probe\nversion: '1.0'\nprofile: probe\n")
    (tmp_path / "profiles.yml").write_text("probe: {target: t, outputs: {t: {type: duckdb, path: ':memory:'}}}\n")

    def parse() -> Any:
        done = subprocess.run(
            [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "parse", "--warn-error",
             "--no-version-check", "--project-dir", ".", "--profiles-dir", "."],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "AIRFLOW_CONN_PLANTED": "x://u:planted@h"},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        text = (tmp_path / "target" / "manifest.json").read_text()
        is_told = "planted@" in text
        assert not is_told
        return json.loads(text)

    return parse


def test_dbt_reads_every_text_of_a_contract_as_it_is_and_evaluates_none(
    people: Contract, tmp_path: Path, dbt_parse: Callable[[], Any]
) -> None:
    pytest.importorskip("dbt")
    contracts = [
        replace(
            another(people, "crm", f"people_{number}"),
            description=text,
            columns=tuple(
                replace(column, description=text, classification=text, logical_type=text, physical_type=text)
                for column in people.columns
            ),
        )
        for number, text in enumerate(TEXTS)
    ]
    write_sources(contracts, tmp_path / "models")

    sources = dbt_parse()["sources"]

    for number, text in enumerate(TEXTS):
        source = sources[f"source.probe.crm.people_{number}"]
        column = source["columns"]["email"]
        assert (source["description"], column["description"]) == (text, text)
        assert column["config"]["meta"] == {"contract_type": f"{text} ({text})", "classification": text}
        assert source["config"]["meta"]["contract_id"] == f"crm.people_{number}"


def test_facts_of_the_shipped_contracts_are_as_written() -> None:
    root = Path(__file__).parents[3]

    assert (
        write_facts(read_contracts(root / "data_contracts"), root / "dbt_project/generated/lake_facts.sql", check=True)
        == []
    )


def test_facts_are_a_macro_that_returns_what_the_contract_says(tmp_path: Path) -> None:
    file = tmp_path / "crm" / "people.odcs.yaml"
    file.parent.mkdir()
    file.write_text(CONTRACT)
    text = render_facts([read_contract(file)])
    returned: list[object] = []
    module: Any = jinja2.Environment().from_string(text).make_module({"return": returned.append, "exceptions": None})
    module.lake_facts("crm", "people")

    assert returned == [
        {
            "key": ["id"],
            "columns": ["id", "email", "balance"],
            "types": {"id": "int64", "email": "string", "balance": "decimal128(12, 2)"},
            "tracked": ["email", "balance"],
            "personal": ["email"],
        }
    ]
