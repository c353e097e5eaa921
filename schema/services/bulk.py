"""Many rows in one statement: their values travel as one JSON text, which the database takes apart.

Neither SQLAlchemy nor a driver then handles a row, which for 100,000 of them would hold up the event loop for seconds;
SQLite reads them without the interpreter's lock. What it costs to check and to write the JSON is done `aside`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import JSON, ColumnElement, Integer, String, cast, column, func, literal, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.selectable import NamedFromClause

from schema.runtime import Reads, Transaction
from schema.tables import Table

T = TypeVar("T")
Write: TypeAlias = Callable[[], AbstractAsyncContextManager[Transaction]]
"""What begins a unit of work, for verbs that prepare before the first and may need several."""

_MANY = 500
_aside = ThreadPoolExecutor(max_workers=1, thread_name_prefix="aside")  # one: more would share one interpreter's lock


async def aside(work: Callable[..., T], *given: object) -> T:
    """Run what takes the processor long, in pieces of some milliseconds, while the event loop goes on."""
    return await asyncio.get_running_loop().run_in_executor(_aside, work, *given)


async def insert_missing(tx: Transaction, table: type[Table], values: Mapping[str, ColumnElement[Any]]) -> int:
    """`INSERT … SELECT`, without the rows that a unique constraint refuses. Returns how many there were."""
    into = sqlite.insert if tx.runtime.database.is_sqlite else postgresql.insert
    source = select(*values.values()).where(text("true"))  # or SQLite takes the ON below for that of a join
    return (await tx.execute(into(table).from_select(list(values), source).on_conflict_do_nothing())).rowcount


async def note_growth(tx: Transaction, table: type[Table], rows: int) -> None:
    """Have PostgreSQL look at a table that has grown by so many; the transaction adds no more to it.

    It would look by itself within a minute or so, and until then plan as if the table were as it was: read all of it
    for each of 100,000 foreign keys, say. Others that do this wait until the transaction is over.
    """
    if rows >= _MANY and not tx.runtime.database.is_sqlite:
        await tx.execute(text(f"ANALYZE {table.__tablename__}"))


class Listed:
    """The lists in a JSON list as rows of a table; `place` counts them in order."""

    def __init__(self, tx: Reads, rows: bytes) -> None:
        """`rows` is the JSON of a list of lists."""
        unread = literal(rows.decode(), String)
        value = column("value", JSON)
        if tx.runtime.database.is_sqlite:
            self.table: NamedFromClause = (
                func.json_each(unread).table_valued(column("key", Integer), value).alias("listed")
            )
        else:
            unpacked = func.json_array_elements(cast(unread, JSON)).table_valued(value, with_ordinality="key")
            self.table = unpacked.render_derived(name="listed")
        self.place: ColumnElement[int] = self.table.c.key

    def text(self, index: int) -> ColumnElement[Any]:
        """The text, or null, that each list has there."""
        value: ColumnElement[Any] = self.table.c.value[index].as_string()
        return value

    def json(self, index: int) -> ColumnElement[Any]:
        """The JSON that each list has there."""
        return self.table.c.value[index]
