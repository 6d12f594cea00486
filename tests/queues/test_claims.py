"""Where bodies lie that are too large for a message: a folder or a bucket, reached or not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.fs as pafs
import pytest

from ingestion.errors import ConfigurationError, SourceUnavailableError
from ingestion.queues import open_queue
from ingestion.queues.base import Refusal
from ingestion.queues.claims import Claims
from ingestion.queues.packing import UnpackableError, pack, unpack
from ingestion.settings import Connection
from tests.cloud.servers import NEEDS_MOTO, s3
from tests.queues.world import local, message, noise


def claims(place: Path | str) -> Claims:
    found = Claims.of("results", Connection("sqs", extra={"claim_check": str(place)}))
    assert found is not None
    return found


def test_a_claim_is_read_from_its_place_alone(tmp_path: Path) -> None:
    place, secret = claims(tmp_path / "claims"), tmp_path / "secret.json"
    secret.write_bytes(b"geheim")
    url = place.write(b"{}")

    assert place.write(b"{}") == url
    assert [path.name for path in (tmp_path / "claims").iterdir()] == [url.rpartition("/")[2]]
    assert place.read(url) == b"{}"
    beside = f"{tmp_path}/claims/other.json"
    Path(beside).write_bytes(b"geheim")
    for other in (str(secret), f"{tmp_path}/claims/../secret.json", "http://169.254.169.254/x", url + "/", "", beside):
        with pytest.raises(UnpackableError, match="names no file"):
            place.read(other)
    named_alike = tmp_path / url.rpartition("/")[2]
    named_alike.write_bytes(b"geheim")
    with pytest.raises(UnpackableError, match="names no file"):
        place.read(str(named_alike))


def test_a_claim_that_is_gone_or_was_changed_is_no_body(tmp_path: Path) -> None:
    place = claims(tmp_path)
    packed = pack(noise(3_000), {}, 1_024, place.write)
    [path] = tmp_path.iterdir()

    path.write_bytes(b"x" * 3_000)
    with pytest.raises(UnpackableError, match="other bytes"):
        unpack(packed.body, packed.attributes, place.read)
    path.unlink()
    with pytest.raises(UnpackableError, match="is gone"):
        unpack(packed.body, packed.attributes, place.read)


def test_a_claim_whose_writer_dies_in_the_middle_is_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ingestion.queues.claims.move", die)
    with pytest.raises(KeyboardInterrupt):
        claims(tmp_path).write(b"{}")

    assert list(tmp_path.glob("*.json")) == []


@pytest.mark.parametrize(
    "place", ["claims", "http://host/x", "s4://bucket", "s3://", "s3://user:geheim@bucket/x", "s3://b?x=geheim"]
)
def test_a_place_of_claims_that_is_none_is_named(place: str) -> None:
    with pytest.raises(ConfigurationError, match="claim_check must be an absolute folder") as raised:
        claims(place)

    assert "geheim" not in str(raised.value)


def test_a_place_of_claims_that_cannot_be_written_is_told_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigurationError, match=r"results: claims cannot be read or written below .*/file .*stay"):
        claims(tmp_path / "file").write(b"{}")


def test_a_variable_that_the_place_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(ConfigurationError, match="AWS_REGION: not set"):
        claims("s3://bucket").write(b"{}")


def test_while_the_place_is_away_large_messages_wait_and_those_received_stay_in_the_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(uri: str) -> tuple[pafs.FileSystem, str]:
        raise OSError("When writing: AWS Error NETWORK_CONNECTION during PutObject operation: curlCode: 7")

    remote = {"claim_check": "s3://bucket/claims", "max_bytes": "1024", "visibility_seconds": "1"}
    with monkeypatch.context() as patch:
        patch.setattr("ingestion.queues.claims.open_files", lambda uri: (pafs.LocalFileSystem(), str(tmp_path)))
        queue = open_queue("results", local(tmp_path, **remote))
        assert queue.send([message(0, noise(9_000))]).refused == {}
    with monkeypatch.context() as patch:
        patch.setattr("ingestion.queues.claims.open_files", away)
        sent = queue.send([message(1, noise(8_000)), message(2)])
        assert sent.refused == {"id 1": Refusal("Unavailable", is_permanent=False)}
        with pytest.raises(SourceUnavailableError, match=r"results: the place of its claims \(s3://bucket/claims\)"):
            queue.receive(wait_seconds=0)
        with pytest.raises(SourceUnavailableError):
            queue.describe()
    monkeypatch.setattr("ingestion.queues.claims.open_files", lambda uri: (pafs.LocalFileSystem(), str(tmp_path)))

    found = {each.times: each.body for each in queue.receive(wait_seconds=5)}

    assert found[2] in (noise(9_000), message(2).body)


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, s3(patch, tmp_path_factory.mktemp("s3") / "log") as store:
        store.filesystem().create_dir("company-claims")
        yield "s3://company-claims"


@NEEDS_MOTO
@pytest.mark.xdist_group("cloud")
def test_claims_on_s3_are_written_read_and_told_apart_when_gone(bucket: str) -> None:
    place = claims(f"{bucket}/cdc/")
    body = noise(2_000_000)
    packed = pack(body, {}, 1024 * 1024, place.write)

    assert f'"{bucket}/cdc/' in packed.body
    assert unpack(packed.body, packed.attributes, place.read) == (body, {})
    place.check()
    with pytest.raises(UnpackableError, match="is gone"):
        place.read(f"{bucket}/cdc/{'0' * 64}.json")


@NEEDS_MOTO
@pytest.mark.xdist_group("cloud")
def test_a_bucket_of_claims_that_is_missing_is_named(bucket: str) -> None:
    with pytest.raises(ConfigurationError, match="results: claims cannot be read or written below s3://nobodys"):
        claims("s3://nobodys").write(b"{}")
