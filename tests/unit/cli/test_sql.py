"""`lakehouse sql`: forms of output, sources of the query, limits, and the shell."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from ingestion.cli import cli
from ingestion.cli.output import rows as rows_of_queries
from ingestion.cli.output.rows import Form, print_rows
from ingestion.cli.shell import completions
from ingestion.errors import ConfigurationError
from ingestion.lake import duck
from ingestion.lake.layout import create_lake

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a runner of `lakehouse sql` on an empty lake, 80 columns wide."""
    create_lake(str(tmp_path / "lake"))
    monkeypatch.setenv("LAKEHOUSE_ROOT", str(tmp_path / "lake"))
    monkeypatch.setenv("COLUMNS", "80")
    return lambda *arguments, **more: CliRunner().invoke(cli, ["sql", *arguments], **more)


def test_a_table_has_the_first_hundred_rows_and_says_so(run: Run) -> None:
    lines = run("select range as key from range(2024, 2200)").stdout.splitlines()

    assert [line.strip() for line in (lines[3], lines[102], lines[-1])] == [
        "2024", "2123", "first 100 rows of more; --limit 0 for all"
    ]  # fmt: skip


@pytest.mark.parametrize(("limit", "rows", "word"), [("0", 176, False), ("5", 5, True), ("176", 176, False)])
def test_a_limit_is_kept_and_said_only_where_rows_are_left_out(run: Run, limit: str, rows: int, word: bool) -> None:
    out = run("select 'row-' || range as key from range(176)", "--limit", limit).stdout

    assert (out.count("row-"), "of more" in out) == (rows, word)


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_forms_for_programs_have_every_row_unless_a_limit_is_given(run: Run, tmp_path: Path, form: str) -> None:
    file = tmp_path / f"rows.{form}"
    counts = []
    for limit in ([], ["--limit", "7"]):
        done = run("select range as k, 'a,\"\n' as t from range(300)", "--output", str(file), *limit)
        assert (done.exit_code, done.stdout) == (0, "")
        counts.append(len(read(file)))

    assert counts == [300, 7]


def read(file: Path) -> list[dict[str, Any]]:
    if file.suffix == ".parquet":
        return list(pq.read_table(file).to_pylist())
    if file.suffix == ".json":
        return list(json.loads(file.read_text()))
    return list(csv.DictReader(io.StringIO(file.read_text(), newline="")))


def test_csv_tells_null_from_an_empty_text_and_writes_every_type(run: Run) -> None:
    query = (
        "select null::varchar as nothing, '' as empty, 1.50::decimal(9, 2) as price, '\\xAB'::blob as bytes, "
        "[1, 2] as list, {'a': 1} as struct, interval 1 day as span, '2026-01-02 03:04:05'::timestamp as at, "
        "'infinity'::date as never, 1e-9 as small, true as flag, '[red]' as text"
    )

    assert run(query, "--format", "csv").stdout.splitlines()[1] == (
        ',"",1.50,"ab","[1, 2]","{\'a\': 1}","1 day","2026-01-02 03:04:05","infinity",1e-9,true,"[red]"'
    )


def test_json_is_the_same_by_both_options_and_valid_for_every_reader(run: Run) -> None:
    query = "select 'nan'::double as n, 1.5::decimal(9, 1) as d, '\x1b[2J' as t"

    short, long = (run(query, *option) for option in (["--json"], ["--format", "json"]))

    assert short.stdout == long.stdout
    assert "\x1b" not in short.stdout
    assert json.loads(short.stdout, parse_constant=pytest.fail) == [{"n": "NaN", "d": "1.5", "t": "\x1b[2J"}]
    assert json.loads(run("select 1 as a where false", "--json").stdout) == []


