"""A contract drafted from a catalog is one that the reader accepts, and says what it could not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingestion.contracts.compare import FoundColumn, find_drift
from ingestion.contracts.facts import ColumnFacts, TableFacts
from ingestion.contracts.importing import Draft, draft_contract
from ingestion.contracts.model import Contract, Deletes, Mode, NullWatermark
from ingestion.contracts.odcs import read_contract
from ingestion.contracts.types import UnknownTypeError, declared_type
from ingestion.errors import ConfigurationError
from ingestion.pipelines.importing import import_contracts
from ingestion.settings import Connection, Settings

ORACLE = ["NUMBER", "NUMBER(12)", "NUMBER(12,2)", "NUMBER(5,-2)", "NUMBER(*,0)", "FLOAT(126)", "BINARY_DOUBLE", "DATE",
          "TIMESTAMP(6)", "TIMESTAMP(9)", "TIMESTAMP(6) WITH TIME ZONE", "TIMESTAMP(6) WITH LOCAL TIME ZONE", "CHAR(3)",
          "VARCHAR2(20 CHAR)", "NVARCHAR2(20)", "CLOB", "BLOB", "RAW(16)", "ROWID", "INTERVAL DAY TO SECOND", "XMLTYPE",
          "JSON", "BOOLEAN"]  # fmt: skip
SQLSERVER = ["tinyint", "bigint", "bit", "decimal(38,10)", "money", "float", "real", "date", "time(7)", "datetime",
             "datetime2(7)", "smalldatetime", "datetimeoffset(7)", "char(3)", "nvarchar(max)", "varbinary(max)",
             "uniqueidentifier", "xml", "sql_variant"]  # fmt: skip


def column(
    name: str, physical: str, dialect: str = "oracle", *, nullable: bool = True, comment: str = ""
) -> ColumnFacts:
    try:
        type_ = declared_type(dialect, physical)
    except UnknownTypeError:
        type_ = None
    return ColumnFacts(FoundColumn(name, physical, type_, nullable, dialect), comment)


def table(*columns: ColumnFacts, key: tuple[str, ...] = ("ID",), **more: Any) -> TableFacts:
    return TableFacts("RETAIL", "CLIENTES_VIP", columns, key, 'The best: "A" list', **more)


def read(draft: Draft, folder: Path, system: str = "erp") -> Contract:
    path = folder / system / f"{draft.entity}.odcs.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(draft.text)
    return read_contract(path)


@pytest.mark.parametrize(("dialect", "types"), [("oracle", ORACLE), ("sqlserver", SQLSERVER)])
def test_every_type_of_the_catalog_becomes_a_column_that_does_not_drift(
    tmp_path: Path, dialect: str, types: list[str]
) -> None:
    key = column("ID", "NUMBER(12)" if dialect == "oracle" else "bigint", dialect, nullable=False)
    columns = [key, *(column(f"C{n}", physical, dialect) for n, physical in enumerate(types))]
    contract = read(draft_contract(table(*columns), system="erp", timezone="UTC"), tmp_path)

    assert len(contract.columns) == len(columns)
    assert find_drift(contract, [facts.found for facts in columns]) == []


def test_what_the_catalog_knows_is_stated(tmp_path: Path) -> None:
    draft = draft_contract(
        table(
            column("LINE", "NUMBER(3)", nullable=False),
            column("ID", "NUMBER(12)", nullable=False, comment="Never reused: # ever"),
            column("E_MAIL", "VARCHAR2(254)"),
            key=("ID", "LINE"),
        ),
        system="erp",
        timezone="America/Sao_Paulo",
    )
    contract = read(draft, tmp_path)

    assert (contract.id, contract.source_table, contract.timezone) == (
        "erp.clientes_vip", ("RETAIL", "CLIENTES_VIP"), "America/Sao_Paulo")  # fmt: skip
    assert contract.key_names == ("id", "line")
    assert contract.column("id").description == "Never reused: # ever"
    assert contract.column("e_mail").is_personal
    assert any("pii" in note for note in draft.notes)


def test_a_required_moment_of_change_is_proposed_as_the_watermark(tmp_path: Path) -> None:
    changed = column("DT_LAST_UPDATE", "TIMESTAMP(6)", nullable=False)
    draft = draft_contract(table(column("ID", "NUMBER(12)"), column("CREATED_AT", "DATE", nullable=False), changed),
                           system="erp", timezone="UTC")  # fmt: skip
    contract = read(draft, tmp_path)

    assert (contract.mode, contract.watermark, contract.overlap.total_seconds()) == (
        Mode.INCREMENTAL, "dt_last_update", 7200)  # fmt: skip
    assert "nullWatermark" not in draft.text
    assert any("Make sure that every change moves it" in note for note in draft.notes)


def test_a_watermark_that_may_be_null_is_proposed_with_the_rows_that_lack_it(tmp_path: Path) -> None:
    draft = draft_contract(table(column("ID", "NUMBER(12)"), column("UPDATED_AT", "TIMESTAMP(6)")),
                           system="erp", timezone="UTC")  # fmt: skip
    contract = read(draft, tmp_path)

    assert (contract.mode, contract.watermark) == (Mode.INCREMENTAL, "updated_at")
    assert contract.null_watermark is NullWatermark.INCLUDE
    assert any(note.startswith("updated_at: may be null in the source") for note in draft.notes)


def test_a_watermark_that_cannot_be_null_goes_before_one_that_can(tmp_path: Path) -> None:
    draft = draft_contract(
        table(column("ID", "NUMBER(12)"), column("CHANGED_AT", "DATE"), column("UPDATED_AT", "DATE", nullable=False)),
        system="erp", timezone="UTC",
    )  # fmt: skip
    contract = read(draft, tmp_path)

    assert (contract.watermark, contract.null_watermark) == ("updated_at", NullWatermark.QUARANTINE)


def test_a_table_without_a_moment_of_change_is_compared_whole(tmp_path: Path) -> None:
    draft = draft_contract(table(column("ID", "NUMBER(12)"), column("CREATED_AT", "DATE", nullable=False)),
                           system="erp", timezone="UTC")  # fmt: skip

    assert read(draft, tmp_path).mode is Mode.FULL


def test_a_rowversion_goes_before_any_clock(tmp_path: Path) -> None:
    draft = draft_contract(
        table(column("ID", "int", "sqlserver"), column("updated_at", "datetime2(6)", "sqlserver", nullable=False),
              column("rv", "rowversion", "sqlserver", nullable=False)),
        system="shop", timezone="UTC",
    )  # fmt: skip

    assert read(draft, tmp_path, "shop").watermark == "rv"


def test_a_table_whose_changes_are_tracked_is_read_by_them(tmp_path: Path) -> None:
    facts = table(column("ID", "int", "sqlserver", nullable=False), tracks_changes=True)
    contract = read(draft_contract(facts, system="shop", timezone="UTC"), tmp_path, "shop")

    assert (contract.mode, contract.deletes) == (Mode.CHANGES, Deletes.CHANGES)


def test_an_open_precision_is_a_whole_number_in_a_key_and_exact_text_elsewhere(tmp_path: Path) -> None:
    draft = draft_contract(table(column("ID", "NUMBER"), column("AMOUNT", "NUMBER")), system="erp", timezone="UTC")
    contract = read(draft, tmp_path)

    assert [str(c.arrow_type) for c in contract.columns] == ["int64", "string"]
    assert len([note for note in draft.notes if "precision open" in note]) == 2


def test_a_type_without_a_place_is_left_out_and_named(tmp_path: Path) -> None:
    draft = draft_contract(table(column("ID", "NUMBER(12)"), column("SHAPE", "SDO_GEOMETRY")),
                           system="erp", timezone="UTC")  # fmt: skip

    assert read(draft, tmp_path).arrow_schema.names == ["id"]
    assert "left out SHAPE (SDO_GEOMETRY): no contract can use the type" in draft.notes


@pytest.fixture
def shop(tmp_path: Path) -> Settings:
    """A file with a keyed table, one without a key, and a view."""
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute(
            "create table Orders (id bigint primary key, total decimal(12,2), changed_at timestamp not null)"
        )
        connection.execute("comment on column Orders.total is 'In BRL.'")
        connection.execute("create table notes (id int, text varchar)")
    (tmp_path / "data_contracts").mkdir()
    return Settings(tmp_path, str(tmp_path / "lake"), connections={
        "shop": Connection("duckdb", host=str(tmp_path), schema="shop.duckdb")})  # fmt: skip


def test_a_whole_schema_is_imported_and_what_was_left_out_is_said(shop: Settings) -> None:
    result = import_contracts(shop, "shop", "main", timezone="UTC")

    assert [written.contract_id for written in result.written] == ["shop.orders"]
    assert result.left_out == ["main.notes: the catalog knows no primary key; import it alone, with --key COLUMN,…"]
    contract = read_contract(shop.contracts / "shop" / "orders.odcs.yaml")
    assert contract.column("total").description == "In BRL."
    assert contract.source_table == ("main", "Orders")


def test_a_second_import_touches_nothing_and_knows_the_zone(shop: Settings) -> None:
    import_contracts(shop, "shop", "main", timezone="America/Sao_Paulo")
    path = shop.contracts / "shop" / "orders.odcs.yaml"
    path.write_text(path.read_text() + "# mine\n")

    again = import_contracts(shop, "shop", "MAIN.notes", key=("id",))
    same = import_contracts(shop, "shop", "main")

    assert [written.contract_id for written in again.written] == ["shop.notes"]
    assert read_contract(shop.contracts / "shop" / "notes.odcs.yaml").timezone == "America/Sao_Paulo"
    assert same.written == []
    assert path.read_text().endswith("# mine\n")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("main.nothing", {"timezone": "UTC"}, "found none that this user may read"),
        ("main", {}, "found no contract that names it"),
    ],
)
def test_an_import_that_cannot_be_done_says_why(
    shop: Settings, name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        import_contracts(shop, "shop", name, **options)


def test_a_key_that_no_column_has_is_named(shop: Settings) -> None:
    result = import_contracts(shop, "shop", "main.notes", timezone="UTC", key=("ID",))

    assert result.left_out == ["main.notes: has no column ID (spell keys as the catalog does)"]
