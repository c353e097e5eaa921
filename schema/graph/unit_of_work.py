"""One transaction for the whole of an operation, so that its answer can be committed together with what it did."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import Select

from schema.runtime import Runtime, Snapshot, Transaction, Viewer
from schema.tables import Table

T = TypeVar("T", bound=Table)


class UnitOfWork:
    """The transaction that every write of an operation joins; the first opens it, the end of `stack` commits it."""

    def __init__(self, runtime: Runtime, viewer: Viewer, stack: AsyncExitStack) -> None:
        self._runtime = runtime
        self._viewer = viewer
        self._stack = stack
        self._tx: Transaction | None = None
        self._inside: _Inside | None = None

    @property
    def has_begun(self) -> bool:
        """Whether the database has been asked anything: what was refused before that, the rules alone refused."""
        return self._tx is not None and self._tx.session.in_transaction()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Transaction]:
        """The transaction; what its commit would refuse is refused at the end of the block."""
        if self._tx is None:
            self._tx = await self._stack.enter_async_context(self._runtime.transaction(self._viewer))
            self._inside = _Inside(self._tx)
        yield self._tx
        await self._tx.flush()

    def read(self) -> Snapshot:
        """Reads that see what has been written."""
        return self._inside or self._runtime.snapshot(self._viewer)


class _Inside(Snapshot):
    """Reads of an open transaction, one at a time: fields are resolved side by side, and a session has one voice."""

    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx.runtime, tx.viewer)
        self._tx = tx
        self._turn = asyncio.Lock()

    async def all(self, statement: Select[T]) -> list[T]:
        async with self._turn:
            return await self._tx.all(statement)

    async def count(self, statement: Select[Any]) -> int:
        async with self._turn:
            return await self._tx.count(statement)
