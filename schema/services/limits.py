"""Room in the plan: counted and taken in the transaction that fills it, so that two at the edge never both fit (K6).

The workspace's row is locked from the count to the commit, `FOR NO KEY UPDATE`: whoever else wants room waits, and no
foreign key does. The plan is the row's, so a change of plan holds from the next request on; the rows of a workspace
that has more than its new plan allows stay, and nothing is added. An unlimited plan locks and counts nothing.
Order of locks: call, campaign, agent or number, workspace, dialer; rows that are counted are inserted after it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, func, select, update
from sqlmodel import col

from schema.rules.plans import PLANS, Counted, Plan, ensure_room
from schema.runtime import Reads, Transaction
from schema.tables import Agent, Contact, SoftDeleted, WebhookEndpoint, Workspace

_TABLES: Mapping[Counted, type[SoftDeleted]] = {
    Counted.AGENTS: Agent,
    Counted.CONTACTS: Contact,
    Counted.WEBHOOK_ENDPOINTS: WebhookEndpoint,
}
_LIMITED = {counted: [plan for plan, limits in PLANS.items() if limits.of(counted) is not None] for counted in Counted}


async def take_room(
    tx: Transaction, counted: Counted, adding: int = 1, exactly: Callable[[], Awaitable[int]] | None = None
) -> None:
    """Before `adding` rows are inserted: raises LimitReached unless the plan has room for them.

    Where some of the rows may be there already, `adding` is the most there can be, and `exactly` says how many are
    new; it is asked only when the most would not fit.
    """
    if adding:
        await _take(tx, counted, adding, exactly, is_taken=True)


async def foresee_room(tx: Transaction, counted: Counted, adding: int, exactly: Callable[[], Awaitable[int]]) -> None:
    """Raises what `take_room` would, for rows that later transactions will insert; each of those takes its own."""
    await _take(tx, counted, adding, exactly, is_taken=False)


async def check_room(reads: Reads, counted: Counted, adding: int) -> None:
    """Raises LimitReached if so many new rows would not fit now: what a dry run can say without a lock."""
    workspace = await reads.first(select(Workspace).where(col(Workspace.id) == reads.workspace_id))
    if workspace is not None and PLANS[workspace.plan].of(counted) is not None:
        have = await reads.count(reads.select(_TABLES[counted]).with_only_columns(col(_TABLES[counted].id)))
        ensure_room(workspace.plan, counted, have, adding)


async def _take(
    tx: Transaction, counted: Counted, adding: int, exactly: Callable[[], Awaitable[int]] | None, *, is_taken: bool
) -> None:
    held = (await tx.execute(_locked(counted), {"workspace": tx.workspace_id})).first()
    if held is None:
        return
    at_most = held.contacts_at_most if counted is Counted.CONTACTS else None
    if at_most is None or not _fits(held.plan, counted, at_most + adding):
        have = (await tx.execute(_count(counted), {"workspace": tx.workspace_id})).scalar_one()
        if exactly is not None and not _fits(held.plan, counted, have + adding):
            adding = await exactly()
        ensure_room(held.plan, counted, have, adding)
        at_most = have
    if counted is Counted.CONTACTS and is_taken:
        await tx.execute(_note(), {"workspace": tx.workspace_id, "at_most": at_most + adding})


def _fits(plan: Plan, counted: Counted, rows: int) -> bool:
    limit = PLANS[plan].of(counted)
    return limit is None or rows <= limit


# Statements are made once: making one takes as long as running it.


@cache
def _locked(counted: Counted) -> Select[Plan, int | None]:
    """The workspace's plan if it limits what is counted, and its row locked."""
    return (
        select(col(Workspace.plan), col(Workspace.contacts_at_most))
        .where(col(Workspace.id) == bindparam("workspace"), col(Workspace.plan).in_(_LIMITED[counted]))
        .with_for_update(key_share=True)
    )


@cache
def _count(counted: Counted) -> Select[int]:
    table = _TABLES[counted]
    ours = col(table.workspace_id) == bindparam("workspace")
    return select(func.count()).select_from(table).where(ours, col(table.deleted_at).is_(None))


@cache
def _note() -> Any:
    return (
        update(Workspace)
        .where(col(Workspace.id) == bindparam("workspace"))
        .values(contacts_at_most=bindparam("at_most"))
        .execution_options(synchronize_session=False)
    )
