"""
Prints the rows of a query: as a table for people, as CSV, JSON or Parquet for programs, to stdout or to a file.

CSV (RFC 4180, UTF-8) and Parquet are written in Arrow batches, so that memory does not grow with the number of rows. A
file appears under its name when it is whole, or not at all.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import update_wrapper
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from ingestion.cli.base import with_output
from ingestion.cli.output import Output, counted
from ingestion.cli.output.streams import leave_stdout
from ingestion.errors import ConfigurationError
from ingestion.printable import as_json_has_it, shown

if TYPE_CHECKING:
    import pyarrow as pa

    from ingestion.lake.duck import Query

FORMATS = ("table", "csv", "json", "parquet")
MOST_ROWS = 100
"""How many rows a table for people has, unless a limit is given. Other formats have all rows."""
_SAME_IN_CSV = {
    "boolean", "tinyint", "smallint", "integer", "bigint", "hugeint", "utinyint", "usmallint", "uinteger", "ubigint",
    "uhugeint", "float", "double", "decimal", "varchar", "uuid",
}  # fmt: skip
_TEXTS_IN_PARQUET = {"interval", "bit", "bignum", "union", "variant", "time with time zone"}


@dataclass(frozen=True, slots=True)
class Form:
    """How rows are printed. `limit` None means the format's own default, 0 all rows; `file` None means stdout."""

    format: str = "table"
    limit: int | None = None
    file: Path | None = None

    @property
    def most(self) -> int | None:
        """The number of rows to print at most; None for all."""
        if self.limit is None:
            return MOST_ROWS if self.format == "table" else None
        return self.limit or None


def with_rows(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command whose result are rows `--json`, `--format`, `--limit` and `--output`; pass it Output and Form."""

    @click.option(
        "--limit",
        type=click.IntRange(min=0),
        metavar="ROWS",
        help=f"Print at most so many rows, 0 for all. Default: {MOST_ROWS} in a table, all in other formats.",
    )
    @click.option(
        "--format", "format_", type=click.Choice(FORMATS), help="Default: table, or by the ending of --output."
    )
    @click.option(
        "--output",
        "target",
        metavar="FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Write the rows to a file, whole or not at all.",
    )
    @with_output
    def wrapped(
        output: Output, *args: Any, limit: int | None, format_: str | None, target: Path | None, **kwargs: Any
    ) -> Any:
        if output.as_json and format_ not in (None, "json"):
            raise click.UsageError(f"--json and --format {format_} are two formats; give one.")
        form = form_of("json" if output.as_json else format_, limit, target)
        return command(output, form, *args, **kwargs)

    return update_wrapper(wrapped, command)


def form_of(format_: str | None, limit: int | None, file: Path | None) -> Form:
    """Return the form that the options name; without a format, the file's ending names it. Raises UsageError."""
    if format_ is None and file is not None:
        format_ = file.suffix.removeprefix(".").lower()
        if format_ not in FORMATS:
            raise click.UsageError(f"--output {file} has no ending that names a format; add --format.")
    if format_ == "parquet" and file is None and sys.stdout.isatty():
        raise click.UsageError("Parquet is no text for a terminal; add --output FILE.")
    return Form(format_ or "table", limit, file)


def print_rows(query: Query, form: Form) -> None:
    """Print a query's rows. Raises ConfigurationError if it cannot be answered or the file cannot be written."""
    write = {"table": _table, "csv": _csv, "json": _json, "parquet": _parquet}[form.format]
    if form.file is not None:
        with _whole_file(form.file) as stream:
            write(query, form, stream)
        return
    if sys.stdout is None:  # it was closed before the start
        return
    stdout: IO[bytes] = sys.stdout.buffer
    try:
        write(query, form, _Escaping(stdout) if form.format == "csv" and sys.stdout.isatty() else stdout)
        stdout.flush()
    except _UnwrittenError:
        leave_stdout()


class _UnwrittenError(Exception):
    """The output cannot be written; its cause says why. An error of the query is another one."""


class _Escaping(io.BytesIO):
    """Writes UTF-8 text to a terminal, with characters that steer it as escapes."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__()
        self._stream = stream

    def write(self, data: Any) -> int:
        self._stream.write(shown(bytes(data).decode(errors="surrogateescape")).encode(errors="surrogateescape"))
        return len(data)


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise _UnwrittenError from exc


@contextmanager
def _whole_file(file: Path) -> Iterator[IO[bytes]]:
    """Yield a stream to a new file that takes the name at the end of the block, and is deleted if the block fails."""
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        with _writing(), partial.open("wb") as stream:
            yield stream
        with _writing():
            partial.replace(file)
    except _UnwrittenError as exc:
        raise ConfigurationError(
            f"{file}: cannot be written ({getattr(exc.__cause__, 'strerror', None)}). Nothing "
            "was written to it. Name another place with --output."
        ) from None
    finally:
        with suppress(OSError):
            partial.unlink()


def _table(query: Query, form: Form, stream: IO[bytes]) -> None:
    from ingestion.cli.output.table import QueryTable
    from ingestion.cli.output.terminal import Terminal

    most, count = form.most, 0
    text = None if form.file is None else io.TextIOWrapper(stream, "utf-8", write_through=True)
    console = Terminal(file=text)
    with _writing():
        for rows in query.blocks(None if most is None else most + 1):
            console.print(QueryTable(query.columns, rows[:most], first=count))
            count += len(rows)
            if console.quiet:  # nobody reads it any more
                return
        if not count:
            console.print(QueryTable(query.columns, []))
        if most is not None and count > most:
            console.print(f"first {counted(most, 'row')} of more; --limit 0 for all")
    if text is not None:
        text.detach()


def _csv(query: Query, form: Form, stream: IO[bytes]) -> None:
    import pyarrow.csv as pacsv

    options = pacsv.WriteOptions(quoting_style="needed")
    _batches(query, form, _csv_spelling, lambda schema: pacsv.CSVWriter(stream, schema, write_options=options))


def _csv_spelling(type_: str) -> str | None:
    if type_ == "blob":
        return "lower(hex({}))"
    return None if type_ in _SAME_IN_CSV else "cast({} as varchar)"


def _parquet(query: Query, form: Form, stream: IO[bytes]) -> None:
    import pyarrow.parquet as pq

    def spelling(type_: str) -> str | None:
        return "cast({} as varchar)" if type_ in _TEXTS_IN_PARQUET else None

    _batches(query, form, spelling, lambda schema: pq.ParquetWriter(stream, schema))


def _batches(
    query: Query, form: Form, spelling: Callable[[str], str | None], open_writer: Callable[[pa.Schema], Any]
) -> None:
    schema, batches = query.batches(form.most, spelt=spelling)
    with _writing():
        writer = open_writer(schema)
    for batch in batches:
        with _writing():
            writer.write_batch(batch)
    with _writing():
        writer.close()


def _json(query: Query, form: Form, stream: IO[bytes]) -> None:
    from ingestion.cli.output.document import array_of_rows

    rows = (row for block in query.blocks(form.most) for row in block)
    for piece in array_of_rows(query.columns, rows):
        with _writing():
            stream.write(as_json_has_it(piece).encode())
    with _writing():
        stream.write(b"\n")
