"""What a drill works on: one table of the demo world, its source file, and a separate lake."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from ingestion.contracts.model import Contract
from ingestion.demo.clock import DAY_1, ERP_OFFSET, sql_moment
from ingestion.demo.files import SYSTEMS
from ingestion.gaps.record import record_sync_gap
from ingestion.lake import duck
from ingestion.runs.context import Context, open_context
from ingestion.settings import Connection, Settings
from ingestion.sql.quoting import quote_standard as quote
from ingestion.sql.quoting import text_literal
from monitoring import ledger_views
from monitoring.advisor.gap_rules import advise
from monitoring.facts import gather
from monitoring.ledger_views import TableGap

HOUR = timedelta(hours=1)


@dataclass(slots=True)
class Site:
    """What one drill works on; `clock` is the source's present time."""

    folder: Path
    settings: Settings
    contract: Contract
    clock: datetime = DAY_1

    @property
    def context(self) -> Context:
        """A run on the lake, at the source's present time."""
        connections = {
            system: Connection(
                "duckdb",
                schema=str(self.folder / f"{system}.duckdb").removeprefix("/"),
                extra={"clock": self.clock.isoformat()},
            )
            for system in SYSTEMS
        }
        return open_context(replace(self.settings, connections=connections))

    @property
    def table(self) -> str:
        return self.contract.id

    @property
    def place(self) -> str:
        """The table's quoted name in the source."""
        return ".".join(quote(part) for part in self.contract.source_table)

    def change(self, *statements: str) -> int:
        """Run statements on the source; return how many rows the last one changed. `{0}` is the table."""
        connection = duck.connect()
        try:
            file = str(self.folder / f"{self.contract.system}.duckdb")
            connection.execute(f"attach {text_literal(file)} as here; use here")
            rows = [connection.execute(statement.format(self.place)).fetchall() for statement in statements]
            return int(rows[-1][0][0])
        finally:
            connection.close()

    def go_on(self, *, by: timedelta = HOUR) -> None:
        """Advance the source's time by `by` and change its newest row, so that a load has something to read."""
        self.clock += by
        contract = self.contract
        moment = self.clock - timedelta(minutes=1)
        stamp = sql_moment(moment + ERP_OFFSET if contract.system == "erp" else moment)
        watermark, key = (quote(contract.column(name).source_name) for name in ("updated_at", contract.key_names[0]))
        self.change(f"update {{0}} set {watermark} = {stamp} where {key} = (select max({key}) from {{0}})")

    def check(self) -> TableGap:
        """Check the gap as the monitor does, and return the ledger's newest result."""
        context = self.context
        record_sync_gap(context, self.table)
        [gap] = ledger_views.current_gaps(context.journal, [self.table])
        return gap

    def first_cause(self) -> str:
        """Return the first cause that the advice gives; empty if there is no advice."""
        context = self.context
        [facts] = gather(context.journal, [self.contract])
        return next((advice.cause for advice in advise(facts)), "")

    def differing_rows(self) -> int:
        """Count the rows that only the source or only the lake has. Uses no code of loads or gap checks."""
        contract = self.contract
        keys = ", ".join(quote(name) for name in contract.key_names)
        names = ", ".join(quote(column.name) for column in contract.columns)
        there = ", ".join(quote(column.source_name) for column in contract.columns)
        lake = (
            f"select {names} from (select *, row_number() over (partition by {keys} order by _eff desc, _seq desc, "
            f"_batch desc, _row desc) as newest from bronze.{quote(contract.bronze_view)}) "
            "where newest = 1 and _op <> 'D'"
        )
        with duck.connect(self.context.lake) as connection:
            file = str(self.folder / f"{contract.system}.duckdb")
            connection.execute(f"attach {text_literal(file)} as there (read_only)")
            source = f"select {there} from there.{self.place}"
            query = f"select count(*) from (({source} except {lake}) union all ({lake} except {source}))"
            return int(connection.execute(query).fetchall()[0][0])
