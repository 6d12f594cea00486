"""The bucket and the queues that infra/terraform makes: applied to moto's server, and read back."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cloud.servers import MOTO, ROOT, s3
from tests.examples import LONG_FORM

TERRAFORM = shutil.which("terraform")
CACHED = any(name in os.environ for name in ("TF_PLUGIN_CACHE_DIR", "TF_CLI_CONFIG_FILE"))  # a test fetches nothing
pytestmark = [
    pytest.mark.skipif(
        not (TERRAFORM and MOTO and CACHED),
        reason="needs moto's server, terraform, and its AWS provider in the folder TF_PLUGIN_CACHE_DIR",
    ),
    pytest.mark.xdist_group("cloud"),
]
MODULES = ROOT / "infra" / "terraform" / "modules"
PLACE = """
provider "aws" {
  region                      = "eu-central-1"
  access_key                  = "owner"
  secret_key                  = "owner"
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  endpoints {
    s3  = "%(url)s"
    iam = "%(url)s"
    sqs = "%(url)s"
    sts = "%(url)s"
  }
}
"""
LAKE = """
module "lake" {
  source      = "%(module)s"
  name        = "company-lake-test"
  prefix      = "retail/"
  kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/of-the-company"
  undo_days   = 9
}

output "lake" {
  value = module.lake
}
"""


QUEUES = """
module "queues" {
  source             = "%(module)s"
  name               = "calls"
  fifo               = true
  visibility_seconds = 600
  max_receives       = 7
  kms_key_arn        = "arn:aws:kms:eu-central-1:123456789012:key/of-the-company"
  claims             = { bucket_arn = "arn:aws:s3:::company-claims", prefix = "claims/" }
}

output "queues" {
  value = module.queues
}
"""


def terraform(folder: Path, *arguments: str) -> str:
    assert TERRAFORM is not None
    environ = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
    done = subprocess.run(
        [TERRAFORM, *arguments], cwd=folder, env=environ, capture_output=True, text=True, timeout=200, check=False
    )
    if arguments[0] == "init" and done.returncode:
        pytest.skip("needs terraform's provider: its registry does not answer, and no mirror has it")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Every resource of the lake by address, as the provider reads it back, and the outputs."""
    with _applied(tmp_path_factory.mktemp("terraform"), "lake_bucket", LAKE) as found:
        yield found


