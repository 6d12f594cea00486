"""The sync gap of tables in Oracle: at the state that was loaded, whatever was written since."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.errors import DeleteBrakeError
from ingestion.gaps.record import record_sync_gap
from ingestion.gaps.repair import repair_table
from ingestion.load.load_table import load_table
from ingestion.runs.context import Context, initialise, open_context
from ingestion.settings import Settings
from tests.sources.oracle_fixtures import ID, FaultyServer, OracleDesk, Promise, faulty, faulty_server, oracle
from tests.sources.test_oracle_load import lake

__all__ = ["faulty", "faulty_server", "oracle"]

PROMISES = (
    ID,
    Promise("amount", "NUMBER(12,2)", "number"),
    Promise("label", "VARCHAR2(20)"),
    Promise("note", "CLOB"),
    Promise("changed_at", "TIMESTAMP(6)", "timestamp", required=True),
)
COLUMNS = "ID NUMBER(12) PRIMARY KEY, AMOUNT NUMBER(12,2), LABEL VARCHAR2(20), NOTE CLOB, CHANGED_AT TIMESTAMP(6)"
LIMITS = {"maxDeletePercent": "100", "reconcile": "{partition: changed_at, grain: day, maxRepairPercent: 100}"}
BY_WINDOW = LIMITS | {"mode": "incremental", "watermark": "changed_at", "overlap": "PT2H", "deletes": "none"}


def loaded(desk: OracleDesk, columns: str = COLUMNS, **lake_options: str) -> tuple[str, str, Context]:
    """Twenty rows of two days, loaded; returns table, contract id and context."""
    table = desk.table(columns)
    for key in range(1, 21):
        put(desk, table, key, f"2026-03-0{1 + key % 2} 10:00:{key:02}")
    contract = desk.contract(table, *PROMISES, **lake_options)
    settings = Settings(desk.folder.parent, str(desk.folder.parent / "lake"), "200MB", {"erp": desk.connection})
    initialise(settings)
    context = open_context(settings, "run-1")
    load_table(context, contract.id)
    return table, contract.id, context


def put(desk: OracleDesk, table: str, key: int, moment: str) -> None:
    desk.sql(f"INSERT INTO {table} VALUES ({key}, {key}.5, 'n{key}', 'memo', TIMESTAMP '{moment}.000000')")


def states(context: Context) -> list[tuple[object, ...]]:
    return lake(context, "select kind, state, keys from ops.differences order by state_at")


def test_table_with_large_objects_is_compared_by_its_rows(oracle: OracleDesk) -> None:
    table, contract_id, context = loaded(oracle, **BY_WINDOW)
    equal = record_sync_gap(context, contract_id)
    oracle.sql(f"UPDATE {table} SET NOTE = 'another' WHERE ID = 3")

    found, repaired = record_sync_gap(context, contract_id), repair_table(context, contract_id)

    assert (equal.outcome, equal.rung, equal.queries, equal.severity) == ("equal", "checksums", 7, "OK")
    assert (equal.source_count, equal.lake_count, equal.unverified_columns) == (20, 20, "")
    assert (found.differing_keys, repaired.fetched) == (1, 1)
    assert record_sync_gap(context, contract_id).outcome == "equal"


def test_large_objects_are_named_where_rows_are_too_many(oracle: OracleDesk) -> None:
    limits = LIMITS["reconcile"].replace("}", ", maxRows: 19}")
    table, contract_id, context = loaded(oracle, **BY_WINDOW | {"reconcile": limits})
    oracle.sql(f"UPDATE {table} SET NOTE = 'another' WHERE ID = 3")

    report = record_sync_gap(context, contract_id)

    assert (report.outcome, report.severity, report.sla_met) == ("equal", "OK*", None)
    why = "CLOB cannot be hashed by the database, and 20 rows are more than maxRows lets be fetched"
    assert report.unverified_columns == f"note: {why}"


WIDE = {
    "photo": ("BLOB", "array", "HEXTORAW('00FF')", "HEXTORAW('00FE')"),
    "letter": ("NCLOB", "string", "'n'", "'ç😀'"),
    "doc": ("XMLTYPE", "string", "XMLTYPE('<a>1</a>')", "XMLTYPE('<a>2</a>')"),
    "old": ("LONG", "string", "'l'", "'m'"),
    "span": ("INTERVAL DAY TO SECOND", "string", "NUMTODSINTERVAL(1.5,'DAY')", "NUMTODSINTERVAL(2,'DAY')"),
    "years": ("INTERVAL YEAR TO MONTH", "string", "NUMTOYMINTERVAL(14,'MONTH')", "NUMTOYMINTERVAL(15,'MONTH')"),
    "raw_text": ("RAW(8)", "string", "HEXTORAW('00FF')", "HEXTORAW('00')"),
    "day_text": ("DATE", "string", "DATE '2026-01-01'", "DATE '2026-01-02'"),
}


@pytest.mark.parametrize("hashed", [True, False])
def test_columns_of_every_type_are_compared(oracle: OracleDesk, hashed: bool) -> None:
    """Intervals by hashes, the others by rows."""
    chosen = {name: of for name, of in WIDE.items() if (name in ("span", "years")) is hashed}
    declared = ", ".join(f"{name.upper()} {of[0]}" for name, of in chosen.items())
    table = oracle.table(f"ID NUMBER(12) PRIMARY KEY, {declared}")
    values = ", ".join(of[2] for of in chosen.values())
    oracle.sql(*(f"INSERT INTO {table} VALUES ({key}, {values})" for key in range(1, 9)))
    oracle.sql(f"INSERT INTO {table} (ID) VALUES (9)")
    promises = [Promise(name, of[0], of[1]) for name, of in chosen.items()]
    contract = oracle.contract(table, ID, *promises, maxDeletePercent="100", reconcile="{maxRepairPercent: 100}")
    settings = Settings(oracle.folder.parent, str(oracle.folder.parent / "lake"), "200MB", {"erp": oracle.connection})
    initialise(settings)
    context = open_context(settings, "run-1")
    load_table(context, contract.id)
    before = record_sync_gap(context, contract.id)
    for key, (name, of) in enumerate(chosen.items(), start=1):
        changed = ", ".join(of[3] if other == name else chosen[other][2] for other in chosen)
        oracle.sql(f"DELETE FROM {table} WHERE ID = {key}", f"INSERT INTO {table} VALUES ({key}, {changed})")

    repaired = repair_table(context, contract.id)

    assert (before.outcome, before.unverified_columns, before.severity) == ("equal", "", "OK")
    assert before.queries == (4 if hashed else 6)
    assert repaired.fetched == len(chosen)


def test_rows_of_every_kind_of_difference_are_found_and_healed(oracle: OracleDesk) -> None:
    table, contract_id, context = loaded(oracle, **BY_WINDOW)
    oracle.sql(f"UPDATE {table} SET AMOUNT = 99 WHERE ID = 3", f"DELETE FROM {table} WHERE ID IN (5, 6)")
    put(oracle, table, 30, "2026-03-01 09:00:00")

    found = record_sync_gap(context, contract_id)
    repaired = repair_table(context, contract_id)
    again = record_sync_gap(context, contract_id)

    assert (found.missing_keys, found.extra_keys, found.differing_keys) == (1, 2, 1)
    assert (repaired.fetched, repaired.deleted) == (2, 2)
    assert (again.outcome, again.state) == ("equal", None)
    assert {state for _, state, _ in states(context)} == {"suspected", "confirmed", "repaired"}


def test_key_that_its_type_cannot_hold_is_named_and_hides_no_difference(oracle: OracleDesk) -> None:
    table, contract_id, context = loaded(oracle, COLUMNS.replace("NUMBER(12) PRIMARY", "NUMBER PRIMARY"), **BY_WINDOW)
    for key in ("30", "31.25", "-9223372036854775809", "1E20"):
        oracle.sql(f"INSERT INTO {table} VALUES ({key}, 1, 'n', 'memo', TIMESTAMP '2026-03-01 09:00:00.000000')")

    report = record_sync_gap(context, contract_id)

    assert (report.misfit_keys, report.quarantined_count, report.missing_keys, report.sync_gap) == (3, 0, 4, 4)
    assert report.why == "the source has keys that the contract's type cannot hold: id (NUMBER(12))"


def test_rows_written_after_the_bound_raise_no_alarm(oracle: OracleDesk) -> None:
    table, contract_id, context = loaded(oracle, **BY_WINDOW)
    oracle.sql(f"UPDATE {table} SET AMOUNT = 99, CHANGED_AT = TIMESTAMP '2026-03-03 08:00:00' WHERE ID = 3")
    put(oracle, table, 30, "2026-03-03 09:00:00")

    report = record_sync_gap(context, contract_id)

    assert (report.outcome, report.in_flight_count, report.severity, report.state) == ("equal", 2, "OK", None)


def test_table_without_watermark_is_compared_at_the_state_that_its_load_read(oracle: OracleDesk) -> None:
    table, contract_id, context = loaded(oracle, **LIMITS)
    oracle.sql(f"UPDATE {table} SET AMOUNT = 99 WHERE ID = 3", f"DELETE FROM {table} WHERE ID = 5")
    put(oracle, table, 30, "2026-03-01 09:00:00")

    before = record_sync_gap(context, contract_id)
    load_table(context, contract_id)
    after = record_sync_gap(context, contract_id)

    assert (before.outcome, before.severity, before.source_count) == ("equal", "OK", 20)
    assert (after.outcome, after.severity, after.source_count) == ("equal", "OK", 20)
    assert states(context) == []


def test_table_without_watermark_is_compared_as_of_its_newest_load_whatever_that_committed(oracle: OracleDesk) -> None:
    """A load that quarantined rows and appended nothing, and one that the brake stopped, have read a newer state."""
    table, contract_id, context = loaded(oracle, **LIMITS | {"maxDeletePercent": "10"})
    oracle.sql(f"UPDATE {table} SET CHANGED_AT = NULL WHERE ID = 3")
    nothing = load_table(context, contract_id)
    refused = record_sync_gap(context, contract_id)
    oracle.sql(f"DELETE FROM {table} WHERE ID > 8")
    with pytest.raises(DeleteBrakeError):
        load_table(context, contract_id)

    stopped = record_sync_gap(context, contract_id)

    assert (nothing.batch, nothing.quarantined) == (None, 1)
    assert (refused.quarantined_count, refused.refused_updates, refused.severity) == (1, 1, "OK")
    assert (stopped.source_count, stopped.extra_keys, stopped.severity) == (8, 12, "CRITICAL")
    assert (stopped.failed_load, stopped.sla_met) == ("DeleteBrakeError", False)


def test_where_that_state_is_lost_the_newest_one_is_compared_and_suspected_only(
    faulty: OracleDesk, faulty_server: FaultyServer, tmp_path: Path
) -> None:
    table, contract_id, context = loaded(faulty, **LIMITS)
    faulty.sql(f"UPDATE {table} SET AMOUNT = 99 WHERE ID = 3")
    record_sync_gap(context, contract_id)  # the types of this server are known from here on
    faulty_server.arm("fail_next_execute", code=1555, pattern="COUNT")

    report = record_sync_gap(context, contract_id)

    assert (report.differing_keys, report.state) == (1, "suspected")


def test_key_that_was_deleted_wrongly_comes_back_by_repair(oracle: OracleDesk) -> None:
    table, contract_id, context = loaded(oracle, **BY_WINDOW)
    oracle.sql(f"DELETE FROM {table} WHERE ID = 4")
    repair_table(context, contract_id)
    put(oracle, table, 4, "2026-03-01 10:00:04")

    result = repair_table(context, contract_id)

    assert result.fetched == 1
    assert record_sync_gap(context, contract_id).outcome == "equal"
