"""What is asked of the database, and how it goes about answering."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from sqlalchemy import event

from schema.runtime import Runtime, Viewer

Sent: TypeAlias = list[tuple[str, Any]]


@contextmanager
def statements(runtime: Runtime) -> Iterator[Sent]:
    """What is sent to the database inside, with its values."""
    sent: Sent = []
    engine = runtime.database.engine.sync_engine

    def before(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        sent.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", before)
    yield sent
    event.remove(engine, "before_cursor_execute", before)


async def explained(runtime: Runtime, viewer: Viewer, statement: str, values: Any) -> str:
    how = "EXPLAIN QUERY PLAN" if runtime.database.is_sqlite else "EXPLAIN"
    async with runtime.transaction(viewer) as tx:
        connection = await tx.session.connection()
        rows = await connection.exec_driver_sql(f"{how} {statement}", values)
        return "\n".join(str(row[-1]) for row in rows)


def reads_whole(plan: str, table: str) -> bool:
    """Whether a table is read row by row, other than through an index."""
    return any(
        line.strip().removeprefix("->").strip().startswith((f"Seq Scan on {table} ", f"SCAN {table}"))
        and "INDEX" not in line
        for line in plan.splitlines()
    )