@pytest.fixture(scope="module")
def queues(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The same of the queues."""
    with _applied(tmp_path_factory.mktemp("terraform"), "conversation_queues", QUEUES) as found:
        yield found


@contextmanager
def _applied(folder: Path, module: str, configuration: str) -> Iterator[dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch, s3(patch, folder / "moto.log") as server:
        copy = shutil.copytree(MODULES / module, folder / "module")
        (folder / "main.tf").write_text((PLACE + configuration) % {"url": server.url, "module": f"./{copy.name}"})
        terraform(folder, "init", "-input=false")
        terraform(folder, "apply", "-auto-approve", "-input=false")
        assert changes_of(folder, "-input=false") == []
        values = json.loads(terraform(folder, "show", "-json"))["values"]
        found = {
            resource["address"]: resource["values"]
            for resource in values["root_module"]["child_modules"][0]["resources"]
        }
        [outputs] = values["outputs"].values()
        yield {"outputs": outputs["value"], **found}


def changes_of(folder: Path, *arguments: str) -> list[str]:
    """Return what a second apply would change. moto has other blanks in JSON than it was given, which is no change."""
    terraform(folder, "plan", "-out=again", *arguments)
    plan = json.loads(terraform(folder, "show", "-json", "again"))
    return [
        each["address"]
        for each in plan["resource_changes"]
        if each["change"]["actions"] not in (["no-op"], ["read"])
        and (each["change"]["actions"] != ["update"] or _differs(each["change"]))
    ]


def _differs(change: dict[str, Any]) -> bool:
    """Tell whether an argument that the plan knows becomes another one; what waits for a resource is not known."""
    return any(
        _as_json(value) != _as_json(change["after"].get(name))
        for name, value in change["before"].items()
        if name not in change["after_unknown"]
    )


def _as_json(value: Any) -> Any:
    try:
        return json.loads(value)
    except (TypeError, ValueError):
        return value


def resource(applied: dict[str, Any], name: str) -> Any:
    return applied[f"module.lake.{name}"]


def statements_of(policy: str) -> list[dict[str, Any]]:
    """Return a policy's statements, with lists where one thing or several may stand."""
    found: list[dict[str, Any]] = json.loads(policy)["Statement"]
    for statement in found:
        for name in ("Action", "Resource"):
            if isinstance(statement[name], str):
                statement[name] = [statement[name]]
        for keys in statement.get("Condition", {}).values():
            keys.update({key: [value] for key, value in keys.items() if isinstance(value, str)})
    return found


ROOT_OF_A_TEST = """
terraform {
  backend "local" {}
}

provider "aws" {
  region                      = "eu-central-1"
  access_key                  = "owner"
  secret_key                  = "owner"
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  max_retries                 = 1
  endpoints {
    s3             = "%(url)s"
    iam            = "%(url)s"
    sts            = "%(url)s"
    secretsmanager = "%(url)s"
    ec2            = "%(url)s"
    emrserverless  = "%(url)s"
  }
}
"""
SITE = ("-var", "company=company", "-var", "region=eu-central-1", "-input=false", "-no-color")


def refused(folder: Path, *arguments: str) -> str:
    """Return what terraform says of a command that must fail, on one line."""
    environ = {**os.environ, "CHECKPOINT_DISABLE": "1"}
    done = subprocess.run(
        [str(TERRAFORM), *arguments], cwd=folder, env=environ, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 1, done.stdout
    return " ".join(re.sub(r"[│╷╵]", " ", done.stderr).split())


@LONG_FORM
def test_an_environment_is_planned_applied_read_back_guarded_and_destroyed(tmp_path: Path) -> None:
    places = shutil.copytree(ROOT / "infra" / "terraform", tmp_path / "terraform")
    root, dev, prod = places / "aws", "-var-file=../environments/dev.tfvars", "-var-file=../environments/prod.tfvars"
    with pytest.MonkeyPatch.context() as patch, s3(patch, tmp_path / "moto.log") as server:
        (root / "override.tf").write_text(ROOT_OF_A_TEST % {"url": server.url})
        terraform(root, "init", "-input=false")
        terraform(root, "apply", "-auto-approve", dev, *SITE)
        assert changes_of(root, dev, *SITE) == []
        document = json.loads(terraform(root, "show", "-json"))["values"]
        lake = document["outputs"]["lake"]["value"]

        assert (lake["lake_uri"], lake["secret_prefix"]) == ("s3://company-lake-dev", "dev")
        assert {name: arn.rpartition("/")[2] for name, arn in lake["identity"].items()} == {
            role: f"company-lake-dev-{role}" for role in ("runner", "reader", "steward")
        }
        reader = [
            resource["values"]["role"]
            for resource in document["root_module"]["child_modules"][0]["resources"]
            if resource["type"] == "aws_iam_role_policy"
        ]
        assert sorted(reader) == ["company-lake-dev-runner", "company-lake-dev-steward"]  # a reader has no secret

        assert "terraform_data.environment has lifecycle.prevent_destroy set" in refused(root, "plan", prod, *SITE)
        assert "aws_s3_bucket.lake has lifecycle.prevent_destroy set" in refused(root, "plan", "-destroy", dev, *SITE)
        for file in places.rglob("*.tf"):
            file.write_text(file.read_text().replace("prevent_destroy = true", "prevent_destroy = false"))
        terraform(root, "destroy", "-auto-approve", dev, *SITE)
        assert "values" not in json.loads(terraform(root, "show", "-json"))


@LONG_FORM
def test_a_network_is_applied_read_back_and_destroyed_and_what_computes_in_it_is_planned(tmp_path: Path) -> None:
    places = shutil.copytree(ROOT / "infra" / "terraform", tmp_path / "terraform")
    root, plan = places / "aws", str(tmp_path / "plan")
    given = ("-var-file=../environments/dev.tfvars", *SITE, "-var", "network=true")
    of_network = ("-target=module.network", *given)
    computing = (*given, "-var", "compute=true")
    with pytest.MonkeyPatch.context() as patch, s3(patch, tmp_path / "moto.log") as server:
        (root / "override.tf").write_text(ROOT_OF_A_TEST % {"url": server.url})
        terraform(root, "init", "-input=false")
        terraform(root, "apply", "-auto-approve", *of_network)
        again = changes_of(root, *of_network)
        applied = [*_resources(json.loads(terraform(root, "show", "-json"))["values"])]
        assert "one with Spark 4" in refused(root, "plan", *computing)
        # moto refuses the type "spark" of an application, and starts one of type "SPARK" before the provider expects it
        terraform(root, "plan", f"-out={plan}", *computing, "-var", "release=emr-8.0.0")
        planned = dict(_resources(json.loads(terraform(root, "show", "-json", plan))["planned_values"]))
        terraform(root, "destroy", "-auto-approve", *of_network)
        assert "module.network" not in terraform(root, "state", "list")

    assert again == ["module.network[0].aws_vpc_security_group_ingress_rule.jobs"]  # moto forgets its description
    addresses = [address for address, _ in applied]
    assert {values["tags"]["environment"] for _, values in applied if "tags" in values} == {"dev"}
    assert sum(".aws_vpc_endpoint." in address for address in addresses) == 4
    assert [address for address in addresses if re.search("internet_gateway|nat_gateway|eip", address)] == []
    application = planned["module.compute[0].aws_emrserverless_application.lake"]
    subnets = {values["id"] for address, values in applied if ".aws_subnet." in address}
    assert {*application["network_configuration"][0]["subnet_ids"]} == subnets
    assert application["maximum_capacity"][0]["cpu"] == "32 vCPU"
    trusts = {
        role: json.loads(planned[f'module.lake.aws_iam_role.access["{role}"]']["assume_role_policy"])["Statement"]
        for role in ("runner", "reader", "steward")
    }
    services = {role: [each for each in trust if "Service" in each["Principal"]] for role, trust in trusts.items()}
    [service] = services.pop("runner")
    assert service["Principal"] == {"Service": "emr-serverless.amazonaws.com"}
    assert service["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    assert services == {"reader": [], "steward": []}


def _resources(values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the address and the values of each resource of the modules that a root names."""
    for module in values["root_module"]["child_modules"]:
        yield from ((resource["address"], resource["values"]) for resource in module["resources"])


@pytest.mark.parametrize("cloud", ["aws", "azure"])
@LONG_FORM
def test_terraforms_own_tests_pass_and_each_of_them_is_run(tmp_path: Path, cloud: str) -> None:
    """Plans with a stand-in of the provider (mock_provider): which values make what, and which are refused."""
    places = shutil.copytree(ROOT / "infra" / "terraform", tmp_path / "terraform")
    terraform(places / cloud, "init", "-backend=false", "-input=false")

    terraform(places / cloud, "validate")
    said = terraform(places / cloud, "test", "-no-color")

    written = re.findall(r'^run "(\w+)"', (places / cloud / "tests" / "values.tftest.hcl").read_text(), re.MULTILINE)
    assert re.findall(r'run "(\w+)"... pass', said) == written


def test_every_configuration_is_formatted() -> None:
    terraform(ROOT / "infra" / "terraform", "fmt", "-check", "-recursive")


def test_what_is_deleted_can_be_brought_back_and_what_is_live_never_expires(applied: dict[str, Any]) -> None:
    rules = {rule["id"]: rule for rule in resource(applied, "aws_s3_bucket_lifecycle_configuration.lake")["rule"]}

    assert resource(applied, "aws_s3_bucket_versioning.lake")["versioning_configuration"][0]["status"] == "Enabled"
    assert rules["undo"]["noncurrent_version_expiration"][0]["noncurrent_days"] == 9
    for rule in rules.values():
        assert [found for found in rule["expiration"] if found["days"] or found["date"]] == []
        assert rule["transition"] == []


def test_it_is_encrypted_and_asks_for_encrypted_connections(applied: dict[str, Any]) -> None:
    [rule] = resource(applied, "aws_s3_bucket_server_side_encryption_configuration.lake")["rule"]
    [denied] = json.loads(resource(applied, "aws_s3_bucket_policy.lake")["policy"])["Statement"]

    assert rule["apply_server_side_encryption_by_default"][0]["sse_algorithm"] == "aws:kms"
    assert (denied["Effect"], denied["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert all(
        resource(applied, "aws_s3_bucket_public_access_block.lake")[name]
        for name in ("block_public_policy", "restrict_public_buckets")
    )


def test_each_role_stays_below_its_paths_and_a_reader_writes_nothing(applied: dict[str, Any]) -> None:
    policies = {
        name: {s["Sid"]: s for s in statements_of(resource(applied, f'aws_iam_policy.access["{name}"]')["policy"])}
        for name in ("loader", "transformer", "reader", "steward")
    }

    assert policies["reader"].keys() == {"FindFiles", "Read", "UseTheKey"}
    assert policies["reader"]["Read"]["Action"] == ["s3:GetObject"]
    assert not any("silver" in place or "bronze" in place for place in policies["reader"]["Read"]["Resource"])
    assert policies["steward"]["ReadAndWrite"]["Resource"] == ["arn:aws:s3:::company-lake-test/retail/*"]
    assert policies["reader"]["UseTheKey"]["Action"] == ["kms:Decrypt"]
    for statements in policies.values():
        assert statements["FindFiles"]["Condition"] == {"StringLike": {"s3:prefix": ["retail/*"]}}
        assert all(place.startswith("arn:") for s in statements.values() for place in s["Resource"])


def test_its_root_is_what_the_lake_is_called(applied: dict[str, Any]) -> None:
    assert applied["outputs"]["root"] == "s3://company-lake-test/retail"


def test_each_queue_keeps_what_was_received_too_often_and_each_side_has_its_rights(queues: dict[str, Any]) -> None:
    live = {side: queues[f'module.queues.aws_sqs_queue.live["{side}"]'] for side in ("conversations", "results")}
    dead = {side: queues[f'module.queues.aws_sqs_queue.dead["{side}"]'] for side in live}
    granted = {
        who: {s["Sid"]: s for s in statements_of(queues[f'module.queues.aws_iam_policy.access["{who}"]']["policy"])}
        for who in ("service", "worker")
    }

    for side, queue in live.items():
        assert (queue["name"], queue["visibility_timeout_seconds"]) == (f"calls-{side}.fifo", 600)
        redrive = {"deadLetterTargetArn": dead[side]["arn"], "maxReceiveCount": 7}
        assert json.loads(queue["redrive_policy"]) == redrive
        assert dead[side]["message_retention_seconds"] == 1_209_600
        for each in (queue, dead[side]):
            assert (each["fifo_queue"], each["kms_master_key_id"].endswith("of-the-company")) == (True, True)
        assert queues["outputs"]["queue_urls"][side].endswith(f"/calls-{side}.fifo")
    service, worker = granted["service"], granted["worker"]
    assert (
        service["SendConversations"]["Resource"]
        == worker["ReceiveResults"]["Resource"]
        == [live["conversations"]["arn"]]
    )
    assert service["ReceiveResults"]["Resource"] == worker["SendConversations"]["Resource"] == [live["results"]["arn"]]
    for each in granted.values():
        assert each.keys() == {"SendConversations", "ReceiveResults", "UseTheKey", "FindClaims", "ReadAndWriteClaims"}
        assert each["ReadAndWriteClaims"]["Resource"] == ["arn:aws:s3:::company-claims/claims/*"]
        assert each["FindClaims"]["Condition"] == {"StringLike": {"s3:prefix": ["claims/*"]}}
