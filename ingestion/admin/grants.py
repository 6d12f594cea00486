"""
Who may read and write which paths of a lake: four roles, as policies of S3, ADLS, Google's storage and Unity Catalog.

A role is a set of folders. Personal columns lie in Bronze, Silver and quarantine, which `reader` cannot open; Gold has
them as its contracts say, and audit has none. Terraform's modules use the same policies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ingestion.contracts.model import Contract
from ingestion.lake.layout import DEMO_MARKER, MARKER
from ingestion.lake.mask_salt import FILE as SALT_FILE

MARKERS = (MARKER, DEMO_MARKER)
_READ, _WRITE = ["s3:GetObject"], ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
_GCS_LIST, _GCS_READ, _GCS_WRITE = (
    f"roles/storage.{name}" for name in ("legacyBucketReader", "objectViewer", "objectUser")
)


@dataclass(frozen=True, slots=True)
class Role:
    """`reads` and `writes` are paths below the lake; a folder ends with `/`, and the empty one is the whole lake."""

    name: str
    does: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


ROLES = (
    Role("loader", "load, repair, gaps, quarantine replay", MARKERS, ("bronze/", "quarantine/", "ops/")),
    Role(
        "transformer",
        "build",
        (*MARKERS, "bronze/", "quarantine/"),
        ("silver/", "gold/", "audit/", "ops/", SALT_FILE),
    ),
    Role("reader", "BI tools and people: Gold and audit", (*MARKERS, "gold/", "audit/")),
    Role("steward", "init, quarantine show, waive, erase, maintain, doctor --mend", (), ("",)),
)


def policies(kind: str, *, place: str, prefix: str) -> dict[str, str]:
    """
    Return the text of each role's policy. `kind` is s3, adls, gcs or unity; `place` the bucket, container or catalog;
    `prefix` the path of the lake in it, empty or with a `/` at its end.
    """
    return {role.name: KINDS[kind](role, place, prefix) for role in ROLES}


def s3(role: Role, bucket: str, prefix: str) -> str:
    """Return an IAM policy. `bucket` is a name, or an ARN."""
    arn = bucket if ":" in bucket or bucket.startswith("${") else f"arn:aws:s3:::{bucket}"
    statements: list[dict[str, object]] = [
        {
            "Sid": "FindFiles",
            "Effect": "Allow",
            "Action": ["s3:ListBucket"],
            "Resource": arn,
            "Condition": {"StringLike": {"s3:prefix": [f"{prefix}*"]}},
        }
    ]
    for sid, actions, paths in (("Read", _READ, role.reads), ("ReadAndWrite", _WRITE, role.writes)):
        if paths:
            resources = [f"{arn}/{prefix}{path}{'' if path and not path.endswith('/') else '*'}" for path in paths]
            statements.append({"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources})
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2) + "\n"


def adls(role: Role, container: str, prefix: str) -> str:
    """
    Return commands that set access lists on folders; the groups need no role on the container.

    The first one lets the group pass through all folders, without listing or reading any.
    """
    return "\n".join(
        [
            f"# {role.name}: {role.does}",
            f'GROUP="<object id of the group {role.name}>"',
            f'az storage fs access update-recursive -f {container} -p "/" --acl "group:$GROUP:--x"',
            *(_adls_line(container, f"{prefix}{path}", "r-x") for path in role.reads),
            *(_adls_line(container, f"{prefix}{path}", "rwx") for path in role.writes),
            "",
        ]
    )


def _adls_line(container: str, path: str, entry: str) -> str:
    if path and not path.endswith("/"):
        acl = f"group:$GROUP:{entry.replace('x', '-')}"  # a file
    else:
        acl = f"group:$GROUP:{entry},default:group:$GROUP:{entry}"
    return f'az storage fs access update-recursive -f {container} -p "{path.rstrip("/") or "/"}" --acl "{acl}"'


def gcs(role: Role, bucket: str, prefix: str) -> str:
    """
    Return commands that bind roles of Google's to a group, below the paths.

    The names of files are listed in the whole bucket: a condition on paths does not hold for a list.
    """
    bind = f"gcloud storage buckets add-iam-policy-binding gs://{bucket} --member=$MEMBER"
    lines = [
        f"# {role.name}: {role.does}",
        f'MEMBER="group:<address of the group {role.name}>"',
        f"{bind} --role={_GCS_LIST} --condition=None",
    ]
    for given, paths in ((_GCS_READ, role.reads), (_GCS_WRITE, role.writes)):
        if paths:
            starts = " || ".join(
                f"resource.name.startsWith('projects/_/buckets/{bucket}/objects/{prefix}{path}')" for path in paths
            )
            lines.append(f'{bind} --role={given} --condition="title=lakehouse-{role.name},expression={starts}"')
    return "\n".join(lines) + "\n"


def unity(role: Role, catalog: str, prefix: str) -> str:
    """Return grants on the schemas of a catalog in which the lake's tables are registered."""
    del prefix
    lines = [f"-- {role.name}: {role.does}", f"GRANT USE CATALOG ON CATALOG {_name(catalog)} TO {_name(role.name)};"]
    schemas = ("bronze", "quarantine", "silver", "gold", "audit", "ops")
    for paths, rights in ((role.reads, "SELECT"), (role.writes, "SELECT, MODIFY")):
        chosen = schemas if "" in paths else [name for name in schemas if f"{name}/" in paths]
        lines += [
            f"GRANT USE SCHEMA, {rights} ON SCHEMA {_name(catalog)}.{_name(name)} TO {_name(role.name)};"
            for name in chosen
        ]
    return "\n".join(lines) + "\n"


def _name(text: str) -> str:
    return "`" + text.replace("`", "``") + "`"


KINDS: Mapping[str, Callable[[Role, str, str], str]] = {"s3": s3, "adls": adls, "gcs": gcs, "unity": unity}


def personal_tables(contracts: Iterable[Contract]) -> dict[str, tuple[str, ...]]:
    """Return the personal columns of each contract that has some, by id."""
    found = {contract.id: tuple(c.name for c in contract.columns if c.is_personal) for contract in contracts}
    return {name: columns for name, columns in sorted(found.items()) if columns}
