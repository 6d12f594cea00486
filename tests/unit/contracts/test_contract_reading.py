"""Good files as values, and folders of files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ingestion.contracts.model import (
    BronzeMode,
    Column,
    Contract,
    Deletes,
    DriftAction,
    DriftPolicy,
    Mode,
    NullWatermark,
    QualityCheck,
    Reconcile,
    Rule,
)
from ingestion.contracts.odcs import find_contract, lint, list_contract_ids, read_contract, read_contracts
from ingestion.contracts.reading import compile
from ingestion.contracts.reading.compile import examine
from ingestion.contracts.reading.document import parse
from ingestion.errors import ConfigurationError, InvalidContractError

SMALL = """\
apiVersion: v3.2.0
kind: DataContract
id: crm.people
version: 2.10.3
description: {purpose: "People\\n  we know."}
servers: [{type: duckdb, database: "${CRM_FILE}"}]
schema:
  - name: people
    physicalName: main.people
    properties:
      - {name: id, physicalName: Id, logicalType: integer, physicalType: BIGINT, primaryKey: true, required: true}
      - name: name
        physicalName: "Full \\"Name\\" é"
        logicalType: string
        physicalType: VARCHAR
        classification: pii
        description: "As
          given."
customProperties: [{property: lake, value: {timezone: UTC, mode: full}}]
"""


@pytest.fixture
def folder(tmp_path: Path, customers_text: str) -> Path:
    (tmp_path / "erp").mkdir()
    (tmp_path / "erp" / "customers.odcs.yaml").write_text(customers_text)
    (tmp_path / "crm").mkdir()
    (tmp_path / "crm" / "people.odcs.yaml").write_text(SMALL)
    return tmp_path


def test_small_file_becomes_exactly_this_contract(folder: Path) -> None:
    assert read_contract(folder / "crm" / "people.odcs.yaml") == Contract(
        id="crm.people",
        version="2.10.3",
        system="crm",
        entity="people",
        dialect="duckdb",
        source_table=("main", "people"),
        columns=(
            Column("id", "Id", "integer", "BIGINT", pa.int64(), True, 1, rules=(Rule("required"),)),
            Column(
                "name",
                'Full "Name" é',
                "string",
                "VARCHAR",
                pa.string(),
                classification="pii",
                description="As given.",
            ),
        ),
        timezone="UTC",
        mode=Mode.FULL,
        silver_model="stg_crm__people",
        path="crm/people.odcs.yaml",
        description="People we know.",
    )


def test_customers_file_becomes_these_values(folder: Path) -> None:
    contract = find_contract(folder, "erp.customers")

    assert contract.arrow_schema == pa.schema(
        {
            "customer_id": pa.int64(),
            **dict.fromkeys(["customer_name", "email", "phone", "tax_id", "segment", "region", "city"], pa.string()),
            "credit_limit": pa.decimal128(14, 2),
            "created_at": pa.timestamp("us"),
            "updated_at": pa.timestamp("us"),
        }
    )
    assert contract.key_names == ("customer_id",)
    assert contract.column("email").rules == (
        Rule("pattern", r"^[^@\s]+@[^@\s]+\.[^@\s]+$"),
        Rule("max_length", 254),
    )
    assert contract.column("region").rules == (
        Rule("required"),
        Rule("enum", ("North", "Northeast", "Central-West", "Southeast", "South")),
    )
    assert contract.column("credit_limit").rules == (Rule("minimum", "0"),)
    assert contract.quality == (
        QualityCheck("email_mostly_known", "nullValues", "email", "mustBeLessThan", 20.0, "percent", "warning"),
    )
    assert (contract.source_table, contract.dialect) == (("RETAIL", "CUSTOMERS"), "oracle")
    assert (contract.timezone, contract.mode, contract.watermark) == (
        "America/Sao_Paulo",
        Mode.INCREMENTAL,
        "updated_at",
    )
    assert contract.overlap == timedelta(hours=2)
    assert contract.reconcile == Reconcile("created_at", "month", 0.0, 1.0, timedelta(hours=24))


def test_every_key_of_the_lake_block_is_read(
    patched: Callable[..., str], contract_of: Callable[[str], Contract]
) -> None:
    contract = contract_of(
        patched(
            (
                "overlap: PT2H",
                "overlap: P1DT30M\n      sequence: customer_id\n      futureTolerance: PT0S\n      nullWatermark: fail\n      tracked: [city, email]\n"
                "      chunkRows: 5000\n      bronze: merge\n"
                "      onDrift: {newColumn: add, removedColumn: ignore, changedType: ignore}",
            ),
            ("deletes: keys", "deletes: none"),
            ("maxDeletePercent: 20", "maxDeletePercent: 2.5"),
            ("{warnPercent: 0, failPercent: 10}", "{warnPercent: 2, failPercent: 2}"),
            ("grain: month, warningGapPercent: 0, criticalGapPercent: 1", "grain: day, warningGapPercent: 0.5"),
            ("value: 24, unit: h", "value: 1.5, unit: d"),
        )
    )

    assert contract.overlap == timedelta(days=1, minutes=30)
    assert contract.future_tolerance == timedelta(0)
    assert contract.null_watermark is NullWatermark.FAIL
    assert (contract.sequence, contract.tracked_names) == ("customer_id", ("city", "email"))
    assert (contract.chunk_rows, contract.bronze, contract.deletes) == (5000, BronzeMode.MERGE, Deletes.NONE)
    assert contract.drift == DriftPolicy(DriftAction.ADD, DriftAction.IGNORE, DriftAction.IGNORE)
    assert (contract.max_delete_percent, contract.quarantine_warn_percent, contract.quarantine_fail_percent) == (
        2.5,
        2.0,
        2.0,
    )
    assert contract.reconcile == Reconcile("created_at", "day", 0.5, 1.0, timedelta(hours=36))


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("customers", ("customers",)),
        ("dbo.Order Details", ("dbo", "Order Details")),
        ("[my.db].[dbo].[Order]", ("my.db", "dbo", "Order")),
        ('"a.b"."say ""hi"""', ("a.b", 'say "hi"')),
        ("Vertrieb.Aufträge", ("Vertrieb", "Aufträge")),
    ],
)
def test_table_name_is_taken_apart_at_dots_outside_quotes(
    contract_of: Callable[[str], Contract], written: str, parts: tuple[str, ...]
) -> None:
    contract = contract_of(SMALL.replace("physicalName: main.people", f"physicalName: '{written}'"))

    assert contract.source_table == parts


