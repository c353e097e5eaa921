"""Workspaces: the system's own verbs, for the command line."""

from __future__ import annotations

from sqlalchemy import select
from sqlmodel import col

from schema.errors import Invalid, NotFound
from schema.rules.audit import Action
from schema.rules.fields import choice, text
from schema.rules.ids import new_id
from schema.rules.plans import Plan
from schema.runtime import Reads, Transaction, Viewer, missing
from schema.services import audit
from schema.tables import Dialer, Workspace


async def create(tx: Transaction, *, name: str, plan: str) -> Workspace:
    """A new workspace. Raises Invalid for a bad name or an unknown plan."""
    row = Workspace(
        id=new_id(tx.now), name=text(1, 200)(name, "name"), plan=Plan(choice(Plan)(plan, "plan")), created_at=tx.now
    )
    tx.add(row)
    await tx.flush()  # its dialer refers to it
    tx.add(Dialer(id=row.id, workspace_id=row.id))
    return row


async def find(tx: Reads, id: str) -> Workspace:
    """The workspace with that id. Raises NotFound."""
    row = await tx.first(select(Workspace).where(col(Workspace.id) == id))
    if row is None:
        raise missing(Workspace, id)
    return row


async def everything(tx: Reads) -> list[Workspace]:
    """All workspaces, oldest first."""
    return await tx.all(select(Workspace).order_by(col(Workspace.created_at), col(Workspace.id)))


async def only(tx: Reads) -> Workspace:
    """The workspace that commands mean when none is named. Raises Invalid if there are several, NotFound if none."""
    rows = await everything(tx)
    if not rows:
        raise NotFound("There is no workspace yet: voxforge workspaces create --name NAME --plan professional")
    if len(rows) > 1:
        raise Invalid(f"There are {len(rows)} workspaces: name one with --workspace ID")
    return rows[0]


async def set_plan(tx: Transaction, id: str, plan: str) -> Workspace:
    """Change the plan; the next request obeys it. Raises NotFound, Invalid."""
    row = await find(tx, id)
    before, row.plan = row.plan, Plan(choice(Plan)(plan, "plan"))
    row.contacts_at_most = None  # an unlimited plan counts nobody
    tx.viewer = Viewer(row.id, row.plan)
    if row.plan is not before:
        audit.note(tx, Action.WORKSPACE_PLAN_CHANGED, row.id, row.name, {"plan": (before.value, row.plan.value)})
    tx.wake()  # it may let more calls go on
    return row
