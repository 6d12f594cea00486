"""Messages in Avro and Protobuf: exact values, whatever cannot be read apart, and what a contract may not say."""

from __future__ import annotations

import io
import json
import re
import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from google.protobuf import descriptor_pb2, timestamp_pb2
from hypothesis import given
from hypothesis import strategies as st

from ingestion.contracts.reading.streams import examine_stream
from ingestion.contracts.schemas import protobuf
from ingestion.contracts.schemas.avro import fingerprint_of
from ingestion.contracts.streams import Encoding, Format, Framing, Stream
from ingestion.errors import BrokenContractError, Fault
from ingestion.sources.records import RECORDS, Log, Partition, Position, Positions, Read
from ingestion.streams.change import Functions
from ingestion.streams.decode import Decoded, decode
from ingestion.streams.formats import SHAPE, reader_of
from ingestion.streams.formats import UNKNOWN_SCHEMA as SCHEMA
from ingestion.streams.loop import Loop
from tests.examples import examples
from tests.streams.test_fold import duckdb_sink
from tests.streams.world import contract

Columns = dict[str, dict[str, Any]]


def column(physical: str, logical: str, path: str = "", **more: Any) -> dict[str, Any]:
    return {"physicalType": physical, "logicalType": logical} | ({"physicalName": path} if path else {}) | more


