"""What all adapters do with an error of their driver: raise ours without its text, which may quote row values."""

from __future__ import annotations

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


def unavailable(subject: str, system: str, why: str) -> SourceUnavailableError:
    return SourceUnavailableError(
        f"{subject}: promised a reachable database, found that {why}. Nothing was committed. "
        f"It is tried again; if it stays so, check the database and AIRFLOW_CONN_{system.upper()}."
    )


def unusable(subject: str, system: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{subject}: the database cannot be used: {why}. "
        f"Nothing was read. Correct AIRFLOW_CONN_{system.upper()} or the user."
    )


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
