"""What all adapters do with an error of their driver: raise ours without its text, which may quote row values."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pyarrow as pa

from ingestion.contracts.model import Contract
from ingestion.errors import (
    Break,
    BrokenContractError,
    ConfigurationError,
    IntegrityError,
    LakehouseError,
    SourceUnavailableError,
)


@contextmanager
def translating(
    subject: str, kinds: tuple[type[Exception], ...], error_of: Callable[[Exception], LakehouseError]
) -> Iterator[None]:
    """Raise errors of the driver's `kinds` as `error_of` translates them, those of a conversion as IntegrityError."""
    try:
        yield
    except (LakehouseError, MemoryError):
        raise
    except kinds as exc:
        raise error_of(exc) from None
    except (ValueError, OverflowError, pa.ArrowException) as exc:
        raise undeliverable(subject, type(exc).__name__) from None


def subject_of(system: str, contract: Contract | None) -> str:
    """Return what an error is about: the table that is read, or the system."""
    return system if contract is None else contract.id


def unavailable(subject: str, system: str, why: str, address: str = "") -> SourceUnavailableError:
    """Return the error of a database that does not answer; `address` is the host and port of a log-in that failed."""
    if not address:
        return SourceUnavailableError(
            f"{subject}: {why}. Nothing was committed. Try again; if it happens again, ask who runs the database "
            f"of {system}."
        )
    return SourceUnavailableError(
        f"{subject}: no connection to {address}: {why}. Nothing was read. "
        f"Check that the database runs, and host, port and database in {_named(system)}."
    )


def unusable(
    subject: str, system: str, why: str, address: str = "", kind: type[ConfigurationError] = ConfigurationError
) -> ConfigurationError:
    """Return the error of a database that turns this user or this connection away; `address` as in `unavailable`."""
    whose = f"{address} answers, but " if address else ""
    return kind(
        f"{subject}: {whose}{why}. Nothing was read. Correct {_named(system)}, or ask the database's administrator."
    )


def _named(system: str) -> str:
    return f"the connection {system} (AIRFLOW_CONN_{system.upper()})"


def reason_of(error: BaseException) -> str | None:
    """Return in words why a server was not reached, from the operating system's error in the chain of causes."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return "this machine finds no address for the host's name"
        if isinstance(cause, ConnectionRefusedError):
            return "nothing accepts connections on this port"
        if isinstance(cause, TimeoutError):
            return "the host does not answer"
        if isinstance(cause, OSError):
            return f"the network reports {cause.strerror or type(cause).__name__}"
        cause = cause.__cause__
    return None


def wrong_extra(system: str, name: str, promised: str) -> ConfigurationError:
    """Return the error for an extra of a connection that is not as `promised`, such as `true or false`."""
    return ConfigurationError(
        f"{system}: the connection's extra {name} must be {promised}. Nothing was read. "
        f"Correct AIRFLOW_CONN_{system.upper()}."
    )


def undeliverable(subject: str, code: str) -> IntegrityError:
    return IntegrityError(
        f"{subject}: the driver could not convert what the database sent ({code}). Nothing was committed. "
        "Compare the contract's types with the catalog (`lakehouse plan`) and check the driver's version."
    )


def unreadable(contract: Contract, found: str) -> BrokenContractError:
    """Return the error for a table that cannot be read at all."""
    return BrokenContractError(contract.id, [Break("(table)", ".".join(contract.source_table), found)])
