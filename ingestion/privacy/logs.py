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
        if record.exc_info and not os.environ.get("LAKEHOUSE_DEBUG"):
            told = "".join(traceback.format_exception(*record.exc_info))
            record.exc_info, record.exc_text = None, foreign_text(told)
        return True


def _passed(error: BaseException) -> str:
    return str(error) if isinstance(error, LakehouseError) else f"{type(error).__name__}: {foreign_text(str(error))}"


logger = logging.getLogger("lakehouse")
logger.addFilter(_ForeignErrors())
