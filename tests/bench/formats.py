"""What it costs to decode a message in each format: the same rows, in batches of 10,000, in this process.

    python -m tests.bench.formats

Prints bytes of a message, messages a second, and CPU of a message. `older`: Avro by another schema than the columns'.
"""

from __future__ import annotations

import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path

import pyarrow as pa

from ingestion.contracts.streams import Stream
from ingestion.streams.decode import decode
from tests.streams.test_formats import DESCRIPTORS, ORDER, avro, examined, message, raw, records, stream_of

MESSAGES, BATCH = 100_000, 10_000
NOTE, WHEN = "x" * 90, 1_770_000_000


def main() -> None:
    older = {**ORDER, "fields": [*ORDER["fields"], {"name": "gone", "type": ["null", "string"]}]}
    versions = {"framing": "confluent", "writers": {7: "old.avsc"}}
    of_json, of_avro, of_protobuf = zip(*map(_values, range(MESSAGES)), strict=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "older").mkdir()
        cases = {
            "json": (examined(folder, {})[0], of_json),
            "avro": (stream_of(folder, ORDER), of_avro),
            "older": (
                stream_of(folder / "older", ORDER, others={"old.avsc": older}, messages=versions),
                [b"\0\0\0\0\7" + value + b"\0" for value in of_avro],
            ),
            "protobuf": (stream_of(folder, DESCRIPTORS), of_protobuf),
        }
    for name, (stream, values) in cases.items():
        assert stream is not None
        batches = [records(values[first : first + BATCH]) for first in range(0, MESSAGES, BATCH)]
        wall, cpu = min(_cost(stream, batches) for _ in range(4))
        sys.stdout.write(
            f"{name:9} {len(values[0]):4} bytes {MESSAGES / wall:9,.0f}/s {1e6 * cpu / MESSAGES:5.1f} us of CPU\n"
        )


def _values(number: int) -> tuple[bytes, bytes, bytes]:
    """Return one row as JSON, Avro and Protobuf."""
    amount = f"{number % 1000}.25"
    total = {"amount": Decimal(amount), "currency": "EUR"}
    row = {"order_id": number, "total": total, "changed_at": WHEN * 10**6 + 123_456, "note": NOTE}
    return (
        f'{{"order_id": {number}, "total": {{"amount": "{amount}", "currency": "EUR"}}, '
        f'"changed_at": "2026-02-02T02:40:00.123456Z", "note": "{NOTE}"}}'.encode(),
        avro(raw(ORDER), row),
        message(
            order_id=number, total={"amount": amount, "currency": 1}, changed_at=(WHEN, 123_456_000), note=NOTE
        ).SerializeToString(),
    )


def _cost(stream: Stream, batches: list[pa.RecordBatch]) -> tuple[float, float]:
    (part,) = stream.parts
    wall, cpu = time.perf_counter(), time.process_time()
    assert sum(decode(part.contract, part.encoding, batch).rows.num_rows for batch in batches) == MESSAGES
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main()
