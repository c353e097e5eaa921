"""What a process has under way for each endpoint: who may be sent, who may wait, and who is left in the table (W8)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from schema.clock import Clock

IN_FLIGHT_AN_ENDPOINT = 5
WAITING_AN_ENDPOINT = 50  # of one that answers; one that has just failed keeps nobody waiting in a place
FORGET_AFTER_S = 600.0
"""Seconds without a delivery after which it is forgotten that an endpoint failed."""


@dataclass(slots=True)
class Room:
    """One endpoint's. `claimed`: its deliveries that have a place, sent or waiting."""

    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(IN_FLIGHT_AN_ENDPOINT))
    claimed: int = 0
    is_failing: bool = False
    used_at: float = 0.0
    leaves_out: bool = False

    @property
    def most(self) -> int:
        """How many may have a place."""
        return IN_FLIGHT_AN_ENDPOINT + (0 if self.is_failing else WAITING_AN_ENDPOINT)

    @property
    def left(self) -> int:
        """How many more may have one."""
        return max(0, self.most - self.claimed)


class Rooms:
    """The endpoints that have anything under way, or have failed lately."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rooms: dict[str, Room] = {}
        self._looked_at = clock.monotonic()

    def __len__(self) -> int:
        return len(self._rooms)

    def of(self, endpoint_id: str) -> Room:
        """The endpoint's room, as it is or new."""
        return self._rooms.setdefault(endpoint_id, Room())

    def full(self) -> Sequence[str]:
        """The endpoints without room, whose rows are to be left where they are."""
        self._forget()
        full = [(id, room) for id, room in self._rooms.items() if not room.left]
        for _, room in full:
            room.leaves_out = True
        return [id for id, _ in full]

    def free(self, endpoint_id: str) -> bool:
        """One delivery is done with. Returns whether rows that were left in the table should be looked for now.

        Not at every one: each would be leased alone.
        """
        room = self._rooms[endpoint_id]
        room.claimed -= 1
        room.used_at = self._clock.monotonic()
        look = room.leaves_out and (room.left * 2 >= room.most or not room.claimed)
        if look:
            room.leaves_out = False
        if not room.claimed and not room.is_failing:
            del self._rooms[endpoint_id]
        return look

    def _forget(self) -> None:
        now = self._clock.monotonic()
        if now - self._looked_at < FORGET_AFTER_S / 10:
            return
        self._looked_at = now
        for id in [id for id, room in self._rooms.items() if not room.claimed and now - room.used_at > FORGET_AFTER_S]:
            del self._rooms[id]
