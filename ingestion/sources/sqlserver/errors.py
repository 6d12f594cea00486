"""Classifies errors of SQL Server and its driver: retry, permanent, or start again. Pure; imports no driver.

Server and driver texts may quote row values, statements and addresses, so only the number is reported (or the
SQLSTATE, for the driver's own errors). A number that is not listed is permanent, because retrying an unknown
error hides it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ingestion.contracts.model import Contract
from ingestion.database_codes import (
    SQLSERVER_LOST,
    SQLSERVER_NOT_READABLE,
    SQLSERVER_REFUSED,
    SQLSERVER_UNAVAILABLE,
    SQLSTATES,
    SQLSTATES_OF_SETTINGS,
)
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
_PASSWORD = (0, 18456, 18487, 18488)
"""Numbers, under SQLSTATE 28000, of a login that a newer secret may cure; 0 is the driver's own."""


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
    if found.number in SQLSERVER_LOST:
        return SnapshotLostError(
            f"{subject}: {SQLSERVER_LOST[found.number]} (error {code}). Nothing was committed. The table is read again "
            "at a new fixed point; if it comes back, give the version store more room or load smaller windows."
        )
    if found.number in SQLSERVER_NOT_READABLE and contract is not None:
        return unreadable(contract, f"{SQLSERVER_NOT_READABLE[found.number]} (error {code})")
    refused = _refused(found)
    if refused:
        kind = LoginRefusedError if found.state == "28000" and found.number in _PASSWORD else ConfigurationError
        return unusable(subject, system, f"{refused} (error {code})", address, kind)
    why = SQLSERVER_UNAVAILABLE.get(found.number) or SQLSTATES.get(found.state)
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
    return SQLSERVER_REFUSED.get(found.number) or SQLSTATES_OF_SETTINGS.get(found.state)