def test_the_query_comes_from_an_argument_a_file_or_standard_input(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "query.sql"
    file.write_text("-- a comment\nselect 42 as answer; -- the end\n")

    told = [run("-f", str(file)), run("-", input=file.read_text()), run("select 42 as answer")]

    assert len({result.stdout for result in told}) == 1
    assert "42" in told[0].stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "No query"),
        (["select 1", "-f", "/dev/null"], "two queries"),
        (["select 1", "--json", "--format", "csv"], "two formats"),
        (["select 1", "--output", "rows.txt"], "add --format"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused(run: Run, arguments: list[str], said: str) -> None:
    result = run(*arguments)

    assert (result.exit_code, said in result.stderr) == (2, True)


def test_a_file_is_whole_or_does_not_change(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("before")
    late = "select case when range = 900000 then error('late') else range::varchar end as a from range(1000000)"

    failed = run(late, "--output", str(file))
    nowhere = run("select 1", "--output", str(tmp_path / "no" / "rows.csv"))

    assert (failed.exit_code, file.read_text()) == (10, "before")
    assert (nowhere.exit_code, "cannot be written" in nowhere.stderr) == (10, True)
    assert {path.name for path in tmp_path.iterdir()} == {"rows.csv", "lake"}


def test_an_error_while_rows_are_fetched_is_no_end_of_output(run: Run) -> None:
    late = "select case when range = 900000 then error('late') else range::varchar end as a from range(1000000)"

    for form in ("csv", "json"):
        assert run(late, "--format", form).exit_code == 10


def test_csv_is_written_in_batches_and_never_held_as_a_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    most = 0
    written = rows_of_queries._writing

    def watch() -> Any:
        nonlocal most
        most = max(most, pa.total_allocated_bytes())
        return written()

    monkeypatch.setattr(rows_of_queries, "_writing", watch)
    before = pa.total_allocated_bytes()
    with duck.connect() as connection:
        query = duck.query(connection, "select range as k, repeat('x', 100) as t from range(2000000)")
        print_rows(query, Form("csv", file=tmp_path / "rows.csv"))

    assert (tmp_path / "rows.csv").stat().st_size > 200_000_000
    assert most - before < 50_000_000


def test_a_column_that_arrow_cannot_name_twice_is_written_twice(run: Run) -> None:
    assert run("select 1 as a, 2 as a", "--format", "csv").stdout == '"a","a"\n1,2\n'


def test_names_are_completed_with_and_without_an_alias() -> None:
    words = ["SELECT", "gold.dim_date", "gold.fact_sales", "net_revenue", "order_id"]

    assert completions(words, "sel") == ["SELECT"]
    assert completions(words, "gold.") == ["gold.dim_date", "gold.fact_sales"]
    assert completions(words, "f.net") == ["f.net_revenue"]
    assert completions(words, "zzz") == []


def test_the_shell_answers_queries_over_several_lines_and_survives_errors(run: Run, tmp_path: Path) -> None:
    typed = ["select 40", "  + 2 as answer;", "select nope;", ".tables", ".limit 1", "select range from range(5);"]

    told = talk([*typed, "\x04"], tmp_path)

    assert "42" in told
    assert 'Referenced column "nope"' in told
    assert "first 1 row of more" in told
    history = tmp_path / "state" / "lakehouse" / "sql_history"
    assert history.read_text().splitlines() == typed
    assert history.stat().st_mode & 0o777 == 0o600


def talk(lines: list[str], folder: Path) -> str:
    """Type lines into the shell on a terminal of its own, and return what the terminal showed."""
    terminal, given = pty.openpty()
    env = os.environ | {"XDG_STATE_HOME": str(folder / "state"), "TERM": "xterm", "COLUMNS": "80"}
    command = [sys.executable, "-c", "from ingestion.cli import main; main()", "sql"]
    process = subprocess.Popen(command, stdin=given, stdout=given, stderr=given, env=env)
    os.close(given)
    told = io.BytesIO()

    def listen() -> None:
        while True:
            try:
                told.write(os.read(terminal, 10_000))
            except OSError:  # the shell has ended
                return

    listener = threading.Thread(target=listen)
    listener.start()
    for count, line in enumerate(lines):
        while told.getvalue().count(b"> ") <= count and process.poll() is None:
            time.sleep(0.02)
        os.write(terminal, line.encode() + (b"" if line == "\x04" else b"\n"))
    process.wait(60)
    listener.join()
    os.close(terminal)
    return told.getvalue().decode()


def test_a_query_that_changes_something_is_refused_in_every_form() -> None:
    with duck.connect() as connection, pytest.raises(ConfigurationError, match="Nothing was changed"):
        duck.query(connection, "copy (select 1) to 'x.csv'")
