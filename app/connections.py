"""How many connections may be open to a server process, of one address and in all."""

from __future__ import annotations

import resource
from collections.abc import Sequence
from contextlib import ExitStack

import structlog

from app.addresses import Network, parse_address, rate_limit_key, within
from app.websocket.places import Places
from schema.clock import Clock, SystemClock
from schema.errors import RateLimited

log = structlog.get_logger("voxforge.connections")

OF_ADDRESS = 256
"""A trusted proxy's connections are those of many, and so only the number of all is theirs."""
OF_PROCESS = 10_000
TELL_S = 60.0
"""How often the log says that some are refused."""
_OWN_SHARE = 4  # one descriptor in so many is left for what the server itself opens: database, Redis, files
_OWN_SHARE_WITH_WORKERS = 2  # and a thousand webhooks under way


def most_connections(*, with_workers: bool) -> int:
    """How many this process has descriptors for, less what it needs itself."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return OF_PROCESS
    return min(OF_PROCESS, soft - soft // (_OWN_SHARE_WITH_WORKERS if with_workers else _OWN_SHARE))


class Connections:
    """Counts those that are open, WebSockets among them."""

    def __init__(
        self,
        trusted_proxies: Sequence[Network],
        of_process: int = OF_PROCESS,
        of_address: int = OF_ADDRESS,
        clock: Clock | None = None,
    ) -> None:
        self._trusted_proxies = trusted_proxies
        self._of_process = of_process
        self._of_address = of_address
        self._places = Places("connections")
        self._clock = clock or SystemClock()
        self._tell_at = 0.0

    def admit(self, peer: str | None) -> ExitStack:
        """Take a place, which is free again once what is returned has been closed. Raises RateLimited.

        `peer` is the socket's other end; None, such as a Unix socket's, is nobody's address.
        """
        try:
            return self._take(peer)
        except RateLimited as error:
            if self._clock.monotonic() >= self._tell_at:
                self._tell_at = self._clock.monotonic() + TELL_S
                log.warning("connections are refused", client=peer, why=error.message)
            raise

    def _take(self, peer: str | None) -> ExitStack:
        with ExitStack() as until:
            until.enter_context(self._places.one_of("of a server process", self._of_process))
            address = parse_address(peer) if peer else None
            if address is not None and not within(address, self._trusted_proxies):
                name = f"of a client address:{rate_limit_key(address)}"
                until.enter_context(self._places.one_of(name, self._of_address))
            return until.pop_all()
