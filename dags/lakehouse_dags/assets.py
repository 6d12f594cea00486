"""The lake's tables as Airflow's assets, on which other DAGs can be scheduled, e.g. on `gold.fact_sales`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import Asset, get_current_context

from lakehouse_dags import wiring


def bronze(contract_id: str) -> Asset:
    """Return the asset of a Bronze table: its name is the table's, its URI the path in the lake."""
    return Asset(name=f"bronze.{contract_id}", uri=f"lake://bronze/{contract_id.replace('.', '/')}")


def model(layer: str, name: str) -> Asset:
    """Return the asset of a table that dbt builds."""
    return Asset(name=f"{layer}.{name}", uri=f"lake://{layer}/{name}")


def layer(name: str) -> list[Asset]:
    """Return the assets of all tables of a layer."""
    return [model(name, each) for each in wiring.models_of(name)]


def announce(written: Mapping[Asset, Mapping[str, Any]]) -> None:
    """
    Send an event of each of these outlets of the running task when it succeeds, and of no other one.

    Every task that declares outlets must call this: Airflow sends an event of each outlet that the task still has at
    its end, whether or not anything was written.
    """
    context = get_current_context()
    context["ti"].task.outlets = list(written)  # type: ignore[attr-defined]
    for asset, extra in written.items():
        context["outlet_events"][asset].extra = dict(extra)


def announce_batches(results: Mapping[str, Mapping[str, Any]]) -> None:
    """Announce the Bronze tables to which loads or repairs committed a batch; the results are by contract id."""
    announce(
        {
            bronze(contract_id): {
                "batch": result["batch"],
                "rows": result["appended"] + result["deleted"],
                "run_id": result["run_id"],
            }
            for contract_id, result in results.items()
            if result["batch"] is not None
        }
    )


def announce_models(layer: str, rows: Sequence[Mapping[str, Any]], run_id: str) -> None:
    """Announce the tables of a layer that dbt built; the rows are those of `ops.models`."""
    built = [row for row in rows if row["status"] in ("ok", "warning")]
    announce({model(layer, row["model"]): {"seconds": row["seconds"], "run_id": run_id} for row in built})
