"""Writes the first Gold model of a contract: a dimension with the history of its table. Afterwards it is a person's."""

from __future__ import annotations

from pathlib import Path

from ingestion.contracts.model import Column, Contract, Mask
from ingestion.contracts.names import is_described
from ingestion.contracts.types import duckdb_type
from ingestion.contracts.writing.files import write_whole
from ingestion.contracts.writing.spelling import as_dbt_text, scalar
from ingestion.errors import ConfigurationError

_MODEL = """\
{{{{ config(unique_key='{sk}') }}}}

{{%- set columns = {columns} %}}

with

versions as (

    select
        sk as {sk},
{hashes}{plain}        valid_from,
        valid_to,
        is_current,
        is_deleted,
        row_number() over (partition by {keys} order by valid_from) = 1 as is_first_version

    from {{{{ ref('{silver}') }}}}

),

-- for facts that have no row of their own here
fixed as (

    {{% for key in fixed_members() %}}
    select
        '{{{{ key }}}}' as {sk},
{nulls}        {{%- for column in columns %}}
        null as {{{{ quoted([column]) }}}},
        {{%- endfor %}}
        null as valid_from,
        null as valid_to,
        true as is_current,
        false as is_deleted,
        true as is_first_version
    {{{{ 'union all' if not loop.last }}}}
    {{% endfor %}}

)

select * from versions
union all
select * from fixed
"""
_FORM = {
    Mask.TOKEN: "HMAC-SHA-256 of {} keyed by the lake's salt.",
    Mask.PARTIAL: "A part of {}, the rest masked.",
}
_ADDED = """\
      - name: valid_from
        description: Moment from which this version is in force, included. UTC. Null for the fixed members.
        data_type: timestamp with time zone
      - name: valid_to
        description: Moment at which it ends, excluded. UTC. Null while still in force.
        data_type: timestamp with time zone
      - name: is_current
        description: True for the version in force of a row that still exists, and for the fixed members.
        data_type: boolean
      - name: is_deleted
        description: True where the source no longer has the row; the other columns are the last known.
        data_type: boolean
      - name: is_first_version
        description: True for the first version; facts from before it refer to it too.
        data_type: boolean
"""


def write_dimension(contract: Contract, silver: str, dbt_project: Path) -> list[Path]:
    """
    Write a dimension of a contract's Silver model and its YAML; return their paths. A file that exists is kept.

    A row per version, keyed by Silver's `sk`, and the three fixed members. Personal columns are shown as their
    masks say.
    Raises ConfigurationError if a column of the table has the name of one that the dimension adds.
    """
    folder = dbt_project / "models" / "gold" / contract.system
    model = _model_name(contract, folder, dbt_project)
    wanted = {
        folder / f"{model}.sql": render_dimension(contract, silver),
        folder / f"{model}.yml": render_dimension_yaml(contract, model),
    }
    written = [path for path in wanted if not path.exists()]
    for path in written:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, wanted[path])
    return written


def _model_name(contract: Contract, folder: Path, dbt_project: Path) -> str:
    """Return `dim_<entity>`, with the system's name if another model has that name: dbt knows models by name alone."""
    plain = f"dim_{contract.entity}"
    taken = [path for path in (dbt_project / "models").rglob(f"{plain}.sql") if path.parent != folder]
    return f"dim_{contract.system}__{contract.entity}" if taken else plain


def render_dimension(contract: Contract, silver: str) -> str:
    """Return the SQL of the dimension. Keys and other columns keep the contract's order; masks come first."""
    sk, personal, names = _sk(contract), _personal(contract), [c.name for c in contract.columns]
    clash = {sk, "is_first_version", *(_shown_as(column) for column in personal)} & {*names}
    if clash:
        raise ConfigurationError(
            f"{contract.id}: the dimension adds columns of its own, and the table has columns named "
            f"{', '.join(sorted(clash))}. Gold was not written. Give them another `name` in the contract."
        )
    plain = [column.name for column in contract.columns if not column.is_personal]
    return _MODEL.format(
        sk=sk,
        columns=plain,
        plain="        {{ quoted(columns) }},\n" if plain else "",
        hashes="".join(f"        {_masked(column)} as {_shown_as(column)},\n" for column in personal),
        nulls="".join(f"        null as {_shown_as(column)},\n" for column in personal),
        keys=f"{{{{ quoted({list(contract.key_names)}) }}}}",
        silver=silver,
    )


def render_dimension_yaml(contract: Contract, model: str) -> str:
    """Return the YAML of the dimension: an enforced contract with the descriptions of the source's."""
    purpose = contract.description if is_described(contract.description) else f"Rows of {contract.id}."
    told = f"{purpose} One row per version, and the fixed members -1 unknown, -2 not applicable, -3 invalid."
    masks = [
        _column(_shown_as(column), f"{_FORM[column.mask].format(column.name)} {_description(column)}".strip())
        for column in _personal(contract)
    ]
    others = [
        _column(f'"{column.name}"', _description(column), _type(column), "quote: true")
        for column in contract.columns
        if not column.is_personal
    ]
    key = _column(_sk(contract), "Key of this version. Facts refer to it.", "varchar", "data_tests: [not_null, unique]")
    columns = "".join([key, *masks, *others, _ADDED])
    return (
        f"version: 2\nmodels:\n  - name: {model}\n    description: {scalar(as_dbt_text(told))}\n"
        f"    config:\n      contract: {{enforced: true}}\n    columns:\n{columns}"
    )


def _column(name: str, told: str, type_: str = "varchar", *more: str) -> str:
    lines = [f"data_type: {type_}", *more]
    description = scalar(as_dbt_text(told))
    return f"      - name: {name}\n        description: {description}\n" + "".join(
        f"        {line}\n" for line in lines
    )


def _type(column: Column) -> str:
    """Return the type's name in a model's contract, which both engines' adapters know."""
    return duckdb_type(column.arrow_type).replace("timestamptz", "timestamp with time zone")


def _description(column: Column) -> str:
    return column.description if is_described(column.description) else ""


def _personal(contract: Contract) -> list[Column]:
    """Return the personal columns that Gold shows in some form."""
    return [column for column in contract.columns if column.is_personal and column.mask is not Mask.DROP]


def _masked(column: Column) -> str:
    """Return the form in which a personal column is shown: of any type, as a text."""
    if column.mask is Mask.PARTIAL:
        return f"{{{{ partly_masked(quoted(['{column.name}'])) }}}}"
    return f"{{{{ masked('cast(' ~ quoted(['{column.name}']) ~ ' as string)', salt=mask_salt()) }}}}"


def _shown_as(column: Column) -> str:
    return f"{column.name}_{'part' if column.mask is Mask.PARTIAL else 'hash'}"


def _sk(contract: Contract) -> str:
    return f"{contract.entity}_sk"
