"""Quotes names and texts in each dialect. Texts are paths, settings and constants; row values are bound. Pure."""

from __future__ import annotations


def quote_standard(name: str) -> str:
    """Return a name as DuckDB and the SQL standard quote it."""
    return '"' + name.replace('"', '""') + '"'


def quote_oracle(name: str) -> str:
    """Return a name as a quoted identifier of Oracle. Raises ValueError for a quotation mark, which has no escape."""
    if '"' in name or "\0" in name:
        raise ValueError("a name of Oracle holds no quotation mark")
    return f'"{name}"'


def quote_sqlserver(name: str) -> str:
    """Return a name as a delimited identifier of SQL Server."""
    return "[" + name.replace("]", "]]") + "]"


def quote_spark(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def text_literal(text: str) -> str:
    """Return a text as a literal of standard SQL."""
    return "'" + text.replace("'", "''") + "'"


def spark_text_literal(text: str) -> str:
    """Return a text as a literal of Spark's SQL, where a backslash escapes the next character."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
