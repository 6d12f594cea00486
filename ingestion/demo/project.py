"""The retail company's project, written into an empty folder where there is no checkout."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from ingestion import shipped

_OF_A_RUN = shutil.ignore_patterns("target", "logs", "__pycache__")


def write_example(folder: Path, environ: Mapping[str, str]) -> bool:
    """
    Write contracts and dbt project into a folder that has no file and is in no project; return whether it did.

    Nothing is written where LAKEHOUSE_PROJECT names a project.
    """
    is_in_project = any((above / "data_contracts").is_dir() for above in (folder, *folder.parents))
    if environ.get("LAKEHOUSE_PROJECT") or is_in_project or any(folder.iterdir()):
        return False
    parts = ((shipped.DBT, "dbt_project"), (shipped.EXAMPLE / "dbt_project", "dbt_project"))
    for source, name in (*parts, (shipped.EXAMPLE / "data_contracts", "data_contracts")):
        shutil.copytree(source, folder / name, ignore=_OF_A_RUN, dirs_exist_ok=True)
    return True
