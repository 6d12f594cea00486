"""
The names that exist in a project: tables and columns of its contract files, models of its dbt project.

The files are read as plain YAML and are not checked: what is asked about may be a contract that is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from monitoring.advisor.values import Names

SUFFIX = ".odcs.yaml"
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_names(contracts: Path, dbt_project: Path) -> Names:
    """Return the names of a project; files that cannot be read give no names of columns."""
    tables, columns = {}, {}
    for id_, _, document in contract_files(contracts):
        schema = _schema(document)
        lake = id_.replace(".", "__", 1)
        source = schema.get("physicalName") or ""
        tables[id_] = (str(source), lake, f"bronze.{lake}", f"silver.{lake}")
        columns[id_] = tuple(str(column.get("name")) for column in columns_of(document))
    models = sorted({path.stem for path in (dbt_project / "models").rglob("*.sql")})
    return Names(tables, tuple(models), columns)


def contract_files(folder: Path) -> Iterator[tuple[str, Path, Mapping[str, Any]]]:
    """Yield the id, the file and the content of each contract, by id; of an unreadable one an empty content."""
    for path in sorted(folder.glob(f"*/*{SUFFIX}")):
        id_ = f"{path.parent.name}.{path.name.removesuffix(SUFFIX)}"
        try:
            document = yaml.load(path.read_bytes(), _Loader)  # noqa: S506 - it is the safe loader
        except (OSError, yaml.YAMLError):
            document = None
        yield id_, path, document if isinstance(document, dict) else {}


def columns_of(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the columns of a contract's table as they are written."""
    written = _schema(document).get("properties")
    return [column for column in written if isinstance(column, dict)] if isinstance(written, list) else []


def _schema(document: Mapping[str, Any]) -> Mapping[str, Any]:
    written = document.get("schema")
    first = written[0] if isinstance(written, list) and written else None
    return first if isinstance(first, dict) else {}
