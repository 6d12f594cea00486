"""The Silver model of a contract is the one that dbt makes of it, whatever it is called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ingestion.contracts.model import Contract
from ingestion.contracts.silver_models import silver_models, with_model


def write(project: Path, model: str, text: str) -> None:
    path = project / "models" / "silver" / "crm" / f"{model}.sql"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ scd2('crm', 'people') }}\n",
        '-- history\n{{- scd2( "crm" ,"people" ) -}}',
        "{# not scd2('crm', 'cities') #}\n{{ scd2('crm', 'people') }}",
    ],
)
def test_model_is_called_as_its_file(text: str, tmp_path: Path, make_contract: Callable[..., Contract]) -> None:
    write(tmp_path, "people_history", text)

    models = silver_models(tmp_path)

    assert models == {"crm.people": ["people_history"]}
    assert with_model(make_contract(), models).silver_model == "people_history"


def test_contracts_own_name_stands_where_dbt_has_it_or_none(
    tmp_path: Path, make_contract: Callable[..., Contract]
) -> None:
    contract = make_contract(silver_model="people_2")
    assert with_model(contract, silver_models(tmp_path)).silver_model == "people_2"

    for model in ("people_1", "people_2"):
        write(tmp_path, model, "{{ scd2('crm', 'people') }}")

    assert with_model(contract, silver_models(tmp_path)).silver_model == "people_2"
