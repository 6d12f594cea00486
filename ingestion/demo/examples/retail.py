"""Functions of the example streams: pure, on whole Arrow tables."""

import pyarrow as pa
import pyarrow.compute as pc


def in_euro(rows: pa.Table) -> pa.Table:
    """Fill total_eur: the total at the rate, rounded half to even to cents; null without a rate."""
    field = rows.schema.field("total_eur")
    euro = pc.round(pc.multiply(rows["total"], rows["rate"]), 2).cast(field.type)
    return rows.set_column(rows.schema.get_field_index("total_eur"), field, euro)


def is_large(rows: pa.Table) -> pa.Array:
    """Keep orders of 50 EUR and more; one without a rate is not kept."""
    return pc.greater_equal(rows["total_eur"], 50)
