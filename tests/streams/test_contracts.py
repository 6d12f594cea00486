"""Contracts of streams: what they say, what is wrong in them, that only streams read them, and their reference."""

from __future__ import annotations

import ast
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from pydantic import BaseModel

from ingestion.contracts.odcs import find_contract, find_stream, lint, list_contract_ids, read_contracts
from ingestion.contracts.reading.document import _Loader
from ingestion.contracts.reading.stream_block import LookupBlock, StreamBlock, TopicBlock, WindowBlock
from ingestion.contracts.reading.streams import examine_stream
from ingestion.contracts.streams import Stream
from ingestion.errors import ConfigurationError, Fault, InvalidContractError
from tests.engines.test_contract_keys import keys_of
from tests.streams.world import COLUMNS, StreamWorld, contract

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "streaming.md").read_text()


SCHEMAS = Path(__file__).with_name("schemas")


def read(text: str) -> tuple[Stream | None, list[Fault]]:
    path = str(SCHEMAS / "orders.odcs.yaml")
    return examine_stream(text, "orders.odcs.yaml", path=path, expected_id="streams.orders")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"source": None}, "lake.stream.source: is missing"),
        ({"topics": []}, "lake.stream.topics: is missing"),
        ({"sources": "x"}, "lake.stream.sources is no known key; did you mean source?"),
        ({"start": "soon"}, "lake.stream.start: soon is no start"),
        ({"start": "2026-01-01"}, "lake.stream.start: 2026-01-01 is no start"),
        ({"sequence": "amount"}, "lake.stream.sequence: amount is decimal128(12, 2); name a whole number or a moment"),
        ({"sequence": "order"}, "order is no column of the table; did you mean order_id?"),
        ({"futureTolerance": "PT1H"}, "lake.stream.futureTolerance: is about a sequence of moments"),
        ({"time": "status"}, "lake.stream.time: status is string; name a moment"),
        ({"transform": "no function"}, "lake.stream.transform: no function is no function"),
        ({"tombstones": "delete"}, "lake.stream.tombstones: delete needs order_id of a message without a value"),
        ({"mode": "append", "tombstones": "delete"}, "delete has no meaning in mode append"),
        ({"topics": ["a", "b"]}, "lake.stream.sequence: is missing: offsets do not order"),
        ({"topics": [{"topic": "a", "columns": ["amount"]}, "b"]}, "columns are given for some topics only"),
        ({"topics": [{"topic": "a", "columns": ["amount"]}]}, "not so: status"),
        ({"windows": [{"table": "w", "size": "PT1H", "slide": "PT7M"}]}, "size must be a multiple of slide"),
        ({"windows": [{"table": "w", "size": "PT1H", "measures": ["max(amount)"]}]}, "max(amount) needs mode append"),
        ({"windows": [{"table": "w", "size": "PT1H", "measures": ["sum(status)"]}]}, "is no measure of exact numbers"),
        ({"windows": [{"table": "w", "size": "PT1H", "by": ["status"]}]}, "status may be null"),
        ({"mode": None, "windows": [{"table": "w", "size": "PT1H"}]}, "lake.stream.windows: needs a target table"),
        ({"dedupe": {"column": "event", "period": "PT1H"}}, "lake.stream.dedupe.column: event is no column"),
        ({"defaults": {"amount": "much"}}, "lake.stream.defaults: amount: the value is not a number"),
        ({"budget": {"rows": 0}}, "lake.stream.budget.rows must be 1 or more"),
        (
            {"windows": [{"table": "w", "size": "PT1H", "latness": "PT5M"}]},
            "lake.stream.windows[0].latness is no known key; did you mean lateness?",
        ),
        ({"topics": [{"topic": "orders", "column": []}]}, "lake.stream.topics[0].column is no known key"),
        ({"lookups": [{"table": "t", True: {}, "columns": {}}]}, "lake.stream.lookups[0].true is no known key"),
    ],
)
def test_a_wrong_key_is_named_with_what_to_write(given: dict[str, Any], message: str) -> None:
    stream, faults = read(contract(given.pop("mode", "merge"), **given))

    assert stream is None
    assert message in "\n".join(map(str, faults))


def test_a_stream_without_kafka_or_without_a_key_to_merge_by_is_refused() -> None:
    text = contract().replace("type: kafka", "type: duckdb")
    assert any("servers names neither kafka nor sqs" in fault.message for fault in read(text)[1])
    keyless = {"amount": COLUMNS["amount"]}
    assert any("needs a key unless its mode is append" in fault.message for fault in read(contract(columns=keyless))[1])
    assert read(contract("append", keyless))[1] == []
    checked = {"amount": COLUMNS["amount"] | {"quality": [{"type": "library", "metric": "nullValues", "mustBe": 0}]}}
    assert any("is about a whole load" in fault.message for fault in read(contract("append", checked))[1])


def test_an_average_is_kept_as_sum_and_count_and_windows_have_defaults() -> None:
    stream, _ = read(contract(windows=[{"table": "w", "size": "PT1H", "measures": ["avg(amount)", "sum(amount)"]}]))

    assert stream is not None
    (window,) = stream.windows
    assert (window.measures, window.averages) == ((("sum", "amount"), ("count", "amount")), ("amount",))
    assert (window.slide, window.idle) == (timedelta(hours=1), timedelta(minutes=5))


