"""Retention on the stage: once an hour, whichever worker is there deletes what is kept no longer."""

from __future__ import annotations

import structlog

from schema.database import DATABASE_ERRORS
from schema.runtime import Runtime
from schema.services import retention

log = structlog.get_logger("voxforge.retention")

FIRST_S = 60.0
"""Seconds after a start, when what was left undone has been seen to."""
EVERY_S = 3_600.0
_BREATH_S = 0.05  # between batches, in which others write


async def keep(runtime: Runtime) -> None:
    """Sweep, and again every hour, until cancelled; a database that is away is asked the next time."""
    await runtime.clock.sleep(FIRST_S)
    while True:
        try:
            await sweep(runtime)
        except DATABASE_ERRORS as error:
            log.warning("could not delete what is kept no longer; trying again in an hour", error=type(error).__name__)
        except Exception:
            log.exception("retention failed; trying again in an hour")
        await runtime.clock.sleep(EVERY_S)


async def sweep(runtime: Runtime) -> dict[str, int]:
    """Delete everything that is kept no longer; returns how many rows of each kind."""
    deleted = {}
    for verb in retention.SWEEPS:
        name, rows = verb.__name__.removeprefix("sweep_"), retention.BATCH
        deleted[name] = 0
        while rows == retention.BATCH:
            rows = await runtime.perform(None, verb)
            deleted[name] += rows
            if rows:
                await runtime.clock.sleep(_BREATH_S)
    if any(deleted.values()):
        log.info("deleted what is kept no longer", **deleted)
    return deleted
