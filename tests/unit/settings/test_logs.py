"""The log of a command as a process writes it: text for people, or lines of JSON, without values of rows in either."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ingestion.errors import ConfigurationError
from ingestion.settings.logs import FORMAT, LEVEL, JsonLines, configure_logs

PROGRAM = """
import logging, os
from ingestion.errors import LakeError
from ingestion.privacy.logs import log_fields, logger
from ingestion.settings.logs import configure_logs
configure_logs(os.environ)
configure_logs(os.environ)
log_fields(run="r-1", step="load", subject="crm.people", batch=3, status="ok")
logger.warning("%s", LakeError("crm.people: the disk is full"))
logger.warning("crm.people: %s", ValueError("The string 'O''Hara' is not a valid int; ana@example.com"))
library = logging.getLogger("library")
library.info("of no interest")
library.warning("row %s of %s", "ana@example.com", 7)
library.warning("too few %s %s", "ana@example.com")
try:
    raise ValueError("The string 'O''Hara' is not a valid int; ana@example.com")
except ValueError:
    library.exception("failed\\non two lines")
    logger.exception("crm.people: failed")
"""
CLI = "from ingestion.cli import main; main()"


def written(tmp_path: Path, code: str = PROGRAM, *arguments: str, **environ: str) -> list[str]:
    """Return the lines that a process in a project's folder writes to stderr."""
    (tmp_path / "data_contracts").mkdir(exist_ok=True)
    bare = {name: value for name, value in os.environ.items() if not name.startswith("LAKEHOUSE_")}
    command = [sys.executable, "-c", code, *arguments]
    ran = subprocess.run(command, cwd=tmp_path, env=bare | environ, capture_output=True, text=True, check=False)
    return ran.stderr.splitlines()


def records(lines: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]


def test_lines_of_json_have_the_fields_of_their_records_and_no_value_of_a_row(tmp_path: Path) -> None:
    lines = written(tmp_path, **{FORMAT: "json", LEVEL: "info"})

    step, ours, foreign, library, malformed, *failed = records(lines)
    assert {name: step[name] for name in ("run", "step", "subject", "batch", "status", "level", "logger")} == {
        "run": "r-1",
        "step": "load",
        "subject": "crm.people",
        "batch": 3,
        "status": "ok",
        "level": "info",
        "logger": "lakehouse",
    }
    assert step["message"] == "run=r-1 step=load subject=crm.people batch=3 status=ok"
    assert step["time"].endswith("+00:00")
    assert ours["message"] == "crm.people: the disk is full"
    assert foreign["message"] == "crm.people: ValueError: The string '***' is not a valid int; a***@e***.com"
    assert (library["logger"], library["message"]) == ("library", "row a***@e***.com of 7")
    assert malformed["message"] == "too few %s %s"
    assert [one["message"] for one in failed] == ["failed\non two lines", "crm.people: failed"]
    assert all("ValueError" in one["traceback"] for one in failed)
    assert "ana@" not in "".join(lines)
    assert "Hara" not in "".join(lines)


def test_text_is_the_message_alone_from_warnings_on(tmp_path: Path) -> None:
    lines = written(tmp_path)

    assert lines[:4] == [
        "crm.people: the disk is full",
        "crm.people: ValueError: The string '***' is not a valid int; a***@e***.com",
        "row a***@e***.com of 7",
        "too few %s %s",
    ]
    assert "ana@" not in "".join(lines)
    assert "Hara" not in "".join(lines)


def test_the_error_that_ends_a_command_is_a_line_of_json_too(tmp_path: Path) -> None:
    [line] = records(written(tmp_path, CLI, "status", **{FORMAT: "json", "LAKEHOUSE_ROOT": str(tmp_path / "no")}))
    text = written(tmp_path, CLI, "status", LAKEHOUSE_ROOT=str(tmp_path / "no"))

    assert (line["level"], line["error"], line["exit_code"]) == ("error", "LakeError", 15)
    assert text == f"error: {line['message']}".splitlines()


def test_the_projects_file_sets_the_format(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(f"{FORMAT}=json\n")
    file.chmod(0o600)

    assert [one["level"] for one in records(written(tmp_path, CLI, "status"))] == ["error"]


def test_the_servers_own_log_goes_the_same_way(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        lines = written(tmp_path, CLI, "serve", "--port", port, **{FORMAT: "json", LEVEL: "info"})

    told = {(one["logger"], one["level"]): one["message"] for one in records(lines)}
    assert told["lakehouse", "info"].startswith("Serving http://127.0.0.1:")
    assert "address already in use" in told["uvicorn.error", "error"]


@pytest.mark.parametrize("name", [FORMAT, LEVEL])
def test_a_value_that_is_unknown_is_an_error(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}: is 'xml'. Nothing was done. Set one of "):
        configure_logs({name: "xml"})


def test_a_process_with_a_log_of_its_own_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    root, own = logging.getLogger(), logging.NullHandler()
    monkeypatch.setattr(root, "handlers", [own])
    level = logging.getLogger("lakehouse").level

    configure_logs({FORMAT: "json", LEVEL: "debug"})

    assert (root.handlers, logging.getLogger("lakehouse").level) == ([own], level)


def test_one_record_is_one_line_of_ascii_whatever_it_says() -> None:
    record = logging.makeLogRecord({"name": "lakehouse", "msg": "a\nb\x1b[31m\u202e\U0001f600", "levelname": "INFO"})

    line = JsonLines().format(record)

    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["message"] == record.msg
