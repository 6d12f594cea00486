"""A password that is changed while the program runs: the real driver's refused log-in reads the secret again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ingestion.errors import LoginRefusedError
from ingestion.settings import Settings
from ingestion.sources import open_source
from tests.sources import oracle_fixtures, sqlserver_fixtures


@pytest.mark.parametrize("fixtures", [oracle_fixtures, sqlserver_fixtures], ids=["oracle", "sqlserver"])
def test_a_rotated_password_is_read_again_when_the_old_one_is_refused(fixtures: Any, tmp_path: Path) -> None:
    known, secret = fixtures.reachable(), tmp_path / "AIRFLOW_CONN_ERP"
    secret.write_text(replace(known, password="of yesterday").as_json())
    settings = Settings.from_environ({"LAKEHOUSE_PROJECT": str(tmp_path), "LAKEHOUSE_SECRETS_DIR": str(tmp_path)})
    connection = settings.connection("erp")
    with pytest.raises(LoginRefusedError, match="user or password were refused") as raised:
        open_source("erp", connection).probe()
    assert "of yesterday" not in str(raised.value)

    secret.write_text(known.as_json())

    assert open_source("erp", connection).probe() == open_source("erp", settings.connection("erp")).probe()
