"""What the tests of queues send, and the connections to local ones."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path

from ingestion.queues.base import Outgoing
from ingestion.settings import Connection


def message(number: int = 0, body: bytes | None = None, *, call: str = "", **attributes: str) -> Outgoing:
    """Return revision 1 of a call, numbered unless it is named."""
    call = call or f"call-{number}"
    body = json.dumps({"call": number, "said": "שלום 👋"}, ensure_ascii=False).encode() if body is None else body
    return Outgoing(f"id {number}", body, call, f"{call}:1", {"call_id": call, "revision": "1", **attributes})


def noise(length: int) -> bytes:
    """Return a JSON text that does not shrink much."""
    return json.dumps(base64.b64encode(random.Random(1).randbytes(length)).decode()[: length - 2]).encode()


def local(folder: Path, **extra: str) -> Connection:
    return Connection("queue", schema=f"{folder}/calls.db".removeprefix("/"), extra=extra)
