"""Row groups, files and threads of wide tables are bounded by their columns."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion.lake import duck
from ingestion.lake.embedded.parquet_files import ROW_GROUP_ROWS, FileWriter, file_rows, row_group_rows


@pytest.mark.parametrize(
    ("columns", "rows"), [(1, ROW_GROUP_ROWS), (32, ROW_GROUP_ROWS), (64, 61_440), (1000, 2_048), (100_000, 2_048)]
)
def test_row_groups_of_wide_tables_have_fewer_rows(columns: int, rows: int) -> None:
    assert (row_group_rows(columns), file_rows(columns)) == (rows, 2 * rows)


def test_files_of_a_wide_table_are_written_in_short_row_groups(tmp_path: Path) -> None:
    names = [f"c{at}" for at in range(1000)]
    schema = pa.schema([(name, pa.int32()) for name in names])
    with duck.connect(memory_limit="256MB", spill=str(tmp_path / "spill"), columns=len(names)) as connection:
        writer = FileWriter(connection, str(tmp_path / "t"), schema, (), ())
        rows = f"select {', '.join(f'i::int as {name}' for name in names)} from range(5000) r(i)"
        files = writer.write(rows, partition_values={}, order_by=("c0",))

    footers = [pq.read_metadata(tmp_path / "t" / file.path) for file in files]
    groups = [footer.row_group(at).num_rows for footer in footers for at in range(footer.num_row_groups)]
    assert sum(groups) == 5000
    assert max(groups) <= 2_048


@pytest.mark.parametrize(("memory", "columns", "most"), [("256MB", 1000, 1), ("256MB", 10_000, 1), ("1GB", 1000, 3)])
def test_threads_beside_a_wide_table_are_as_many_as_memory_has_room_for(memory: str, columns: int, most: int) -> None:
    with duck.connect(memory_limit=memory, columns=columns) as wide, duck.connect(memory_limit=memory) as plain:
        threads, all_of_them = (
            connection.execute("select current_setting('threads')").fetchone() for connection in (wide, plain)
        )

    assert threads is not None
    assert all_of_them is not None
    assert threads[0] == min(most, all_of_them[0])
