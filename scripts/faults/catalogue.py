"""Every fault, in the order in which they are played."""

from __future__ import annotations

import clocks
import freezing
import hanging
import kills
import outages
from scene import Fault

_HANG = {"VOXFORGE_WEBHOOK_TIMEOUT": "4", "VOXFORGE_WEBHOOK_RETRY_SCHEDULE": "1,1,2,2,4,4"}

FAULTS = [
    Fault("deliveries-killed", kills.deliveries, quickly=("embedded",), endpoints=2, speed=50),
    Fault("calls-killed", kills.calls, quickly=()),
    Fault("campaign-killed", kills.campaign),
    Fault("redis-emptied", outages.redis, modes=("scaled",)),
    Fault("postgres-stopped", outages.postgres, modes=("scaled",)),
    Fault("worker-frozen", freezing.worker, speed=10),
    Fault("clock-ahead", clocks.ahead, quickly=("embedded",), speed=10, sets_clock=True),
    Fault("clock-back", clocks.back, speed=10, sets_clock=True),
    Fault("endpoints-hang", hanging.endpoints, quickly=("embedded",), endpoints=100, settings=_HANG),
]
