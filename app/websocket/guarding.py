"""Connections end soon after the credentials that opened them: one look every two seconds at those of all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from schema.database import DATABASE_ERRORS
from schema.errors import DomainError
from schema.runtime import Runtime, Viewer
from schema.services.credentials import refusals

log = structlog.get_logger("voxforge.websocket")

LOOK_EVERY_S = 2.0

End = Callable[[DomainError], None]


class Guard:
    """Looks after the connections of this process."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._held: dict[End, Viewer] = {}
        self._looking: asyncio.Task[None] | None = None

    @contextmanager
    def over(self, viewer: Viewer, end: End) -> Iterator[None]:
        """While the block runs, `end` is called when what let them in is no longer good, with the reason."""
        self._held[end] = viewer
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="credentials of connections")
        try:
            yield
        finally:
            del self._held[end]
            if not self._held:
                self._looking.cancel()
                self._looking = None

    async def _look(self) -> None:
        while True:
            await self._runtime.clock.sleep(LOOK_EVERY_S)
            try:
                await self._end_what_is_not_good()
            except DATABASE_ERRORS as error:
                log.warning("credentials of connections could not be looked at", error=type(error).__name__)
            except Exception:
                # Ours to mend; but without another look no connection of the process would end with its key.
                log.exception("credentials of connections could not be looked at")

    async def _end_what_is_not_good(self) -> None:
        held = dict(self._held)
        found = await refusals(self._runtime, list(held.values()))
        for end, refusal in zip(held, found, strict=True):
            if refusal is not None and end in self._held:
                end(refusal)
