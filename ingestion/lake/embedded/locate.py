"""Finds the rows of a Delta table that changes refer to by key."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from ingestion.errors import IntegrityError
from ingestion.lake.base import Snapshot
from ingestion.lake.duck import Connection, scan
from ingestion.lake.embedded.rewrite import CHANGE, FILE, POSITION
from ingestion.sql.quoting import quote_standard


def located(
    connection: Connection, table: Snapshot, rows: pa.RecordBatchReader, key: Sequence[str], op: str | None
) -> str:
    """
    Return the difference for `rows`, matched by key: `op` D deletes; U and I overwrite or insert. None: all delete.

    Columns that the rows lack keep their values. Raises IntegrityError if a key occurs twice.
    """
    connection.register("arriving", rows)
    connection.execute("create table arrived as select * from arriving")
    keys = ", ".join(quote_standard(name) for name in key)
    if connection.execute(f"select 1 from arrived group by {keys} having count(*) > 1 limit 1").fetchone():
        raise IntegrityError(
            f"{table.uri}: a key comes twice among the changes. "
            "Nothing was committed. This is a fault of the program; report it."
        )
    given = set(rows.schema.names)
    values = [
        f"{'arrived' if name in given else 'known'}.{quote_standard(name)} as {quote_standard(name)}"
        for name in table.schema.names
    ]
    is_delete = "true" if op is None else f"arrived.{quote_standard(op)} = 'D'"
    same_key = " and ".join(f"arrived.{quote_standard(name)} = known.{quote_standard(name)}" for name in key)
    return f"""
        select
            case
                when known._file is null then 'I' when {is_delete} then 'D' else 'U'
            end as {CHANGE},
            known.{FILE}, known.{POSITION}, {", ".join(values)}
        from arrived
        left join (
            select *, filename as {FILE}, file_row_number as {POSITION} from {scan(table.uri, table.version)}
        ) as known on {same_key}
        where known.{FILE} is not null or not ({is_delete})
    """
