"""Raises errors of the product for real, so that the golden set has the texts that the code has today."""

from __future__ import annotations

import errno
import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from ingestion.contracts.odcs import find_contract
from ingestion.errors import Break, BrokenContractError, Fault, InvalidContractError, RetypeError, UnexpectedError
from ingestion.lake import duck
from ingestion.lake.damage import lost_data, torn_log
from ingestion.lake.layout import FORMAT_VERSION, MARKER, open_lake
from ingestion.lake.library_errors import library_error
from ingestion.lake.storage.errors import told_apart
from ingestion.lake.storage.provider import storage_options
from ingestion.secrets import Secrets
from ingestion.secrets.cloud import CloudStore
from ingestion.secrets.faults import Fault as StoreFault
from ingestion.secrets.faults import StoreError
from ingestion.settings import Settings
from ingestion.sources.oracle import errors as oracle_errors
from ingestion.sources.sqlserver import errors as sqlserver_errors

ROOT = Path(__file__).parents[2]
CONTRACT = find_contract(ROOT / "data_contracts", "erp.customers")
LOGIN = (
    "ORA-01017",
    "ORA-12541",
    "ORA-28001",
    "ORA-28000",
    "ORA-12505",
    "ORA-01033",
    "18456",
    "18487",
    "4060",
    "10061",
)
BREAKS = [Break("phone", "VARCHAR2(20)", "none")]


def raised(kind: str, *given: str) -> str:
    """Return the class and the text of an error of ours, as a log has it."""
    error = KINDS[kind](*given)
    return f"{type(error).__name__}: {error}"


def _caught(work: Callable[[], Any]) -> Exception:
    try:
        work()
    except Exception as exc:
        return exc
    raise AssertionError("no error was raised")


def _oracle(code: str) -> Exception:
    return oracle_errors.error_of(code, "erp", CONTRACT, address="erp-db:1521" if code in LOGIN else "")


def _sqlserver(code: str) -> Exception:
    number = int(code) if code.isdigit() else 0
    state = "28000" if code in ("18456", "18487") else "HY000" if number else code
    found = sqlserver_errors.Diagnosis(state, number)
    return sqlserver_errors.error_of(found, "erp", CONTRACT, address="erp-db:1433" if code in LOGIN else "")


def _library(kind: type[Exception], text: str) -> Exception:
    error = library_error("erp.customers", _caught(partial(_throw, kind(text))))
    assert error is not None
    return error


def _throw(error: Exception) -> None:
    raise error


def _of_delta_rs() -> type[Exception]:
    return type("CommitFailedError", (Exception,), {"__module__": "_internal"})


def _store(text: str) -> Exception:
    error = told_apart("s3://retail/lake", OSError(text))
    assert error is not None
    return error


def _disk_full() -> Exception:
    error = told_apart("/srv/lake", OSError(errno.ENOSPC, "No space left on device"))
    assert error is not None
    return error


def _lake(marker: str | None) -> Exception:
    with tempfile.TemporaryDirectory() as folder:
        if marker is not None:
            (Path(folder) / MARKER).write_text(marker)
        return _caught(lambda: open_lake(folder))


def _settings(**environ: str) -> Exception:
    return _caught(lambda: Settings.from_environ({"LAKEHOUSE_PROJECT": str(ROOT), **environ}))


def _vault(fault: str) -> Exception:
    store = CloudStore("azure", {}, "https://retail.vault.azure.net", "")
    return store._error(StoreError(StoreFault[fault]), "AIRFLOW_CONN_ERP")


KINDS: dict[str, Callable[..., Exception]] = {
    "oracle": _oracle,
    "sqlserver": _sqlserver,
    "no_driver": lambda: sqlserver_errors.no_driver("shop", "no file libmsodbcsql-18.so"),
    "extension": lambda: _caught(lambda: duck.load_extension(duckdb.connect(":memory:"), "nowhere")),
    "duckdb_memory": lambda: _library(duckdb.OutOfMemoryException, "failed to allocate (244.1 MiB/244.1 MiB used)"),
    "duckdb_spill": lambda: _library(duckdb.OutOfMemoryException, "failed to offload data block"),
    "duckdb_conversion": lambda: _library(duckdb.ConversionException, "Could not convert string 'x' to INT32"),
    "duckdb_internal": lambda: _library(duckdb.InternalException, "assertion"),
    "commit_failed": lambda: _library(_of_delta_rs(), "Transaction failed"),
    "disk_full": _disk_full,
    "torn_log": lambda: torn_log("/srv/lake/bronze/erp/customers", "it cannot be read"),
    "lost_file": lambda: lost_data("/srv/lake/bronze/erp/customers", "part-0001.parquet"),
    "no_lake": lambda: _lake(None),
    "newer_lake": lambda: _lake(json.dumps({"format": FORMAT_VERSION + 1})),
    "store": _store,
    "invalid_contract": lambda: InvalidContractError([Fault("data_contracts/erp/customers.odcs.yaml", 12, "no key x")]),
    "broken_contract": lambda: BrokenContractError("erp.customers", BREAKS),
    "retype": lambda: RetypeError("erp.customers", [Break("segment", "NUMBER(4)", "VARCHAR2(20)")]),
    "no_connection": lambda: _caught(lambda: Settings(ROOT, "lake").connection("erp", "oracle")),
    "engine_setting": lambda: _settings(LAKEHOUSE_ENGINE="fast"),
    "root_setting": lambda: _caught(lambda: storage_options("ftp://somewhere/lake", {})),
    "no_secret": lambda: _caught(lambda: Secrets().get("AIRFLOW_CONN_ERP")),
    "vault": _vault,
    "unexpected": lambda: UnexpectedError("erp.customers", _caught(partial(_throw, KeyError("x")))),
}
