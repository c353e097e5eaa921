"""How much work is due and how long the oldest has waited, by table: the two numbers that matter."""

from __future__ import annotations

from collections.abc import Mapping

from app.health import Check
from app.metrics import Metrics
from schema.due import Backlog, backlog
from schema.runtime import Runtime
from schema.tables import Job


async def backlogs(runtime: Runtime) -> dict[str, Backlog]:
    """The backlog of every table of work, by its name."""
    return {str(table.__tablename__): await backlog(runtime, table) for table in Job.__subclasses__()}


def backlog_metrics(runtime: Runtime) -> Metrics:
    """Figures that include the backlog."""

    async def due() -> Mapping[str, float]:
        return {table: float(found.due) for table, found in (await backlogs(runtime)).items()}

    async def oldest() -> Mapping[str, float]:
        return {table: found.oldest_s for table, found in (await backlogs(runtime)).items()}

    metrics = Metrics()
    metrics.gauge("voxforge_backlog_due", "Rows of work that are due.", due, label="table")
    metrics.gauge(
        "voxforge_backlog_oldest_seconds", "Seconds that the oldest due row has waited.", oldest, label="table"
    )
    return metrics


def queue_check(runtime: Runtime) -> Check:
    """For `/readyz`: whether the queues can be read."""

    async def check() -> str | None:
        await backlogs(runtime)
        return None

    return check
