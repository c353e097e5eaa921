"""What a process has under way for each endpoint: who may be sent, who may wait, and who is left in the table (W8)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from schema.clock import Clock

IN_FLIGHT_AN_ENDPOINT = 5
WAITING_AN_ENDPOINT = 100
AHEAD_S = 1.0
"""Who will be sent within that time may wait in a place: slow endpoints must not fill the places of quick ones."""
FORGET_AFTER_S = 600.0
"""Seconds without a delivery after which it is forgotten how an endpoint answers."""


@dataclass(slots=True)
class Room:
    """One endpoint's. `claimed`: its deliveries that have a place, sent or waiting."""

    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(IN_FLIGHT_AN_ENDPOINT))
    claimed: int = 0
    is_failing: bool = False  # its last request failed
    took_s: float | None = None  # by its last request; None: not known yet
    used_at: float = 0.0
    leaves_out: bool = False

    @property
    def most(self) -> int:
        """How many may have a place."""
        if self.is_failing or self.took_s is None:
            return IN_FLIGHT_AN_ENDPOINT
        ahead = IN_FLIGHT_AN_ENDPOINT * AHEAD_S / max(self.took_s, 0.001)
        return IN_FLIGHT_AN_ENDPOINT + min(WAITING_AN_ENDPOINT, int(ahead))

    @property
    def left(self) -> int:
        """How many more may have one."""
        return max(0, self.most - self.claimed)

    def look(self) -> bool:
        """Whether rows that were left in the table are worth looking for; then nobody else needs to."""
        self.leaves_out = self.left * 2 < self.most and self.claimed > 0
        return not self.leaves_out


class Rooms:
    """The endpoints that have anything under way, or have had lately."""

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

    def answered(self, endpoint_id: str, *, well: bool, took_s: float) -> None:
        """What the endpoint made of a request."""
        room = self.of(endpoint_id)
        room.is_failing = not well
        room.took_s = took_s

    def free(self, endpoint_id: str) -> bool:
        """One delivery is done with. Returns whether rows that were left in the table should be looked for now.

        Not at every one: each would be leased alone.
        """
        room = self._rooms[endpoint_id]
        room.claimed -= 1
        room.used_at = self._clock.monotonic()
        return room.leaves_out and room.look()

    def left_out(self, endpoint_ids: Iterable[str]) -> bool:
        """Rows of theirs have gone back to the table. Returns whether to look for them now: as `free`."""
        looks = []
        for id in set(endpoint_ids):
            room = self.of(id)
            room.leaves_out = True
            looks.append(room.look())
        return any(looks)

    def _forget(self) -> None:
        now = self._clock.monotonic()
        if now - self._looked_at < FORGET_AFTER_S / 10:
            return
        self._looked_at = now
        for id in [id for id, room in self._rooms.items() if not room.claimed and now - room.used_at > FORGET_AFTER_S]:
            del self._rooms[id]
