"""How each dialect spells the SQL that a person is given, word for word: a test server takes more than the true one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ingestion.contracts.model import Contract, Mode
from ingestion.runbook import statements as runbook
from tests.runbooks import by_window, contract_of, in_partitions

BOUND = "2026-03-01 11:00:00.1234567"


def table(dialect: str, declared: str, *, names: tuple[str, ...] = ("RETAIL", "ORDERS")) -> Contract:
    key = {"oracle": "NUMBER(9)", "sqlserver": "int", "duckdb": "INTEGER"}[dialect]
    return contract_of(dialect, names, {"ID": key, "AT": declared})


def _bounded(condition: str) -> str:
    """Return the where clause of a bound: rows without a watermark are compared too."""
    return f"where ({condition} or {condition.split(' < ', maxsplit=1)[0]} is null)"


@pytest.mark.parametrize(
    ("dialect", "declared", "condition"),
    [
        ("oracle", "DATE", "\"AT\" < to_date('2026-03-01 11:00:01', 'YYYY-MM-DD HH24:MI:SS')"),
        ("oracle", "TIMESTAMP(9)", "\"AT\" < timestamp '2026-03-01 11:00:00.123456700'"),
        ("oracle", "TIMESTAMP(6) WITH TIME ZONE", "\"AT\" < timestamp '2026-03-01 11:00:00.123457 +00:00'"),
        ("oracle", "TIMESTAMP WITH LOCAL TIME ZONE", "\"AT\" < timestamp '2026-03-01 11:00:00.123457 +00:00'"),
        ("duckdb", "TIMESTAMP", "\"AT\" < timestamp '2026-03-01 11:00:00.123457'"),
        ("duckdb", "TIMESTAMPTZ", "\"AT\" < timestamptz '2026-03-01 11:00:00.123457+00'"),
        ("duckdb", "DATE", "\"AT\" < date '2026-03-02'"),
        ("sqlserver", "date", "[AT] < convert(date, '2026-03-02', 121)"),
        ("sqlserver", "datetime", "[AT] < convert(datetime, '2026-03-01 11:00:00.127', 121)"),
        ("sqlserver", "smalldatetime", "[AT] < convert(smalldatetime, '2026-03-01 11:01:00', 121)"),
        ("sqlserver", "datetime2(3)", "[AT] < convert(datetime2(3), '2026-03-01 11:00:00.124', 121)"),
        (
            "sqlserver",
            "datetimeoffset",
            "[AT] < todatetimeoffset(convert(datetime2(7), '2026-03-01 11:00:00.1234567', 121), '+00:00')",
        ),
    ],
)
def test_bound_is_a_constant_that_the_columns_type_can_hold(dialect: str, declared: str, condition: str) -> None:
    contract = by_window(table(dialect, declared), "AT")

    assert runbook.count_rows(contract, BOUND).source.splitlines()[-1] == _bounded(condition)


@pytest.mark.parametrize(
    ("dialect", "declared", "condition"),
    [
        ("oracle", "NUMBER(18)", '"AT" < 4711'),
        ("duckdb", "BIGINT", '"AT" < 4711'),
        ("sqlserver", "bigint", "[AT] < 4711"),
        ("sqlserver", "rowversion", "[AT] < cast(cast(4711 as bigint) as binary(8))"),
    ],
)
def test_bound_that_is_a_number_is_a_number(dialect: str, declared: str, condition: str) -> None:
    asked = runbook.count_rows(by_window(table(dialect, declared), "AT"), "4711")

    assert asked.source.endswith(_bounded(condition))
    assert asked.lake.endswith('where is_current\n    and ("c1" < 4711 or "c1" is null)')


@pytest.mark.parametrize(
    ("dialect", "declared", "total"),
    [
        ("sqlserver", "int", "sum(cast([AT] as decimal(38,0)))"),
        ("sqlserver", "money", "sum(cast([AT] as decimal(38,4)))"),
        ("sqlserver", "decimal(38,0)", "sum(cast([AT] as float))"),
        ("sqlserver", "rowversion", "count_big(case when [AT] is not null then 1 end)"),
        ("sqlserver", "ntext", "count_big(case when [AT] is not null then 1 end)"),
        ("sqlserver", "bit", "count_big(case when [AT] is not null then 1 end)"),
        ("oracle", "NUMBER(38)", 'sum(cast("AT" as binary_double))'),
        ("oracle", "CLOB", 'count(case when "AT" is not null then 1 end)'),
        ("duckdb", "HUGEINT", 'sum(cast("AT" as double))'),
        ("duckdb", "BIGINT", 'sum("AT")'),
    ],
)
def test_number_is_summed_in_a_type_that_holds_the_sum_and_other_values_are_counted(
    dialect: str, declared: str, total: str
) -> None:
    assert runbook.sums(table(dialect, declared), None).source.splitlines()[1].strip() == total


@pytest.mark.parametrize("declared", ["rowversion", "int", "decimal(38,0)", "ntext"])
def test_both_sides_are_asked_the_same_of_a_column(declared: str) -> None:
    asked = runbook.sums(table("sqlserver", declared), None)

    assert ("sum(" in asked.source) == ("sum(" in asked.lake) == (declared in ("int", "decimal(38,0)"))
    assert asked.source.count(",\n") == asked.lake.count(",\n") == 1


def test_long_of_oracle_which_no_expression_takes_is_left_out() -> None:
    asked = runbook.sums(table("oracle", "LONG"), None)

    assert ("AT" in asked.source, "c1" in asked.lake) == (False, False)


def test_newest_rowversion_is_the_number_that_the_lake_keeps() -> None:
    contract = by_window(table("sqlserver", "rowversion"), "AT")

    assert "max(cast([AT] as bigint))" in runbook.newest_change(contract).source


@pytest.mark.parametrize(
    ("dialect", "names", "shown"),
    [
        ("oracle", ("RETAIL", "ORDERS"), '"RETAIL"."ORDERS"'),
        ("oracle", ("ORDERS",), '"ORDERS"'),
        ("duckdb", ("orders",), '"main"."orders"'),
        ("duckdb", ("files", "a.b", 'say "x"'), '"a.b"."say ""x"""'),
        ("sqlserver", ("orders",), "[dbo].[orders]"),
        ("sqlserver", ("shop", "sales", "odd ] name"), "[sales].[odd ]] name]"),
    ],
)
def test_table_is_the_one_that_a_load_reads_with_its_names_quoted(
    dialect: str, names: tuple[str, ...], shown: str
) -> None:
    declared = {"oracle": "DATE", "duckdb": "DATE", "sqlserver": "date"}[dialect]

    assert runbook.count_rows(table(dialect, declared, names=names), None).source.endswith(f"from {shown}")


