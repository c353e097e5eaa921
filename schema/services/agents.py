"""Agents: list, get, create, update, delete (decisions A1, A2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlmodel import col

from schema.errors import Invalid
from schema.rules.agents import AGENT
from schema.rules.campaigns import OPEN
from schema.rules.plans import Counted
from schema.runtime import Reads, Transaction
from schema.services import limits
from schema.services.changes import apply
from schema.services.paging import Page, newest_first, page
from schema.tables import Agent, Campaign


async def list_page(tx: Reads, *, limit: int | None = None, offset: int | None = None) -> Page[Agent]:
    """The workspace's agents, newest first."""
    return await page(tx, tx.select(Agent), order=newest_first(Agent), limit=limit, offset=offset)


async def get(tx: Reads, id: str) -> Agent:
    """One agent. Raises NotFound."""
    return await tx.get(Agent, id)


async def create(tx: Transaction, given: Mapping[str, Any]) -> Agent:
    """A new agent. Raises Invalid, LimitReached."""
    clean = AGENT.new(given)
    await limits.take_room(tx, Counted.AGENTS)
    row = Agent(id=tx.new_id(), workspace_id=tx.workspace_id, created_at=tx.now, updated_at=tx.now, **clean)
    return tx.add(row)


async def update(tx: Transaction, id: str, given: Mapping[str, Any]) -> Agent:
    """Change the fields given. Raises NotFound, Invalid."""
    row = await tx.lock(Agent, id)
    if apply(row, AGENT.changes(given), tx.now):
        tx.wake()  # campaigns may have waited for it
    return row


async def delete(tx: Transaction, id: str) -> str:
    """Delete an agent; its past calls stay readable. Raises Invalid while an open campaign uses it (A2)."""
    row = await tx.lock(Agent, id)
    campaign = await tx.first(tx.select(Campaign).where(col(Campaign.agent_id) == id, col(Campaign.status).in_(OPEN)))
    if campaign is not None:
        raise Invalid(f"Agent with id {id} is used by {campaign.status.value} campaign {campaign.id}")
    row.deleted_at = tx.now
    return id


async def usable(tx: Transaction, id: str) -> Agent:
    """The agent a call or campaign refers to, held. Raises NotFound, or Invalid when it is not active (E5)."""
    row = await tx.lock(Agent, id)
    if not row.is_active:
        raise Invalid(f"Agent with id {id} is not active")
    return row
