"""The errors for damaged tables: what is wrong, and which step is safe, by layer.

No advice here deletes anything. Bronze, quarantine and ledger hold data that exists nowhere else. Silver, Gold and
audit are built from them and can be rebuilt.
"""

from __future__ import annotations

from ingestion.errors import LakeError
from ingestion.lake.names import DERIVED_LAYERS, table_in

MEND = "lakehouse doctor --mend"


def torn_log(uri: str, finding: str) -> LakeError:
    """Return the error of a table whose Delta log is damaged; `finding` says where."""
    return LakeError(
        f"{_told(uri)}: the Delta log is damaged: {finding}. Nothing was written. {way_out(uri)} "
        f"Do not remove files by hand. The table is at {uri}"
    )


def lost_data(uri: str, finding: str) -> LakeError:
    """Return the error of a table that lacks a data file or has a damaged one; `finding` says which."""
    return LakeError(
        f"{_told(uri)}: a data file is missing, cut off or damaged: {finding}. Nothing was committed. "
        f"{way_back(uri)} The table is at {uri}"
    )


def way_out(uri: str) -> str:
    """Return advice on repairing a damaged log without losing more than the torn commits."""
    layer = _layer(uri)
    if layer in DERIVED_LAYERS:
        return f"Run `{MEND}`, then `lakehouse build`: the table is made of Bronze and the ledger, so nothing is lost."
    then = "is written on by the next step" if layer == "ops" else "gets its rows by the next load"
    return (
        f"Run `{MEND}`: it sets a torn newest commit or a broken checkpoint aside, keeps every other commit, and the "
        f"table {then}. Where it cannot, restore the folder _delta_log from a backup."
    )


def way_back(uri: str) -> str:
    """Return advice on restoring a lost data file."""
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