ORDER_ID = column("BIGINT", "integer", primaryKey=True, required=True)
COLUMNS: Columns = {
    "order_id": ORDER_ID,
    "amount": column("DECIMAL(12,2)", "number", "total.amount"),
    "currency": column("VARCHAR", "string", "total.currency"),
    "changed_at": column("TIMESTAMPTZ", "timestamp"),
    "note": column("VARCHAR", "string"),
}
TOTAL = {
    "type": "record",
    "name": "Total",
    "fields": [
        {
            "name": "amount",
            "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}],
        },
        {"name": "currency", "type": {"type": "enum", "name": "Currency", "symbols": ["EUR", "USD"]}},
    ],
}
ORDER: dict[str, Any] = {
    "type": "record",
    "name": "Order",
    "namespace": "shop",
    "fields": [
        {"name": "order_id", "type": "long"},
        {"name": "total", "type": ["null", TOTAL]},
        {"name": "changed_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "note", "type": ["null", "string"], "default": None},
    ],
}


def schema_of(*fields: tuple[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": "Order", "fields": [{"name": name, "type": type_} for name, type_ in fields]}


def avro(schema: dict[str, Any], row: dict[str, Any], head: bytes = b"") -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), row)
    return head + out.getvalue()


def raw(schema: dict[str, Any]) -> Any:
    """Return a schema whose writer takes moments as whole numbers."""
    return json.loads(re.sub(r'"logicalType": "(?!decimal)', '"unit": "', json.dumps(schema)))


def descriptors() -> bytes:
    """Return what protoc writes for an order in two parts, with the file that it imports."""
    field, kind = descriptor_pb2.FieldDescriptorProto, descriptor_pb2.FieldDescriptorProto.Type
    file = descriptor_pb2.FileDescriptorProto(name="shop.proto", package="shop", syntax="proto3")
    file.dependency.append("google/protobuf/timestamp.proto")
    file.message_type.add(name="Other")
    order, total = file.message_type.add(name="Order"), descriptor_pb2.DescriptorProto(name="Total")
    file.enum_type.add(name="Currency").value.extend(
        descriptor_pb2.EnumValueDescriptorProto(name=name, number=n) for n, name in enumerate(("NONE", "EUR", "USD"))
    )
    one = field.LABEL_OPTIONAL
    total.field.add(name="amount", number=1, type=kind.TYPE_STRING, label=one, proto3_optional=True, oneof_index=0)
    total.oneof_decl.add(name="_amount")
    total.field.add(name="currency", number=2, type=kind.TYPE_ENUM, type_name=".shop.Currency", label=one)
    order.nested_type.append(total)
    order.field.add(name="order_id", number=1, type=kind.TYPE_INT64, label=one)
    order.field.add(name="total", number=2, type=kind.TYPE_MESSAGE, type_name=".shop.Order.Total", label=one)
    moment = ".google.protobuf.Timestamp"
    order.field.add(name="changed_at", number=3, type=kind.TYPE_MESSAGE, type_name=moment, label=one)
    order.field.add(name="note", number=4, type=kind.TYPE_STRING, label=one, proto3_optional=True, oneof_index=0)
    order.oneof_decl.add(name="_note")
    order.field.add(name="tags", number=5, type=kind.TYPE_STRING, label=field.LABEL_REPEATED)
    order.field.add(name="ratio", number=6, type=kind.TYPE_DOUBLE, label=one)
    timestamp = descriptor_pb2.FileDescriptorProto()
    timestamp_pb2.DESCRIPTOR.CopyToProto(timestamp)
    return bytes(descriptor_pb2.FileDescriptorSet(file=[timestamp, file]).SerializeToString())


DESCRIPTORS = descriptors()


def message(**row: Any) -> Any:
    made = protobuf.message_class(DESCRIPTORS, "shop.Order")()
    for name, value in row.items():
        if name == "changed_at":
            made.changed_at.seconds, made.changed_at.nanos = value
        elif name == "total":
            made.total.SetInParent()
            for inner, each in value.items():
                setattr(made.total, inner, each)
        else:
            setattr(made, name, value)
    return made


def examined(
    folder: Path, files: Mapping[str, bytes], columns: Columns = COLUMNS, **stream: Any
) -> tuple[Stream | None, list[Fault]]:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    text = contract("merge", columns, **stream)
    return examine_stream(text, "orders", path=str(folder / "orders.odcs.yaml"), expected_id="streams.orders")


def stream_of(
    folder: Path,
    schema: dict[str, Any] | bytes,
    columns: Columns = COLUMNS,
    *,
    others: Mapping[str, Any] | None = None,
    **stream: Any,
) -> Stream:
    files = {"orders": schema if isinstance(schema, bytes) else json.dumps(schema).encode()}
    files |= {name: json.dumps(each).encode() for name, each in (others or {}).items()}
    kind = {"format": "protobuf"} if isinstance(schema, bytes) else {"format": "avro"}
    more = {"type": "shop.Order"} if isinstance(schema, bytes) else {}
    stream["messages"] = {"schema": "orders"} | more | stream.get("messages", {})
    found, faults = examined(folder, files, columns, **kind, **stream)
    assert found is not None, faults
    return found


def records(values: Sequence[bytes]) -> pa.RecordBatch:
    rows = [
        {"topic": "orders", "partition": 0, "offset": n, "timestamp": 0, "key": None, "value": value, "headers": None}
        for n, value in enumerate(values)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=RECORDS)


def read(stream: Stream, *values: bytes) -> Decoded:
    (part,) = stream.parts
    return decode(part.contract, part.encoding, records(values))


def told(decoded: Decoded) -> dict[int, str]:
    return dict(zip(decoded.bad.to_pylist(), decoded.breaks.to_pylist(), strict=True))


WHEN = datetime(2026, 1, 31, 10, 0, 0, 123456, UTC)
FULL = {
    "order_id": 1,
    "total": {"amount": Decimal("9999999999.99"), "currency": "USD"},
    "changed_at": WHEN,
    "note": "é",
}
EMPTY = {"order_id": 2, "total": None, "changed_at": WHEN, "note": None}
ROWS = [
    {"order_id": 1, "amount": Decimal("9999999999.99"), "currency": "USD", "changed_at": WHEN, "note": "é"},
    {"order_id": 2, "amount": None, "currency": None, "changed_at": WHEN, "note": None},
]


def test_values_of_avro_are_read_exactly_through_records_unions_and_enums(tmp_path: Path) -> None:
    stream = stream_of(tmp_path, ORDER)

    assert read(stream, avro(ORDER, FULL), avro(ORDER, EMPTY)).rows.to_pylist() == ROWS


def test_values_of_protobuf_are_null_where_a_message_does_not_say_them(tmp_path: Path) -> None:
    stream = stream_of(tmp_path, DESCRIPTORS)
    seconds = int(WHEN.timestamp())
    full = message(
        order_id=1, total={"amount": "9999999999.99", "currency": 2}, changed_at=(seconds, 123456000), note="é"
    )
    assert (
        read(
            stream, full.SerializeToString(), message(order_id=2, changed_at=(seconds, 123456000)).SerializeToString()
        ).rows.to_pylist()
        == ROWS
    )

    unset = read(stream, message(total={}, note="").SerializeToString(), b"").rows.to_pylist()
    nothing = {"order_id": 0, "amount": None, "currency": None, "changed_at": None, "note": None}
    assert unset == [nothing | {"currency": "NONE", "note": ""}, nothing]


def test_each_logical_type_of_avro_becomes_the_type_of_its_column(tmp_path: Path) -> None:
    types: dict[str, tuple[Any, dict[str, Any], Any, Any]] = {
        "nanos": ({"type": "long", "logicalType": "timestamp-nanos"}, column("TIMESTAMPTZ", "timestamp"), 1_000, datetime(1970, 1, 1, 0, 0, 0, 1, UTC)),
        "millis": ({"type": "long", "logicalType": "timestamp-millis"}, column("TIMESTAMPTZ", "timestamp"), -1, datetime(1969, 12, 31, 23, 59, 59, 999000, UTC)),
        "local": ({"type": "long", "logicalType": "local-timestamp-micros"}, column("TIMESTAMP", "timestamp"), 1, datetime(1970, 1, 1, 0, 0, 0, 1)),
        "day": ({"type": "int", "logicalType": "date"}, column("DATE", "date"), 20000, date(2024, 10, 4)),
        "time": ({"type": "long", "logicalType": "time-micros"}, column("TIME", "time"), 3_600_000_001, "01:00:00.000001"),
        "uuid": ({"type": "string", "logicalType": "uuid"}, column("UUID", "string"), "3f2", "3f2"),
        "whole": ("long", column("DECIMAL(20,1)", "number"), -(2**63), Decimal(-(2**63))),
        "small": ("int", column("SMALLINT", "integer"), 7, 7),
        "exact": ({"type": "fixed", "name": "f", "size": 16, "logicalType": "decimal", "precision": 38, "scale": 4}, column("DECIMAL(38,4)", "number"), Decimal(10**37 + 1).scaleb(-4), Decimal(10**37 + 1).scaleb(-4)),
        "text": ("string", column("DECIMAL(5,2)", "number"), "1.20", Decimal("1.20")),
        "ratio": ("float", column("DOUBLE", "number"), 0.5, 0.5),
        "raw": ({"type": "fixed", "name": "g", "size": 2}, column("BLOB", "array"), b"\0\1", b"\0\1"),
        "is_new": ("boolean", column("BOOLEAN", "boolean"), True, True),
    }  # fmt: skip
    schema = schema_of(("order_id", "long"), *((name, each[0]) for name, each in types.items()))
    stream = stream_of(tmp_path, schema, {"order_id": ORDER_ID} | {name: each[1] for name, each in types.items()})

    decoded = read(stream, avro(raw(schema), {"order_id": 1} | {name: each[2] for name, each in types.items()}))
    assert told(decoded) == {}
    assert decoded.rows.to_pylist() == [{"order_id": 1} | {name: each[3] for name, each in types.items()}]


def test_digits_beyond_microseconds_are_cut_only_where_the_contract_says_so(tmp_path: Path) -> None:
    nanos = {"type": "long", "logicalType": "timestamp-nanos"}
    columns = {"order_id": ORDER_ID, "at": column("TIMESTAMPTZ", "timestamp")}
    schema = schema_of(("order_id", "long"), ("at", "long"))
    values = [avro(schema, {"order_id": n, "at": at}) for n, at in enumerate((1_999, -1))]
    truncated = {"customProperties": [{"property": "lake", "value": {"truncate": True}}]}
    truncating = {"order_id": ORDER_ID, "at": columns["at"] | truncated}

    declared = schema_of(("order_id", "long"), ("at", nanos))
    assert told(read(stream_of(tmp_path, declared, columns), *values)) == {0: "at:type", 1: "at:type"}
    assert read(stream_of(tmp_path, declared, truncating), *values).rows["at"].cast(pa.int64()).to_pylist() == [1, -1]
    of_protobuf = {"order_id": ORDER_ID, "at": truncating["at"] | {"physicalName": "changed_at"}}
    late = message(changed_at=(-1, 999_999_999)).SerializeToString()
    assert told(read(stream_of(tmp_path, DESCRIPTORS), late)) == {0: "changed_at:type"}
    assert read(stream_of(tmp_path, DESCRIPTORS, of_protobuf), late).rows["at"].cast(pa.int64()).to_pylist() == [-1]


ONE = {"order_id": ORDER_ID}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}
MILLIS, LOCAL = ({"type": "long", "logicalType": name} for name in ("timestamp-millis", "local-timestamp-millis"))


