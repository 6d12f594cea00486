"""
A whole day on Azure's storage: Azurite, which has no hierarchical namespace, so that files move by way of here.

The short form loads, compares, repairs and maintains; the long one also builds with dbt, as the day on S3 does in both.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from ingestion.errors import ConcurrentWriteError, LakeError, LakeUnavailableError
from ingestion.lake import duck
from ingestion.lake.base import Commit
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.layout import create_lake, lake_at, open_lake
from ingestion.lake.storage import adls as provider
from ingestion.lake.storage.filesystem import open_files
from tests.cloud.day import LOST_A_DAY, Played, Rows, content, erase_number, play
from tests.cloud.servers import NEEDS_AZURITE, adls, free_port
from tests.examples import LONG, LONG_FORM

pytestmark = [NEEDS_AZURITE, pytest.mark.xdist_group("cloud")]
ACCOUNT = "devstoreaccount1.dfs.core.windows.net"
LAKE, THEN = f"abfss://company@{ACCOUNT}/retail/lake", f"abfss://company@{ACCOUNT}/retail/then"
KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq"  # the beginning of the emulator's, which is public
)
SCHEMA = pa.schema([("id", pa.int64())])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, adls(patch, tmp_path_factory.mktemp("azurite") / "log") as url:
        filesystem, _ = open_files(LAKE)
        filesystem.create_dir("company")
        yield url


@pytest.fixture(scope="module")
def played(store: str, tmp_path_factory: pytest.TempPathFactory) -> Played:
    with pytest.MonkeyPatch.context() as patch:
        return play(tmp_path_factory.mktemp("day"), LAKE, THEN, patch, whole=LONG, builds=LONG)


@LONG_FORM
def test_both_days_in_a_container_give_the_rows_of_a_lake_in_a_folder(played: Played, local: Rows) -> None:
    found = content(LAKE)

    assert found.keys() == local.keys()
    for name, expected in local.items():
        assert found[name] == expected, name


def test_the_lost_day_is_found_and_closed(played: Played) -> None:
    for contract_id, found in played.gaps.items():
        assert [gap > 0 for gap in found] == ([True, False] if contract_id in LOST_A_DAY else [False])


@LONG_FORM
def test_what_was_known_on_day_1_is_rebuilt_beside_the_lake(played: Played, local: Rows) -> None:
    assert 0 < len(content(THEN)["silver.stg_orders"]) < len(local["silver.stg_orders"])


@LONG_FORM
def test_the_key_stands_in_nothing_that_dbt_wrote(played: Played) -> None:
    files = {str(file): file.read_bytes() for file in played.dbt.rglob("*") if file.is_file()}

    assert any(name.endswith("dbt.log") for name in files)
    assert [name for name, text in files.items() if KEY.encode() in text] == []
    assert KEY not in repr(open_lake(LAKE))


def test_a_batch_that_six_writers_commit_at_once_is_there_once(store: str) -> None:
    lake = create_lake(f"abfss://company@{ACCOUNT}/writers")
    uri = lake.uri("silver", "numbers")
    DeltaRs(lake.storage_options).create(uri, SCHEMA)

    def commit(_: int) -> bool:
        try:
            DeltaRs(lake.storage_options).append(uri, pa.table({"id": [7]}, SCHEMA), commit=Commit("silver/numbers", 1))
        except ConcurrentWriteError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert any(pool.map(commit, range(6)))
    with duck.connect(at=uri) as connection:
        assert connection.execute(f"select id from {duck.scan(uri)}").fetchall() == [(7,)]


@pytest.mark.usefixtures("store")
def test_what_is_erased_leaves_no_older_version_behind() -> None:
    lake = create_lake(f"abfss://company@{ACCOUNT}/erased")

    numbers, others = erase_number(DeltaRs(lake.storage_options), lake.uri("bronze", "crm", "numbers"))

    assert (numbers, others) == ([1, 3], {".json", ".checkpoint.parquet", "_last_checkpoint"})


def test_a_container_that_is_missing_is_named_and_not_made(store: str) -> None:
    for _ in range(2):
        with pytest.raises(LakeError, match="there is no bucket or container of this name"):
            create_lake(f"abfss://nowhere@{ACCOUNT}/lake")


def test_a_key_that_is_wrong_is_told_so(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "EMULATOR_KEY", "QUJD" + provider.EMULATOR_KEY[4:])

    with pytest.raises(LakeError, match="this login may not do that"):
        open_lake(LAKE)
    with pytest.raises(LakeError, match="this login may not do that"):
        DeltaRs(lake_at(LAKE).storage_options).version(f"{LAKE}/gold/fact_sales")


def test_an_account_that_does_not_answer_is_worth_another_attempt(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURITE_BLOB_STORAGE_URL", f"http://127.0.0.1:{free_port()}")

    with pytest.raises(LakeUnavailableError, match="storage does not answer"):
        open_lake(LAKE)
