"""Whether a request may write: it must come from our own page, in a browser that its reader has logged in to."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit


def may_write(headers: Mapping[str, str], *, is_guarded: bool) -> bool:
    """
    Tell whether a browser sent this from a page of this server.

    Another site's form would be sent with the reader's login; its origin tells it apart. Without a login (`is_guarded`)
    a name that another site had pointed at this machine would look like ours, so only loopback names count then.
    """
    host = headers.get("host", "")
    try:
        name, origin = urlsplit(f"//{host}").hostname or "", urlsplit(headers.get("origin", "")).netloc
    except ValueError:
        return False
    if not is_guarded and not is_loopback(name):
        return False
    fetched_from = headers.get("sec-fetch-site")  # browsers send it over HTTPS and on loopback
    return fetched_from == "same-origin" if fetched_from is not None else bool(host) and origin == host


def is_loopback(host: str) -> bool:
    """Tell whether a name or address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
