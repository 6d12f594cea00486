"""The image, one box and the chart: what can be seen of them without a Docker engine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
CHART = ROOT / "infra" / "helm" / "lakehouse"
HELM, HADOLINT = shutil.which("helm"), shutil.which("hadolint")
GIVEN = "image.registry=registry.example/lakehouse,image.tag=abc123,lake.root=s3://company-lake"
BY_DIGEST = re.compile(r".+@sha256:[0-9a-f]{64}")


def stages() -> dict[str, list[tuple[str, str]]]:
    """Return the instructions of each stage: name and text, with continued lines joined."""
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    found: dict[str, list[tuple[str, str]]] = {}
    for line in filter(None, text.split("\n")):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found[rest.split(" AS ")[1]] = [(word, rest)]
        elif found:
            [*found.values()][-1].append((word, " ".join(rest.split())))
    return found


def inherited(name: str) -> list[tuple[str, str]]:
    base = stages()[name][0][1].split(" AS ")[0]
    return (inherited(base) if base in stages() else []) + stages()[name]


def images_of(document: Any) -> Iterator[str]:
    """Yield the images that a compose or a workflow file names: services, containers of jobs, actions in a container."""
    for service in document.get("services", {}).values():
        if "build" not in service:
            yield service["image"]
    for job in document.get("jobs", {}).values():
        containers = [*job.get("services", {}).values(), *([job["container"]] if "container" in job else [])]
        yield from (each if isinstance(each, str) else each["image"] for each in containers)
        used = [step.get("uses", "") for step in job["steps"]]
        yield from (each.removeprefix("docker://") for each in used if each.startswith("docker://"))


def without_digest(names: Iterable[str]) -> list[str]:
    return [name for name in names if not BY_DIGEST.fullmatch(name)]


def test_every_image_is_named_by_its_digest() -> None:
    [python] = re.findall(r"^ARG PYTHON=(.*)$", DOCKERFILE, re.MULTILINE)
    copied_from = re.findall(r"^COPY .*--from=(\S+)", DOCKERFILE, re.MULTILINE)
    files = [*ROOT.glob("compose*.yml"), *ROOT.glob("tests/**/compose*.yml"), *ROOT.glob(".github/workflows/*.yml")]
    named = [name for file in files for name in images_of(yaml.safe_load(file.read_text()))]

    assert {base for base, *_ in (each[0][1].split(" AS ") for each in stages().values())} <= {"${PYTHON}", *stages()}
    assert {*copied_from} <= {*stages()}
    assert len(named) >= 5
    assert without_digest([python, *named]) == []
    assert len({name.partition("@")[0] for name in named}) == len({*named}), "one tag, one digest"


def test_an_image_without_a_digest_is_found_wherever_a_workflow_names_it() -> None:
    step = {"uses": "docker://alpine:3"}
    job = {"container": "debian:12", "services": {"one": {"image": "redis:7"}, "two": "busybox"}, "steps": [step]}

    assert without_digest(images_of({"jobs": {"any": job}})) == ["redis:7", "busybox", "debian:12", "alpine:3"]


def test_digests_are_renewed_in_every_file_at_once(tmp_path: Path) -> None:
    [line] = re.findall(r"^PINNED := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for name in ("Makefile", *line.split()):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(f"#!/bin/sh\necho sha256:{'0' * 64}\n")
    docker.chmod(0o755)
    environ = {**os.environ, "PATH": f"{docker.parent}{os.pathsep}{os.environ['PATH']}"}

    done = subprocess.run(
        ["make", "--no-print-directory", "digests"],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )

    texts = {name: (tmp_path / name).read_text() for name in line.split()}
    assert {digest for text in texts.values() for digest in re.findall("@sha256:([0-9a-f]+)", text)} == {"0" * 64}
    assert len(done.stdout.splitlines()) == 3
    for name, text in texts.items():
        assert re.sub("@sha256:[0-9a-f]+", "", text) == re.sub("@sha256:[0-9a-f]+", "", (ROOT / name).read_text()), name


@pytest.mark.parametrize("target", ["job", "web", "airflow"])
def test_a_target_runs_as_nobody_special_and_says_whether_it_is_well(target: str) -> None:
    instructions = inherited(target)

    assert [text for word, text in instructions if word == "USER"][-1] == "10001"
    assert "HEALTHCHECK" in {word for word, _ in instructions}
    assert not any(
        re.search(r"TOKEN|SALT|PASSWORD|SECRET", text) for word, text in instructions if word in ("ENV", "ARG")
    )


def test_the_lake_of_the_image_and_the_demos_sources_beside_it_are_in_a_folder_that_its_user_owns() -> None:
    [root] = re.findall(r"LAKEHOUSE_ROOT=(\S+)", DOCKERFILE)
    [owned] = re.findall(r"chown lakehouse (.*)$", DOCKERFILE, re.MULTILINE)

    assert str(Path(root).parent) in owned.split()


def test_the_context_holds_what_is_copied_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    copied = {
        name
        for instructions in stages().values()
        for word, text in instructions
        if word == "COPY" and "--from" not in text
        for name in [part for part in text.split() if not part.startswith("--")][:-1]
    }

    assert lines[1] == "*"
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == copied
    assert all((ROOT / name).exists() for name in copied)


@pytest.mark.skipif(HADOLINT is None, reason="needs hadolint: make image runs it")
def test_hadolint_finds_nothing_and_would_find_a_root_user(tmp_path: Path) -> None:
    assert HADOLINT is not None
    (bad := tmp_path / "Dockerfile").write_text("FROM debian:latest\nUSER root\n")

    done = [
        subprocess.run([HADOLINT, str(file)], capture_output=True, text=True, check=False)
        for file in (ROOT / "Dockerfile", bad)
    ]

    assert (done[0].returncode, done[0].stdout) == (0, "")
    assert "DL3002" in done[1].stdout


def test_one_box_waits_for_its_databases_and_is_open_to_this_machine_alone() -> None:
    services = yaml.safe_load((ROOT / "compose.yml").read_text())["services"]

    for name, service in services.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert {*service.get("depends_on", {})} <= services.keys(), name
        for other, how in service.get("depends_on", {}).items():
            assert how["condition"] != "service_healthy" or "healthcheck" in services[other], name
        if "build" in service:
            assert service["build"]["target"] in stages(), name
    needed = {*re.findall(r"\$\{([A-Z_]+):\?\}", (ROOT / "compose.yml").read_text())}
    example = (ROOT / ".env.example").read_text()
    assert needed == {*re.findall(r"^([A-Z_]+)=$", example, re.MULTILINE)}


def rendered(*options: str) -> list[dict[str, Any]]:
    assert HELM is not None
    done = subprocess.run(
        [HELM, "template", "box", str(CHART), "--set", GIVEN, *options], capture_output=True, text=True, check=True
    )
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def pods(documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found = {}
    for each in documents:
        if each["kind"] in ("Deployment", "CronJob"):
            spec = each["spec"]["jobTemplate"]["spec"] if each["kind"] == "CronJob" else each["spec"]
            found[each["metadata"]["name"]] = spec["template"]["spec"]
    return found


@pytest.mark.skipif(HELM is None, reason="needs helm")
def test_pods_of_the_chart_are_confined_and_take_secrets_by_reference() -> None:
    found = pods(
        rendered(
            "--set-json",
            'jobs.daily={"schedule":"0 0 * * *","args":["run"]}',
            "--set-json",
            'streams.orders={"args":["stream"]}',
        )
    )

    assert found.keys() == {"box-web", "box-monitor", "box-daily", "box-stream-orders"}
    for name, pod in found.items():
        [container] = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"], name
        assert container["securityContext"]["readOnlyRootFilesystem"], name
        assert container["resources"]["limits"]["memory"], name
        assert container["envFrom"] == [{"secretRef": {"name": "lakehouse"}}], name
        assert container["image"].startswith("registry.example/lakehouse-"), name
        assert {"name": "LAKEHOUSE_ROOT", "value": "s3://company-lake"} in container["env"], name


@pytest.mark.skipif(HELM is None, reason="needs helm")
@pytest.mark.parametrize("missing", ["image.registry", "image.tag", "lake.root"])
def test_the_chart_says_what_it_lacks(missing: str) -> None:
    assert HELM is not None
    given = [HELM, "template", "box", str(CHART), "--set", GIVEN, "--set", f"{missing}="]

    done = subprocess.run(given, capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert f"{missing} is not set" in done.stderr


def test_the_jobs_of_the_chart_are_commands_of_the_product() -> None:
    from ingestion.cli import cli

    values = yaml.safe_load((CHART / "values.yaml").read_text())
    commented = re.findall(r"^  # \w+: \{.*args: \[(\w+)", (CHART / "values.yaml").read_text(), re.MULTILINE)

    named = [job["args"][0] for job in values["jobs"].values()] + commented
    assert named == ["gaps", "run", "maintain", "stream"]
    assert {*named} <= {*cli.commands}
