"""
Where messages go: a JSON webhook, and every service that Apprise knows (Slack, Teams, mail, PagerDuty …).

LAKEHOUSE_ALERT_WEBHOOK  an address that gets each message as JSON by POST
LAKEHOUSE_ALERT_URLS     addresses in Apprise's form, separated by blanks (extra `alerts`)

Addresses are secrets, looked up where all secrets are: they are in no log, error and ledger. A channel is known by
its name.
"""

from __future__ import annotations

import json
import logging
import urllib.request
from typing import Protocol
from urllib.parse import urlsplit

from ingestion.errors import ConfigurationError
from ingestion.secrets import Secrets
from ingestion.shipped import pip_install
from monitoring.incidents.messages import Message

WEBHOOK, URLS = "LAKEHOUSE_ALERT_WEBHOOK", "LAKEHOUSE_ALERT_URLS"
SECONDS = 10.0


class Channel(Protocol):
    """Sends messages. `send` raises any error if it is not certain that the message arrived."""

    name: str

    def send(self, message: Message) -> None: ...


class Webhook:
    """Posts a message as JSON. The header Idempotency-Key is the same in each try."""

    name = "webhook"

    def __init__(self, address: str) -> None:
        self._address = address

    def send(self, message: Message) -> None:
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked by `channels`
            self._address,
            json.dumps(message.document).encode(),
            {"Content-Type": "application/json", "Idempotency-Key": message.message_id},
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310
            pass


class ByApprise:
    """One address of Apprise's."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self._address = address

    def send(self, message: Message) -> None:
        import apprise  # noqa: PLC0415

        logging.getLogger("apprise").setLevel(logging.WARNING)  # below DEBUG it logs addresses
        sender = apprise.Apprise()
        if not sender.add(self._address):
            raise ValueError("no address that Apprise knows")
        if not sender.notify(title=message.title, body=message.body):
            raise ConnectionError("not accepted")


def channels(secrets: Secrets) -> list[Channel]:
    """Return the channels whose addresses are set. Raises ConfigurationError, which never repeats an address."""
    found: list[Channel] = []
    if webhook := _address(secrets, WEBHOOK):
        if urlsplit(webhook).scheme not in ("http", "https"):
            raise ConfigurationError(f"{WEBHOOK}: is no http or https address. No message was sent. Correct it.")
        found.append(Webhook(webhook))
    if addresses := _address(secrets, URLS).split():
        _check_apprise()
        found += [ByApprise(_name(number, address), address) for number, address in enumerate(addresses, start=1)]
    return found


def _address(secrets: Secrets, name: str) -> str:
    found = secrets.find(name)
    return "" if found is None else found.reveal().strip()


def _name(number: int, address: str) -> str:
    scheme = address.partition("://")[0]
    return f"{scheme if scheme.isalnum() else 'address'}-{number}"


def _check_apprise() -> None:
    try:
        import apprise  # noqa: F401, PLC0415
    except ModuleNotFoundError:
        raise ConfigurationError(
            f"{URLS}: the package apprise is not installed. No message was sent. Run: {pip_install('alerts')}"
        ) from None
