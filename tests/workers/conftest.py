"""A worker of the test's own, whose rows must be whole whatever the test does with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from schema.runtime import Runtime, Viewer
from tests.support import seeds
from tests.support.invariants import broken_invariants
from tests.support.time import VirtualClock
from tests.workers.carrying import Carrier, Work


@pytest.fixture
async def viewer(runtime: Runtime) -> Viewer:
    return await seeds.workspace(runtime)


@pytest.fixture
async def work(runtime: Runtime, tmp_path: Path, clock: VirtualClock) -> AsyncIterator[Work]:
    """A worker; whatever a test does with it, no row may break an invariant."""
    working = Work(runtime, Carrier(tmp_path, clock))
    yield working
    await working.performer.close(5)
    assert await broken_invariants(runtime) == []
