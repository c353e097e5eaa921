"""What a resolver has to hand: who asks, transactions, and rows by id in batches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar, cast

import strawberry
from sqlmodel import col
from strawberry.dataloader import DataLoader

from schema.errors import Unauthenticated
from schema.graph.unit_of_work import UnitOfWork
from schema.runtime import Runtime, Snapshot, Transaction, Viewer
from schema.services import deliveries, slots
from schema.services.keys import BAD_KEY
from schema.tables import DeliveryAttempt, Event, Owned

T = TypeVar("T", bound=Owned)
Out = TypeVar("Out")
P = ParamSpec("P")


_BATCH = 1_000  # ids in one statement: PostgreSQL takes 32,767 parameters


class Context:
    """One request, of REST or GraphQL. A transaction a root field, never one a request: they run together."""

    def __init__(self, runtime: Runtime, viewer: Viewer | None, request_id: str = "") -> None:
        self.runtime = runtime
        self._viewer = viewer
        self.request_id = request_id
        self._unit: UnitOfWork | None = None
        self.tells_all = False  # whether an answer like the one before it is news: of what happens, not of a state
        self.begin_answer(None)

    def begin_answer(self, values: int | None) -> None:
        """Rows are read anew; `values` is how many the answer may hold, None: as many as there are."""
        self.values_left = values
        self._rows: dict[type[Owned], DataLoader[str, Any]] = {}
        self._live: asyncio.Future[Mapping[str, int]] | None = None
        self.attempts: DataLoader[str, list[DeliveryAttempt]] = DataLoader(self._load_attempts, max_batch_size=_BATCH)
        self.events: DataLoader[str, Event] = DataLoader(self._load_events, max_batch_size=_BATCH)

    @property
    def introspection(self) -> bool:
        """Whether callers may ask what the schema is."""
        return self.runtime.settings.graphql_introspection

    @property
    def viewer(self) -> Viewer:
        """Who asks. Raises Unauthenticated."""
        if self._viewer is None:
            raise Unauthenticated(BAD_KEY)
        return self._viewer

    def read(self) -> Snapshot:
        """Reads of the viewer's workspace."""
        return self._unit.read() if self._unit else self.runtime.snapshot(self.viewer)

    def write(self) -> AbstractAsyncContextManager[Transaction]:
        """One unit of work in the viewer's workspace, or a part of the one that the whole operation is."""
        return self._unit.write() if self._unit else self.runtime.transaction(self.viewer)

    async def perform(
        self, verb: Callable[Concatenate[Transaction, P], Coroutine[Any, Any, Out]], *args: P.args, **given: P.kwargs
    ) -> Out:
        """What `write` does for a block that is this one verb, in half of the time (`Runtime.perform`)."""
        if self._unit is None:
            return await self.runtime.perform(self.viewer, verb, *args, **given)
        async with self._unit.write() as tx:
            return await verb(tx, *args, **given)

    @asynccontextmanager
    async def unit_of_work(self) -> AsyncIterator[UnitOfWork]:
        """Inside, all that is written is one transaction, committed at the end or, if the block raises, undone."""
        async with AsyncExitStack() as stack:
            self._unit = UnitOfWork(self.runtime, self.viewer, stack)
            try:
                yield self._unit
            finally:
                self._unit = None

    async def live_calls(self, campaign_id: str) -> int:
        """A campaign's calls under way; counted once for all campaigns that are asked about."""
        if self._live is None:
            self._live = asyncio.ensure_future(slots.live_calls(self.read()))
        return (await self._live).get(campaign_id, 0)

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
