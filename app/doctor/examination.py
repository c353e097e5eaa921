"""All the checks, in the order in which they are read."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from app.doctor import configuration, machine, services
from app.doctor.findings import Finding
from schema.settings import Settings


async def examine(settings: Settings) -> list[Finding]:
    """Look at every part; those that answer over a connection are asked at the same time."""
    database, redis, llm, server = await asyncio.gather(
        services.database(settings), services.redis(settings), services.llm(settings), services.server(settings)
    )
    return [
        machine.python(),
        *configuration.findings(settings),
        *machine.data_directory(settings.data),
        machine.disk(settings.data),
        machine.clock(datetime.now(UTC)),
        *database,
        *redis,
        server,
        llm,
        machine.speech(),
    ]
