"""Classifies Oracle error codes: retry, permanent, or start again at a new fixed point. Pure; imports no driver.

Server and driver texts may quote row values, statements and addresses, so only the code is reported.
A code that is not listed is permanent, because retrying an unknown error hides it.
"""

from __future__ import annotations

from ingestion.contracts.model import Contract
from ingestion.errors import ConfigurationError, LakehouseError, LoginRefusedError, SnapshotLostError
from ingestion.sources.driver_errors import subject_of, unavailable, undeliverable, unreadable, unusable

_LOST = {
    "ORA-01466": "the table's definition changed after the fixed point",
    "ORA-01555": "the database no longer keeps the state of the fixed point",
    "ORA-08103": "the table was truncated or rebuilt while it was read",
    "ORA-08181": "the database does not know the fixed point",
    "ORA-22924": "the database no longer keeps a large object of the fixed point",
}
_UNAVAILABLE = {
    "DPY-1001": "the connection was closed",
    "DPY-4011": "the connection was lost",
    "DPY-4024": "no answer came within the time-out of a call",
    "DPY-6000": "the listener refused the connection",
    "DPY-6001": "the listener does not know the service now",
    "DPY-6003": "the listener does not know the instance now",
    "DPY-6005": "the server cannot be reached",
    "ORA-00018": "the database has no session left",
    "ORA-00020": "the database has no process left",
    "ORA-00028": "the session was ended by an administrator",
    "ORA-00054": "the table is locked",
    "ORA-00060": "the session lost a deadlock",
    "ORA-01012": "the session was ended",
    "ORA-01013": "the call was cancelled",
    "ORA-01033": "the database is starting or stopping",
    "ORA-01034": "the database is not open",
    "ORA-01089": "the database is stopping",
    "ORA-01090": "the database is stopping",
    "ORA-01092": "the instance stopped",
    "ORA-01652": "the database has no temporary space left",
    "ORA-02391": "the user has no session left",
    "ORA-02396": "the session was ended for being idle",
    "ORA-03113": "the connection was lost",
    "ORA-03114": "the connection was lost",
    "ORA-03135": "the connection was lost",
    "ORA-03136": "the server gave up the log-in",
    "ORA-04031": "the database has no shared memory left",
    **dict.fromkeys(
        ["ORA-12514", "ORA-12516", "ORA-12518", "ORA-12519", "ORA-12520", "ORA-12526", "ORA-12527", "ORA-12528"],
        "the listener has no server for the service now",
    ),
    **dict.fromkeys(
        ["ORA-12170", "ORA-12535", "ORA-12537", "ORA-12541", "ORA-12545", "ORA-12547", "ORA-12560", "ORA-12570"],
        "the server cannot be reached",
    ),
    **dict.fromkeys(["ORA-12571", "ORA-12583", "ORA-12592", "ORA-12606", "ORA-12609"], "the connection was lost"),
}
_REFUSED = {
    "DPY-3001": "the server demands native network encryption, which thin mode does not have; use TLS (protocol tcps)",
    "DPY-3010": "the server is older than Oracle 12.1, which thin mode does not reach",
    "DPY-3015": "the user's password has only a 10G verifier; an administrator must set it again",
    "DPY-4000": "the alias is not in the tnsnames.ora of config_dir",
    "DPY-4001": "the connection names no user or no password",
    "DPY-4026": "config_dir holds no tnsnames.ora",
    "DPY-4027": "the connection names an alias, but no config_dir",
    "ORA-01005": "the connection names no password",
    "ORA-01017": "user or password were refused",
    "ORA-01045": "the user may not log in (CREATE SESSION)",
    "ORA-12505": "the listener does not know the SID",
    "ORA-28000": "the user is locked",
    "ORA-28001": "the password has expired",
    "ORA-28009": "the user may log in as an administrator only",
}
_PASSWORD = ("ORA-01005", "ORA-01017", "ORA-28001")
"""Codes of a login that a newer secret may cure."""
_NOT_READABLE = {
    "ORA-00904": "a column that is gone or was renamed",
    "ORA-00942": "no such table, or no right to read it",
    "ORA-01031": "no right to read it, or none to read it as of a fixed point (FLASHBACK)",
    "ORA-41900": "no right to read it, or none to read it as of a fixed point (FLASHBACK)",
}


def error_of(
    code: str, system: str, contract: Contract | None = None, *, address: str = "", reason: str | None = None
) -> LakehouseError:
    """
    Return the error to raise for a code (`ORA-01555`, `DPY-4011`) while reading for a contract, or for none.

    `address` is the host and port of a log-in that failed, `reason` why in words where the operating system says so.
    """
    subject = subject_of(system, contract)
    if code in _LOST:
        return SnapshotLostError(
            f"{subject}: {_LOST[code]} ({code}). Nothing was committed. The table is read again at a new fixed point; "
            "if it comes back, ask for a longer undo retention or load smaller windows."
        )
    if address and code == "DPY-4011":
        reason = "the server there ended the connection: is it an Oracle database?"
    if code in _UNAVAILABLE:
        return unavailable(subject, system, f"{reason or _UNAVAILABLE[code]} ({code})", address)
    if code in _REFUSED:
        kind = LoginRefusedError if code in _PASSWORD else ConfigurationError
        return unusable(subject, system, f"{_REFUSED[code]} ({code})", address, kind)
    if code in _NOT_READABLE and contract is not None:
        return unreadable(contract, f"{_NOT_READABLE[code]} ({code})")
    if code.startswith("ORA-"):
        return ConfigurationError(
            f"{subject}: the database refused a statement ({code}). Nothing was committed. Look the code up in "
            "Oracle's error messages; if it is no missing right or setting, report it with the version of the database."
        )
    return undeliverable(subject, code)
