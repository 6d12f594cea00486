"""Reads a log for the advisor: its head and tail in bounded memory, in the encodings that logs have."""

from __future__ import annotations

import codecs
import os
from pathlib import Path
from typing import BinaryIO

from ingestion.errors import ConfigurationError

HEAD, TAIL = 32 * 1024, 128 * 1024
"""Bytes that are read of the two ends of a log. What failed stands at its end, what was begun at its head."""
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_CONTROL = bytes({*range(9), *range(14, 27), *range(28, 32), 127})


def read_log(path: Path) -> str:
    """
    Return the text of a log; of a long one its head and tail, with a line that says how much is left out.

    Raises ConfigurationError if it cannot be read, is empty or is no text.
    """
    try:
        with path.open("rb") as file:
            parts, left_out = _ends(file)
    except OSError as exc:
        raise ConfigurationError(
            f"{path}: the log cannot be read ({exc.strerror}). Nothing was explained. Name a file that you may read."
        ) from None
    texts = [_text(path, part, parts[0][:4]) for part in parts if part]
    told = f"\n({left_out:,} bytes are left out here)\n".join(texts)
    if not told.strip():
        raise ConfigurationError(f"{path}: the log is empty. Nothing was explained. Name the log of the failed step.")
    return told


def _ends(file: BinaryIO) -> tuple[list[bytes], int]:
    size = os.fstat(file.fileno()).st_size
    if size <= HEAD + TAIL:
        return [file.read(HEAD + TAIL)], 0
    head = file.read(HEAD)
    file.seek(size - TAIL)
    return [head, file.read(TAIL)], size - HEAD - TAIL


def _text(path: Path, part: bytes, begin: bytes) -> str:
    """Return a part of a file as text, by the mark at the file's begin, else as UTF-8, else as Latin-1."""
    encoding = next((name for mark, name in _BOMS if begin.startswith(mark)), "")
    if encoding:
        return part.decode(encoding, errors="replace").lstrip("\ufeff")
    if len(part.translate(None, delete=_CONTROL)) < 0.9 * len(part):
        raise ConfigurationError(
            f"{path}: this is no text but binary data. Nothing was explained. Name the log that the step wrote."
        )
    text = part.decode("utf-8", errors="replace")
    return text if text.count("\ufffd") <= 2 else part.decode("latin-1")  # two: a cut character at each end
