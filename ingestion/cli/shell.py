"""A small shell for queries: several lines, history, completion of names by the standard library's readline."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.cli.output.rows import Form, print_rows
from ingestion.errors import LakehouseError
from ingestion.lake import duck
from ingestion.lake.names import LAYERS
from ingestion.sql.quoting import text_literal

if TYPE_CHECKING:
    from rich.console import Console

PROMPT, CONTINUED = "lakehouse> ", "      ...> "
HISTORY_LINES = 1000
HELP = """A query may have several lines and ends with a semicolon. Tab completes names.
.tables [SCHEMA]         the tables, or those of one schema
.columns SCHEMA.TABLE    the columns of a table
.limit ROWS              how many rows are printed at most; 0 for all
.help                    this help
.quit                    leave, as does Ctrl-D; Ctrl-C drops a query"""
_BREAKS = " \t\n,()=<>+-*/;'"
"""Characters that end the word that is being completed. A dot is no such character: gold.fact_sales is one word."""

_TABLES = (
    "select schema_name as schema, table_name as name, count(*) as columns "
    "from duckdb_columns() where not internal and {} group by all order by all"
)
_COLUMNS = (
    "select schema_name as schema, table_name as name, column_name as column, data_type as type "
    "from duckdb_columns() where not internal and {} order by schema_name, table_name, column_index"
)
_WORDS = (
    "select keyword_name from duckdb_keywords() where keyword_category = 'reserved' union "
    "select unnest([schema_name || '.' || table_name, column_name]) from duckdb_columns() where not internal union "
    "select unnest(['.tables', '.columns', '.limit', '.help', '.quit']) order by 1"
)


class Shell:
    """Reads queries from the terminal and prints their rows, until the input ends. Errors do not end it."""

    def __init__(self, connection: duck.Connection, form: Form, console: Console, root: str) -> None:
        self._connection, self._form, self._console, self._root = connection, form, console, root
        self._words: list[str] = []
        self._matches: list[str] = []

    def run(self) -> None:
        self._console.print(f"Queries read the lake and change nothing: schemas {', '.join(LAYERS)}. .help helps.")
        with suppress(ImportError):  # Windows has no readline
            self._prepare_input()
        for text in self._statements():
            try:
                self._do(text)
            except LakehouseError as exc:
                self._console.print(f"error: {exc}", style="red")
            except KeyboardInterrupt:
                self._console.print("The query was dropped.")

    def _statements(self) -> Iterator[str]:
        """Yield each query or dot command, without the semicolon at its end."""
        lines: list[str] = []
        while True:
            try:
                line = input(CONTINUED if lines else PROMPT)
            except EOFError:
                self._console.print()
                return
            except KeyboardInterrupt:
                self._console.print()
                lines = []
                continue
            if not lines and line.strip().lower().rstrip(";") in (".quit", ".exit", "quit", "exit"):
                return
            lines += [line] if lines or line.strip() else []
            text = "\n".join(lines).strip()
            if text.startswith(".") or text.endswith(";"):
                yield text.rstrip(";").rstrip()
                lines = []

    def _do(self, text: str) -> None:
        command, _, argument = text.partition(" ")
        argument = argument.strip()
        if not text.startswith("."):
            print_rows(duck.query(self._connection, text, self._root), self._form)
        elif command == ".tables":
            self._show(_TABLES.format(_is(argument, "schema_name")))
        elif command == ".columns" and argument:
            schema, _, table = argument.rpartition(".")
            self._show(_COLUMNS.format(f"{_is(table, 'table_name')} and {_is(schema, 'schema_name')}"))
        elif command == ".limit" and argument.isdecimal():
            self._form = replace(self._form, limit=int(argument))
        else:
            self._console.print(HELP)

    def _show(self, text: str) -> None:
        print_rows(duck.query(self._connection, text, self._root), Form(limit=0))

    def _prepare_input(self) -> None:
        import readline

        history = history_file()
        with suppress(OSError):  # without a history the shell works, too
            history.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(history, os.O_WRONLY | os.O_CREAT, 0o600))  # queries may name persons
            readline.read_history_file(history)
        readline.set_history_length(HISTORY_LINES)
        atexit.register(_keep_history, history)
        self._words = [word for [word] in self._connection.execute(_WORDS).fetchall()]
        readline.set_completer_delims(_BREAKS)
        readline.set_completer(self.complete)
        readline.parse_and_bind("bind ^I rl_complete" if "libedit" in (readline.__doc__ or "") else "tab: complete")

    def complete(self, text: str, number: int) -> str | None:
        """Return the completion of this number (from 0) of a word, as readline asks for it; None after the last one."""
        if number == 0:
            self._matches = completions(self._words, text)
        return self._matches[number] if number < len(self._matches) else None


def _is(name: str, column: str) -> str:
    """Return a condition that the column has this name; with no name it is true."""
    return f"{text_literal(name)} in ('', {column})"


def completions(words: Sequence[str], text: str) -> list[str]:
    """Return the words that begin with a text; after `alias.`, which begins none, the columns that go on with it."""
    matches = [word for word in words if word.lower().startswith(text.lower())]
    before, dot, part = text.rpartition(".")
    if not matches and dot:
        matches = [f"{before}.{word}" for word in words if "." not in word and word.lower().startswith(part.lower())]
    return matches


def history_file() -> Path:
    """Return the file of the queries of this user, by the XDG Base Directory Specification."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "lakehouse" / "sql_history"


def _keep_history(file: Path) -> None:
    import readline

    with suppress(OSError):
        readline.write_history_file(file)
