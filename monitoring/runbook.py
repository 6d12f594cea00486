"""SQL that a person can run on the source and on the lake to see what an advice speaks of. Holds no row value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from ingestion.contracts.model import Column, Contract


@dataclass(frozen=True, slots=True)
class Runbook:
    """The same question to both sides. One of them is empty where only the other can be asked."""

    source: str = ""
    lake: str = ""

    def __str__(self) -> str:
        parts = [("-- on the source", self.source), ("-- on the lake: lakehouse sql", self.lake)]
        return "\n".join(f"{heading}\n{sql};" for heading, sql in parts if sql)


def newest_change(contract: Contract) -> Runbook:
    """Ask both sides for their newest change; for their rows, where the contract names no watermark."""
    if contract.watermark is None:
        return both(contract, ["count(*)"], ["count(*)"])
    column = contract.column(contract.watermark)
    return both(contract, [f"max({_there(column)})"], [f"max({_here(column)})"])


def sums(contract: Contract, bound: str | None) -> Runbook:
    """Ask both sides for what changes when contents do: counts, and the sum of each number that is not personal."""
    numbers = [c for c in contract.columns if c.key_position is None and not c.is_personal and _is_number(c.arrow_type)]
    others = [c for c in contract.columns if c.key_position is None and not c.is_personal and c not in numbers]
    there = ["count(*)", *(f"sum({_there(c)})" for c in numbers), *(f"count({_there(c)})" for c in others)]
    here = ["count(*)", *(f"sum({_here(c)})" for c in numbers), *(f"count({_here(c)})" for c in others)]
    return both(contract, there, here, bound=bound)


def repeated_keys(contract: Contract) -> Runbook:
    """Ask how many keys come more than once in the source, and which copies the lake refused."""
    keys = ", ".join(_there(column) for column in contract.keys)
    source = (
        f"select count(*) from (select {keys} from {_table(contract)} group by {keys} having count(*) > 1) repeated"
    )
    lake = f"select count(*) from quarantine.{contract.bronze_view} where contains(_breaks, ':duplicate_key')"
    return Runbook(source, lake + " and _replayed_in is null")


def broken_rows(contract: Contract) -> Runbook:
    """Ask the lake which promises the refused rows break."""
    refused = f"quarantine.{contract.bronze_view} where _replayed_in is null"
    return Runbook(lake=f"select _breaks, count(*) from {refused} group by 1 order by 2 desc")


def both(contract: Contract, there: Sequence[str], here: Sequence[str], *, bound: str | None = None) -> Runbook:
    """Return the same question to both sides, up to a watermark if one is given."""
    source = f"select {', '.join(there)} from {_table(contract)}"
    lake = f"select {', '.join(here)} from silver.{contract.silver_model} where is_current"
    if bound is not None and contract.watermark is not None:
        column = contract.column(contract.watermark)
        is_moment = " " in bound and contract.dialect != "sqlserver"
        source += f" where {_there(column)} < {'timestamp ' if is_moment else ''}'{bound}'"
        lake += f" and {_here(column)} < '{bound}'"
    return Runbook(source, lake)


def _table(contract: Contract) -> str:
    return ".".join(f'"{part}"' for part in contract.source_table)


def _there(column: Column) -> str:
    return f'"{column.source_name}"'


def _here(column: Column) -> str:
    return f'"{column.name}"'


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_decimal(type_))