@pytest.mark.parametrize(
    ("type_", "declared", "value", "expected"),
    [
        (DECIMAL, column("DECIMAL(12,2)", "number"), 123_456, Decimal("1234.56")),  # more digits than its precision
        (DECIMAL, column("DECIMAL(5,2)", "number"), 123_456, None),
        (DECIMAL | {"precision": 64, "scale": 10}, column("DECIMAL(38,10)", "number"), -(10**37), -Decimal(10**27)),
        pytest.param(DECIMAL, column("DECIMAL(38,2)", "number"), 2**16_000, None, id="4817 digits"),
        ({"type": "int", "logicalType": "time-millis"}, column("VARCHAR", "string"), 86_400_000, None),
        (MILLIS, column("TIMESTAMPTZ", "timestamp"), 253_402_300_800_000, None),  # the year 10000
        (MILLIS, column("TIMESTAMPTZ", "timestamp"), 2_069_085_340_800_000, None),  # 67536 = 2000 + 2 ** 16
        ({"type": "int", "logicalType": "date"}, column("DATE", "date"), 23_948_000, None),  # the year 67537
        (LOCAL, column("TIMESTAMP", "timestamp"), -62_135_596_800_001, None),  # the year 0
        ({"type": "int", "logicalType": "date"}, column("DATE", "date"), 2**31 - 1, None),
        ({"type": "int", "logicalType": "date"}, column("TIMESTAMP", "timestamp"), 1, datetime(1970, 1, 2)),
        ("long", column("INTEGER", "integer"), 2**31, None),
    ],
)
def test_a_value_of_avro_that_its_column_does_not_hold_is_apart_and_never_another_value(
    tmp_path: Path, type_: Any, declared: dict[str, Any], value: int, expected: object
) -> None:
    schema = schema_of(("order_id", "long"), ("x", type_))
    stream = stream_of(tmp_path, schema, ONE | {"x": declared})
    wire = schema_of(("order_id", "long"), ("x", "bytes" if "precision" in type_ else raw(type_)))
    written = value.to_bytes(value.bit_length() // 8 + 1, signed=True) if "precision" in type_ else value
    decoded = read(stream, avro(wire, {"order_id": 1, "x": written}))

    assert (told(decoded), decoded.rows.num_rows) == ({}, 1) if expected else ({0: "x:type"}, 0)
    assert decoded.rows["x"].to_pylist() == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        (MILLIS, MILLIS | {"logicalType": "timestamp-micros"}),
        (DECIMAL, DECIMAL | {"scale": 1}),
        ("bytes", DECIMAL),
        ("long", MILLIS),
        ("long", "double"),
        (["null", "long", "string"], ["null", "long"]),
    ],
)
@pytest.mark.parametrize("name", ["x", "was_x"])
def test_an_older_schema_whose_values_would_become_others_is_refused(
    tmp_path: Path, written: Any, read_as: Any, name: str
) -> None:
    columns = {
        "double": column("DOUBLE", "number"),
        "timestamp-millis": column("TIMESTAMPTZ", "timestamp"),
        "timestamp-micros": column("TIMESTAMPTZ", "timestamp"),
        "decimal": column("DECIMAL(12,2)", "number"),
    }
    kind = read_as.get("logicalType") if isinstance(read_as, dict) else str(read_as)
    new = schema_of(("order_id", "long"))
    new["fields"] = [*new["fields"], {"name": "x", "type": read_as, "aliases": ["was_x"]}]
    old = schema_of(("order_id", "int"), (name, written))
    files = {"orders": json.dumps(new).encode(), "old": json.dumps(old).encode()}
    messages = {"schema": "orders", "framing": "single_object", "writers": ["old"]}
    declared = ONE | {"x": columns.get(kind or "", column("BIGINT", "integer"))}
    stream, faults = examined(tmp_path, files, declared, format="avro", messages=messages)

    assert stream is None
    assert "messages.writers: old " in str(faults[0])


