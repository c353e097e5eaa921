"""What it costs to give a campaign's contact its call, among 10,000 enrolled and among 1,000,000.

Two campaigns in one database, with free slots for a few calls; their dialers' ticks are timed in turn, so that both
meet the same machine. Between two ticks the calls that were made are taken away and the cursor goes on.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from goals import Figure, at_most, show, write
from seeding import settings_for
from sqlalchemy import text
from sqlmodel import col

from schema import due, migrations
from schema.rules.plans import Plan
from schema.runtime import Runtime, Viewer
from schema.services import agents, campaigns, dialer, phone_numbers, workspaces
from schema.settings import Settings
from schema.tables import Campaign, Dialer
from tests.support.servers import run_postgres

SIZES = (10_000, 1_000_000)
ROUNDS = 60
CALLS_A_TICK = 5

# As many contacts as wanted in one statement, and their enrolment; the same text for both databases.
_CONTACTS = """
    INSERT INTO contacts (id, workspace_id, phone_number, custom_fields, created_at, updated_at)
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :size)
    SELECT 'c' || :tag || i, :workspace, '+1' || CAST(2000000000 + i AS VARCHAR), '{}', campaigns.created_at,
           campaigns.created_at
    FROM n, campaigns WHERE campaigns.id = :campaign
"""
_ENROLMENT = """
    INSERT INTO campaign_contacts (id, workspace_id, campaign_id, contact_id, position, status, attempts, created_at)
    SELECT id, workspace_id, :campaign, id, CAST(substr(id, 3) AS INTEGER), 'pending', 0, created_at
    FROM contacts WHERE workspace_id = :workspace
"""


async def _campaign(runtime: Runtime, size: int, tag: str) -> tuple[Viewer, str]:
    """A workspace with one campaign of that many contacts."""
    async with runtime.transaction(None) as tx:
        workspace = await workspaces.create(tx, name=f"{size:,} contacts", plan=Plan.ENTERPRISE)
        viewer = Viewer(workspace.id, workspace.plan)
    async with runtime.transaction(viewer) as tx:
        agent = await agents.create(tx, {"name": "Sam", "system_prompt": "Be kind."})
        number = await phone_numbers.create(tx, {"phone_number": "+15555550199", "name": "Benchmark"})
        await tx.flush()
        given = {"agent_id": agent.id, "phone_number_id": number.id, "max_concurrent_calls": CALLS_A_TICK}
        row = await campaigns.create(tx, {"name": "Everybody", **given})
        await tx.flush()
        values = {"size": size, "tag": tag, "workspace": viewer.workspace_id, "campaign": row.id}
        await tx.session.execute(text(_CONTACTS), values)
        await tx.session.execute(text(_ENROLMENT), values)
        row.calls_total = size
    return viewer, row.id


async def _tick_ms(runtime: Runtime, viewer: Viewer) -> float:
    """Milliseconds of one tick, its lease and its commit among them; it must have made its calls."""
    async with runtime.transaction(viewer) as tx:
        tx.wake()
    begun = time.perf_counter()
    mine = [col(Dialer.id) == viewer.workspace_id]
    (held,) = await due.lease(runtime, Dialer, limit=1, seconds=60, where=mine)
    async with runtime.transaction(viewer) as tx:
        await dialer.tick(tx, held)
    taken_ms = (time.perf_counter() - begun) * 1000
    async with runtime.transaction(viewer) as tx:
        made = await tx.execute(text("DELETE FROM calls WHERE workspace_id = :id"), [{"id": viewer.workspace_id}])
        if made.rowcount != CALLS_A_TICK:
            sys.exit(f"a tick made {made.rowcount} calls instead of {CALLS_A_TICK}")
    return taken_ms


async def _measure(settings: Settings, name: str) -> list[Figure]:
    await migrations.upgrade(settings)
    runtime = Runtime.open(settings)
    try:
        places = [await _campaign(runtime, size, tag) for size, tag in zip(SIZES, "ab", strict=True)]
        if not runtime.database.is_sqlite:
            async with runtime.database.engine.connect() as connection:
                await connection.exec_driver_sql("ANALYZE")
        times: list[list[float]] = [[] for _ in SIZES]
        for _ in range(ROUNDS):
            for (viewer, _campaign_id), into in zip(places, times, strict=True):
                into.append(await _tick_ms(runtime, viewer))
        async with runtime.transaction(places[1][0]) as tx:  # from the far end too
            (await tx.get(Campaign, places[1][1])).cursor = SIZES[1] - ROUNDS * CALLS_A_TICK - 1
        late = [await _tick_ms(runtime, places[1][0]) for _ in range(ROUNDS)]
        small, large, far = (statistics.median(one) for one in (*times, late))
        return [
            Figure(f"{name}: a claim of {CALLS_A_TICK} among {SIZES[0]:,}", f"{small:.1f} ms"),
            Figure(f"{name}: among {SIZES[1]:,}, at its beginning", f"{large:.1f} ms"),
            Figure(f"{name}: among {SIZES[1]:,}, near its end", f"{far:.1f} ms"),
            at_most(f"{name}: {SIZES[1]:,} beside {SIZES[0]:,}", max(large, far) / small, 2, "×"),
        ]
    finally:
        await runtime.close()


async def _both(where: str) -> list[Figure]:
    figures = []
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="voxforge-bench-")))
        if where != "postgresql":
            figures += await _measure(settings_for(directory / "sqlite"), "SQLite")
        if where != "sqlite":
            url = stack.enter_context(run_postgres()).create_database()
            figures += await _measure(settings_for(directory / "postgresql", database_url=url), "PostgreSQL")
    return figures


def main() -> None:
    """Measure and report; a goal that is missed is an error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--on", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = asyncio.run(_both(options.on))
    title = "Giving contacts their calls"
    write(options.json, title, figures)
    sys.exit(0 if show(title, figures) else 1)


if __name__ == "__main__":
    main()
