"""How the log records of a command or of the server are written to stderr: as text for people, or as lines of JSON."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from ingestion.errors import ConfigurationError
from ingestion.privacy.logs import ForeignRecords, logger
from ingestion.settings.registry import value_of

FORMAT, LEVEL = "LAKEHOUSE_LOG_FORMAT", "LAKEHOUSE_LOG_LEVEL"
FORMATS, LEVELS = ("text", "json"), ("debug", "info", "warning", "error")


def configure_logs(environ: Mapping[str, str]) -> None:
    """
    Write all records to stderr as the settings say; a process whose root logger has a handler is left as it is.

    LEVEL is that of our records; those of libraries are written from `warning` on. Raises ConfigurationError.
    """
    form, level = chosen(environ, FORMAT, FORMATS), chosen(environ, LEVEL, LEVELS)
    if logging.getLogger().handlers:
        return
    handler = _ToStderr()
    handler.addFilter(ForeignRecords())
    if form == "json":
        handler.setFormatter(JsonLines())
    logging.getLogger().addHandler(handler)
    logger.setLevel(level.upper())


def writes_json() -> bool:
    """Return whether this process writes its records as JSON."""
    return any(isinstance(handler.formatter, JsonLines) for handler in logging.getLogger().handlers)


class JsonLines(logging.Formatter):
    """A record as one JSON object on one line, in ASCII: time (UTC), level, logger, message, fields."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        told = record.exc_text or (self.formatException(record.exc_info) if record.exc_info else "")
        return json.dumps({**line, "traceback": told} if told else line, default=str)


class _ToStderr(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to what stderr is now: it is another stream while a progress line is drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        if sys.stderr is not None:
            self.stream = sys.stderr
            super().emit(record)


def chosen(environ: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    """Return a variable's value in lower case. Raises ConfigurationError for one that is not allowed."""
    value = value_of(name, environ).strip().lower()
    if value not in allowed:
        raise ConfigurationError(f"{name}: is {value!r}. Nothing was done. Set one of {', '.join(allowed)}.")
    return value
