"""Text of a database or a library reaches no message of ours, no log and no ledger with a value of a row in it."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable

import duckdb
import pyarrow as pa
import pyarrow.csv
import pytest

from ingestion.errors import LakeError
from ingestion.ledger.journal import Journal
from ingestion.privacy.foreign import foreign_text
from ingestion.privacy.gate import leaks
from ingestion.privacy.logs import logger
from tests.engines.conftest import Company, company  # noqa: F401 - a fixture
from tests.unit.privacy.held_out import HELD_OUT

NAME = "O'Hara); (it\n' to data type"
"""A value without a shape, and with what ends the messages that quote it."""


def of_duckdb(sql: str, *prepared: str, value: object = NAME) -> Callable[[], object]:
    """Return what runs a statement on a bound value, as all statements of the product do."""

    def run() -> None:
        with duckdb.connect() as connection:
            for statement in prepared:
                connection.execute(statement)
            connection.execute(sql, [value]).fetchall()

    return run


SEEN: dict[str, Callable[[], object]] = {
    "text as number": of_duckdb("select $1::varchar::int"),
    "text as decimal": of_duckdb("select $1::varchar::decimal(4,2)"),
    "text as day": of_duckdb("select $1::varchar::date"),
    "text as moment": of_duckdb("select $1::varchar::timestamp"),
    "text as structure": of_duckdb("select $1::varchar::struct(a int)"),
    "text by a format": of_duckdb("select strptime($1::varchar, '%Y')"),
    "JSON": of_duckdb("select $1::varchar::json"),
    "duplicate key": of_duckdb("insert into t values ($1), ($1)", "create table t(a varchar primary key)"),
    "number too large": of_duckdb("select $1::bigint::int", value=52998224725),
    "decimal too large": of_duckdb("select $1::double::decimal(4,2)", value=52998224725.1),
    "overflow": of_duckdb("select $1::bigint * $1::bigint", value=5299822472512345678),
    "Arrow: text as number": (lambda: pa.array([NAME]).cast(pa.int64())),
    "Arrow: object as number": (lambda: pa.array([NAME], pa.int64())),
    "Arrow: text as moment": (lambda: pa.array([NAME]).cast(pa.timestamp("us"))),
    "Arrow: text as decimal": (lambda: pa.array([NAME]).cast(pa.decimal128(5, 2))),
    "Arrow: number too large": (lambda: pa.array([52998224725]).cast(pa.int8())),
    "Arrow: fraction": (lambda: pa.array([52998224725.5]).cast(pa.int64())),
    "Arrow: moment": (lambda: pa.array([52998224725]).cast(pa.timestamp("s")).cast(pa.timestamp("ns"))),
    "Arrow: row of a CSV": (lambda: pyarrow.csv.read_csv(io.BytesIO(b"a,b\n1,2\n3,O'Hara,c\n"))),
    "Arrow: value of a CSV": (
        lambda: pyarrow.csv.read_csv(
            io.BytesIO(b"a\nO'Hara\n"), convert_options=pyarrow.csv.ConvertOptions(column_types={"a": pa.int64()})
        )
    ),
}


@pytest.mark.parametrize("case", SEEN)
def test_what_the_libraries_quote_is_cut(case: str) -> None:
    with pytest.raises((duckdb.Error, pa.ArrowException, OverflowError, TypeError)) as failed:
        SEEN[case]()
    told = str(failed.value)

    assert "Hara" in told or "529982247" in told
    passed = foreign_text(told)
    assert "Hara" not in passed
    assert "529982247" not in passed


DOCUMENTED = (
    "Violation of PRIMARY KEY constraint 'PK_c'. Cannot insert duplicate key in object 'dbo.c'. The duplicate key value is ({}).",
    "Cannot insert duplicate key row in object 'dbo.c' with unique index 'ix'. The duplicate key value is ({}, 12).\nThe statement has been terminated.",
    "Conversion failed when converting the varchar value '{}' to data type int.",
    "Conversion failed when converting the nvarchar value '{}' to data type int.",
    "The conversion of the varchar value '{}' overflowed an int column.",
    "String or binary data would be truncated in table 'shop.dbo.c', column 'name'. Truncated value: '{}'.",
    "ORA-01722: unable to convert string value containing '{}' to a number: C.NAME",
    "ORA-01858: found '{}' but a number was expected",
    "ORA-01861: literal '{}' does not match format string 'YYYY-MM-DD'",
    "ORA-01438: value {} greater than specified precision (5, 2) for column C.AGE",
    "ORA-00001: unique constraint (A.UK) violated on table A.C columns (NAME)\nORA-03301: (ORA-00001 details) row with column values (NAME:'{}') already exists",
    "[CAST_INVALID_INPUT] The value '{}' of the type \"STRING\" cannot be cast to \"INT\" because it is malformed.",
)  # fmt: skip
"""Messages of SQL Server, Oracle 23ai and Spark, by their documentation."""


@pytest.mark.parametrize("message", DOCUMENTED)
@pytest.mark.parametrize("value", ["O'Hara", "O'Hara); (it", "Hara' to x", "(Hara\nand Hara)"])
def test_what_the_databases_quote_by_their_documentation_is_cut(message: str, value: str) -> None:
    passed = foreign_text(message.format(value))

    assert "Hara" not in passed
    assert passed.startswith(message[:16])


def test_a_message_that_quotes_nothing_passes_unchanged() -> None:
    told = 'ORA-12899: value too large for column "A"."C"."NAME" (actual: 12, maximum: 10)'

    assert foreign_text(told) == told


@pytest.mark.parametrize("kind", HELD_OUT)
def test_the_last_gate_sees_quoted_and_written_out_values(kind: str) -> None:
    plain = [value for value in HELD_OUT[kind] if value.isascii() and value.isprintable() and "%" not in value]
    seen = [value for value in plain if kind in leaks(f"value '{value}' of a row")]

    assert len(seen) >= 0.4 * len(plain)
    assert {"e-mail": "a@b.io", "phone": "+55 11 91234-5678", "cpf": "52998224725", "card": "4111-1111-1111-1111"}[
        kind
    ] in seen


def test_a_foreign_error_in_a_record_is_masked_and_ours_is_not(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "lakehouse"):
        logger.warning("%s: %s, %s", "crm.people", ValueError("ana@example.com"), LakeError("SCN 52998224725"))
        try:
            pa.array(["O'Hara"], pa.int64())
        except pa.ArrowException:
            logger.exception("it failed")

    assert caplog.messages[0] == "crm.people: ValueError: a***@e***.com, SCN 52998224725"
    assert "ArrowInvalid: Could not convert *** with type str: tried to convert to int64" in caplog.text


def test_a_message_that_passed_everything_else_is_not_written_to_the_ledger(
    company: Company,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    journal: Journal = company.context().journal
    journal.append("runs", [{"run_id": "1", "step": "load", "message": "row 'ana@example.com' at SCN 8429301173"}])
    journal.append("runs", [{"run_id": "2", "step": "load", "message": "read at SCN 8429301173, 52998224725 rows"}])

    assert company.lake("select message from ops.runs order by run_id") == [
        ("withheld: it looks as if it held a personal value (e-mail). Run the step again and read the message there.",),
        ("read at SCN 8429301173, 52998224725 rows",),
    ]
    assert "ops.runs: a message is not written" in caplog.text
