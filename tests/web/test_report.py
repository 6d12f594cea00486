"""The pages as files, and the commands that show the lake."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from ingestion.cli import cli
from ingestion.errors import ConfigurationError
from monitoring.web.report import write_report
from monitoring.web.serve import TOKEN, check
from tests.web.worlds import World

Find = Callable[[str], World]


@pytest.mark.parametrize("name", ["drift", "empty", "hostile"])
def test_every_link_of_a_report_is_a_file_of_it(name: str, world: Find, tmp_path: Path) -> None:
    pages = write_report(world(name).site(), tmp_path / "report")

    assert pages[0].name == "index.html"
    for page in pages:
        for link in re.findall(r'(?:href|src)="([^"#]*)"', page.read_text()):
            assert (page.parent / html.unescape(link)).is_file(), (page.name, link)
        assert "hx-get" not in page.read_text()
    assert (tmp_path / "report" / "gaps-crm.people.html") in pages


def test_a_report_replaces_a_report_and_nothing_else(world: Find, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    write_report(world("drift").site(), folder)
    write_report(world("empty").site(), folder)
    assert "Nothing has run" in (folder / "index.html").read_text()

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    with pytest.raises(ConfigurationError, match="holds something else than a report"):
        write_report(world("drift").site(), tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_the_command_writes_a_report(world: Find, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = world("green")
    monkeypatch.setenv("LAKEHOUSE_PROJECT", str(shown.folder))
    monkeypatch.setenv("LAKEHOUSE_ROOT", shown.lake.root)

    result = CliRunner().invoke(cli, ["report", "--html", str(tmp_path / "report")])

    assert (result.exit_code, "index.html" in result.output.replace("\n", "")) == (0, True)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "lake.example"])
def test_without_a_token_only_this_machine_is_served(host: str) -> None:
    with pytest.raises(ConfigurationError, match=f"no token is set. Nothing was served. Set {TOKEN}"):
        check(host, "")
    check(host, "a token of the tests")
    with pytest.raises(ConfigurationError, match="must have 16 characters or more; it has 5"):
        check(host, "short")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_this_machine_is_served_without_a_token(host: str) -> None:
    check(host, "")


def test_vendored_files_are_the_recorded_ones() -> None:
    import hashlib

    from monitoring.web.render import STATIC

    listed = re.findall(r"^\| `(\S+)` .*`(\w{64})` \|$", (STATIC / "VENDORED.md").read_text(), re.MULTILINE)
    assert [name for name, _ in listed] == [path.name for path in STATIC.glob("*.min.*")]
    for name, digest in listed:
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == digest
