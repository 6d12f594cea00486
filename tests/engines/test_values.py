"""Values that files and databases treat each in its own way, from the source into Bronze, through loads and maintenance."""

from __future__ import annotations

from datetime import datetime

import pytest

from ingestion.admin.maintenance import maintain
from ingestion.gaps.record import record_sync_gap
from ingestion.lake.embedded import compaction
from ingestion.load.load_table import load_table
from ingestion.runs.context import initialise
from tests.engines.conftest import HEAD, Company

MEASURES = "crm.measures"
CONTRACT = (
    HEAD.format(entity="measures", table="measures")
    + """
      - {name: id, physicalName: id, logicalType: string, physicalType: VARCHAR, primaryKey: true, primaryKeyPosition: 1, required: true, description: Key.}
      - {name: code, physicalName: code, logicalType: array, physicalType: BLOB, description: Code.}
      - {name: value, physicalName: value, logicalType: number, physicalType: DOUBLE, description: Value.}
      - {name: ratio, physicalName: ratio, logicalType: number, physicalType: FLOAT, description: Ratio.}
      - {name: changed_at, physicalName: changed_at, logicalType: timestamp, physicalType: TIMESTAMP, required: true, description: Watermark.}
customProperties:
  - property: lake
    value: {timezone: UTC, mode: incremental, watermark: changed_at, overlap: PT2H, deletes: keys, silver: stg_measures}
"""
)
COUNTED = """
    select
        (select count(*) from bronze.crm__measures where value = 0.0),
        (select count(*) from bronze.crm__measures where ratio = 0.0),
        (select count(*) from bronze.crm__measures where value = 'nan'),
        (select count(*) from bronze.crm__measures where code = unhex('80')),
        (select count(*) from bronze.crm__measures where id = '𠮷1'),
        (select count(*) from bronze.crm__measures where signbit(value) or signbit(ratio))
"""


@pytest.fixture
def measures(company: Company, monkeypatch: pytest.MonkeyPatch) -> Company:
    """12 rows: values 0.0, -0.0, NaN, -NaN in turn; ratios -0.0 and 0.0 in turn."""
    monkeypatch.setattr(compaction, "ENOUGH", 2)
    company.contract("measures", CONTRACT)
    company.sql(
        "create table measures as select '𠮷' || i as id, unhex('80') as code, "
        "case i % 4 when 0 then 0.0 when 1 then -(0.0::double) when 2 then 'nan'::double else -('nan'::double) end as value, "
        "case i % 2 when 0 then -(0.0::float) else 0.0 end as ratio, "
        "timestamp '2026-03-01 10:00:00' as changed_at from range(12) rows_(i)"
    )
    initialise(company.settings)
    load_table(company.context(), MEASURES)
    return company


def test_zeros_and_nans_of_either_sign_are_found_after_loads_and_maintenance(measures: Company) -> None:
    assert measures.lake(COUNTED) == [(6, 12, 6, 12, 1, 0)]
    for minute in (1, 2):
        measures.sql(
            f"update measures set ratio = {minute}, changed_at = '2026-03-01 11:0{minute}:00' where id = '𠮷1'"
        )
        load_table(measures.context(), MEASURES)

    maintain(measures.context())

    assert measures.lake(COUNTED) == [(8, 12, 6, 14, 3, 0)]
    report = record_sync_gap(measures.context(), MEASURES)
    assert (report.sync_gap, report.differing_keys, report.severity) == (0, 0, "OK")


def test_the_sign_of_a_zero_is_no_change(measures: Company) -> None:
    measures.sql("update measures set value = -value, ratio = -ratio, changed_at = changed_at")

    assert load_table(measures.context(), MEASURES).appended == 0
    assert record_sync_gap(measures.context(), MEASURES).severity == "OK"


TOO_LONG_FOR_A_DOUBLE = (9223372036854775807, 9007199254740993)


def test_whole_numbers_that_a_promised_double_cannot_hold_are_quarantined_and_never_told(
    company: Company, caplog: pytest.LogCaptureFixture
) -> None:
    company.contract(
        "measures",
        CONTRACT.replace("mode: incr", "onDrift: {changedType: ignore}, quarantine: {failPercent: 100}, mode: incr"),
    )
    company.sql(
        "create table measures as select 'k' || i as id, unhex('80') as code, "
        f"[1, {', '.join(map(str, TOO_LONG_FOR_A_DOUBLE))}, null, -9223372036854775808][i + 1]::bigint as value, "
        "1.0::float as ratio, timestamp '2026-03-01 10:00:00' as changed_at from range(5) rows_(i)"
    )
    initialise(company.settings)

    loaded = load_table(company.context(), MEASURES)
    gap = record_sync_gap(company.context(), MEASURES)

    assert (loaded.good, loaded.quarantined) == (3, 2)
    assert company.lake("select value from quarantine.crm__measures order by id") == [
        (str(value),) for value in TOO_LONG_FOR_A_DOUBLE
    ]
    assert (gap.sync_gap, gap.differing_keys, gap.quarantined_count) == (0, 0, 2)
    assert not any(str(value) in caplog.text for value in TOO_LONG_FOR_A_DOUBLE)


def test_a_number_of_39_digits_is_quarantined_and_stops_no_other_row(company: Company) -> None:
    text = CONTRACT.replace("mode: incr", "quarantine: {failPercent: 100}, mode: incr")
    company.contract("measures", text.replace("physicalType: DOUBLE", "physicalType: HUGEINT"))
    company.sql(
        "create table measures as select 'k' || i as id, unhex('80') as code, "
        f"['1', '{10**38}', '-{10**38 - 1}'][i + 1]::hugeint as value, "
        "1.0::float as ratio, timestamp '2026-03-01 10:00:00' as changed_at from range(3) rows_(i)"
    )
    initialise(company.settings)

    loaded = load_table(company.context(), MEASURES)
    gap = record_sync_gap(company.context(), MEASURES)

    assert (loaded.good, loaded.quarantined) == (2, 1)
    assert company.lake("select value from quarantine.crm__measures") == [(str(10**38),)]
    assert (gap.sync_gap, gap.differing_keys, gap.quarantined_count) == (0, 0, 1)


ENDS = ("0001-01-01 00:00:00", "0044-03-15 (BC) 00:00:00", "290309-12-22 (BC) 00:00:00", "-infinity", "infinity",
        "9999-12-31 23:59:59.999999", "20000-01-01", "294247-01-10 04:00:54.775806")  # fmt: skip


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_change_times_at_the_ends_of_the_calendar_are_loaded_or_quarantined_and_readable(
    company: Company, zone: str
) -> None:
    company.amend("people", "timezone: UTC", f"timezone: {zone}")
    company.amend("people", "failPercent: 60", "failPercent: 100")
    for number, moment in enumerate(ENDS):
        company.sql(f"insert into people values ({10 + number}, 'x', 1, '{moment}'::timestamp)")
    company.sql("update people set changed_at = '2026-03-01 06:00:00' where id < 10")

    first, second = load_table(company.context(), "crm.people"), load_table(company.context(), "crm.people")
    gap = record_sync_gap(company.context(), "crm.people")

    assert (first.good, first.quarantined, second.batch) == (3 + 3, 5, None)
    assert (gap.sync_gap, gap.differing_keys, gap.quarantined_count, gap.severity) == (0, 0, 5, "OK")
    assert all(
        isinstance(at, datetime) and at.year in (1, 2026)
        for (at,) in company.lake("select _eff from bronze.crm__people")
    )
    assert company.lake("select count(*) from bronze.crm__people where _eff < '1900-01-01'") == [(3,)]
