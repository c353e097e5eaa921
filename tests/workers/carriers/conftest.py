"""A sandbox in virtual time."""

from __future__ import annotations

import pytest

from tests.support.time import VirtualClock
from tests.workers.conversations import NOW
from workers.carriers.sandbox import SandboxCarrier


@pytest.fixture
def clock():
    return VirtualClock(NOW, auto=True)


@pytest.fixture
async def sandbox(tmp_path, clock):
    carrier = SandboxCarrier(tmp_path, clock, 1.0)
    yield carrier
    await carrier.aclose()
