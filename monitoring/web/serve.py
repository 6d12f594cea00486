"""Serves the page and the API with uvicorn."""

from __future__ import annotations

import threading
from contextlib import suppress

import uvicorn

from ingestion.errors import ConfigurationError
from ingestion.privacy.logs import logger
from ingestion.settings import Settings
from monitoring.web.app import create_app
from monitoring.web.origins import is_loopback
from monitoring.web.site import Site

TOKEN = "LAKEHOUSE_WEB_TOKEN"  # noqa: S105 - the name of a variable
LEAST_LENGTH = 16


def serve(settings: Settings, *, host: str, port: int, token: str) -> None:
    """
    Serve until a signal ends it.

    Raises ConfigurationError for another host than loopback without a token, and for a short token.
    """
    check(host, token)
    site = Site(settings)
    threading.Thread(target=_warm_up, args=[site], daemon=True).start()
    try:
        level = logger.getEffectiveLevel()
        app = create_app(site, token=token)
        uvicorn.run(app, host=host, port=port, log_config=None, log_level=level, access_log=False)
    finally:
        site.close()


def check(host: str, token: str) -> None:
    """Raise ConfigurationError if the server must not listen there with this token."""
    if token and len(token) < LEAST_LENGTH:
        raise ConfigurationError(
            f"{TOKEN}: must have {LEAST_LENGTH} characters or more; it has {len(token)}. Nothing was served. "
            "Make one: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
    if not token and not is_loopback(host):
        raise ConfigurationError(
            f"serve: anybody who reaches {host} could read the page, because no token is set. Nothing was served. "
            f"Set {TOKEN}, or listen on 127.0.0.1."
        )


def _warm_up(site: Site) -> None:
    """Read the board once, so that the first visitor need not wait for imports."""
    with suppress(Exception):  # the first request tells the fault
        site.board()
