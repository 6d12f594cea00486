"""A whole day on S3: moto's server checks each signature, and the policies that infra/terraform gives its roles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pyarrow as pa
import pyarrow.fs as pafs
import pytest

from ingestion.build.dbt import build_layer
from ingestion.errors import ConcurrentWriteError, ConfigurationError, LakeError, LakehouseError, LakeUnavailableError
from ingestion.lake import duck
from ingestion.lake.base import Commit
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.layout import MARKER, create_lake, lake_at, open_lake
from ingestion.load.load_table import load_table
from tests.cloud.day import LOST_A_DAY, Played, Rows, content, erase_number, play
from tests.cloud.servers import NEEDS_MOTO, ROOT, S3, free_port, s3
from tests.examples import LONG, LONG_FORM

pytestmark = [NEEDS_MOTO, pytest.mark.xdist_group("cloud")]
BUCKET, PREFIX = "company-lake", "retail/"
LAKE, THEN = f"s3://{BUCKET}/{PREFIX}lake", f"s3://{BUCKET}/{PREFIX}then"
POLICIES = ROOT / "infra" / "terraform" / "modules" / "lake_bucket" / "policies"
SCHEMA = pa.schema([("id", pa.int64())])


def policy(name: str, prefix: str) -> str:
    text = (POLICIES / f"{name}.json.tftpl").read_text()
    given = json.loads(text.replace("${bucket}", f"arn:aws:s3:::{BUCKET}").replace("${prefix}", prefix))
    if name != "reader":  # many keys deleted at once: Amazon asks about each key, moto about the bucket
        given["Statement"].append(
            {"Effect": "Allow", "Action": "s3:DeleteObject", "Resource": f"arn:aws:s3:::{BUCKET}"}
        )
    return json.dumps(given)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with pytest.MonkeyPatch.context() as patch, s3(patch, tmp_path_factory.mktemp("moto") / "log") as server:
        server.filesystem().create_dir(BUCKET)
        yield server


@pytest.fixture(scope="module")
def login(store: S3) -> dict[str, str]:
    return store.user("steward", policy("steward", PREFIX))


@pytest.fixture(scope="module")
def played(store: S3, login: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Played:
    with pytest.MonkeyPatch.context() as patch, store.guarded():
        for name, value in login.items():
            patch.setenv(name, value)
        return play(tmp_path_factory.mktemp("day"), LAKE, THEN, patch, whole=LONG)


@pytest.fixture
def table(store: S3, request: pytest.FixtureRequest) -> tuple[DeltaRs, str]:
    """An empty table of one column in a lake of its own."""
    lake = create_lake(f"s3://{BUCKET}/{request.node.name[:40]}")
    engine, uri = DeltaRs(lake.storage_options), lake.uri("silver", "numbers")
    engine.create(uri, SCHEMA)
    return engine, uri


def rows(uri: str) -> list[int]:
    with duck.connect(at=uri) as connection:
        return [row[0] for row in connection.execute(f"select id from {duck.scan(uri)} order by id").fetchall()]


def objects(store: S3) -> dict[str, bytes]:
    """Return what is in the bucket and can be read as text: logs of Delta, markers, ledgers of chunks."""
    filesystem, found = store.filesystem(), {}
    for info in filesystem.get_file_info(pafs.FileSelector(BUCKET, recursive=True)):
        if info.is_file:
            with filesystem.open_input_stream(info.path) as stream:
                found[info.path] = stream.readall()
    return found


def test_both_days_on_a_bucket_give_the_rows_of_a_lake_in_a_folder(played: Played, local: Rows) -> None:
    found = content(LAKE)

    assert found.keys() == local.keys()
    assert len(found["gold.fact_sales"]) > 10_000
    for name, expected in local.items():
        assert found[name] == expected, name


def test_the_lost_day_is_found_and_closed(played: Played) -> None:
    for contract_id, found in played.gaps.items():
        assert [gap > 0 for gap in found] == ([True, False] if contract_id in LOST_A_DAY else [False])


@LONG_FORM
def test_what_was_known_on_day_1_is_rebuilt_beside_the_lake(played: Played, local: Rows) -> None:
    then = content(THEN)

    assert 0 < len(then["silver.stg_orders"]) < len(local["silver.stg_orders"])


def test_nothing_is_left_of_attempts_and_no_folder_is_an_object(played: Played, store: S3) -> None:
    paths = [path for path in objects(store) if path.startswith(f"{BUCKET}/{PREFIX}")]

    assert [path for path in paths if path.endswith(".new") or "/arrived-" in path] == []
    assert [path for path in paths if not path.startswith((f"{BUCKET}/{PREFIX}lake/", f"{BUCKET}/{PREFIX}then/"))] == []


def test_no_secret_stands_in_the_lake_or_in_what_dbt_wrote(
    played: Played, login: dict[str, str], store: S3, capfd: pytest.CaptureFixture[str]
) -> None:
    files = {str(file): file.read_bytes() for file in played.dbt.rglob("*") if file.is_file()}
    assert any(name.endswith("dbt.log") for name in files)
    assert any("/compiled/" in name for name in files)

    for name, text in {**files, **objects(store)}.items():
        for variable, secret in login.items():
            assert secret.encode() not in text, (variable, name)
    assert login["AWS_SECRET_ACCESS_KEY"] not in repr(open_lake(LAKE))


def test_of_two_writers_that_saw_the_same_version_one_is_refused(table: tuple[DeltaRs, str]) -> None:
    engine, uri = table
    engine.append(uri, pa.table({"id": [1]}, SCHEMA))
    seen = engine.snapshot(uri, expected_version=1)
    engine.append(uri, pa.table({"id": [2]}, SCHEMA))

    with pytest.raises(ConcurrentWriteError):
        engine.replace(uri, seen.files, [], commit=Commit("silver/numbers", 1), expected_version=1)
    assert rows(uri) == [1, 2]


def test_a_batch_that_eight_writers_commit_at_once_is_there_once(table: tuple[DeltaRs, str]) -> None:
    _, uri = table
    ready = Barrier(8)

    def commit(_: int) -> bool:
        writer = DeltaRs(lake_at(uri).storage_options)
        opened = writer._open(uri)
        ready.wait()
        try:
            writer._open = lambda uri: opened  # type: ignore[method-assign]
            writer.append(uri, pa.table({"id": [7]}, SCHEMA), commit=Commit("silver/numbers", 1))
        except ConcurrentWriteError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(commit, range(8))) == 1
    assert rows(uri) == [7]


def test_appends_that_meet_are_all_kept(table: tuple[DeltaRs, str]) -> None:
    engine, uri = table

    def append(number: int) -> None:
        DeltaRs(lake_at(uri).storage_options).append(uri, pa.table({"id": [number]}, SCHEMA))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(append, range(6)))
    assert rows(uri) == list(range(6))
    assert engine.version(uri) == 6


@pytest.mark.usefixtures("store")
def test_what_is_erased_leaves_no_older_version_behind() -> None:
    lake = create_lake(f"s3://{BUCKET}/erased")

    numbers, others = erase_number(DeltaRs(lake.storage_options), lake.uri("bronze", "crm", "numbers"))

    assert (numbers, others) == ([1, 3], {".json", ".checkpoint.parquet", "_last_checkpoint"})


def test_a_bucket_that_is_missing_is_named_and_not_made(store: S3) -> None:
    for reach in (create_lake, open_lake):
        with pytest.raises(LakeError, match=r"s3://nowhere/lake: there is no bucket"):
            reach("s3://nowhere/lake")
    assert store.filesystem().get_file_info("nowhere").type == pafs.FileType.NotFound


def test_a_prefix_with_things_of_others_is_refused(store: S3) -> None:
    with store.filesystem().open_output_stream(f"{BUCKET}/reports/2026.csv") as stream:
        stream.write(b"a,b")

    with pytest.raises(LakeError, match="1 other entries and no _lakehouse"):
        create_lake(f"s3://{BUCKET}/reports")
    assert [path for path in objects(store) if MARKER in path and "reports" in path] == []


def test_a_login_that_may_not_is_told_so(
    played: Played, store: S3, login: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in login.items():
        monkeypatch.setenv(name, value)
    with store.guarded(), pytest.raises(LakeError, match="this login may not do that"):
        create_lake(f"s3://{BUCKET}/others")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "guessed-by-somebody")
    with store.guarded(), pytest.raises(LakeError, match="this login may not do that"):
        open_lake(LAKE)


def test_a_reader_sees_gold_and_neither_bronze_nor_quarantine(
    played: Played, store: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in store.user("analyst", policy("reader", f"{PREFIX}lake/")).items():
        monkeypatch.setenv(name, value)
    lake = lake_at(LAKE)

    with store.guarded():
        with duck.connect(at=LAKE) as connection:
            gold = f"select count(*) from {duck.scan(lake.uri('gold', 'fact_sales'))}"
            assert connection.execute(gold).fetchone() != (0,)
        with pytest.raises(LakeError, match="this login may not do that"):
            DeltaRs(lake.storage_options).version(lake.uri("bronze", "erp", "customers"))
        with pytest.raises(OSError, match="ACCESS_DENIED"), lake.filesystem.open_output_stream(lake.path("x")) as sink:
            sink.write(b"x")


def test_a_store_that_does_not_answer_is_worth_another_attempt(store: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")

    for reach in (open_lake, create_lake):
        with pytest.raises(LakeUnavailableError, match="storage does not answer"):
            reach(LAKE)
    with pytest.raises(LakeUnavailableError):
        DeltaRs(lake_at(LAKE).storage_options).version(f"{LAKE}/gold/fact_sales")


def test_the_marker_is_what_makes_a_prefix_a_lake(store: S3) -> None:
    with pytest.raises(LakeError, match=r"there is no lake"):
        open_lake(f"s3://{BUCKET}/empty")

    create_lake(f"s3://{BUCKET}/empty")

    assert json.loads(objects(store)[f"{BUCKET}/empty/{MARKER}"]) == {"format": 1}
    assert open_lake(f"s3://{BUCKET}/empty/") == create_lake(f"s3://{BUCKET}/empty")


def test_a_variable_that_is_set_to_nothing_is_none(
    played: Played, store: S3, login: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**login, "AWS_SESSION_TOKEN": "", "AWS_PROFILE": ""}.items():
        monkeypatch.setenv(name, value)

    with store.guarded():
        lake = open_lake(LAKE)
        assert DeltaRs(lake.storage_options).version(lake.uri("bronze", "shop", "orders")) > 0


def test_a_login_cut_short_is_refused_before_anything_is_read(store: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    with pytest.raises(ConfigurationError, match="AWS_SECRET_ACCESS_KEY: not set, but AWS_ACCESS_KEY_ID is"):
        open_lake(LAKE)


def test_each_role_can_do_its_work_and_no_more(played: Played, store: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    logins = {name: store.user(name, policy(name, f"{PREFIX}lake/")) for name in ("loader", "transformer", "reader")}

    def as_role(name: str) -> None:
        for variable, value in logins[name].items():
            monkeypatch.setenv(variable, value)

    def gold() -> int:
        with duck.connect(at=LAKE) as connection:
            return len(connection.execute(f"from {duck.scan(f'{LAKE}/gold/dim_product')}").fetchall())

    with store.guarded():
        as_role("loader")
        assert load_table(played.context(2), "erp.products").read > 0
        with pytest.raises(LakehouseError):
            build_layer(played.context(2), "silver")
        as_role("transformer")
        assert build_layer(played.context(2), "silver").models
        with pytest.raises(LakehouseError):
            load_table(played.context(2), "erp.products")
        as_role("reader")
        assert gold() > 0
        for layer in ("bronze/erp/products", "silver/stg_products", "ops/runs"):
            with pytest.raises((LakehouseError, OSError, duck.UNREADABLE[0])), duck.connect(at=LAKE) as connection:
                connection.execute(f"from {duck.scan(f'{LAKE}/{layer}')}").fetchall()
