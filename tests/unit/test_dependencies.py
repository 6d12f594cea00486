"""The package imports only what it declares: another package may be there by chance, and is not on another machine."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
OF_OTHERS = {
    "botocore": "boto3",  # which is made of it
    "delta": "delta-spark",  # without Java it is not installed
    "mssql_python_odbc": "mssql-python-odbc",
    "pydantic_core": "pydantic",  # which needs this very version of it
}


def test_every_imported_package_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [
        text
        for name, texts in project["optional-dependencies"].items()
        if name not in ("dev", "docs")
        for text in texts
    ]
    declared = {_name(text) for text in [*project["dependencies"], *extras]}
    of_package = packages_distributions()

    undeclared = {
        f"{file.relative_to(ROOT)}: {package}"
        for folder in ("ingestion", "monitoring")
        for file in (ROOT / folder).rglob("*.py")
        for package in _imported(file)
        if not declared & {*map(_name, of_package.get(package, [])), _name(OF_OTHERS.get(package, package))}
    }

    assert undeclared == set()


def _imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"ingestion", "monitoring"}


def _name(text: str) -> str:
    return re.split(r"[\[<>=~! ]", text, maxsplit=1)[0].lower().replace("_", "-")