def test_a_default_of_bytes_that_the_reader_takes_for_a_text_is_refused(tmp_path: Path) -> None:
    schema = schema_of(("order_id", "long"))
    declared = ONE | {"x": column("BLOB", "array")}
    for default, expected in (("a", None), ("\u00ff", "x has a default that is no ASCII")):
        fields = [*schema["fields"], {"name": "x", "type": "bytes", "default": default}]
        files = {"orders": json.dumps(schema | {"fields": fields}).encode()}
        stream, faults = examined(tmp_path, files, declared, format="avro", messages={"schema": "orders"})
        assert (stream is None, expected or "") == (bool(expected), expected or "")
        assert (expected or "") in "\n".join(map(str, faults))


def test_whatever_cannot_be_read_is_apart_with_a_reason_and_the_others_are_rows(tmp_path: Path) -> None:
    stream = stream_of(tmp_path, ORDER, COLUMNS | {"order_id": ORDER_ID | {"physicalType": "SMALLINT"}})
    good = avro(ORDER, FULL)
    poison = {
        1: (good[:-1], SHAPE),
        3: (good + b"\0", SHAPE),
        5: (b"", SHAPE),
        7: (b'{"order_id": 1}', SHAPE),
        9: (avro(ORDER, FULL | {"order_id": 40_000}), "order_id:type"),
        11: (good.replace("é".encode(), b"\xff\xff"), SHAPE),
        13: (b"\xff" * 40, SHAPE),
    }
    values = [poison.get(n, (good, ""))[0] for n in range(100)]

    decoded = read(stream, *values)
    assert told(decoded) == {n: reason for n, (_, reason) in poison.items()}
    assert decoded.good.to_pylist() == [n for n in range(100) if n not in poison]
    assert decoded.rows.num_rows == 93


