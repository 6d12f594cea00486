"""Connections by the names of variables that operators of such services know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ingestion.contracts.odcs import find_conversation, find_stream
from ingestion.settings import Connection, Settings


def with_given_names(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Return settings with the connections of ORACLE_* and SQS_*, where no connection of that system is set."""
    rules = find_conversation(settings.contracts)
    results = find_stream(settings.contracts, rules.results)
    found = {}
    if environ.get("ORACLE_HOST"):
        found[rules.contract.system] = Connection(
            "oracle",
            host=environ["ORACLE_HOST"],
            port=int(environ.get("ORACLE_PORT") or 1521),
            schema=environ.get("ORACLE_SERVICE_NAME", ""),
            login=environ.get("ORACLE_USER", ""),
            password=environ.get("ORACLE_PASSWORD", ""),
        )
    for name, variable in ((rules.queue, "SQS_QUEUE_URL"), (results.source, "SQS_RESULTS_QUEUE_URL")):
        url = environ.get(variable) or environ.get("SQS_QUEUE_URL")
        if url:
            found[name] = Connection("sqs", extra={"queue_url": url, "region": environ.get("AWS_REGION", "")})
    return replace(settings, connections={**found, **settings.connections})
