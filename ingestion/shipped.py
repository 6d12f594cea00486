"""
What the package brings beside its modules, for every project: dbt's shared code, Airflow's DAGs, runbooks, templates.

In a wheel these files lie in `ingestion/_shipped`, in a checkout at its root; `pyproject.toml` names them.
"""

from __future__ import annotations

from pathlib import Path

DISTRIBUTION = "contract-lakehouse"
"""What pip installs. On PyPI the name `lakehouse` belongs to another project."""
_IN_WHEEL = Path(__file__).with_name("_shipped")
COMMAND = "lakehouse" if _IN_WHEEL.is_dir() else ".venv/bin/lakehouse"
"""How a person calls the command: in a checkout it is in the environment that make installs."""
_ROOT = _IN_WHEEL if _IN_WHEEL.is_dir() else Path(__file__).parents[1]
DBT = _ROOT / "dbt_project"
"""Macros, generic tests, plugins, the profile and the audit models; in a checkout also the example's models."""
DAGS = _ROOT / "dags"
DOCS = _ROOT / "docs"
GLOSSARY = _ROOT / "GLOSSARY.md"
"""The documentation, which the advisor quotes."""
RUNBOOKS = DOCS / "runbooks"
"""What to do about each kind of fault, in Markdown, and an overview."""
EXAMPLE = _IN_WHEEL / "example" if _IN_WHEEL.is_dir() else _ROOT
"""The contracts and models of the demo's retail company; `lakehouse demo` copies them where there is no project."""
TEMPLATES = Path(__file__).with_name("templates")
DBT_CODE = "LAKEHOUSE_DBT_CODE"
"""The variable by which a project's dbt_project.yml finds DBT; `lakehouse build` and `lakehouse dbt` set it."""


def pip_install(*extras: str) -> str:
    """Return the command that installs the package with these extras."""
    return f"pip install '{DISTRIBUTION}[{','.join(extras)}]'" if extras else f"pip install {DISTRIBUTION}"


def dbt_file(dbt_project: Path, name: str) -> Path:
    """Return a file or folder of the dbt project, or the shipped one if the project has none of that name."""
    own = dbt_project / name
    return own if own.exists() else DBT / name
