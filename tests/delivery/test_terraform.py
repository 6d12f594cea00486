"""
The Terraform of the three clouds, read as text: one interface, arguments that the providers have, data that stays.

provider_schemas.json has the arguments of the resources that the modules of Azure and Google use: Azure's as the provider
tells them (terraform providers schema), Google's as its published types name them. AWS is applied, and Azure planned
where its provider is at hand (tests/cloud/test_terraform.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hcl2
import pytest

ROOT = Path(__file__).parents[2] / "infra" / "terraform"
CLOUDS = ("aws", "azure", "gcp")
MODULES = sorted(path.name for path in (ROOT / "modules").iterdir())
INPUTS = {"name", "env", "region", "retention_days", "writers", "readers"}
OUTPUTS = {"lake_uri", "secret_prefix", "identity"}
INTERFACES = {
    "": (INPUTS, OUTPUTS),
    "network_": ({"name", "env", "region", "cidr"}, {"network_id", "subnet_ids"}),
    "compute_": ({"name", "env", "region", "runner", "subnet_ids"}, {"compute"}),
}
SCHEMAS = json.loads(Path(__file__).with_name("provider_schemas.json").read_text())["schemas"]
OF_TERRAFORM = {"__comments__", "dynamic", "for_each", "count", "depends_on", "provider", "lifecycle", "__is_block__"}
HOLDS_DATA = {"aws_s3_bucket", "aws_sqs_queue", "azurerm_storage_account", "azurerm_storage_container", "azurerm_key_vault",
              "google_storage_bucket", "terraform_data"}  # fmt: skip


@cache
def parsed(text: str) -> dict[str, Any]:
    """Return a configuration without the quotes that the parser leaves around names and texts."""

    def bare(value: Any) -> Any:
        if isinstance(value, dict):
            return {key.strip('"'): bare(each) for key, each in value.items()}
        if isinstance(value, list):
            return [bare(each) for each in value]
        return value.strip('"') if isinstance(value, str) else value

    found: dict[str, Any] = bare(hcl2.loads(text))
    return found


def text_of(folder: str) -> str:
    return "\n".join(path.read_text() for path in sorted((ROOT / folder).glob("*.tf")))


def blocks(folder: str, kind: str) -> dict[str, Any]:
    return {name: value for block in parsed(text_of(folder)).get(kind, []) for name, value in block.items()}


def resources(text: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the kind (resource.<type> or data.<type>), the address and the body of each resource."""
    document = parsed(text)
    for kind in ("resource", "data"):
        for block in document.get(kind, []):
            for type_, named in block.items():
                for name, body in named.items():
                    yield f"{kind}.{type_}", f"{type_}.{name}", body


def faults(text: str) -> list[str]:
    """Return what a provider would refuse: an argument that it does not have, or the lack of one that it needs."""
    found = []
    for kind, address, body in resources(text):
        if kind.split(".")[1].startswith(("azurerm_", "google_")):
            assert kind in SCHEMAS, f"{kind}: provider_schemas.json does not have it"
            found += [f"{address}: {fault}" for fault in _faults_in(body, SCHEMAS[kind])]
    return found