@pytest.mark.parametrize(
    ("lake", "deletes"),
    [
        ("mode: full", Deletes.KEYS),
        ("mode: full, bronze: overwrite", Deletes.NONE),
        ("mode: changes", Deletes.CHANGES),
    ],
)
def test_deletes_follow_the_mode_where_the_file_is_silent(
    contract_of: Callable[[str], Contract], lake: str, deletes: Deletes
) -> None:
    text = SMALL.replace("mode: full", lake).replace('type: duckdb, database: "${CRM_FILE}"', "type: sqlserver")
    text = text.replace("VARCHAR", "nvarchar(80)")

    assert contract_of(text).deletes is deletes


def test_folder_is_read_in_the_order_of_ids(folder: Path) -> None:
    assert [contract.id for contract in read_contracts(folder)] == ["crm.people", "erp.customers"]


def test_contract_is_the_same_however_it_is_found(folder: Path) -> None:
    found = find_contract(folder, "crm.people")

    assert found == read_contract(folder / "crm" / "people.odcs.yaml") == read_contracts(folder)[0]


def test_every_fault_of_every_file_is_told_at_once(folder: Path) -> None:
    for path in folder.rglob("*.odcs.yaml"):
        path.write_text(path.read_text().replace("kind: DataContract", "kind: X").replace("UTC", "Mars"))

    with pytest.raises(InvalidContractError) as told:
        read_contracts(folder)

    assert [(fault.path, fault.line) for fault in told.value.faults] == [
        ("crm/people.odcs.yaml", 2),
        ("crm/people.odcs.yaml", 19),
        ("erp/customers.odcs.yaml", 2),
    ]
    assert str(told.value).startswith("3 faults in the contracts.\n  crm/people.odcs.yaml:2: kind must be DataContract")


def test_one_file_tells_its_faults_and_no_warning(folder: Path) -> None:
    path = folder / "crm" / "people.odcs.yaml"
    path.write_text(SMALL.replace("name: name", "name: phone").replace("classification: pii", "description: x"))
    path.write_text(path.read_text().replace("kind: DataContract", "kind: X"))

    reads: list[Callable[[], Contract]] = [lambda: read_contract(path), lambda: find_contract(folder, "crm.people")]
    for read in reads:
        with pytest.raises(InvalidContractError) as told:
            read()
        assert [(fault.line, fault.severity) for fault in told.value.faults] == [(2, "error"), (17, "error")]


def test_warning_does_not_stop_a_load(folder: Path) -> None:
    path = folder / "crm" / "people.odcs.yaml"
    path.write_text(path.read_text().replace("name: name", "name: e_mail").replace("name: e_mail", "name: email"))
    path.write_text(path.read_text().replace("        classification: pii\n", ""))

    assert [str(fault).partition(";")[0] for fault in lint(folder)] == [
        "crm/people.odcs.yaml:12: warning: email: looks personal, but has no classification"
    ]
    assert len(read_contracts(folder)) == 2


def test_only_the_wanted_file_is_read(folder: Path) -> None:
    (folder / "erp" / "customers.odcs.yaml").write_text("}")

    assert find_contract(folder, "crm.people").id == "crm.people"


