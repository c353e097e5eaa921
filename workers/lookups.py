"""Names are looked up in threads of their own, as many as there may be, shared fairly among workspaces (W8)."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from ipaddress import ip_address
from typing import TypeAlias

from aiohttp.abc import AbstractResolver, ResolveResult

from schema.rules.addresses import Network, may_connect
from workers.shares import Shares

_ADDRESSES_OF_A_NAME = 8
THREADS = 128
"""Lookups at once, those included whose attempts have ended: nothing ends a thread that waits for a name server."""

_Line: TypeAlias = tuple[str, str]
"""Those who wait for one another: a workspace, and the last two labels of a name."""

Lookup = Callable[[str, int], Sequence[str]]
"""Blocking: host and port to the host's addresses as text. Raises OSError (`socket.gaierror`) when it has none."""


asking: ContextVar[str] = ContextVar("asking")
"""The workspace for which a name is looked up: aiohttp asks a resolver in a task of its own, and says nothing else."""


def system_lookup(host: str, port: int) -> list[str]:
    """What this machine's resolver says, in its order of preference."""
    found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for family, _, _, _, address in found))


class Blocked(OSError):
    """An address that may not be connected to. Its text is always the same, or aiohttp would merge several into one."""

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "blocked")


class Lookups:
    """`lookup` for many at once, on one event loop.

    A workspace whose names hang leaves threads to the others, and a domain to the other names of its workspace.
    """

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._shares = Shares(THREADS)
        self._of_domains: Counter[_Line] = Counter()
        self._waiting: list[tuple[_Line, asyncio.Future[None]]] = []

    async def look_up(self, host: str, port: int, owner: str) -> Sequence[str]:
        """The host's addresses, when `owner` may have a thread. Raises what `lookup` raises.

        In a daemon thread, because pools are joined when the process ends, however long a name server takes.
        """
        line = owner, ".".join(host.split(".")[-2:])
        await self._take(line)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[str]] = loop.create_future()

        def tell(found: Sequence[str], failure: Exception | None) -> None:
            self._free(line)
            if answer.done():
                return
            if failure is None:
                answer.set_result(found)
            else:
                answer.set_exception(failure)

        def work() -> None:
            found: Sequence[str] = ()
            failure: Exception | None = None
            try:
                found = self._lookup(host, port)
            except Exception as error:  # noqa: BLE001 (whatever it is, whoever waits must hear of it)
                failure = error
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(tell, found, failure)

        try:
            threading.Thread(target=work, name=f"lookup {host}", daemon=True).start()
        except RuntimeError:
            self._free(line)
            raise
        return await answer

    async def _take(self, line: _Line) -> None:
        if self._may_start(line):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((line, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._free(line)
            raise

    def _may_start(self, line: _Line) -> bool:
        owner, _ = line
        if self._of_domains[line] >= self._shares.room(owner) or not self._shares.take(owner):
            return False
        self._of_domains[line] += 1
        return True

    def _free(self, line: _Line) -> None:
        """One thread less, and whoever may have it now gets it, first come first served."""
        owner, _ = line
        self._shares.free(owner)
        self._of_domains[line] -= 1
        if not self._of_domains[line]:
            del self._of_domains[line]
        still = []
        for waiter in self._waiting:
            its_line, turn = waiter
            if turn.done():
                continue
            if self._may_start(its_line):
                turn.set_result(None)
            else:
                still.append(waiter)
        self._waiting = still


class Resolver(AbstractResolver):
    """For aiohttp: leaves out the addresses that may not be connected to."""

    def __init__(self, lookups: Lookups, allow_networks: Sequence[Network]) -> None:
        self._lookups = lookups
        self._allow_networks = allow_networks

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._lookups.look_up(host, port, asking.get())
        open_ones = [text for text in found if may_connect(ip_address(text), self._allow_networks)]
        if found and not open_ones:
            raise Blocked
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "no addresses")
        return [
            ResolveResult(
                hostname=host,
                host=text,
                port=port,
                family=socket.AF_INET6 if ":" in text else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            # Few, because the connector tries them in turn and whoever owns the name chooses how many there are.
            for text in open_ones[:_ADDRESSES_OF_A_NAME]
        ]

    async def close(self) -> None:
        """Nothing to do: a lookup's thread ends with it."""