def test_poison_of_protobuf_is_apart_as_well(tmp_path: Path) -> None:
    stream = stream_of(tmp_path, DESCRIPTORS)
    good = message(order_id=1, note="é").SerializeToString()
    poison = {
        0: (good[:-1], SHAPE),
        2: (b'{"order_id": 1}', SHAPE),
        4: (good.replace("é".encode(), b"\xff\xff"), SHAPE),
        6: (message(total={"amount": "much"}).SerializeToString(), "amount:type"),
        8: (message(total={"amount": "1.005"}).SerializeToString(), "amount:type"),
        10: (message(total={"currency": 9}).SerializeToString(), "currency:type"),
        12: (message(changed_at=(2**62, 0)).SerializeToString(), "changed_at:type"),
        13: (message(changed_at=(253_402_300_800, 0)).SerializeToString(), "changed_at:type"),  # the year 10000
        14: (message(changed_at=(0, -1)).SerializeToString(), "changed_at:type"),
        15: (message(changed_at=(0, 10**9)).SerializeToString(), "changed_at:type"),
    }
    decoded = read(stream, *(poison.get(n, (good, ""))[0] for n in range(20)))

    assert told(decoded) == {n: reason for n, (_, reason) in poison.items()}
    assert decoded.rows.num_rows == 10


def test_a_number_that_a_closed_enum_does_not_know_is_apart_and_not_null(tmp_path: Path) -> None:
    files = descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS)
    files.file[1].syntax = "proto2"
    for each in (files.file[1].message_type[1], files.file[1].message_type[1].nested_type[0]):
        for field in each.field:
            field.ClearField("proto3_optional")
    stream = stream_of(tmp_path, files.SerializeToString())
    values = [message(total={"amount": "1", "currency": each}).SerializeToString() for each in (2, 9)]
    decoded = read(stream, *values, b"\x08\x01")

    assert told(decoded) == {1: "currency:type"}
    assert decoded.rows.select(["order_id", "currency"]).to_pylist() == [
        {"order_id": None, "currency": "USD"},
        {"order_id": 1, "currency": None},
    ]


OLD = schema_of(("order_id", "int"), ("gone", "string"))
NEW = schema_of(("order_id", "long")) | {"name": "Order"}
NEW["fields"] = [*NEW["fields"], {"name": "note", "type": "string", "default": "none"}]
TWO: Columns = {"order_id": ORDER_ID, "note": column("VARCHAR", "string")}
IDS = {7: "old.avsc", 70_000: "orders"}