def test_unknown_id_is_answered_with_near_and_known_ones(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"Did you mean erp.customers\?.*Known are: crm.people, erp.customers"):
        find_contract(folder, "erp.customer")


@pytest.mark.parametrize("contract_id", ["../crm.people", "crm/people", "", "."])
def test_id_that_is_a_path_is_unknown(folder: Path, contract_id: str) -> None:
    with pytest.raises(ConfigurationError, match="no contract has this id"):
        find_contract(folder, contract_id)


def test_ids_come_from_file_names_without_opening_a_file(folder: Path) -> None:
    (folder / "erp" / "broken.odcs.yaml").symlink_to(folder / "nowhere")
    (folder / "erp" / ".swap.odcs.yaml").touch()

    assert list_contract_ids(folder) == ["crm.people", "erp.broken", "erp.customers"]


def test_listing_ids_imports_nothing_heavy(folder: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from ingestion.contracts.odcs import list_contract_ids\n"
        f"list_contract_ids(Path({str(folder)!r}))\n"
        "print(sorted({'pyarrow', 'pydantic', 'yaml', 'open_data_contract_standard'} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )

    assert done.stdout == "[]\n"


def test_path_of_a_duckdb_file_is_a_place_too(folder: Path) -> None:
    path = folder / "crm" / "people.odcs.yaml"
    path.write_text(SMALL.replace("${CRM_FILE}", "people.duckdb"))

    assert [fault.message.partition(";")[0] for fault in lint(folder)] == [
        "servers[0].database names a place, which a contract never does"
    ]


def test_folder_without_contracts_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(InvalidContractError, match="holds no contract; write one as <system>/<entity>"):
        read_contracts(tmp_path)


def test_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the folder of the contracts is not there"):
        list_contract_ids(tmp_path / "none")
    with pytest.raises(InvalidContractError, match="none: holds no contract"):
        read_contracts(tmp_path / "none")


def test_file_at_the_wrong_depth_is_a_fault_and_another_name_a_warning(folder: Path) -> None:
    (folder / "loose.odcs.yaml").write_text(SMALL)
    (folder / "crm" / "people.yaml").write_text(SMALL)

    assert [str(fault) for fault in lint(folder)] == [
        "crm/people.yaml: warning: is not read; name a contract <entity>.odcs.yaml",
        "loose.odcs.yaml: stands at the wrong depth; move it to <system>/<entity>.odcs.yaml",
    ]


def test_two_contracts_cannot_feed_one_model(folder: Path) -> None:
    path = folder / "crm" / "people.odcs.yaml"
    path.write_text(path.read_text().replace("mode: full", "mode: full, silver: stg_customers"))

    with pytest.raises(InvalidContractError, match=r"stg_customers is the model of crm\.people already"):
        read_contracts(folder)


def test_file_that_is_not_utf8_is_a_fault(folder: Path) -> None:
    (folder / "crm" / "people.odcs.yaml").write_bytes(b"id: \xff\xfe")

    assert [str(fault) for fault in lint(folder)] == ["crm/people.odcs.yaml: is not UTF-8 text; save it as UTF-8"]


def test_byte_order_mark_and_windows_line_ends_change_nothing(folder: Path) -> None:
    path = folder / "crm" / "people.odcs.yaml"
    before = read_contract(path)

    path.write_bytes(b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode())

    assert read_contract(path) == before


@pytest.mark.parametrize("text", ["a: " + "[" * 100_000, "a: " + "{b: " * 100_000, "- " * 100_000, "? " * 100_000])
def test_a_file_that_nests_too_deep_is_refused(text: str) -> None:
    document, faults = parse(text, "deep.odcs.yaml")

    assert document is None
    assert [str(fault) for fault in faults] == [
        "deep.odcs.yaml:1: is nested more than 50 levels deep; nothing was checked"
    ]


def test_a_contract_is_compiled_once_per_process_until_its_text_changes(
    tmp_path: Path, customers_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []
    text = customers_text + "# once\n"  # no other test has read this text

    def counting(given: str, *args: Any, **options: Any) -> Any:
        compiled.append(given)
        return examine(given, *args, **options)

    monkeypatch.setattr(compile, "examine", counting)
    path = tmp_path / "erp" / "customers.odcs.yaml"
    path.parent.mkdir()
    path.write_text(text)

    found = find_contract(tmp_path, "erp.customers")
    assert read_contracts(tmp_path) == (found,)
    assert lint(tmp_path) == lint(tmp_path)
    assert compiled == [text]

    changed = text.replace("version: 1.0.0", "version: 1.0.1")
    path.write_text(changed)
    assert find_contract(tmp_path, "erp.customers").version == "1.0.1"
    assert compiled == [text, changed]
