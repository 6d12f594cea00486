"""The package's logger, whose records hold no text of a database or a library that has not passed `foreign_text`."""

from __future__ import annotations

import logging
import os
import traceback

from ingestion.errors import LakehouseError
from ingestion.privacy.foreign import foreign_text


class _ForeignErrors(logging.Filter):
    """Replaces foreign errors among a record's arguments, and its traceback, by their texts without values of rows."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_passed(arg) if isinstance(arg, BaseException) else arg for arg in record.args)
        if isinstance(record.msg, BaseException):
            record.msg = _passed(record.msg)
        _pass_traceback(record)
        return True


class ForeignRecords(logging.Filter):
    """Replaces what libraries log, message and traceback, by its text without values of rows. For handlers."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name != logger.name:
            try:
                told = record.getMessage()
            except Exception:  # a library's own fault, which must not end our work
                told = str(record.msg)
            record.msg, record.args = foreign_text(told), None
            _pass_traceback(record)
        return True


def _pass_traceback(record: logging.LogRecord) -> None:
    if record.exc_info and not os.environ.get("LAKEHOUSE_DEBUG"):
        told = "".join(traceback.format_exception(*record.exc_info))
        record.exc_info, record.exc_text = None, foreign_text(told)


def _passed(error: BaseException) -> str:
    return str(error) if isinstance(error, LakehouseError) else f"{type(error).__name__}: {foreign_text(str(error))}"


logger = logging.getLogger("lakehouse")
logger.addFilter(_ForeignErrors())


def log_fields(text: str = "", level: int = logging.INFO, **fields: str | int | bool | None) -> None:
    """Log `name=value …` and a text. Formats that have fields find them in the record's `fields`."""
    told = [f"{name}=%s" for name in fields] + ["%s"] * bool(text)
    values = [*fields.values(), *([text] if text else [])]
    logger.log(level, " ".join(told), *values, extra={"fields": fields}, stacklevel=2)