def _faults_in(body: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    for block in body.get("dynamic", []):
        body = {**body, **{name: each["content"] for name, each in block.items()}}
    needed = {name for name, how in schema.items() if name and (how == "required" or (how != "optional" and "" in how))}
    yield from (f"{name} is missing" for name in sorted(needed - body.keys()))
    for name, value in body.items():
        if name in OF_TERRAFORM:
            continue
        if name not in schema:
            yield f"{name} is unknown"
        elif isinstance(schema[name], dict) and isinstance(value, list):
            for each in value:
                yield from (f"{name}.{fault}" for fault in _faults_in(each, schema[name]))


@pytest.mark.parametrize("kind", INTERFACES)
def test_the_three_clouds_have_one_interface(kind: str) -> None:
    inputs, outgoing = INTERFACES[kind]
    first = blocks(f"modules/{kind}aws", "variable")
    for cloud in CLOUDS:
        variables, outputs = blocks(f"modules/{kind}{cloud}", "variable"), blocks(f"modules/{kind}{cloud}", "output")
        assert variables.keys() >= inputs, cloud
        assert {name: variables[name] for name in inputs} == {name: first[name] for name in inputs}, cloud
        assert [name for name in variables.keys() - inputs if "default" not in variables[name]] == [], cloud
        assert outputs.keys() >= outgoing, cloud
        assert {name: outputs[name]["description"] for name in outgoing} == {
            name: blocks(f"modules/{kind}aws", "output")[name]["description"] for name in outgoing
        }, cloud


@pytest.mark.parametrize("cloud", CLOUDS)
def test_network_and_compute_are_made_only_where_that_is_asked_for(cloud: str) -> None:
    variables, modules = blocks(cloud, "variable"), blocks(cloud, "module")

    for kind in ("network", "compute"):
        assert variables[kind]["default"] is False
        assert modules[kind]["count"] == f"${{var.{kind} ? 1 : 0}}"


def unexplained(text: str) -> list[str]:
    """Return the exceptions from policies that give no reason, or that do not stand in a block beside what they excuse."""
    lines = [line for line in text.splitlines() if re.search(r"checkov:\s*skip", line)]
    return [line for line in lines if not re.fullmatch(r"  #checkov:skip=CKV2?_(AWS|AZURE|GCP)_\d+:\S.{19,}", line)]


def test_every_exception_from_a_policy_stands_in_its_resource_with_its_reason() -> None:
    text = "\n".join(path.read_text() for path in ROOT.rglob("*.tf"))

    assert text.count("checkov:skip=") > 10
    assert unexplained(text) == []


@pytest.mark.parametrize(
    "line",
    [
        "  #checkov:skip=CKV_AWS_18",
        "  #checkov:skip=CKV_AWS_18:",
        "  #checkov:skip=CKV_AWS_18:not needed",
        "  # checkov:skip=CKV_AWS_18",
        "#checkov:skip=CKV_AWS_18:who read what is told by CloudTrail",
    ],
)
def test_an_exception_without_a_reason_or_beside_nothing_is_found(line: str) -> None:
    assert unexplained(line) == [line]


def test_no_policy_is_left_out_for_all_resources() -> None:
    [recipe] = re.findall(r"^\t\$\(CHECKOV\) (.*)$", (ROOT.parents[1] / "Makefile").read_text(), re.MULTILINE)

    assert not re.search(r"skip-check|--check|soft-fail|baseline|config-file", recipe)
    assert [*ROOT.parents[1].glob(".checkov*"), *ROOT.rglob(".checkov*")] == []


@pytest.mark.parametrize("module", MODULES)
def test_what_can_be_tagged_says_its_system_and_its_environment(module: str) -> None:
    for kind, address, body in resources(text_of(f"modules/{module}")):
        for name in ("tags", "labels"):
            if kind.startswith("resource.") and name in SCHEMAS.get(kind, {}):
                assert re.fullmatch(r"\$\{(local|var)\.(tags|labels)\}", body[name]), address


@pytest.mark.parametrize("cloud", CLOUDS)
def test_an_environment_is_a_file_of_values_that_every_cloud_takes(cloud: str) -> None:
    variables = blocks(cloud, "variable")
    files = sorted((ROOT / "environments").glob("*.tfvars"))

    assert [file.stem for file in files] == ["dev", "prod", "staging"]
    for file in files:
        values = parsed(file.read_text())
        assert values["env"] == file.stem
        assert values.keys() <= variables.keys()
        needed = {name for name, each in variables.items() if "default" not in each} - values.keys()
        assert needed <= {"company", "region", "project"}  # the site's own: TF_VAR_…


@pytest.mark.parametrize(
    ("module", "least"),
    [
        ("azure", 9),
        ("lake_storage_account", 4),
        ("gcp", 7),
        ("network_azure", 11),
        ("network_gcp", 3),
        ("compute_azure", 3),
        ("compute_gcp", 3),
    ],
)
def test_the_providers_of_azure_and_google_have_every_argument(module: str, least: int) -> None:
    assert sum(1 for _ in resources(text_of(f"modules/{module}"))) >= least
    assert faults(text_of(f"modules/{module}")) == []


@pytest.mark.parametrize(
    ("module", "old", "new", "fault"),
    [
        ("gcp", "uniform_bucket_level_access", "unifrom_bucket_level_access", "unifrom_bucket_level_access is unknown"),
        ("gcp", "  location                    = var.region\n", "", "google_storage_bucket.lake: location is missing"),
        ("gcp", "days_since_noncurrent_time", "days_noncurrent", "lifecycle_rule.condition.days_noncurrent is unknown"),
        ("azure", "rbac_authorization_enabled", "rbac_enabled", "azurerm_key_vault.lake: rbac_enabled is unknown"),
        ("lake_storage_account", "scope                = ", "scopes = ", "scope is missing"),
        ("azure", "is_manual_connection           = false\n", "", "private_service_connection.is_manual_connection"),
        ("azure", "default_action = ", "default = ", "network_acls.default is unknown"),
        ("network_azure", "default_outbound_access_enabled", "outbound_access", "outbound_access is unknown"),
        ("network_gcp", "private_ip_google_access", "private_google_access", "private_google_access is unknown"),
        ("compute_azure", "  sku                 = ", "  tier = ", "azurerm_databricks_workspace.lake: sku is missing"),
        ("compute_gcp", "service            = ", "api = ", "google_project_service.dataproc: service is missing"),
    ],
)
def test_a_planted_fault_is_found(module: str, old: str, new: str, fault: str) -> None:
    text = text_of(f"modules/{module}")
    assert old in text

    assert any(fault in each for each in faults(text.replace(old, new, 1)))


@pytest.mark.parametrize("folder", [*CLOUDS, *(f"modules/{name}" for name in MODULES)])
def test_data_cannot_be_destroyed_and_no_secret_is_in_a_state(folder: str) -> None:
    for kind, address, body in resources(text_of(folder)):
        type_ = kind.split(".")[1]
        if type_ in HOLDS_DATA:
            assert body["lifecycle"][0]["prevent_destroy"] is True, address
        assert not re.search(r"secret_version|vault_secret$|password|access_key", type_), address
    assert "force_destroy               = true" not in text_of(folder)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_root_keeps_its_state_elsewhere_and_names_its_provider_within_a_major_version(cloud: str) -> None:
    [terraform] = parsed(text_of(cloud))["terraform"]

    assert [*terraform["backend"][0]] == [{"aws": "s3", "azure": "azurerm", "gcp": "gcs"}[cloud]]
    assert all(
        each["version"].startswith("~> ") for each in terraform["required_providers"][0].values() if each is not True
    )
