from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from monitoring.advisor import rules
from monitoring.advisor.documents import Passage, passages
from monitoring.advisor.retrieval import Library, QueryType, query_type
from monitoring.advisor.values import Question
from tests.advisor import harness
from tests.advisor.raised import ROOT

ASKED = yaml.safe_load((Path(__file__).parent / "retrieval.yaml").read_text())


@pytest.fixture(scope="module")
def library() -> Iterator[Library]:
    made = Library(passages(ROOT / "data_contracts", ROOT / "dbt_project"))
    yield made
    made.close()


def is_right(found: str, right: list[str]) -> bool:
    return any(found == each or found.startswith(f"{each}#") for each in right)


def test_nine_of_ten_questions_find_a_right_passage_among_the_first_three(library: Library) -> None:
    missed = []
    for each in ASKED:
        found = library.find(each["ask"], harness.names(), limit=3)
        if not any(is_right(passage.id, each["right"]) for passage in found):
            missed.append((each["ask"], [passage.id for passage in found]))

    assert len(missed) <= 0.1 * len(ASKED), missed


def test_the_passages_that_are_expected_exist(library: Library) -> None:
    every = {id_.partition("#")[0] for id_ in library.ids} | {*library.ids}

    assert {right for each in ASKED for right in each["right"]} <= every


def test_a_known_cause_brings_its_runbook_first(library: Library) -> None:
    cases = [case for case in harness.cases() if case.cause and case.kind != harness.HELD_OUT]
    for case in cases:
        advice = rules.advise(Question(case.text, harness.names()))
        [first] = library.find(case.text, harness.names(), advice, limit=1)
        assert first.id == advice.runbook


def test_a_named_table_column_and_model_are_linked_without_a_search(library: Library) -> None:
    linked = [*library.linked("is email of RETAIL.CUSTOMERS in dim_customer?", harness.names())]

    assert linked == ["contract:erp.customers#email", "contract:erp.customers", "model:dim_customer"]


def test_a_model_tells_what_it_is_built_from_how_it_is_tested_and_who_uses_it(library: Library) -> None:
    told = {id_: library.get(id_) for id_ in ("model:fact_sales", "model:fact_sales#tests", "exposure:sales_dashboard")}

    texts = [passage.text for passage in told.values() if passage is not None]
    assert "Built from stg_order_items, stg_orders, " in texts[0]
    assert "sales_sk: not_null, unique" in texts[1]
    assert "A dashboard that reads fact_sales, dim_customer" in texts[2]


def test_closed_incidents_are_found_as_the_history_of_errors() -> None:
    closed = {"incident_id": "3f9c", "kind": "load_failed", "subject": "erp.customers", "why": "listener restarted"}
    nothing = Path("nowhere")
    made = Library(passages(nothing, nothing, [closed]))

    found = made.find("who restarted the listener", harness.names(), limit=1)

    assert [passage.id for passage in found] == ["incident:3f9c"]
    made.close()


@pytest.mark.parametrize("text", ["", "'); drop table passages; --", "\x00\x1b[31m", "ä" * 5_000, '" or 1=1'])
def test_any_text_can_be_searched(library: Library, text: str) -> None:
    library.find(text, harness.names())

    assert library.find("delete brake", harness.names())


def test_the_index_of_no_passage_finds_nothing() -> None:
    made = Library([])

    assert made.find("anything", harness.names()) == []
    made.close()


def test_a_library_reads_no_file_and_no_address() -> None:
    made = Library([Passage("a", "docs", "a", "text")])

    with pytest.raises(Exception, match="disabled"):
        made._connection.execute("select * from read_text('/etc/hostname')")
    made.close()


@pytest.mark.parametrize(
    ("text", "cause", "kind"),
    [
        ("ORA-12541", "source_unavailable", QueryType.FAILURE),
        ("what does segment mean", None, QueryType.MEANING),
        ("what is downstream of erp.customers", None, QueryType.LINEAGE),
        ("why do we use no pyodbc", None, QueryType.DECISION),
        ("back up the lake", None, QueryType.HOW_TO),
    ],
)
def test_a_question_has_a_class(text: str, cause: str | None, kind: QueryType) -> None:
    assert query_type(text, cause) is kind
