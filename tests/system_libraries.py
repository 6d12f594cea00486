"""Skips what needs ODBC's libraries where the system lacks them: Python and make are all that the tests may ask for."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

import pytest

PACKAGES = "unixodbc libltdl7 libkrb5-3 libgssapi-krb5-2"
_LACKING = re.compile(
    r"\b(lib(?:odbc|ltdl|krb5|gssapi)[\w.-]*): cannot open shared|needs (lib[\w.-]+), which this machine lacks"
)


def reason(error: str) -> str | None:
    """Return why a test is skipped that ended with this error; None for any other error."""
    found = _LACKING.search(error)
    return found and f"Skipped: needs {found[1] or found[2]}: apt-get install {PACKAGES}"


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    report = yield
    if report.failed and (why := reason(str(report.longrepr))):
        report.outcome, report.longrepr = "skipped", (str(collector.path), 0, why)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    report = yield
    if report.failed and call.excinfo is not None and (why := reason(str(call.excinfo.value))):
        report.outcome, report.longrepr = "skipped", (str(item.path), 0, why)
    return report
