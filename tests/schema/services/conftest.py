"""Whatever the services are made to do, the invariants hold afterwards; and those who dial, for tests of dialing."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from schema.runtime import Runtime, Viewer
from tests.support.dialers import Workers
from tests.support.invariants import broken_invariants
from tests.support.time import VirtualClock


@pytest.fixture(autouse=True)
async def invariants(runtime: Runtime) -> AsyncIterator[None]:
    yield
    assert await broken_invariants(runtime) == []


@pytest.fixture
def workers(runtime: Runtime, viewer: Viewer, clock: VirtualClock) -> Workers:
    """Who dials for the workspace, one step at a time."""
    return Workers(runtime, viewer, clock)
