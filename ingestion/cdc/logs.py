"""Five rotating log files in LOG_DIR: main, oracle, sqs, errors, performance. JSON, without a word of any call."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path

from ingestion.errors import ConfigurationError, LakehouseError
from ingestion.privacy.logs import ForeignRecords, logger
from ingestion.settings.logs import LEVELS, JsonLines, chosen
from ingestion.settings.registry import value_of

NAMES = ("main", "oracle", "sqs", "errors", "performance")


def log(name: str, **fields: str | int | float | None) -> None:
    """Log numbers to the file of that name, and to main."""
    told = " ".join(f"{key}=%s" for key in fields)
    logger.info(told, *fields.values(), extra={"fields": {"log": name, **fields}})


@contextmanager
def log_files(environ: Mapping[str, str]) -> Iterator[None]:
    """Write log files while the block runs, if LOG_DIR is set. Raises ConfigurationError."""
    folder = value_of("LOG_DIR", environ)
    if not folder:
        yield
        return
    level = chosen(environ, "LOG_LEVEL", LEVELS)
    try:
        size, backups = (int(value_of(name, environ)) for name in ("LOG_MAX_BYTES", "LOG_BACKUP_COUNT"))
        Path(folder).mkdir(parents=True, exist_ok=True)
        handlers = [_handler(Path(folder) / f"{name}.log", name, size, backups) for name in NAMES]
    except (ValueError, OSError) as exc:
        raise ConfigurationError(
            f"LOG_DIR: the log files cannot be written ({type(exc).__name__}). Nothing was read. Correct LOG_DIR, "
            "LOG_MAX_BYTES and LOG_BACKUP_COUNT."
        ) from None
    before = logger.level
    with ExitStack() as stack:
        for handler in handlers:
            logger.addHandler(handler)
            stack.callback(handler.close)
            stack.callback(logger.removeHandler, handler)
        for other in logging.getLogger().handlers:  # what they show of ours stays the same
            stack.callback(other.setLevel, other.level)
            other.setLevel(max(other.level, logger.getEffectiveLevel()))
        logger.setLevel(level.upper())
        stack.callback(logger.setLevel, before)
        try:
            yield
        except LakehouseError as exc:
            record = logger.makeRecord(logger.name, logging.ERROR, __file__, 0, "%s", (exc,), None)
            for handler in handlers:  # the command prints it itself
                handler.handle(record)
            raise


def _handler(path: Path, name: str, size: int, backups: int) -> logging.Handler:
    handler = RotatingFileHandler(path, maxBytes=size, backupCount=backups, encoding="utf-8", delay=True)
    handler.setFormatter(JsonLines())
    handler.addFilter(ForeignRecords())
    handler.addFilter(lambda record: _belongs(record, name))
    return handler


def _belongs(record: logging.LogRecord, name: str) -> bool:
    if name == "main":
        return True
    if name == "errors":
        return record.levelno >= logging.WARNING
    return getattr(record, "fields", {}).get("log") == name
