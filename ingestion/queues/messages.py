"""What every queue does with messages around its requests: packs each, and unpacks each, whatever the others are."""

from __future__ import annotations

from collections.abc import Sequence

from ingestion.errors import LakehouseError, TransientError
from ingestion.privacy.logs import logger
from ingestion.queues.base import DEDUPE_ID, UNAVAILABLE, Outgoing, Received, Refusal
from ingestion.queues.claims import Claims
from ingestion.queues.packing import Packed, RefusedError, UnpackableError, pack, unpack


def packed_all(
    messages: Sequence[Outgoing], max_bytes: int, claims: Claims | None, *, is_fifo: bool
) -> tuple[list[tuple[Outgoing, Packed]], dict[str, Refusal]]:
    """Return the messages that can be sent, and the refusals of the others by id. Raises ValueError for an id twice."""
    if len({message.id for message in messages}) < len(messages):
        raise ValueError("two messages of one call of send have the same id")
    packed, refused = [], dict[str, Refusal]()
    for message in messages:
        attributes = message.attributes if is_fifo else {**message.attributes, DEDUPE_ID: message.dedupe}
        try:
            packed.append((message, pack(message.body, attributes, max_bytes, claims.write if claims else None)))
        except RefusedError as exc:
            refused[message.id] = Refusal(str(exc), is_permanent=True)
        except LakehouseError as exc:  # the place of the claims: other messages need none
            logger.warning("%s", exc)
            code = UNAVAILABLE if isinstance(exc, TransientError) else "ClaimRefused"
            refused[message.id] = Refusal(code, is_permanent=False)
    return packed, refused


def unpacked(
    id_: str, receipt: str, body: str, attributes: dict[str, str], times: int, *, claims: Claims | None
) -> Received:
    """Return a delivery. Raises only if its claim cannot be read now."""
    try:
        data, found = unpack(body, attributes, claims.read if claims else None)
    except UnpackableError as exc:
        return Received(id_, receipt, body.encode(errors="surrogatepass"), attributes, times, fault=str(exc))
    return Received(id_, receipt, data, found, times)
