"""Names that operators of such a service know: tables, columns, variables, log files, statistics, their own SQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ingestion.cdc.logs import NAMES
from ingestion.cdc.run import STATISTICS
from ingestion.cdc.settings import with_given_names
from tests.cdc.world import CdcWorld

COLUMNS = {
    "cdc_processing_status": {
        *("table_name", "total_processed", "last_processed_timestamp", "is_enabled", "last_updated"),
    },
    "cdc_processed_calls": {"call_id", "processed_at", "sqs_message_id"},
    "error_log": {"error_id", "call_id", "error_type", "error_message", "error_timestamp"},
    "dicta_call_summary": {"call_id", "sentiment", "classification_primary", "confidence_score", "processed_at"},
    "cdc_processing_log": {"logged_at", "message"},
}
MONITORING = (
    "SELECT TABLE_NAME, TOTAL_PROCESSED, LAST_PROCESSED_TIMESTAMP, IS_ENABLED FROM CDC_PROCESSING_STATUS "
    "WHERE TABLE_NAME = 'CDC_NORMAL_MODE'",
    "SELECT CASE WHEN LAST_UPDATED > CURRENT_TIMESTAMP - INTERVAL '5' MINUTE THEN 'HEALTHY' ELSE 'UNHEALTHY' END "
    "FROM CDC_PROCESSING_STATUS WHERE TABLE_NAME = 'CDC_NORMAL_MODE'",
    "SELECT COUNT(*) FROM CDC_PROCESSED_CALLS WHERE PROCESSED_AT > CURRENT_TIMESTAMP - INTERVAL '1' DAY",
    "SELECT CLASSIFICATION_PRIMARY, COUNT(*), AVG(CONFIDENCE_SCORE) FROM DICTA_CALL_SUMMARY "
    "WHERE PROCESSED_AT > CURRENT_TIMESTAMP - INTERVAL '1' DAY GROUP BY CLASSIFICATION_PRIMARY",
    "SELECT ERROR_TYPE, COUNT(*) FROM ERROR_LOG GROUP BY ERROR_TYPE",
)


@pytest.fixture
def world(tmp_path: Path) -> CdcWorld:
    return CdcWorld(tmp_path, {"normal_mode_minutes": 600})


def test_tables_and_columns_have_their_names_and_the_known_queries_answer(world: CdcWorld) -> None:
    world.say("call", "one", "two", ago=timedelta(minutes=30))
    world.work()
    world.answer()
    world.reply("no JSON")
    world.work()

    for table, columns in COLUMNS.items():
        found = {name for (name,) in world.rows(f"select column_name from (describe {table})")}
        assert columns <= found, table
    status, health, processed, summaries, errors = (world.rows(query) for query in MONITORING)
    assert (status[0][0], status[0][1], status[0][3]) == ("CDC_NORMAL_MODE", 1, 1)
    assert (health, processed) == ([("HEALTHY",)], [(1,)])
    assert [row[:2] for row in summaries] == [("billing", 1)]
    assert errors == [("RESULT", 1)]


def test_the_variables_of_the_service_make_the_connections_that_are_not_set(world: CdcWorld) -> None:
    given = {
        "ORACLE_USER": "lake",
        "ORACLE_PASSWORD": "s3cret",
        "ORACLE_HOST": "db",
        "ORACLE_PORT": "1522",
        "ORACLE_SERVICE_NAME": "PDB",
        "AWS_REGION": "eu-central-1",
        "SQS_QUEUE_URL": "https://sqs/1/out",
    }
    unset = replace(world.settings, connections={})
    found = with_given_names(unset, given).connections

    database, queue = found["rtbi"], found["conversations"]
    assert (database.type, database.host, database.port, database.schema) == ("oracle", "db", 1522, "PDB")
    assert (database.login, database.password) == ("lake", "s3cret")
    assert (queue.type, queue.extra["queue_url"], queue.extra["region"]) == ("sqs", "https://sqs/1/out", "eu-central-1")
    assert found["results"] == queue
    two = with_given_names(unset, given | {"SQS_RESULTS_QUEUE_URL": "https://sqs/1/back"}).connections
    assert two["results"].extra["queue_url"] == "https://sqs/1/back"


def test_a_connection_that_is_set_wins_over_such_variables(world: CdcWorld) -> None:
    found = with_given_names(world.settings, {"ORACLE_HOST": "db", "SQS_QUEUE_URL": "https://sqs/1/out"}).connections

    assert (found["rtbi"].type, found["conversations"].type) == ("duckdb", "queue")


def test_log_files_and_statistics_have_their_names() -> None:
    assert NAMES == ("main", "oracle", "sqs", "errors", "performance")
    assert [*STATISTICS.values()] == [
        *("Uptime (s)", "Cycles completed", "Calls processed", "Calls failed"),
        *("SQS sent", "SQS failed", "ML results received", "ML results written"),
    ]
