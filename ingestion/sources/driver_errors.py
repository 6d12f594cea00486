"""What all adapters do with an error of their driver: raise ours without its text, which may quote row values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pyarrow as pa

from ingestion.contracts.model import Contract
from ingestion.errors import Break, BrokenContractError, IntegrityError, LakehouseError


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


def undeliverable(subject: str, code: str) -> IntegrityError:
    return IntegrityError(
        f"{subject}: the driver could not convert what the database sent ({code}). Nothing was committed. "
        "Compare the contract's types with the catalog (`lakehouse plan`) and check the driver's version."
    )


def unreadable(contract: Contract, found: str) -> BrokenContractError:
    """Return the error for a table that cannot be read at all."""
    return BrokenContractError(contract.id, [Break("(table)", ".".join(contract.source_table), found)])
