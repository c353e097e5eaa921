"""Progress on stderr, beside the result: one line that changes on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status

_EVERY_S = 10.0


class Teller:
    """Says what goes on."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self._begun = time.monotonic()
        self._title = ""
        self._last = 0.0
        self._status: Status | None = None

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._begun

    @contextmanager
    def about(self, title: str) -> Iterator[None]:
        """What follows is about this."""
        self._title, self._last = title, 0.0
        if not self.console.is_terminal:
            self.line(f"{title} …")
            yield
            return
        with self.console.status(title) as self._status:
            yield
        self._status = None

    def say(self, text: str) -> None:
        """How far it has come."""
        if self._status is not None:
            self._status.update(f"{self.seconds:4.0f} s  {self._title}: {text}")
        elif time.monotonic() - self._last > _EVERY_S:
            self._last = time.monotonic()
            self.line(f"  {text}")

    def line(self, text: str) -> None:
        """A line that stays."""
        self.console.print(f"{self.seconds:4.0f} s  {text}", markup=False)
