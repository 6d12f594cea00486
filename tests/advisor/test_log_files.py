from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ingestion.errors import ConfigurationError
from monitoring.advisor.log_files import HEAD, TAIL, read_log
from monitoring.advisor.roles import LogAnalyzer

FAILED = "error: erp.customers: user or password were refused (ORA-01017)\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "run.log"


def test_of_a_log_of_200_mb_only_both_ends_are_read(log: Path) -> None:
    with log.open("wb") as file:
        file.write(b"begun a step of the day and went on with it\n" * (HEAD // 40))
        file.truncate(200 * 2**20)  # a hole, which costs no space
        file.seek(200 * 2**20 - TAIL)
        file.write(b"x" * 199 + b"\n")
        file.write((b"x" * 199 + b"\n") * (TAIL // 200))
        file.write(FAILED.encode())

    text = read_log(log)

    assert len(text) < HEAD + TAIL + 100
    assert "bytes are left out here" in text
    assert LogAnalyzer().analyze(text).cause == "login_refused"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_a_log_is_read_in_its_encoding(log: Path, encoding: str) -> None:
    log.write_text(f"Verbindung zu Köln, conexão\n{FAILED}" * 3, encoding=encoding)

    text = read_log(log)

    assert "Köln, conexão" in text
    assert LogAnalyzer().analyze(text).cause == "login_refused"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_no_character_is_cut_in_two_where_the_end_of_a_long_log_begins(log: Path, encoding: str) -> None:
    log.write_bytes((f"line\n{FAILED}" * 4_000).encode(encoding) + b"\0")

    text = read_log(log)

    assert "bytes are left out here" in text
    assert text.count("error: erp.customers") > 200
    assert LogAnalyzer().analyze(text).cause == "login_refused"


@pytest.mark.parametrize("lines", [3, 10_000])
def test_of_the_output_of_a_program_both_ends_are_read(tmp_path: Path, lines: int) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = "begun\n" + "a line of a long output\n" * lines + FAILED
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(pipe.write_text, content)
        text = read_log(pipe)
        written.result()

    assert text.startswith("begun\n")
    assert text.endswith(FAILED)
    assert len(text) < HEAD + TAIL + 100
    assert ("bytes are left out here" in text) == (lines > 3)


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        (b"", "is empty"),
        (b" \n\t\n", "is empty"),
        (bytes(range(256)) * 400, "binary data"),
        (b"\0" * 5000, "binary data"),
    ],
    ids=["nothing", "blanks", "bytes", "zeros"],
)
def test_what_is_no_log_is_refused_with_the_next_step(log: Path, content: bytes, finding: str) -> None:
    log.write_bytes(content)

    with pytest.raises(ConfigurationError, match=finding) as raised:
        read_log(log)
    assert "Nothing was explained" in str(raised.value)


def test_a_log_that_is_not_there_is_refused(log: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        read_log(log)


def test_a_log_full_of_control_characters_is_analyzed(log: Path) -> None:
    log.write_text("\x1b[0m" * 50 + f"plain text of some length, so that it is a text\n{FAILED}")

    assert LogAnalyzer().analyze(read_log(log)).cause == "login_refused"