def test_oracles_names_in_lower_case_are_found_in_upper_case_as_a_load_finds_them() -> None:
    written = contract_of("oracle", ("hr", "employees"), {"id": "NUMBER(9)", "at": "DATE"})
    imported = contract_of("oracle", ("HR", "employees"), {"id": "NUMBER(9)", "at": "DATE"})

    assert runbook.repeated_keys(written).source.count('"HR"."EMPLOYEES" group by "ID"') == 1
    assert runbook.repeated_keys(imported).source.count('"HR"."employees" group by "id"') == 1


def test_version_of_a_change_log_is_no_bound_of_a_column() -> None:
    contract = replace(by_window(table("sqlserver", "datetime2(6)"), "AT"), mode=Mode.CHANGES)

    assert runbook.count_rows(contract, "4711").source == "select count_big(*)\nfrom [RETAIL].[ORDERS]"


@pytest.mark.parametrize(
    ("declared", "label", "conditions"),
    [
        ("datetime2(6)", None, ["[AT] is null"]),
        ("smalldatetime", "2079", ["[AT] >= convert(smalldatetime, '2079-01-01 00:00:00', 121)"]),
        ("date", "2026-12", ["[AT] >= convert(date, '2026-12-01', 121)", "[AT] < convert(date, '2027-01-01', 121)"]),
        ("date", "9999-12", ["[AT] >= convert(date, '9999-12-01', 121)"]),
        ("date", "10000-01", []),
    ],
)
def test_partition_is_bounded_as_far_as_its_calendar_goes(
    declared: str, label: str | None, conditions: list[str]
) -> None:
    asked = runbook.count_partition(in_partitions(table("sqlserver", declared), "AT", "month"), None, label)

    assert asked.source.splitlines()[2:] == [
        f"{'where' if not at else '    and'} {condition}" for at, condition in enumerate(conditions)
    ]