def test_messages_of_a_registry_are_read_by_the_schema_of_their_id_as_the_newest_says(tmp_path: Path) -> None:
    messages = {"framing": "confluent", "writers": IDS}
    stream = stream_of(tmp_path, NEW, TWO, others={"old.avsc": OLD}, messages=messages)
    old = avro(OLD, {"order_id": 1, "gone": "x"}, b"\0" + struct.pack(">I", 7))
    new = avro(NEW, {"order_id": 2**40, "note": "y"}, b"\0" + struct.pack(">I", 70_000))
    decoded = read(stream, old, new, b"\0" + struct.pack(">I", 8) + new[5:], b"\1" + new[1:], b"\0")

    assert decoded.rows.to_pylist() == [{"order_id": 1, "note": "none"}, {"order_id": 2**40, "note": "y"}]
    assert told(decoded) == dict.fromkeys((2, 3, 4), SCHEMA)


def test_single_objects_are_read_by_the_schema_of_their_fingerprint(tmp_path: Path) -> None:
    messages = {"framing": "single_object", "writers": ["old.avsc"]}
    stream = stream_of(tmp_path, NEW, TWO, others={"old.avsc": OLD}, messages=messages)
    heads = [b"\xc3\x01" + fingerprint_of(json.dumps(each).encode()) for each in (OLD, NEW)]
    old, new = avro(OLD, {"order_id": 1, "gone": "x"}, heads[0]), avro(NEW, {"order_id": 2, "note": "y"}, heads[1])
    decoded = read(stream, old, new, b"\xc3\x01" + bytes(8) + new[10:])

    assert decoded.rows["order_id"].to_pylist() == [1, 2]
    assert told(decoded) == {2: SCHEMA}
    assert fingerprint_of(b'"null"') == struct.pack("<Q", 7195948357588979594)  # of Avro's specification


def test_protobuf_of_a_registry_names_the_place_of_its_message(tmp_path: Path) -> None:
    stream = stream_of(tmp_path, DESCRIPTORS, messages={"framing": "confluent"})
    body = message(order_id=5).SerializeToString()
    head = b"\0" + struct.pack(">I", 3)
    decoded = read(stream, head + b"\x02\x02" + body, head + b"\0" + body, body)
    assert decoded.rows["order_id"].to_pylist() == [5]
    assert told(decoded) == dict.fromkeys((1, 2), SCHEMA)

    other = Encoding(Format.PROTOBUF, Framing.CONFLUENT, DESCRIPTORS, "shop.Other")
    assert [reader_of(other).fault(head + place) for place in (b"\0", b"\x02\0", b"\x02\x02")] == [None, None, SCHEMA]


CENTS = st.integers(-(10**12) + 1, 10**12 - 1)
MICROS = st.integers(-(2**55), 2**55)
VALUES = st.fixed_dictionaries(
    {
        "order_id": st.integers(-(2**63), 2**63 - 1),
        "amount": st.none() | CENTS.map(lambda n: Decimal(n).scaleb(-2)),
        "currency": st.sampled_from(["EUR", "USD"]),
        "changed_at": MICROS,
        "note": st.none() | st.text(st.characters(codec="utf-8")),
    }
)


