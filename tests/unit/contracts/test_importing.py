"""A contract drafted from a catalog is one that the reader accepts, and says what it could not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from ingestion.admin.import_contracts import import_contracts
from ingestion.admin.looking import look
from ingestion.contracts.drift import DriftKind, FoundColumn, find_drift
from ingestion.contracts.facts import ColumnFacts, TableFacts
from ingestion.contracts.model import Contract, Deletes, Mode, NullWatermark
from ingestion.contracts.names import looks_personal
from ingestion.contracts.odcs import read_contract, read_contracts
from ingestion.contracts.types import UnknownTypeError, arrow_type, declared_type
from ingestion.contracts.writing.draft import Draft, draft_contract
from ingestion.contracts.writing.promises import Looked, Promises
from ingestion.contracts.writing.spelling import our_name
from ingestion.errors import ConfigurationError
from ingestion.settings import Connection, Settings
from ingestion.sources import open_source

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
    assert (
        "id: NUMBER in the source, NUMBER(18) in the contract because it is a key (its values could not be looked at)"
        in draft.notes
    )
    assert any(note.startswith("amount: the source leaves its precision open (NUMBER)") for note in draft.notes)


def test_a_type_without_a_place_is_left_out_and_named(tmp_path: Path) -> None:
    draft = draft_contract(table(column("ID", "NUMBER(12)"), column("SHAPE", "SDO_GEOMETRY")),
                           system="erp", timezone="UTC")  # fmt: skip

    assert read(draft, tmp_path).arrow_schema.names == ["id"]
    assert "left out SHAPE (SDO_GEOMETRY): no contract can use the type" in draft.notes


def change(settings: Settings, *statements: str) -> None:
    with duckdb.connect(str(settings.project / "shop.duckdb")) as connection:
        for statement in statements:
            connection.execute(statement)


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
        ("main.nothing", {"timezone": "UTC"}, "no table under main.nothing that this user may read"),
        ("main", {}, "no contract names it"),
    ],
)
def test_an_import_that_cannot_be_done_says_why(
    shop: Settings, name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        import_contracts(shop, "shop", name, **options)


def test_one_table_that_cannot_be_imported_ends_nothing_and_says_why(shop: Settings) -> None:
    change(shop, "create table rings (id bit primary key, v int)", "create table zebras (id decimal(38,0) primary key)")

    result = import_contracts(shop, "shop", "main", timezone="UTC")

    assert [written.contract_id for written in result.written] == ["shop.orders", "shop.zebras"]
    assert (
        "main.rings: no contract can use the type of its key id (BIT); import it alone, with --key COLUMN,…"
        in result.left_out
    )


def test_a_fault_of_ours_in_one_table_ends_nothing(shop: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(facts: TableFacts, **options: Any) -> Draft:
        if facts.name == "Orders":
            raise OverflowError("value 4711")
        return draft_contract(facts, **options)

    change(shop, "create table zebras (id int primary key)")
    monkeypatch.setattr("ingestion.admin.import_contracts.draft_contract", fail)

    result = import_contracts(shop, "shop", "main", timezone="UTC")

    assert [written.contract_id for written in result.written] == ["shop.zebras"]
    (left, _) = result.left_out
    assert left.startswith("main.Orders: an error of ours (OverflowError)")
    assert "4711" not in left


KEYS = """
create table customer (id decimal(38,0) primary key, version int);
create table invoices (id hugeint primary key, customer decimal(38,0) references customer (id), big_id decimal(38,0));
create table lines (invoice hugeint references invoices (id), line int, primary key (invoice, line));
create table bigs (big_id decimal(38,0) primary key);
create table ratios (ratio decimal(5,2) primary key);
insert into customer values (1, 1), (9223372036854775807, 1);
insert into invoices values (1, 9223372036854775807, 90000000000000000000);
insert into lines values (1, 1);
insert into bigs values (90000000000000000000), (5);
insert into ratios values (1.25);
"""


def test_wide_keys_are_64_bits_where_their_values_fit_and_foreign_keys_are_like_them(shop: Settings) -> None:
    change(shop, KEYS)

    import_contracts(shop, "shop", "main", timezone="UTC")

    types = {
        c.entity: {column.name: str(column.arrow_type) for column in c.columns} for c in read_contracts(shop.contracts)
    }
    assert types["customer"] == {"id": "int64", "version": "int32"}
    assert types["invoices"] == {"id": "int64", "customer": "int64", "big_id": "string"}
    assert types["lines"] == {"invoice": "int64", "line": "int32"}
    assert (types["bigs"], types["ratios"]) == ({"big_id": "string"}, {"ratio": "string"})


def test_a_foreign_key_imported_alone_is_like_the_key_that_a_contract_promises_already(shop: Settings) -> None:
    change(shop, KEYS)
    import_contracts(shop, "shop", "main.bigs", timezone="UTC")
    change(shop, "create table uses (id int primary key, big decimal(38,0) references bigs (big_id), Big_Id hugeint)")

    import_contracts(shop, "shop", "main.uses")

    uses = read_contract(shop.contracts / "shop" / "uses.odcs.yaml")
    assert [str(c.arrow_type) for c in uses.columns] == ["int32", "string", "string"]


def test_what_import_promises_itself_is_no_drift_and_a_source_that_widens_later_is(shop: Settings) -> None:
    change(shop, KEYS, "create table ticks (id int primary key, updated_at timestamp_ns not null)")
    import_contracts(shop, "shop", "main", timezone="UTC")
    contracts = read_contracts(shop.contracts)

    with open_source("shop", shop.connection("shop")).snapshot() as snapshot:
        assert [find_drift(contract, snapshot.catalog(contract)) for contract in contracts] == [[]] * len(contracts)

    invoices = next(contract for contract in contracts if contract.entity == "invoices")
    wider = [FoundColumn("id", "DECIMAL(38,4)", pa.decimal128(38, 4), False, "duckdb")]
    assert (DriftKind.WIDENED, "id") in [(drift.kind, drift.column) for drift in find_drift(invoices, wider)]


def test_tables_whose_names_become_one_get_entities_of_their_own(shop: Settings) -> None:
    change(
        shop,
        "create schema hr; create table hr.orders (id int primary key)",
        'create table "Ör ders" (id int primary key); create table "or-ders" (id int primary key)',
        'create table "客户" ("编号" bigint primary key, "名称" varchar)',
        'create table "a.b" ("c.d" bigint primary key)',
    )
    import_contracts(shop, "shop", "main", timezone="UTC")
    import_contracts(shop, "shop", "hr")
    named = import_contracts(shop, "shop", "main.notes", key=("id",), entity="remarks")

    tables = {contract.entity: contract.source_table[-2:] for contract in read_contracts(shop.contracts)}
    assert tables == {
        "orders": ("main", "Orders"), "hr_orders": ("hr", "orders"), "or_ders": ("main", "or-ders"),
        "or_ders_2": ("main", "Ör ders"), "table": ("main", "客户"), "a_b": ("main", "a.b"), "remarks": ("main", "notes"),
    }  # fmt: skip
    assert [written.contract_id for written in named.written] == ["shop.remarks"]
    again = import_contracts(shop, "shop", "main")
    assert again.written == []
    assert "main.notes: data_contracts/shop/remarks.odcs.yaml exists and stays as it is" in again.left_out


@pytest.mark.parametrize(
    ("name", "entity", "message"),
    [("main", "remarks", "an entity names one table"), ("main.notes", "My Notes", "an entity's name is lower case")],
)
def test_an_entity_that_cannot_be_given_is_refused(shop: Settings, name: str, entity: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        import_contracts(shop, "shop", name, timezone="UTC", entity=entity)


@pytest.mark.parametrize(
    ("source", "ours"),
    [
        ("ModifiedDate", "modified_date"), ("NationalIDNumber", "national_id_number"), ("UserIDs", "user_ids"),
        ("COL1A", "col1a"), ("AddressLine1", "address_line1"), ("Straße", "strasse"), ("valid_from", "source_valid_from"),
        ("客户", "column"), ("a]b", "a_b"),
    ],
)  # fmt: skip
def test_names_are_split_where_their_case_changes(source: str, ours: str) -> None:
    assert our_name(source, ()) == ours


@pytest.mark.parametrize("name", ["ModifiedDate", "LastEditedWhen", "LAST_UPDATE", "update_time", "lastModifiedDate"])
def test_a_moment_of_change_is_known_by_the_words_of_its_name(name: str, tmp_path: Path) -> None:
    draft = draft_contract(table(column("ID", "NUMBER(12)"), column(name, "TIMESTAMP(6)", nullable=False)),
                           system="erp", timezone="UTC")  # fmt: skip

    assert read(draft, tmp_path).watermark == our_name(name, ())


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("LOGO_LAST_UPDATED", Mode.FULL), ("PRICE_CHANGED_AT", Mode.FULL), ("MODIFIED", Mode.INCREMENTAL),
        ("STORE_UPDATED_AT", Mode.INCREMENTAL), ("DT_LAST_UPDATE", Mode.INCREMENTAL),
    ],
)  # fmt: skip
def test_a_moment_of_change_of_another_column_is_no_watermark(name: str, mode: Mode, tmp_path: Path) -> None:
    others = [column("LOGO", "BLOB"), column("LIST_PRICE", "NUMBER(9,2)"), column("STORE_NAME", "VARCHAR2(9)")]
    draft = draft_contract(table(column("ID", "NUMBER(12)"), *others, column(name, "DATE", nullable=False)),
                           system="erp", timezone="UTC")  # fmt: skip

    assert read(draft, tmp_path).mode is mode


@pytest.mark.parametrize(
    ("name", "personal"),
    [
        *((name, True) for name in ("EmailAddress", "PhoneNumber", "NationalIDNumber", "CardNumber", "FirstName",
                                    "CUST_LAST_NAME", "BirthDate", "date_of_birth", "AddressLine1", "tax_id", "cpf",
                                    "CUSTOMER_NAME", "UserName", "ReviewerName", "LoginID")),
        *((name, False) for name in ("cust_year_of_birth", "EmailPromotion", "PhoneNumberTypeID", "EmailAddressID",
                                     "ProductName", "NameStyle", "email_verified_at", "customer_name_id", "City", "WEB_ADDRESS",
                                     "last_login_at")),
    ],
)  # fmt: skip
def test_what_tells_a_person_from_others_is_marked_and_what_is_said_about_it_is_not(name: str, personal: bool) -> None:
    assert looks_personal(our_name(name, ())) is personal


@pytest.mark.parametrize(
    ("is_key", "looked", "type_", "word"),
    [
        (True, Looked(30, True, False, 0), "int64", "whole and fit"),
        (True, Looked(30, False, False, 0), "string", "not all of its values fit 64 bits"),
        (True, Looked(30, True, True, 4), "string", "not all of its values fit 64 bits"),
        (True, Looked(0, True, True, 0), "int64", "the table is empty"),
        (True, None, "int64", "could not be looked at"),
        (False, Looked(100_000, True, True, 0), "int64", "the first 100,000 values looked at are whole"),
        (False, Looked(30, True, True, 4), "decimal128(22, 4)", "fit 4 digits after the point"),
        (False, Looked(30, True, False, 4), "string", "not all of 30 values"),
        (False, Looked(30, True, True, None), "string", "not all of 30 values"),
        (False, Looked(0, True, True, 0), "string", "has no values to look at"),
        (False, None, "string", "could not be looked at"),
    ],
)
def test_an_open_number_is_promised_as_its_values_were_seen(
    is_key: bool, looked: Looked | None, type_: str, word: str
) -> None:
    open_ = column("N", "NUMBER").found
    facts = table(column("ID", "NUMBER(9)"), ColumnFacts(open_), key=("N",) if is_key else ("ID",))
    promises = Promises({("RETAIL", facts.name): facts}, {}, lambda _, __: {} if looked is None else {"N": looked})

    promise = promises.of(facts, open_)

    assert str(arrow_type("oracle", promise.physical_type, promise.logical_type)) == type_
    assert word in promise.note


def test_an_open_number_is_looked_at_in_the_source(shop: Settings) -> None:
    change(shop, "create table n (a decimal(38,0), b decimal(30,6), c hugeint)",
           "insert into n values (1, 1.5, 1), (90000000000000000000, 0.00001, 2), (null, null, null)")  # fmt: skip
    source = open_source("shop", shop.connection("shop"))
    (facts,) = source.describe("main", "n")

    looked = look(source, "shop", facts, [c.found for c in facts.columns])

    assert looked == {"a": Looked(2, False, False, 0), "b": Looked(2, True, True, 10), "c": Looked(2, True, True, 0)}


def test_the_ends_of_a_key_are_looked_at_where_the_first_rows_are_not_all(
    shop: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion.admin.looking.SAMPLE_ROWS", 1)
    change(shop, "create table a (id hugeint primary key)", "insert into a values (1), (90000000000000000000)",
           "create table b (id hugeint primary key)", "insert into b values (1), (-9223372036854775808)")  # fmt: skip

    import_contracts(shop, "shop", "main", timezone="UTC")

    types = {c.entity: str(c.keys[0].arrow_type) for c in read_contracts(shop.contracts)}
    assert (types["a"], types["b"]) == ("string", "int64")


def test_a_table_that_cannot_be_looked_at_is_imported_and_says_so(shop: Settings) -> None:
    change(shop, "create table wide (id uhugeint primary key)",
           "insert into wide values (340282366920938463463374607431768211455)")  # fmt: skip

    result = import_contracts(shop, "shop", "main.wide", timezone="UTC")
    source = open_source("shop", shop.connection("shop"))
    facts = TableFacts("main", "nothing", (ColumnFacts(FoundColumn("id", "HUGEINT", None, False, "duckdb")),), ("id",))

    assert [written.contract_id for written in result.written] == ["shop.wide"], result.left_out
    assert look(source, "shop", facts, [facts.columns[0].found]) == {}


def test_a_key_that_keeps_more_digits_than_the_lake_is_exact_text(tmp_path: Path) -> None:
    draft = draft_contract(
        table(column("AT", "datetime2(7)", "sqlserver", nullable=False), column("ModifiedDate", "datetime2(7)",
              "sqlserver", nullable=False), key=("AT",)), system="shop", timezone="UTC",
    )  # fmt: skip
    contract = read(draft, tmp_path, "shop")

    assert [(str(c.arrow_type), c.truncate) for c in contract.columns] == [("string", False), ("timestamp[us]", True)]
    assert contract.watermark == "modified_date"


def test_a_key_that_no_column_has_is_named(shop: Settings) -> None:
    result = import_contracts(shop, "shop", "main.notes", timezone="UTC", key=("ID",))

    assert result.left_out == ["main.notes: has no column ID (spell keys as the catalog does)"]
