"""Classifies Oracle error codes: retry, permanent, or start again at a new fixed point. Pure; imports no driver.

Server and driver texts may quote row values, statements and addresses, so only the code is reported.
A code that is not listed is permanent, because retrying an unknown error hides it.
"""

from __future__ import annotations

from ingestion.contracts.model import Contract
from ingestion.database_codes import ORACLE_LOST, ORACLE_NOT_READABLE, ORACLE_REFUSED, ORACLE_UNAVAILABLE
from ingestion.errors import ConfigurationError, LakehouseError, LoginRefusedError, SnapshotLostError
from ingestion.sources.driver_errors import subject_of, unavailable, undeliverable, unreadable, unusable

_PASSWORD = ("ORA-01005", "ORA-01017", "ORA-28001")
"""Codes of a login that a newer secret may cure."""


def error_of(
    code: str, system: str, contract: Contract | None = None, *, address: str = "", reason: str | None = None
) -> LakehouseError:
    """
    Return the error to raise for a code (`ORA-01555`, `DPY-4011`) while reading for a contract, or for none.

    `address` is the host and port of a log-in that failed, `reason` why in words where the operating system says so.
    """
    subject = subject_of(system, contract)
    if code in ORACLE_LOST:
        return SnapshotLostError(
            f"{subject}: {ORACLE_LOST[code]} ({code}). Nothing was committed. The table is read again at a new fixed "
            "point; if it comes back, ask for a longer undo retention or load smaller windows."
        )
    if address and code == "DPY-4011":
        reason = "the server there ended the connection: is it an Oracle database?"
    if code in ORACLE_UNAVAILABLE:
        return unavailable(subject, system, f"{reason or ORACLE_UNAVAILABLE[code]} ({code})", address)
    if code in ORACLE_REFUSED:
        kind = LoginRefusedError if code in _PASSWORD else ConfigurationError
        return unusable(subject, system, f"{ORACLE_REFUSED[code]} ({code})", address, kind)
    if code in ORACLE_NOT_READABLE and contract is not None:
        return unreadable(contract, f"{ORACLE_NOT_READABLE[code]} ({code})")
    if code.startswith("ORA-"):
        return ConfigurationError(
            f"{subject}: the database refused a statement ({code}). Nothing was committed. Look the code up in "
            "Oracle's error messages; if it is no missing right or setting, report it with the version of the database."
        )
    return undeliverable(subject, code)
