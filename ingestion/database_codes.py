"""What error codes of Oracle, SQL Server and their drivers mean: one table per outcome. Pure; imports nothing.

Adapters raise errors by it, and the advisor reads codes in logs by it. A code that is not listed is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping

ORACLE_LOST: Mapping[str, str] = {
    "ORA-01466": "the table's definition changed after the fixed point",
    "ORA-01555": "the database no longer keeps the state of the fixed point",
    "ORA-08103": "the table was truncated or rebuilt while it was read",
    "ORA-08181": "the database does not know the fixed point",
    "ORA-22924": "the database no longer keeps a large object of the fixed point",
}
ORACLE_UNAVAILABLE: Mapping[str, str] = {
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
ORACLE_REFUSED: Mapping[str, str] = {
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
ORACLE_NOT_READABLE: Mapping[str, str] = {
    "ORA-00904": "a column that is gone or was renamed",
    "ORA-00942": "no such table, or no right to read it",
    "ORA-01031": "no right to read it, or none to read it as of a fixed point (FLASHBACK)",
    "ORA-41900": "no right to read it, or none to read it as of a fixed point (FLASHBACK)",
}
SQLSERVER_LOST: Mapping[int, str] = {
    3957: "the snapshot was taken before snapshot isolation was allowed",
    3958: "the database no longer keeps a row version of the fixed point",
    3961: "the table's definition changed after the fixed point",
    3966: "the version store gave the fixed point up",
    3967: "the version store is full",
}
SQLSERVER_UNAVAILABLE: Mapping[int, str] = {
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
SQLSERVER_REFUSED: Mapping[int, str] = {
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
SQLSERVER_NOT_READABLE: Mapping[int, str] = {
    207: "a column that is gone or was renamed",
    208: "no such table",
    229: "no right to read it",
    230: "no right to read a column of it",
    4413: "a view that no longer works",
}
SQLSTATES: Mapping[str, str] = {
    "08001": "the server cannot be reached",
    "08003": "the connection was lost",
    "08004": "the server turned the connection away",
    "08007": "the connection was lost",
    "08S01": "the connection was lost",
    "40001": "the session lost a deadlock",
    "HYT00": "no answer came within the time-out",
    "HYT01": "no answer came within the time-out",
}
SQLSTATES_OF_SETTINGS: Mapping[str, str] = {
    "28000": "user or password were refused",
    "01S00": "an attribute of the connection is not known to the driver",
    "HY024": "an attribute of the connection has a value that the driver does not know",
}
