"""SQL conditions that find keys whose value does not fit the promised type. The lake never contains such keys."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.model import Contract
from ingestion.contracts.type_fit import Fit, type_fit
from ingestion.reconcile.dialects import Origin


def key_conditions(
    contract: Contract, matches: Mapping[str, FoundColumn], origins: Mapping[str, Origin]
) -> dict[str, str]:
    """
    Return, by key column, the condition that a value fits its promised type; the condition is null for a null.

    Only whole-number keys get one (no contract has a decimal key), and only if the source's declaration allows values
    that do not fit.
    """
    conditions = {}
    for column in contract.keys:
        found = matches.get(column.name)
        if found is None:
            continue
        fit = type_fit(contract.dialect, column, found.dialect, found.physical_type, found.arrow_type)
        if fit is Fit.WIDER and pa.types.is_integer(column.arrow_type):
            conditions[column.name] = _integer_fits(column.arrow_type, origins[column.name].sql)
    return conditions


def _integer_fits(type_: pa.DataType, sql: str) -> str:
    bits = type_.bit_width - pa.types.is_signed_integer(type_)
    low = -(2**bits) if pa.types.is_signed_integer(type_) else 0
    return f"({sql} BETWEEN {low} AND {2**bits - 1} AND {sql} = FLOOR({sql}))"
