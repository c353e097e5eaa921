"""What a resolver has to hand: who asks, transactions, and rows by id in batches."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias, TypeVar, cast

import strawberry
from sqlmodel import col
from strawberry.dataloader import DataLoader

from schema.errors import Unauthenticated
from schema.runtime import Runtime, Snapshot, Transaction, Viewer
from schema.services import deliveries
from schema.services.keys import BAD_KEY
from schema.tables import DeliveryAttempt, Event, Owned

T = TypeVar("T", bound=Owned)


_BATCH = 1_000  # ids in one statement: PostgreSQL takes 32,767 parameters


class Context:
    """One request, of REST or GraphQL. A transaction a root field, never one a request: they run together."""

    def __init__(self, runtime: Runtime, viewer: Viewer | None, request_id: str = "") -> None:
        self.runtime = runtime
        self._viewer = viewer
        self.request_id = request_id
        self._rows: dict[type[Owned], DataLoader[str, Any]] = {}
        self.attempts: DataLoader[str, list[DeliveryAttempt]] = DataLoader(self._load_attempts, max_batch_size=_BATCH)
        self.events: DataLoader[str, Event] = DataLoader(self._load_events, max_batch_size=_BATCH)

    @property
    def viewer(self) -> Viewer:
        """Who asks. Raises Unauthenticated."""
        if self._viewer is None:
            raise Unauthenticated(BAD_KEY)
        return self._viewer

    def read(self) -> Snapshot:
        """Reads of the viewer's workspace."""
        return self.runtime.snapshot(self.viewer)

    def write(self) -> AbstractAsyncContextManager[Transaction]:
        """One unit of work in the viewer's workspace."""
        return self.runtime.transaction(self.viewer)

    async def row(self, table: type[T], id: str | None) -> T | None:
        """A row that another refers to, batched; deleted ones too, since what refers to them stays readable (A2)."""
        if id is None:
            return None
        if table not in self._rows:

            async def load(ids: list[str]) -> Sequence[Any]:
                tx = self.read()
                statement = tx.select(table, deleted=True).where(col(table.id).in_(ids))
                found = {row.id: row for row in await tx.all(statement)}
                return [found.get(id) for id in ids]

            self._rows[table] = DataLoader(load, max_batch_size=_BATCH)
        return cast("T | None", await self._rows[table].load(id))

    async def _load_attempts(self, ids: list[str]) -> Sequence[list[DeliveryAttempt]]:
        rows: dict[str, list[DeliveryAttempt]] = {id: [] for id in ids}
        for attempt in await deliveries.attempts(self.read(), ids):
            rows[attempt.delivery_id].append(attempt)
        return [rows[id] for id in ids]

    async def _load_events(self, ids: list[str]) -> Sequence[Event]:
        rows = {event.id: event for event in await deliveries.events(self.read(), ids)}
        return [rows[id] for id in ids]


Info: TypeAlias = strawberry.Info[Context, None]
