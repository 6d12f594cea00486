"""Turns a page's values into HTML."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined

from ingestion.printable import shown
from monitoring.findings import Level, hours
from monitoring.web import draw, runbooks
from monitoring.web.pages import PAGES, Page, Query
from monitoring.web.site import Site

STATIC = Path(__file__).with_name("static")
Url = Callable[[str, dict[str, str]], str]


class Renderer:
    """Renders pages whose links are made by `url`: of a page's name and its query."""

    def __init__(self, url: Url, *, is_live: bool = True, in_airflow: bool = False) -> None:
        self._environment = Environment(
            loader=PackageLoader("monitoring.web"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_plain,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "number": number,
            "moment": moment,
            "hours": lambda count: None if count is None else hours(count),
            "seconds": seconds,
            "percent": percent,
        }
        self._environment.globals |= {
            "url": lambda page, **query: url(page, {k: str(v) for k, v in query.items() if v not in (None, "")}),
            "pages": PAGES,
            "draw": draw,
            "runbook": runbooks.as_html,
            "Level": Level,
            "is_live": is_live,
            "in_airflow": in_airflow,
            "log_link": lambda address: log_link(address, in_airflow=in_airflow),
            "link": lambda node: url("lineage", {"node": node.id}),
        }

    def page(self, site: Site, page: Page, query: Query) -> str:
        """Return a page's HTML. Raises a LakehouseError if the lake could never be read."""
        answer = site.board()
        values: dict[str, Any] = page.read(site, answer.value, query)
        template = self._environment.get_template(f"{page.name}.html")
        return template.render(
            page=page,
            query=query,
            board=answer.value,
            answer=answer,
            is_demo=site.is_demo,
            now=site.now(),
            root=site.settings.lake_root,
            age=lambda at: age(at, site.now()),
            **values,
        )

    def fault(self, text: str) -> str:
        """Return the page that tells why nothing can be shown."""
        return self._environment.get_template("fault.html").render(text=text)


def log_link(address: str | None, *, in_airflow: bool) -> str | None:
    """Return the address of a log for a link, inside Airflow on the host that shows the page; None if it is no page."""
    parts = urlsplit(address or "")
    if parts.scheme not in ("http", "https") or parts.path.startswith("//"):  # that would be another host
        return None
    return parts._replace(scheme="", netloc="").geturl() if in_airflow else address


def _plain(value: object) -> object:
    """Return a text of data without control characters: it must not turn the text around it. Markup is our own."""
    return shown(value) if type(value) is str else value


def number(value: float | None) -> str:
    """Return a number with thousands separators, two decimals if it is not whole; `not measured` for None."""
    if value is None:
        return "not measured"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def percent(value: float | None) -> str:
    if value is None:
        return "not measured"
    return f"{value:.2f} %" if 0 < abs(value) < 100 else f"{value:.0f} %"


def seconds(value: float | None) -> str:
    if value is None:
        return "not measured"
    if value < 60:
        return f"{value:.1f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def moment(value: datetime | None) -> str:
    """Return a moment as `2026-03-02 06:40 UTC`."""
    return "never" if value is None else f"{value:%Y-%m-%d %H:%M} UTC"


def age(value: datetime | None, now: datetime) -> str:
    """Return how long ago something was."""
    if value is None:
        return "never"
    passed = (now - value).total_seconds()
    if passed < 90:
        return "just now"
    if passed < 7200:
        return f"{passed / 60:.0f} min ago"
    return f"{passed / 3600:.0f} h ago" if passed < 48 * 3600 else f"{passed / 86400:.0f} days ago"
