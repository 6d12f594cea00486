"""By which salt a lake's persons are hashed, and that no other one is taken without a word."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ingestion.errors import ConfigurationError, LakeError
from ingestion.lake.layout import Lake, create_lake
from ingestion.lake.mask_salt import FILE, check_salt, keep_fingerprint, open_salt, read_fingerprint, salt_fault

SALT, OTHER = "grains of sand on a beach", "drops of water in a sea"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return create_lake(tmp_path / "lake")


def with_gold(lake: Lake) -> None:
    lake.filesystem.create_dir(lake.path("gold", "dim_customer"))


@pytest.mark.parametrize(("salt", "found"), [("", "it is not set"), ("short", "it has 5"), (" " * 40, "it has 0")])
def test_no_salt_and_one_that_can_be_guessed_are_refused_with_what_to_set(lake: Lake, salt: str, found: str) -> None:
    with pytest.raises(ConfigurationError, match=found) as refused:
        check_salt(lake, salt)

    assert "LAKEHOUSE_MASK_SALT: must be a secret of 16 characters or more" in str(refused.value)
    assert "Set a random one (python3 -c" in str(refused.value)


def test_another_salt_is_refused_as_long_as_gold_has_tables(lake: Lake) -> None:
    keep_fingerprint(lake, SALT)
    keep_fingerprint(lake, OTHER)  # the build under the first one wrote nothing
    with_gold(lake)

    check_salt(lake, OTHER)
    with pytest.raises(ConfigurationError, match="is not the salt that this lake's Gold is written under") as refused:
        keep_fingerprint(lake, SALT)
    assert "Set that salt again" in str(refused.value)
    assert "lakehouse build gold --new-salt" in str(refused.value)
    assert "the one that is in use since 20" in str(salt_fault(lake, ""))


def test_a_salt_changes_for_good_only_when_somebody_asks_for_it(lake: Lake) -> None:
    keep_fingerprint(lake, SALT)
    with_gold(lake)

    keep_fingerprint(lake, OTHER, anew=True)

    check_salt(lake, OTHER)
    assert salt_fault(lake, SALT) is not None
    with pytest.raises(ConfigurationError, match="it has 5"):
        keep_fingerprint(lake, "short", anew=True)


def test_the_lake_keeps_a_fingerprint_and_not_the_salt(lake: Lake, tmp_path: Path) -> None:
    keep_fingerprint(lake, SALT)
    first = read_fingerprint(lake)
    keep_fingerprint(lake, SALT)

    assert first is not None
    assert read_fingerprint(lake) == first  # it is not written again
    assert SALT.encode() not in (tmp_path / "lake" / FILE).read_bytes()
    assert [name for name in os.listdir(tmp_path / "lake") if name.endswith(".new")] == []
    assert read_fingerprint(create_lake(tmp_path / "lake")) == first
    keep_fingerprint(lake, SALT, anew=True)
    assert read_fingerprint(lake) != first  # the nonce is new: two lakes under one salt do not look alike


def test_a_damaged_fingerprint_stops_gold_and_says_how_it_comes_back(lake: Lake, tmp_path: Path) -> None:
    with_gold(lake)
    (tmp_path / "lake" / FILE).write_text("{")

    with pytest.raises(LakeError, match="--new-salt"):
        check_salt(lake, SALT)
    assert "--new-salt" in str(open_salt(lake, SALT, writes=True)[1])
    keep_fingerprint(lake, SALT, anew=True)
    check_salt(lake, SALT)


def test_a_command_that_only_reads_gets_no_salt_that_is_not_the_lakes_and_keeps_none(lake: Lake) -> None:
    assert open_salt(lake, SALT, writes=False) == (SALT, None, "")
    assert read_fingerprint(lake) is None
    assert open_salt(lake, "", writes=False) == (None, None, "")
    salt, fault, mark = open_salt(lake, SALT, writes=True)
    with_gold(lake)

    assert (salt, fault, len(mark)) == (SALT, None, 12)
    assert open_salt(lake, OTHER, writes=False) == (None, None, mark)
