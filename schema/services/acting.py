"""The person who acts, looked at again where people, keys and secrets change: are they still let in (decision 0011).

A request is let in before its transactions, of which it may have many. Whoever was removed, demoted or signed out
meanwhile leaves nothing behind. Their row is locked until the end, people before keys and keys before all else; who
ends a session holds its person, too. `keys.check_acting` is the same for whatever acts.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlmodel import col

from schema.errors import Forbidden, Unauthenticated
from schema.rules import sessions as rules
from schema.rules.roles import manages_users, scopes_of
from schema.rules.scopes import Scopes
from schema.runtime import Transaction
from schema.tables import Session, User

ENDED = "Your session has ended: sign in again"
UNMANAGED = "Your role lacks permission to see or manage users"


async def person(tx: Transaction) -> Scopes | None:
    """What the person who acts may do now, locked until the end; None if none does. Raises Unauthenticated."""
    await lock(tx)
    return await standing(tx)


async def manager(tx: Transaction) -> None:
    """Whoever acts may manage people, if it is a person, whose row is locked. Raises Unauthenticated, Forbidden."""
    scopes = await standing(tx)
    if scopes is not None and not manages_users(scopes):
        raise Forbidden(UNMANAGED)


async def lock(tx: Transaction) -> None:
    """Lock the row of the person who acts, if it is there."""
    if tx.viewer is not None and tx.viewer.user_id is not None:
        await tx.first(tx.select(User).where(col(User.id) == tx.viewer.user_id).with_for_update(key_share=True))


async def standing(tx: Transaction) -> Scopes | None:
    """`person` for whoever has locked them already; this statement sees what was committed before they had."""
    viewer = tx.viewer
    if viewer is None or viewer.user_id is None:
        return None
    tx.read_clock()
    statement = (
        select(col(User.role))
        .join(Session, col(Session.user_id) == User.id)
        .where(
            col(User.workspace_id) == tx.workspace_id,
            col(User.id) == viewer.user_id,
            col(User.must_change_password).is_(False),
            col(Session.digest) == viewer.digest,
            *is_good(tx.now),
        )
    )
    role = (await tx.execute(statement)).scalar_one_or_none()
    if role is None:
        raise Unauthenticated(ENDED)
    return scopes_of(role)


def is_good(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """A session that is neither expired nor idle for too long."""
    return col(Session.expires_at) > now, col(Session.last_used_at) > rules.used_since(now)
