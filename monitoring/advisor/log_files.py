"""Reads a log for the advisor: its head and tail in bounded memory, in the encodings that logs have."""

from __future__ import annotations

import codecs
import os
import stat
from pathlib import Path
from typing import BinaryIO

from ingestion.errors import ConfigurationError

HEAD, TAIL = 32 * 1024, 128 * 1024
"""Bytes that are read of the two ends of a log. What failed stands at its end, what was begun at its head."""
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
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
    """Return the two ends of a file and how many bytes stand between them; of a short file all of it."""
    about = os.fstat(file.fileno())
    if not stat.S_ISREG(about.st_mode):
        return _ends_of_pipe(file)
    if about.st_size <= HEAD + TAIL:
        return [file.read(HEAD + TAIL)], 0
    head, begin = file.read(HEAD), (about.st_size - TAIL) // 4 * 4  # no character of UTF-16 or UTF-32 is cut
    file.seek(begin)
    return [head, file.read(TAIL + 4)], begin - HEAD


def _ends_of_pipe(file: BinaryIO) -> tuple[list[bytes], int]:
    """Do the same for what has no size, such as the output of another program."""
    head, tail, left_out = file.read(HEAD), b"", 0
    while part := file.read(TAIL):
        tail += part
        cut = max(len(tail) - TAIL, 0) // 4 * 4
        tail, left_out = tail[cut:], left_out + cut
    return ([head, tail], left_out) if left_out else ([head + tail], 0)


def _text(path: Path, part: bytes, begin: bytes) -> str:
    """Return a part of a file as text, by the mark at the file's begin, else as UTF-16, UTF-8 or Latin-1."""
    encoding = next((name for mark, name in _BOMS if begin.startswith(mark)), "") or _unmarked(part)
    if encoding:
        return part.decode(encoding, errors="replace").lstrip("\ufeff")
    if len(part.translate(None, delete=_CONTROL)) < 0.9 * len(part):
        raise ConfigurationError(
            f"{path}: this is no text but binary data. Nothing was explained. Name the log that the step wrote."
        )
    text = part.decode("utf-8", errors="replace")
    return text if text.count("\ufffd") <= 2 else part.decode("latin-1")  # two: a cut character at each end


def _unmarked(part: bytes) -> str:
    """Return the form of UTF-16 that a part without a mark has: nearly every second byte is zero, no other is."""
    half, zeros = len(part) // 2, (part[::2].count(0), part[1::2].count(0))
    if min(zeros) <= 1 and max(zeros) > 0.8 * half:
        return "utf-16-be" if zeros[0] else "utf-16-le"
    return ""
