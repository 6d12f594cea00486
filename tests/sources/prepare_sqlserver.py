"""Makes the database that the tests fill, with snapshot isolation and Change Tracking allowed."""

from __future__ import annotations

import os
from dataclasses import replace

from ingestion.settings import parse_connection
from ingestion.sources.sqlserver.session import connect
from tests.sources.sqlserver_fixtures import VARIABLE

STATEMENTS = (
    "IF DB_ID('{0}') IS NULL CREATE DATABASE [{0}]",
    "ALTER DATABASE [{0}] SET ALLOW_SNAPSHOT_ISOLATION ON",
    "ALTER DATABASE [{0}] SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON)",
)


def main() -> None:
    connection = parse_connection(VARIABLE, os.environ[VARIABLE])
    opened = connect("test", replace(connection, schema="master"))
    for statement in STATEMENTS:
        opened.execute(statement.format(connection.schema))


if __name__ == "__main__":
    main()
