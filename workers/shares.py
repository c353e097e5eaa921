"""Places that many share: whoever has many leaves some free for the others (W8)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

LOOK_FOR = 25
"""So many rows are worth looking for; fewer when their owner has as few."""


class Shares:
    """So many `places`, of which an owner may have `times` as many as are free.

    One owner who takes all it may leaves one in `times` + 1, the next leaves as large a part of that. Nothing is taken
    away, but whoever has more than its share gets no more until it has given back. These are the dynamic thresholds of
    Choudhury and Hahne (1998), by which switches share a buffer among their queues.
    """

    def __init__(self, places: int, *, times: int = 1) -> None:
        self._times = times
        self._free = places
        self._held: Counter[str] = Counter()
        self._left_out: set[str] = set()

    def held(self, owner: str) -> int:
        """How many places it has."""
        return self._held[owner]

    def room(self, owner: str) -> int:
        """How many more it may have: each taken is one less that is free."""
        more = self._times * self._free - self._held[owner]
        return max(0, -(-more // (self._times + 1)))

    def take(self, owner: str) -> bool:
        """Take a place; False when it may have no more now."""
        if not self.room(owner):
            return False
        self._free -= 1
        self._held[owner] += 1
        return True

    def free(self, owner: str) -> bool:
        """Give a place back. Returns whether rows that were left out should be looked for now, also another's."""
        self._free += 1
        self._held[owner] -= 1
        if not self._held[owner]:
            del self._held[owner]
        return self._look()

    def full(self) -> Sequence[str]:
        """The owners without room, whose rows are to be left where they are."""
        full = [owner for owner in self._held if not self.room(owner)]
        self._left_out.update(full)
        return full

    def left_out(self, owners: Iterable[str]) -> bool:
        """Rows of theirs have gone back to the table. Returns whether to look for them now: as `free`."""
        self._left_out.update(owners)
        return self._look()

    def _look(self) -> bool:
        worth = [owner for owner in self._left_out if self.room(owner) >= min(LOOK_FOR, self._held[owner] + 1)]
        self._left_out.difference_update(worth)
        return bool(worth)
