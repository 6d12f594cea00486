"""Formats of the label of a comparison's partition, `YYYY[-MM[-DD]]`, by the contract's grain and dialect. Pure."""

from __future__ import annotations

LABEL_LENGTHS = {"day": 10, "month": 7, "year": 4}
"""The number of characters of a label, which is the beginning of an ISO date."""
STRFTIME = {"day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}
"""For DuckDB's `strftime`."""
ORACLE_DAY = "YYYY-MM-DD"
ORACLE_TO_CHAR = {grain: ORACLE_DAY[:length] for grain, length in LABEL_LENGTHS.items()}
SPARK_DATE_FORMAT = {grain: "yyyy-MM-dd"[:length] for grain, length in LABEL_LENGTHS.items()}
