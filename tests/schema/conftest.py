"""What the domain's tests share: a workspace, its verbs in a transaction, and refusals that must change nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import pytest

from schema.errors import DomainError
from schema.runtime import Runtime, Transaction, Viewer
from tests.support import seeds
from tests.support.invariants import rows

P = ParamSpec("P")
T = TypeVar("T")


class Act(Protocol):
    async def __call__(
        self, verb: Callable[Concatenate[Transaction, P], Awaitable[T]], *args: P.args, **given: P.kwargs
    ) -> T: ...


Refused = Callable[[type[DomainError], str], AbstractAsyncContextManager[None]]
Unchanged = Callable[[], AbstractAsyncContextManager[None]]


@pytest.fixture
async def viewer(runtime: Runtime) -> Viewer:
    """Somebody who may see and do everything in a workspace."""
    return await seeds.workspace(runtime)


@pytest.fixture
def act(runtime: Runtime, viewer: Viewer) -> Act:
    """A verb of a service in a transaction of its own."""

    async def act(verb: Any, *args: Any, **given: Any) -> Any:
        async with runtime.transaction(viewer) as tx:
            return await verb(tx, *args, **given)

    return act


@pytest.fixture
def unchanged(runtime: Runtime) -> Unchanged:
    """A context after which every row of the database is as it was before."""

    @asynccontextmanager
    async def unchanged() -> AsyncIterator[None]:
        before = await rows(runtime)
        yield
        assert await rows(runtime) == before

    return unchanged


@pytest.fixture
def refused(unchanged: Unchanged) -> Refused:
    """A context in which exactly that error is raised, with that sentence, and nothing changes."""

    @asynccontextmanager
    async def refused(kind: type[DomainError], message: str) -> AsyncIterator[None]:
        async with unchanged():
            with pytest.raises(kind) as refusal:
                yield
            assert (type(refusal.value), refusal.value.message) == (kind, message)

    return refused
