"""How many connections may be open, to this process and by whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from schema.errors import RateLimited

OF_PROCESS = 1_000
OF_CALLER = 100
STRANGERS = 200
"""Those who have not said who they are, so that they leave room for those who have."""
STRANGERS_OF_ADDRESS = 20
_RETRY_AFTER_S = 10


class Places:
    """Counts them; `of` is what they are called."""

    def __init__(self, of: str = "WebSocket connections") -> None:
        self._of = of
        self._taken: Counter[str] = Counter()

    @contextmanager
    def one_of(self, name: str, most: int) -> Iterator[None]:
        """Take a place while the block runs. Raises RateLimited."""
        if self._taken[name] >= most:
            raise RateLimited(
                f"Too many {self._of} are open: at most {most:,} {name.partition(':')[0]}",
                retry_after_s=_RETRY_AFTER_S,
            )
        self._taken[name] += 1
        try:
            yield
        finally:
            self._taken[name] -= 1
            if not self._taken[name]:
                del self._taken[name]
