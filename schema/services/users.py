"""People: who may sign in to a workspace's dashboard, and as what (decision 0011)."""

from __future__ import annotations

from sqlalchemy import ColumnElement, delete, or_, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from schema.errors import Invalid
from schema.rules.audit import Action
from schema.rules.fields import choice, email
from schema.rules.roles import UserRole
from schema.runtime import Reads, Transaction, missing
from schema.services import acting, audit
from schema.services.passwords import OneTimePassword
from schema.tables import Session, User

LAST_OWNER = "The last owner of a workspace can be neither removed nor made a member: make somebody else an owner first"


def spelled(address: str) -> str:
    """Addresses differ neither by case nor by space around them."""
    return address.strip().lower()


async def create(tx: Transaction, *, address: str, role: str, password: OneTimePassword) -> User:
    """A person who signs in with that password and then chooses another.

    Raises Invalid, and as all that changes people Unauthenticated and Forbidden, when the owner who acts is none now.
    """
    await acting.lock(tx)
    await acting.manager(tx)
    row = User(
        id=tx.new_id(),
        workspace_id=tx.workspace_id,
        email=email(spelled(address), "email"),
        role=UserRole(choice(UserRole)(role, "role")),
        password_hash=password.hash,
        created_at=tx.now,
    )
    taken = Invalid(f"There is already a user {row.email}")  # an address is one person's on the whole server
    if await find_by_email(tx, row.email):
        raise taken
    try:
        async with tx.savepoint():
            tx.add(row)
    except IntegrityError:
        raise taken from None
    audit.note(tx, Action.USER_CREATED, row.id, row.email, {"role": (None, row.role.value)})
    return row


async def get(tx: Reads, id: str) -> User:
    """A person of the workspace. Raises NotFound."""
    return await tx.get(User, id)


async def everybody(tx: Reads) -> list[User]:
    """The workspace's people, oldest first."""
    return await tx.all(tx.select(User).order_by(col(User.created_at), col(User.id)))


async def find_by_email(tx: Reads, address: str) -> User | None:
    """Whoever signs in with that address, in whatever workspace; None also for what is no address."""
    try:
        clean = email(spelled(address), "email")
    except Invalid:
        return None
    return await tx.first(select(User).where(col(User.email) == clean))


async def set_role(tx: Transaction, id: str, role: str) -> User:
    """Make somebody an owner or a member, from their next request on. Raises NotFound, Invalid for the last owner."""
    wanted = UserRole(choice(UserRole)(role, "role"))
    row = await _locked_of_owners(tx, id, stays_owner=wanted is UserRole.OWNER)
    if row.role is not wanted:
        audit.note(tx, Action.USER_UPDATED, row.id, row.email, {"role": (row.role.value, wanted.value)})
        row.role = wanted
    return row


async def remove(tx: Transaction, id: str) -> User:
    """Remove somebody, who is signed out everywhere at once. Raises NotFound, Invalid for the last owner."""
    row = await _locked_of_owners(tx, id, stays_owner=False)
    await _sign_out(tx, row)
    await tx.execute(delete(User).where(col(User.id) == row.id).execution_options(synchronize_session=False))
    audit.note(tx, Action.USER_REMOVED, row.id, row.email, {"role": (row.role.value, None)})
    return row


async def reset_password(tx: Transaction, id: str, password: OneTimePassword) -> User:
    """Have somebody sign in with that password and choose another; they are signed out everywhere. Raises NotFound."""
    row, _ = await _locked(tx, id, of_owners=False)
    row.password_hash = password.hash
    row.must_change_password = True
    await _sign_out(tx, row)
    audit.note(tx, Action.USER_PASSWORD_RESET, row.id, row.email)
    return row


async def _locked_of_owners(tx: Transaction, id: str, *, stays_owner: bool) -> User:
    """The person, while nobody else changes who the owners are. Raises Invalid if no owner would be left."""
    row, everybody = await _locked(tx, id, of_owners=True)
    if not stays_owner and [each.id for each in everybody if each.role is UserRole.OWNER] == [row.id]:
        raise Invalid(LAST_OWNER)
    return row


async def _locked(tx: Transaction, id: str, *, of_owners: bool) -> tuple[User, list[User]]:
    """The person, and all who are locked: they, whoever acts, and the owners if it is about who they are.

    Of two requests the second sees what the first left; all lock in one order, so that nobody waits in a circle.
    Raises Unauthenticated, Forbidden, NotFound.
    """
    which: ColumnElement[bool] = col(User.id).in_({id, tx.viewer.user_id or id} if tx.viewer else {id})
    if of_owners:
        which = or_(which, col(User.role) == UserRole.OWNER)
    rows = await tx.all(tx.select(User).where(which).order_by(col(User.id)).with_for_update(key_share=True))
    await acting.manager(tx)
    for row in rows:
        if row.id == id:
            return row, rows
    raise missing(User, id)


async def _sign_out(tx: Transaction, row: User) -> None:
    await tx.execute(delete(Session).where(col(Session.user_id) == row.id).execution_options(synchronize_session=False))
