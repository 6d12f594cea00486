"""The errors that a damaged table ends in: what is wrong, and what is safe to do, which differs by layer.

No advice here deletes anything. Bronze, quarantine and ledger hold what is nowhere else; Silver, Gold and audit are made
of them and can be made again.
"""

from __future__ import annotations

from ingestion.errors import LakeError
from ingestion.lake.names import DERIVED_LAYERS, table_in

MEND = "lakehouse doctor --mend"


def torn_log(uri: str, finding: str) -> LakeError:
    """Return the error of a table whose Delta log is damaged. `finding` completes "found"."""
    return LakeError(
        f"{_told(uri)}: promised a whole Delta log, found {finding}. Nothing was written. {way_out(uri)} "
        f"Do not remove files by hand. The table is at {uri}"
    )


def lost_data(uri: str, finding: str) -> LakeError:
    """Return the error of a table that lacks a data file or has a damaged one. `finding` completes "found"."""
    return LakeError(
        f"{_told(uri)}: promised the data files that its log names, found {finding}. Nothing was committed. "
        f"{way_back(uri)} The table is at {uri}"
    )


def way_out(uri: str) -> str:
    """Say how to heal a damaged log without losing more than was torn."""
    layer = _layer(uri)
    if layer in DERIVED_LAYERS:
        return f"Run `{MEND}`, then `lakehouse build`: the table is made of Bronze and the ledger, so nothing is lost."
    then = "is written on by the next step" if layer == "ops" else "gets its rows by the next load"
    return (
        f"Run `{MEND}`: it sets a torn newest commit or a broken checkpoint aside, keeps every other commit, and the "
        f"table {then}. Where it cannot, restore the folder _delta_log from a backup."
    )


def way_back(uri: str) -> str:
    """Say how to get a lost data file back."""
    layer = _layer(uri)
    if layer in DERIVED_LAYERS:
        return (
            f"Run `lakehouse build {layer} --full-refresh`: the table is made of Bronze and the ledger, "
            "so nothing is lost."
        )
    return "Restore the file from a backup or an older version of the object; its rows are nowhere else in the lake."


def _layer(uri: str) -> str | None:
    found = table_in(uri)
    return found[0] if found else None


def _told(uri: str) -> str:
    found = table_in(uri)
    return ".".join(found) if found else uri
