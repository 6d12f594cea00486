"""Translates errors of the libraries into our errors, by the name of their class. Pure; imports no library.

Texts of DuckDB, Arrow, delta-rs and the drivers may quote row values and statements. So only the class is reported, and
the sizes if memory ran out.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ingestion.errors import (
    ConcurrentWriteError,
    ConfigurationError,
    IntegrityError,
    LakeError,
    LakehouseError,
    SourceUnavailableError,
    place_of,
)

_LIBRARIES = {
    "duckdb": "DuckDB",
    "_duckdb": "DuckDB",
    "pyarrow": "Arrow",
    "deltalake": "delta-rs",
    "_internal": "delta-rs",  # the module name that its Rust part reports
    "oracledb": "the driver of Oracle",
    "arrow_odbc": "the driver of SQL Server",
    "mssql_python": "the driver of SQL Server",
    "pyodbc": "the driver of SQL Server",
    "py4j": "Spark",
    "pyspark": "Spark",
}
_OF_MEMORY = frozenset({"OutOfMemoryException", "ArrowMemoryError", "MemoryError"})
_OF_VALUES = frozenset(
    {"ConversionException", "OutOfRangeException", "ConstraintException", "TypeMismatchException", "ArrowInvalid"}
)
_OF_FILES = frozenset({"IOException", "HTTPException", "PermissionException", "ArrowIOError"})
_OF_TABLES = frozenset({"DeltaError", "DeltaProtocolError", "TableNotFoundError"})
_OF_CONNECTIONS = frozenset({"OperationalError", "InterfaceError"})
OUT_OF_MEMORY = re.compile(r"Out of Memory Error|Resources exhausted|malloc of size|Java heap space")
"""In the words of DuckDB, which Arrow repeats where it streams, of delta-rs, of Arrow and of Spark."""
_USED = re.compile(r"/([\d.]+ [KMGT]iB) used")
_DISK = re.compile(r"max_temp_directory_size|failed to offload")


def library_error(subject: str, error: BaseException) -> LakehouseError | None:
    """Return our error for a library's error in the work on a subject; None for other errors."""
    kind, text = type(error).__name__, str(error)
    library = _LIBRARIES.get(type(error).__module__.split(".")[0])
    if kind in _OF_MEMORY or (OUT_OF_MEMORY.search(text) and (library or isinstance(error, OSError))):
        return _no_room(subject, text)
    if library is None:
        return None
    found = f"{subject}: %s ({library}'s {kind} {place_of(error.__traceback__)}). Nothing more was committed."
    return next((told(found) for kinds, told in _TOLD if kind in kinds), _unforeseen(found))


def _no_room(subject: str, text: str) -> ConfigurationError:
    used = _USED.search(text)
    if _DISK.search(text):
        return ConfigurationError(
            f"{subject}: there is too little room on disk for what exceeds the memory limit. Nothing more was "
            "committed. Make room where TMPDIR points, or raise the limit: LAKEHOUSE_LOAD_MEMORY (loads, repairs and "
            "gap checks), LAKEHOUSE_MEMORY (builds, queries, maintenance)."
        )
    return ConfigurationError(
        f"{subject}: needs more memory than {used[1] if used else 'there is'}. "
        "Nothing more was committed. Set LAKEHOUSE_LOAD_MEMORY (loads, repairs and gap checks; default 256MB) or "
        "LAKEHOUSE_MEMORY (builds, queries, maintenance; default 1GB) to more, e.g. 1GB, and run it again."
    )


def _unforeseen(found: str) -> IntegrityError:
    return IntegrityError(
        f"{found % 'a statement failed unexpectedly'} Run it again; if it comes back, report it with this line. "
        "LAKEHOUSE_DEBUG=true shows all of it, row values included."
    )


_Told = Callable[[str], LakehouseError]
_TOLD: tuple[tuple[frozenset[str], _Told], ...] = (
    (
        _OF_VALUES,
        lambda found: IntegrityError(
            f"{found % 'a value does not fit its type'} Compare the contract's types with the source's (`lakehouse "
            "plan`). LAKEHOUSE_DEBUG=true shows all of it, row values included."
        ),
    ),
    (
        _OF_FILES,
        lambda found: LakeError(
            f"{found % 'a file cannot be read or written'} Look at the folder for temporary files (TMPDIR) and at "
            "the lake (`lakehouse doctor`), and run it again."
        ),
    ),
    (
        _OF_TABLES,
        lambda found: LakeError(
            f"{found % 'a Delta table cannot be read or written'} "
            "Look at the lake's tables with `lakehouse doctor`, "
            "and run it again."
        ),
    ),
    (
        frozenset({"CommitFailedError"}),
        lambda found: ConcurrentWriteError(f"{found % 'another writer committed first'} Run it again."),
    ),
    (
        _OF_CONNECTIONS,
        lambda found: SourceUnavailableError(
            f"{found % 'the database does not answer'} Run it again; if it "
            "happens again, check the database and its connection."
        ),
    ),
)
