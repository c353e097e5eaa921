"""PostgreSQL and Redis that can be stopped and started while an installation uses them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import redis

from tests.support.servers import PostgresServer, run_postgres, run_redis


@dataclass
class Backends:
    """Both servers, of the package's own kind, on the loopback address."""

    postgres: PostgresServer
    redis_url: str
    stack: ExitStack

    def fresh(self) -> tuple[str, str]:
        """The URLs of a new database and of an emptied Redis."""
        with redis.Redis.from_url(self.redis_url) as client:
            client.flushall()
        return self.postgres.create_database(), self.redis_url

    async def stop_redis(self) -> None:
        """At once, and nothing of it is kept."""

        def shutdown() -> None:
            with redis.Redis.from_url(self.redis_url) as client:
                client.shutdown(nosave=True)

        await asyncio.to_thread(shutdown)

    async def start_redis(self) -> None:
        """Empty, where it was."""
        port = int(self.redis_url.rpartition(":")[2].partition("/")[0])
        await asyncio.to_thread(self.stack.enter_context, run_redis(port))

    async def stop_postgres(self) -> None:
        """`-m immediate`."""
        await asyncio.to_thread(self.postgres.stop_immediately)

    async def start_postgres(self) -> None:
        """With the data that it had."""
        await asyncio.to_thread(self.postgres.start_again)


@contextmanager
def backends() -> Iterator[Backends]:
    """Run both. Commits are flushed (not to the disk: the machine does not fail here), as an immediate stop demands."""
    with ExitStack() as stack:
        postgres = stack.enter_context(run_postgres(synchronous_commit="on", full_page_writes="on"))
        yield Backends(postgres, stack.enter_context(run_redis()), stack)