@examples(60)
@given(st.lists(VALUES, min_size=1, max_size=20), st.data())
def test_any_rows_come_back_as_they_were_written_whatever_stands_between_them(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    written = {
        "avro": [avro(raw(ORDER), {**row, "total": {k: row[k] for k in ("amount", "currency")}}) for row in rows],
        "protobuf": [
            message(
                order_id=row["order_id"],
                total={"currency": ("NONE", "EUR", "USD").index(row["currency"])}
                | ({} if row["amount"] is None else {"amount": str(row["amount"])}),
                changed_at=(row["changed_at"] // 10**6, row["changed_at"] % 10**6 * 1000),
                **({} if row["note"] is None else {"note": row["note"]}),
            ).SerializeToString()
            for row in rows
        ],
    }
    poison = data.draw(st.sets(st.integers(0, len(rows))))
    for schema, values in ((ORDER, written["avro"]), (DESCRIPTORS, written["protobuf"])):
        mixed: list[bytes] = []
        for n, value in enumerate(values):
            mixed += [b"\xff" * 30, value] if n in poison else [value]
        decoded = read(stream_of(folder, schema), *mixed)
        found = decoded.rows.set_column(3, "changed_at", decoded.rows["changed_at"].cast(pa.int64()))
        assert found.to_pylist() == rows
        assert len(told(decoded)) == len(poison - {len(rows)})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"format": "avro"}, "messages: does not say by which schema messages are written"),
        ({"messages": {"schema": "orders"}}, "messages: is about binary messages; write `format: avro`"),
        ({"format": "protobuf", "messages": {"schema": "orders"}}, "{schema: orders.desc, type: shop.Order}"),
        ({"format": "avro", "messages": {"schema": "ordrs"}}, "messages.schema: ordrs cannot be read beside the contract"),
        ({"format": "avro", "messages": {"schema": "../orders"}}, "../orders is no file beside the contract"),
        ({"format": "avro", "messages": {"schema": "text"}}, "messages.schema: text is no schema of Avro"),
        ({"format": "avro", "messages": {"schema": "long"}}, "messages.schema: long is no schema of a record"),
        ({"format": "avro", "messages": {"schema": "few"}}, "column amount: few: total: no such field; known are order_id"),
        ({"format": "avro", "messages": {"schema": "other"}}, "column order_id: other: order_id is double, which a column of type BIGINT (int64) does not hold exactly"),
        ({"format": "avro", "messages": {"schema": "other"}}, "column changed_at: other: changed_at is timestamp[us], which"),
        ({"format": "avro", "messages": {"schema": "other"}}, "column note: other: is a union of several types"),
        ({"format": "avro", "messages": {"schema": "other"}}, "column amount: other: total is array, not a record"),
        ({"format": "avro", "messages": {"schema": "orders", "framing": "confluent"}}, "messages.writers: is missing: write the file of each id"),
        ({"format": "avro", "messages": {"schema": "orders", "writers": ["orders"]}}, "messages.writers: is about Avro with `framing: confluent`"),
        ({"format": "avro", "messages": {"schema": "orders", "framing": "confluent", "writers": {-1: "orders"}}}, "-1 is no id of a schema"),
        ({"format": "avro", "messages": {"schema": "orders", "framing": "confluent", "writers": {1: "text"}}}, "messages.writers: text is no schema of Avro"),
        ({"format": "avro", "messages": {"schema": "orders", "framing": "plain"}}, "lake.stream.messages.framing"),
        ({"format": "protobuf", "messages": {"schema": "orders", "type": "shop.Order"}}, "orders is no whole set of descriptors"),
        ({"format": "protobuf", "messages": {"schema": "desc", "type": "shop.Oder"}}, "desc has no message shop.Oder; did you mean shop.Order"),
        ({"format": "protobuf", "messages": {"schema": "desc", "type": "shop.Other"}}, "column order_id: desc: order_id: no such field"),
        ({"format": "protobuf", "messages": {"schema": "desc", "type": "shop.Order", "framing": "single_object"}}, "messages.framing: single_object is of Avro"),
        ({"topics": [{"topic": "orders", "messages": {"schema": "orders"}}]}, "is about a topic with columns of its own"),
    ],
)  # fmt: skip
def test_a_schema_that_is_missing_or_does_not_fit_the_columns_is_told_with_the_column(
    tmp_path: Path, given: dict[str, Any], expected: str
) -> None:
    other = schema_of(
        ("order_id", "double"),
        ("total", {"type": "array", "items": "long"}),
        ("changed_at", {"type": "long", "logicalType": "local-timestamp-micros"}),
        ("note", ["string", "long", "null"]),
    )
    files = {"orders": ORDER, "few": schema_of(("order_id", "long")), "other": other, "long": "long"}
    texts = {name: json.dumps(each).encode() for name, each in files.items()}
    stream, faults = examined(tmp_path, texts | {"text": b"no schema", "desc": DESCRIPTORS}, **given)

    assert stream is None
    assert expected in "\n".join(map(str, faults))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("tags", "tags is repeated; a column reads a single value"),
        ("total", "total is a message; name one of its fields"),
        ("note.x", "note.x: note is a single value and has no fields"),
        ("ratio", "ratio is double, which a column of type VARCHAR (string) does not hold exactly"),
    ],
)
def test_what_a_column_cannot_read_of_protobuf_is_told(tmp_path: Path, path: str, expected: str) -> None:
    columns = {"order_id": ORDER_ID, "note": column("VARCHAR", "string", path)}
    messages = {"schema": "desc", "type": "shop.Order"}
    stream, faults = examined(tmp_path, {"desc": DESCRIPTORS}, columns, format="protobuf", messages=messages)

    assert stream is None
    assert expected in "\n".join(map(str, faults))


