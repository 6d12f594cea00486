"""The statements and their parts, without a server: what only a true Oracle runs is at least written as it must be."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.model import Column, Contract, Mode, NullWatermark
from ingestion.contracts.types import UnknownTypeError, arrow_type
from ingestion.contracts.window import Window
from ingestion.errors import (
    BrokenContractError,
    ConfigurationError,
    IntegrityError,
    LoginRefusedError,
    SnapshotLostError,
    SourceUnavailableError,
)
from ingestion.sources.oracle.catalog import DictionaryRow, candidates, declaration
from ingestion.sources.oracle.errors import error_of
from ingestion.sources.oracle.expressions import ORACLE
from ingestion.sources.oracle.keys import with_keys
from ingestion.sources.oracle.predicates import in_window, lanes
from ingestion.sources.oracle.sizes import MAX_ROWS, rows_per_fetch
from ingestion.sources.projection import project
from ingestion.sql.quoting import quote_oracle

INSTANT = pa.timestamp("us", "UTC")


def found(physical: str, name: str = "C", *, nullable: bool = True) -> FoundColumn:
    try:
        type_ = arrow_type("oracle", physical)
    except UnknownTypeError:
        type_ = None
    return FoundColumn(name, physical, type_, nullable, "oracle")


def contract(*columns: Column, watermark: str | None = None) -> Contract:
    return Contract(
        "erp.t",
        "1.0.0",
        "erp",
        "t",
        "oracle",
        ("RETAIL", "T"),
        columns,
        "UTC",
        Mode.INCREMENTAL,
        "stg_t",
        watermark=watermark,
    )


def column(name: str, physical: str, type_: pa.DataType, key: int | None = None) -> Column:
    return Column(name, name.upper(), "", physical, type_, key_position=key)


@pytest.mark.parametrize(
    ("physical", "promised", "guard"),
    [
        ("NUMBER(12,2)", pa.decimal128(12, 2), None),
        ("NUMBER(10)", pa.int64(), None),
        ("NUMBER(18)", pa.int64(), None),
        ("NUMBER(10,2)", pa.decimal128(12, 2), None),
        ("NUMBER(19)", pa.int64(), '"C" BETWEEN -9223372036854775808 AND 9223372036854775807'),
        ("NUMBER(14,2)", pa.decimal128(12, 2), 'ABS("C") < 10000000000'),
        ("NUMBER(12,4)", pa.decimal128(12, 2), '"C" = ROUND("C", 2)'),
        ("NUMBER", pa.decimal128(38, 10), '"C" = ROUND("C", 10) AND ABS("C") < 1E28'),
        ("NUMBER(*,0)", pa.decimal128(38, 0), 'ABS("C") < 1E38'),
        ("FLOAT(126)", pa.decimal128(20, 4), '"C" = ROUND("C", 4) AND ABS("C") < 10000000000000000'),
        ("NUMBER(5,-2)", pa.int64(), None),
        ("NUMBER(2,5)", pa.decimal128(5, 5), None),
        ("NUMBER(1)", pa.bool_(), '"C" IN (0, 1)'),
        ("BINARY_DOUBLE", pa.float64(), None),
        ("BINARY_DOUBLE", pa.float32(), 'TO_BINARY_DOUBLE(TO_BINARY_FLOAT("C")) = "C"'),
        ("BINARY_FLOAT", pa.float32(), None),
        ("DATE", pa.timestamp("us"), "\"C\" >= DATE '0001-01-01'"),
        ("DATE", pa.date32(), "\"C\" >= DATE '0001-01-01' AND \"C\" = TRUNC(\"C\")"),
        ("TIMESTAMP(6)", pa.timestamp("us"), "\"C\" >= TIMESTAMP '0001-01-01 00:00:00'"),
        ("TIMESTAMP(9)", pa.timestamp("us"), "\"C\" >= TIMESTAMP '0001-01-01 00:00:00' AND TO_CHAR(\"C\",'FF9') LIKE '%000'"),
        ("TIMESTAMP(6) WITH TIME ZONE", INSTANT, "SYS_EXTRACT_UTC(\"C\") >= TIMESTAMP '0001-01-01 00:00:00'"),
        ("VARCHAR2(20)", pa.string(), None),
        ("BLOB", pa.binary(), None),
        ("VARCHAR2(20)", pa.int64(), "1 = 0"),
        ("TIMESTAMP(6)", INSTANT, "1 = 0"),
        ("NUMBER(10)", pa.float64(), "1 = 0"),
    ],
)  # fmt: skip
def test_only_what_may_not_fit_is_guarded(physical: str, promised: pa.DataType, guard: str | None) -> None:
    assert ORACLE.expression(found(physical), promised).guard == guard


@pytest.mark.parametrize(
    ("physical", "promised", "value"),
    [
        ("TIMESTAMP(9)", pa.timestamp("us"), '"C"'),
        ("TIMESTAMP(9) WITH TIME ZONE", INSTANT, 'SYS_EXTRACT_UTC("C")'),
    ],
)
def test_a_moment_that_is_cut_has_no_misfit_and_loses_its_last_digits(
    physical: str, promised: pa.DataType, value: str
) -> None:
    how = ORACLE.expression(found(physical), promised, truncate=True)

    assert how.guard == f"{value} >= TIMESTAMP '0001-01-01 00:00:00'"
    beyond = f"MOD(TO_NUMBER(TO_CHAR({value},'FF9')),1000)/1000000000"
    assert how.typed == f"({value} - NUMTODSINTERVAL({beyond},'SECOND'))"
    assert ORACLE.expression(found("TIMESTAMP(6)"), pa.timestamp("us"), truncate=True).typed == '"C"'


@pytest.mark.parametrize(
    ("physical", "text"),
    [
        ("NUMBER", "TO_CHAR(\"C\",'TM9','NLS_NUMERIC_CHARACTERS=''.,''')"),
        ("DATE", "LTRIM(TO_CHAR(\"C\",'SYYYY-MM-DD HH24:MI:SS'))"),
        ("TIMESTAMP(9)", "LTRIM(TO_CHAR(\"C\",'SYYYY-MM-DD HH24:MI:SS.FF9'))"),
        ("TIMESTAMP(0)", "LTRIM(TO_CHAR(\"C\",'SYYYY-MM-DD HH24:MI:SS'))"),
        ("TIMESTAMP(6) WITH TIME ZONE", "LTRIM(TO_CHAR(\"C\",'SYYYY-MM-DD HH24:MI:SS.FF6 TZH:TZM'))"),
        ("ROWID", 'ROWIDTOCHAR("C")'),
        ("UROWID", 'CAST("C" AS VARCHAR2(4000))'),
        ("INTERVAL DAY TO SECOND", 'TO_CHAR("C")'),
        ("INTERVAL YEAR TO MONTH", 'TO_CHAR("C")'),
        ("XMLTYPE", 'XMLSERIALIZE(CONTENT "C" AS CLOB)'),
        ("JSON", 'JSON_SERIALIZE("C" RETURNING CLOB)'),
        ("RAW(16)", 'RAWTOHEX("C")'),
        ("CLOB", '"C"'),
    ],
)
def test_what_the_driver_cannot_fetch_is_spelled_by_the_database(physical: str, text: str) -> None:
    how = ORACLE.expression(found(physical), pa.string())

    assert (how.typed, how.guard) == (text, None)


def test_a_type_that_no_sql_can_spell_breaks_the_contract_instead_of_losing_values() -> None:
    promise = contract(column("id", "NUMBER(12)", pa.int64(), 1), column("c", "VARCHAR2(20)", pa.string()))

    with pytest.raises(BrokenContractError, match="SDO_GEOMETRY, which cannot be read"):
        project(promise, (found("NUMBER(12)", "ID"), found("SDO_GEOMETRY")), ORACLE)


def test_columns_of_different_lengths_are_never_taken_for_rows() -> None:
    promise = contract(column("id", "NUMBER(12)", pa.int64(), 1), column("c", "VARCHAR2(20)", pa.string()))
    projection = project(promise, (found("NUMBER(12)", "ID"), found("VARCHAR2(20)")), ORACLE)

    with pytest.raises(IntegrityError, match="different lengths"):
        projection.batch([pa.array([1, 2]), pa.array(["a"])])


def test_many_guarded_columns_share_few_texts_of_a_length_that_oracle_allows() -> None:
    columns = [
        column("id", "NUMBER(12)", pa.int64(), 1),
        *(column(f"n{at}", "NUMBER(5)", pa.int64()) for at in range(100)),
    ]
    projection = project(
        contract(*columns), (found("NUMBER(12)", "ID"), *(found("NUMBER", f"N{at}") for at in range(100))), ORACLE
    )

    assert len(projection.select) == 101 + 3
    assert len(projection.schema) == 101 + 100


@pytest.mark.parametrize(
    ("row", "declared"),
    [
        (DictionaryRow("C", "NUMBER", 22), "NUMBER"),
        (DictionaryRow("C", "NUMBER", 22, None, 0), "NUMBER(*,0)"),
        (DictionaryRow("C", "NUMBER", 22, 12, 2), "NUMBER(12,2)"),
        (DictionaryRow("C", "NUMBER", 22, 12, 0), "NUMBER(12)"),
        (DictionaryRow("C", "FLOAT", 22, 126), "FLOAT(126)"),
        (DictionaryRow("C", "VARCHAR2", 80, characters=20, unit="C"), "VARCHAR2(20 CHAR)"),
        (DictionaryRow("C", "VARCHAR2", 80, characters=80, unit="B"), "VARCHAR2(80)"),
        (DictionaryRow("C", "NVARCHAR2", 60, characters=30, unit="C"), "NVARCHAR2(30)"),
        (DictionaryRow("C", "RAW", 16), "RAW(16)"),
        (DictionaryRow("C", "TIMESTAMP(6) WITH LOCAL TIME ZONE", 11, scale=6), "TIMESTAMP(6) WITH LOCAL TIME ZONE"),
        (DictionaryRow("C", "INTERVAL DAY(2) TO SECOND(6)", 11), "INTERVAL DAY TO SECOND"),
        (DictionaryRow("C", "INTERVAL YEAR(2) TO MONTH", 5), "INTERVAL YEAR TO MONTH"),
        (DictionaryRow("C", "UROWID", 4000), "UROWID"),
        (DictionaryRow("C", "XMLTYPE", 2000), "XMLTYPE"),
    ],
)
def test_a_dictionary_row_is_spelled_as_the_type_plan_reads_it(row: DictionaryRow, declared: str) -> None:
    assert declaration(row) == declared


def test_the_exact_name_is_looked_for_before_the_folded_one() -> None:
    promise = replace(contract(), source_table=("Sales", "Mixed"))

    assert candidates(promise, "LAKE") == [("Sales", "Mixed"), ("SALES", "MIXED")]
    assert candidates(replace(promise, source_table=("T",)), "LAKE") == [("LAKE", "T")]


def test_a_quotation_mark_never_gets_into_a_statement() -> None:
    with pytest.raises(ValueError, match="quotation mark"):
        quote_oracle('x" OR 1=1 --')


def test_a_window_over_a_column_that_is_never_null_can_use_its_index() -> None:
    promise = contract(column("w", "DATE", pa.timestamp("us")), watermark="w")
    window = Window(low="2026-03-01 10:00:00.5")

    never_null = in_window(promise, window, (found("DATE", "W", nullable=False),))
    maybe_null = in_window(promise, window, (found("DATE", "W"),))

    assert never_null.sql == "\"W\" >= TO_DATE(:low,'YYYY-MM-DD HH24:MI:SS')"
    assert never_null.binds == {"low": "2026-03-01 10:00:01"}
    assert maybe_null.sql == f'({never_null.sql} OR "W" IS NULL)'


def test_rows_without_a_watermark_are_asked_for_where_the_contract_has_them_whatever_the_catalog_says() -> None:
    promise = contract(column("w", "DATE", pa.timestamp("us")), watermark="w")
    promise = replace(promise, null_watermark=NullWatermark.INCLUDE)
    catalog = (found("DATE", "W", nullable=False),)

    assert in_window(promise, Window(low="2026-03-01 10:00:00"), catalog).sql.endswith(' OR "W" IS NULL)')
    assert in_window(promise, Window(), catalog).sql == "1 = 1"


def test_a_bound_keeps_all_digits_of_the_source() -> None:
    promise = contract(column("w", "TIMESTAMP(9)", pa.timestamp("us")), watermark="w")

    condition = in_window(
        promise, Window(high="2026-03-01 10:00:00.123456789", nulls=False), (found("TIMESTAMP(9)", "W"),)
    )

    assert condition.sql == "\"W\" < TO_TIMESTAMP(:high,'YYYY-MM-DD HH24:MI:SS.FF9')"
    assert condition.binds == {"high": "2026-03-01 10:00:00.123456789"}


def test_a_bound_at_the_end_of_the_calendar_is_compared_with_its_fraction() -> None:
    promise = contract(column("w", "DATE", pa.timestamp("us")), watermark="w")

    condition = in_window(promise, Window(low="9999-12-31 23:59:59.000001"), (found("DATE", "W", nullable=False),))

    assert "TO_TIMESTAMP(:low" in condition.sql


def test_a_window_without_a_watermark_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigurationError, match="names no watermark"):
        in_window(contract(), Window(low="1"), ())


def test_a_watermark_of_a_type_without_an_order_breaks_the_contract() -> None:
    promise = contract(column("w", "TIMESTAMP(6)", pa.timestamp("us")), watermark="w")

    with pytest.raises(BrokenContractError, match="CLOB"):
        in_window(promise, Window(low="2026-03-01 10:00:00"), (found("CLOB", "W"),))


def test_keys_are_bound_and_statements_come_in_few_lengths() -> None:
    promise = contract(column("a", "NUMBER(12)", pa.int64(), 1), column("b", "RAW(16)", pa.string(), 2))
    source = (found("NUMBER(12)", "A"), found("RAW(16)", "B"))
    keys = pa.table({"b": ["00", "01", "02"], "a": pa.array([1, 2, 3], pa.int64())})

    (condition,) = with_keys(promise, source, keys)

    assert condition.sql.startswith('("A", "B") IN ((:k0_0, HEXTORAW(:k0_1)), (:k1_0,')
    assert [condition.binds[f"k{at}_0"] for at in range(4)] == [1, 2, 3, 3]


def test_lanes_of_large_objects_leave_no_row_out() -> None:
    small, large = lanes((found("CLOB", "A"), found("BLOB", "B")))

    assert small.sql == 'NVL(DBMS_LOB.GETLENGTH("A"), 0) <= 65536 AND NVL(DBMS_LOB.GETLENGTH("B"), 0) <= 65536'
    assert large.sql == '(DBMS_LOB.GETLENGTH("A") > 65536 OR DBMS_LOB.GETLENGTH("B") > 65536)'


@pytest.mark.parametrize(
    ("physical", "rows"),
    [
        (["NUMBER(12)"], [MAX_ROWS]),
        (["VARCHAR2(4000)"] * 20, [409]),
        (["CLOB"], [127, 1]),
        (["NUMBER(12)", "LONG"], [16]),
    ],
)
def test_a_fetch_holds_a_budget_of_bytes(physical: list[str], rows: list[int]) -> None:
    assert rows_per_fetch(tuple(found(type_, f"C{at}") for at, type_ in enumerate(physical))) == rows


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ORA-01555", SnapshotLostError),
        ("ORA-00060", SourceUnavailableError),
        ("DPY-6005", SourceUnavailableError),
        ("DPY-4011", SourceUnavailableError),
        ("ORA-01017", LoginRefusedError),
        ("DPY-3001", ConfigurationError),
        ("ORA-00942", BrokenContractError),
        ("ORA-00904", BrokenContractError),
        ("ORA-00600", ConfigurationError),
        ("DPY-4042", IntegrityError),
        ("", IntegrityError),
    ],
)
def test_an_error_code_decides_what_happens_next(code: str, kind: type[Exception]) -> None:
    error = error_of(code, "erp", contract())

    assert type(error) is kind
    assert code in str(error)


def test_without_a_contract_a_refused_statement_is_a_wrong_setting() -> None:
    assert isinstance(error_of("ORA-00942", "erp"), ConfigurationError)
