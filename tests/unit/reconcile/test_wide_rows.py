"""The row hash of 1,000 columns, as SQL that keeps the servers' limits and hashes as defined."""

from __future__ import annotations

from dataclasses import replace

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from ingestion.reconcile import canonical
from ingestion.reconcile.dialects import DIALECTS, Origin
from ingestion.reconcile.dialects.sqlserver import CONCAT_ARGUMENTS, MOST_BYTES
from ingestion.reconcile.hashes import GROUP_BYTES, HashColumn, HashType, Kind, RowPlan

TEXT, NUMBER = HashType(Kind.TEXT), HashType(Kind.INTEGER)


def plan(type_: HashType, size: int = 0, columns: int = 1000, keys: int = 1) -> RowPlan:
    names = [f"c{at}" for at in range(columns)]
    return RowPlan(tuple(names[:keys]), tuple(HashColumn(name, type_, size) for name in names))


def origins(plan: RowPlan, physical: str | None = None) -> dict[str, Origin]:
    return {column.name: Origin(f"[{column.name}]" if physical else column.name, physical) for column in plan.columns}


@pytest.mark.parametrize("columns", [1, 63, 85, 127, 1024])
@pytest.mark.parametrize(("type_", "physical"), [(TEXT, "nvarchar(20)"), (NUMBER, "int"), (TEXT, "varchar(2)")])
def test_sqlserver_concatenates_no_more_than_254_texts_at_once(columns: int, type_: HashType, physical: str) -> None:
    wide = plan(type_, columns=columns)

    text = DIALECTS["sqlserver"].row_text(wide, origins(wide, physical))

    calls = list(sqlglot.parse_one(f"SELECT {text}", read="tsql").find_all(exp.Concat, exp.ConcatWs))
    assert calls
    assert all(2 <= len(call.expressions) <= CONCAT_ARGUMENTS for call in calls)
    assert [text.count(f"[c{at}]") for at in range(columns)] == [2 if type_ is TEXT else 1] * columns


def test_sqlserver_concatenates_as_max_in_every_step_where_a_text_may_be_cut() -> None:
    dialect = DIALECTS["sqlserver"]
    short, long = plan(TEXT, columns=100), plan(TEXT, columns=1000)

    assert "VARCHAR(MAX)" not in dialect.row_text(short, origins(short, "varchar(10)"))
    text = dialect.row_text(long, origins(long, "nvarchar(20)"))
    assert MOST_BYTES < 1000 * (3 * 20 + 10)
    assert text.count("CONCAT(") == text.count("CONCAT(CAST('' AS VARCHAR(MAX)), ")


@pytest.mark.parametrize("size", [35, 485, 965])
def test_oracle_hashes_texts_of_at_most_4000_bytes(size: int) -> None:
    wide = plan(TEXT, size)
    marked = {name: replace(at, sql=f"«{name}»") for name, at in origins(wide).items()}

    text = DIALECTS["oracle"].row_text(wide, marked)

    # what stands in the innermost calls of the hash, and, those replaced by 32 digits, in the calls around them
    levels, left = [], text
    while "STANDARD_HASH(" in left:
        start = left.rindex("RAWTOHEX(STANDARD_HASH(")
        end = left.index(",'MD5'))", start)
        inner = left[start + len("RAWTOHEX(STANDARD_HASH(") : end]
        columns = {part.split("»")[0] for part in inner.split("«")[1:]}
        levels.append(len(columns) * (size + 1) + inner.count("#") * 32)
        left = left[:start] + "#" + left[end + len(",'MD5'))") :]
    assert max(levels) <= 4000
    assert left.count("#") * 32 <= GROUP_BYTES


@pytest.mark.parametrize(("type_", "size"), [(TEXT, 0), (TEXT, 35), (TEXT, 965), (NUMBER, 70)])
def test_duckdb_hashes_wide_rows_and_keys_as_defined(type_: HashType, size: int) -> None:
    wide = plan(type_, size, keys=300)
    row = {
        column.name: None if at % 7 == 3 else at if type_ is NUMBER else f"v{at}"
        for at, column in enumerate(wide.columns)
    }
    dialect, named = DIALECTS["duckdb"], origins(wide)
    hashes = ", ".join(
        dialect.hash_hex(text) for text in (dialect.row_text(wide, named), dialect.key_text(wide, named))
    )
    with duckdb.connect() as connection:
        values = ", ".join(f"cast({'null' if v is None else repr(v)} as {'bigint' if type_ is NUMBER else 'varchar'}) as {n}"
                           for n, v in row.items())  # fmt: skip
        found = connection.execute(f"select {hashes} from (select {values})").fetchone() or ()

    assert [text.upper() for text in found] == [canonical.row_hash(wide, row), canonical.key_hash(wide, row)]