def test_loads_and_models_do_not_see_contracts_of_streams_and_lint_checks_them(world: StreamWorld) -> None:
    folder = world.settings.contracts
    world.write(contract())
    other = folder / "crm" / "customers.odcs.yaml"
    other.parent.mkdir()
    shipped = (ROOT / "data_contracts" / "erp" / "customers.odcs.yaml").read_text()
    other.write_text(shipped.replace("id: erp.", "id: crm."))

    assert list_contract_ids(folder) == ["crm.customers"]
    assert [each.id for each in read_contracts(folder)] == ["crm.customers"]
    with pytest.raises(ConfigurationError, match=r"streams\.orders: no contract has this id"):
        find_contract(folder, "streams.orders")
    with pytest.raises(ConfigurationError, match=r"order: no stream has this name\. Did you mean orders"):
        find_stream(folder, "order")
    assert lint(folder) == []

    world.write(contract(start="soon"))
    assert [fault.path for fault in lint(folder)] == ["streams/orders.odcs.yaml"]
    with pytest.raises(InvalidContractError):
        find_stream(folder, "orders")


def shown() -> dict[str, list[str]]:
    """Return the rows of the page's table of keys."""
    rows = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| `")]
    return {row[0].strip("`"): [cell.strip() for cell in row[1:]] for row in rows}


def test_every_key_of_a_stream_is_on_its_page_and_no_other() -> None:
    nested: dict[str, type[BaseModel]] = {"topics": TopicBlock, "windows": WindowBlock, "lookups": LookupBlock}
    keys = {*keys_of(StreamBlock)} - {"windows", "lookups"}
    keys |= {f"{name}[].{key}" for name, block in nested.items() for key in keys_of(block)}

    of_topics = {key for key in keys if key.startswith("topics[].messages.")}
    assert {*shown()} == keys - of_topics | {"topics[].messages"}


@pytest.mark.parametrize("key", sorted(shown()))
def test_the_example_of_each_key_is_valid_and_its_default_is_the_programs(key: str) -> None:
    whole = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert whole is not None
    document = yaml.safe_load(whole[1])
    stream = document["customProperties"][0]["value"]["stream"]
    usual, faults = read(yaml.safe_dump(document, sort_keys=False))
    assert usual is not None, faults

    example = yaml.load(shown()[key][-1].strip("`"), _Loader)
    if "columns" in str(example.get("topics")):
        del stream["sequence"]
    stream |= example
    found, faults = read(yaml.safe_dump(document, sort_keys=False))
    assert found is not None, faults

    default = shown()[key][0]
    outer, _, inner = key.partition(".")
    if default.startswith("`") and "[" not in key:
        stream = document["customProperties"][0]["value"]["stream"]
        for name in example:
            del stream[name]
        value = yaml.safe_load(default.strip("`"))
        stream |= {"source": "events", "topics": ["orders"], "sequence": "changed_at"}
        stream["target"] = {"system": "warehouse"}
        stream[outer] = (stream.get(outer) or {}) | {inner: value} if inner else value
        assert read(yaml.safe_dump(document, sort_keys=False))[0] == usual


def test_the_extras_of_kafka_in_the_reference_are_those_that_its_source_reads() -> None:
    source = (ROOT / "ingestion" / "sources" / "kafka.py").read_text()
    told = (ast.get_docstring(ast.parse(source)) or "").partition("Its extras:\n")[2]
    page = (ROOT / "docs" / "reference" / "connections.md").read_text()
    section = page.partition("\n## Kafka\n")[2].partition("\n## ")[0]

    described = set(re.findall(r"^    (\w+)  ", told, re.MULTILINE))
    assert set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE)) == described
    assert set(re.findall(r"extra\.get\(\"(\w+)\"", source)) == described


def test_the_source_of_oracle_writes_no_row() -> None:
    """What streams write is in `ingestion/sinks`, which no source imports (import-linter)."""
    statements = re.compile(r"[\"' ](INSERT INTO|MERGE INTO|UPDATE |DELETE FROM|TRUNCATE|COMMIT)[ \"']")
    for path in (ROOT / "ingestion" / "sources" / "oracle").glob("*.py"):
        assert not statements.search(path.read_text()), path.name
        assert ".commit()" not in path.read_text(), path.name


def test_types_of_oracle_are_read_as_its_own() -> None:
    columns = COLUMNS | {"order_id": COLUMNS["order_id"] | {"physicalType": "NUMBER(12)"}}
    columns |= {"amount": COLUMNS["amount"] | {"physicalType": "NUMBER(12,2)"}}
    columns |= {"status": COLUMNS["status"] | {"physicalType": "VARCHAR2(20)"}}
    stream, faults = read(contract(columns=columns, kind="oracle"))

    assert stream is not None, faults
    assert stream.contract.dialect == "oracle"
    assert stream.contract.arrow_schema.types == [pa.int64(), pa.decimal128(12, 2), pa.string()]
