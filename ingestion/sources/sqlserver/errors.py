"""Classifies errors of SQL Server and its driver: retry, permanent, or start again. Pure; imports no driver.

Server and driver texts may quote row values, statements and addresses, so only the number is reported (or the
SQLSTATE, for the driver's own errors). A number that is not listed is permanent, because retrying an unknown
error hides it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ingestion.contracts.model import Contract
from ingestion.errors import ConfigurationError, LakehouseError, LoginRefusedError, SnapshotLostError
from ingestion.shipped import pip_install
from ingestion.sources.driver_errors import subject_of, unavailable, unreadable, unusable

SYSTEM_PACKAGES = "unixodbc libltdl7 libkrb5-3 libgssapi-krb5-2"


class Diagnosis(NamedTuple):
    """The first diagnostic record of a failed call; `number` is 0 if the error is not the server's."""

    state: str = ""
    number: int = 0
    is_certificate: bool = False
    is_library: bool = False
    is_busy: bool = False


_RECORD = re.compile(r"State: (\w{5}), Native error: (-?\d+)")
_LOST = {
    3957: "the snapshot was taken before snapshot isolation was allowed",
    3958: "the database no longer keeps a row version of the fixed point",
    3961: "the table's definition changed after the fixed point",
    3966: "the version store gave the fixed point up",
    3967: "the version store is full",
}
_UNAVAILABLE = {
    64: "the connection was lost",
    233: "the server closed the connection",
    601: "the data moved while it was read",
    701: "the server has no memory left",
    802: "the server has no memory left",
    922: "the database is recovering",
    976: "the database is not readable on this replica now",
    983: "the replica is changing its role",
    1204: "the server has no lock left",
    1205: "the session lost a deadlock",
    1222: "a lock was not granted in time",
    3960: "another transaction changed the same rows",
    4221: "the readable replica is not ready",
    6005: "the server is stopping",
    8645: "the server had no memory for the query in time",
    8651: "the server has no memory for the query",
    9002: "a transaction log is full",
    17142: "the server is paused",
    17809: "the server has no connection left",
    18401: "the server is being upgraded",
    40197: "the service met a fault and asks to try again",
    40501: "the service is busy",
    40613: "the database is not available now",
    49918: "the service is busy",
    49919: "the service is busy",
    49920: "the service is busy",
    **dict.fromkeys([10053, 10054, 10060, 10061, 11001], "the server cannot be reached"),
    **dict.fromkeys([10928, 10929], "the service has no session left"),
}
_REFUSED = {
    911: "there is no such database",
    916: "the user may not use the database",
    4060: "the user may not open the database, or there is none of that name",
    4064: "the user's default database cannot be opened",
    18452: "the log-in comes from an untrusted domain",
    18456: "user or password were refused",
    18461: "the server admits an administrator only",
    18470: "the user is disabled",
    18486: "the user is locked",
    18487: "the password has expired",
    18488: "the password must be changed",
}
_PASSWORD = (0, 18456, 18487, 18488)
"""Numbers, under SQLSTATE 28000, of a login that a newer secret may cure; 0 is the driver's own."""
_NOT_READABLE = {
    207: "a column that is gone or was renamed",
    208: "no such table",
    229: "no right to read it",
    230: "no right to read a column of it",
    4413: "a view that no longer works",
}
_STATES = {
    "08001": "the server cannot be reached",
    "08003": "the connection was lost",
    "08004": "the server turned the connection away",
    "08007": "the connection was lost",
    "08S01": "the connection was lost",
    "40001": "the session lost a deadlock",
    "HYT00": "no answer came within the time-out",
    "HYT01": "no answer came within the time-out",
}
_BAD_SETTINGS = {
    "28000": "user or password were refused",
    "01S00": "an attribute of the connection is not known to the driver",
    "HY024": "an attribute of the connection has a value that the driver does not know",
}


def diagnose(text: str) -> Diagnosis:
    """Return the codes in a driver's error text."""
    match = _RECORD.search(text)
    if match is None:
        return Diagnosis()
    return Diagnosis(
        state=match[1],
        number=int(match[2]),
        is_certificate="SSL Provider" in text,
        is_library=match[1] in ("IM002", "IM003", "IM004", "IM014") or "Can't open lib" in text,
        is_busy="Connection is busy" in text,
    )


def error_of(found: Diagnosis, system: str, contract: Contract | None = None, address: str = "") -> LakehouseError:
    """Return the error to raise for a diagnosis while reading for a contract, or for none; `address`: of a log-in."""
    subject = subject_of(system, contract)
    code = str(found.number) if found.number > 0 else found.state
    if found.number in _LOST:
        return SnapshotLostError(
            f"{subject}: {_LOST[found.number]} (error {code}). Nothing was committed. The table is read again at a new "
            "fixed point; if it comes back, give the version store more room or load smaller windows."
        )
    if found.number in _NOT_READABLE and contract is not None:
        return unreadable(contract, f"{_NOT_READABLE[found.number]} (error {code})")
    refused = _refused(found)
    if refused:
        kind = LoginRefusedError if found.state == "28000" and found.number in _PASSWORD else ConfigurationError
        return unusable(subject, system, f"{refused} (error {code})", address, kind)
    why = _UNAVAILABLE.get(found.number) or _STATES.get(found.state)
    if address and found.state == "HYT00":
        why = "something accepts connections there, but no log-in came about in time: is it a SQL Server?"
        return unavailable(subject, system, f"{why} (error {code})", address)
    if why:
        return unavailable(subject, system, f"{why} (error {code})", address)
    return ConfigurationError(
        f"{subject}: the database refused a statement (error {code or 'of the driver'}). Nothing was committed. "
        "Look the number up in SQL Server's list of errors; if it is no missing right or setting, report it with the "
        "version."
    )


def no_driver(system: str, found: str) -> ConfigurationError:
    """Return the error for a machine without the driver or a library that it needs."""
    return ConfigurationError(
        f"{system}: needs Microsoft's ODBC driver 18; there is {found}. Nothing was read. Run: "
        f"{pip_install('sqlserver')} && apt-get install {SYSTEM_PACKAGES} (or name an installed driver in the "
        "connection's extra driver)"
    )


def _refused(found: Diagnosis) -> str | None:
    if found.is_certificate:
        return "its certificate is not trusted (install it, or set the extra TrustServerCertificate=yes)"
    return _REFUSED.get(found.number) or _BAD_SETTINGS.get(found.state)