def test_two_topics_that_fill_one_row_may_be_written_by_different_schemas(tmp_path: Path) -> None:
    state = schema_of(("order_id", "int"), ("note", "string"))
    topics = [
        {"topic": "orders", "columns": ["amount", "currency", "changed_at"]},
        {"topic": "states", "columns": ["note"], "messages": {"schema": "states"}},
    ]
    stream = stream_of(tmp_path, ORDER, others={"states": state}, topics=topics)
    first, second = stream.parts
    row = decode(second.contract, second.encoding, records([avro(state, {"order_id": 3, "note": "z"})])).rows
    assert row.to_pylist() == [{"order_id": 3, "note": "z"}]
    assert first.encoding.schema != second.encoding.schema


class Values:
    """One partition of a topic, whose messages are these."""

    def __init__(self, values: Sequence[bytes]) -> None:
        self.records = records(values)

    def logs(self) -> dict[Partition, Log]:
        return {Partition("orders", 0): Log("", 0, self.records.num_rows)}

    def read(self, start: Positions, budget: Any) -> Read:
        at = start[Partition("orders", 0)].offset
        piece = self.records.slice(at, budget.rows)
        return Read(piece, {Partition("orders", 0): Position(at + piece.num_rows)} if piece.num_rows else {})

    def acknowledge(self, reached: Positions) -> None: ...
    def rest(self, seconds: float) -> None: ...
    def close(self) -> None: ...
    def offsets_at(self, moment: datetime) -> dict[Partition, int]:
        raise NotImplementedError


def test_binary_messages_become_rows_and_dead_letters_of_a_table(tmp_path: Path) -> None:
    stream = stream_of(tmp_path, ORDER)
    source = Values([avro(ORDER, FULL), b"\xff", avro(ORDER, EMPTY), avro(ORDER, EMPTY | {"note": "new"})])
    with duckdb_sink(stream) as (sink, select):
        sink.init()
        loop = Loop(stream, source, sink, Functions())
        loop.step()

        assert select("select order_id, amount, note from orders order by 1") == [
            (1, Decimal("9999999999.99"), "é"),
            (2, None, "new"),
        ]
        assert select("select message_offset, message, breaks from lake_dead_letter") == [(1, b"\xff", SHAPE)]
    assert (loop.counts.read, loop.counts.merged, loop.counts.superseded, loop.counts.dead) == (4, 2, 1, 1)


@pytest.mark.parametrize("schema", [ORDER, DESCRIPTORS], ids=["avro", "protobuf"])
def test_a_field_of_a_schema_that_no_column_reads_stops_a_stream_that_says_so(
    tmp_path: Path, schema: dict[str, Any] | bytes
) -> None:
    columns = {name: COLUMNS[name] for name in ("order_id", "changed_at")}
    stream = stream_of(tmp_path, schema, columns, onDrift={"newField": "fail"})
    value = (
        message(order_id=1, note="x", total={}).SerializeToString() if isinstance(schema, bytes) else avro(ORDER, FULL)
    )
    with duckdb_sink(stream) as (sink, _):
        sink.init()
        with pytest.raises(BrokenContractError, match="note: expected no such field"):
            Loop(stream, Values([value]), sink, Functions()).step()


def test_a_stream_without_a_format_is_of_json_and_takes_no_moment_of_the_year_zero() -> None:
    columns = ONE | {"at": column("TIMESTAMPTZ", "timestamp")}
    stream, _ = examine_stream(contract("merge", columns), "orders", path="", expected_id="streams.orders")
    assert stream is not None
    assert [part.encoding for part in stream.parts] == [Encoding()]

    values = [json.dumps({"order_id": 1, "at": f"{year}-01-01T00:00:00Z"}).encode() for year in ("0000", "0001")]
    assert told(read(stream, *values)) == {0: "at:type"}
