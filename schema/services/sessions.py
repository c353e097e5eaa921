"""Sessions: signing in and out, who a presented cookie is, and one's own sessions (decision 0011)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.sql import Executable
from sqlmodel import col

from schema.errors import Invalid, Unauthenticated
from schema.rules import passwords as password_rules
from schema.rules import sessions as rules
from schema.rules.audit import Action
from schema.rules.plans import Plan
from schema.rules.roles import UserRole, scopes_of
from schema.runtime import Reads, Runtime, Transaction, Viewer, missing
from schema.services import acting, audit, passwords, users
from schema.services.acting import ENDED
from schema.tables import Session, User, Workspace

WRONG = "Wrong e-mail address or password"


class WrongPassword(Invalid):
    """Whoever is signed in does not know the password."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody who is signed in, and where."""

    session_id: str
    digest: str = field(repr=False)
    user_id: str
    email: str
    role: UserRole
    must_change_password: bool
    workspace_id: str
    workspace_name: str
    plan: Plan
    address: str | None = None

    @property
    def viewer(self) -> Viewer:
        """What they see, and may do."""
        return Viewer(
            self.workspace_id,
            self.plan,
            scopes=scopes_of(self.role),
            user_id=self.user_id,
            session_id=self.session_id,
            name=self.email,
            address=self.address,
            digest=self.digest,
        )


async def sign_in(
    runtime: Runtime, email: str, password: str, *, address: str | None = None, user_agent: str | None = None
) -> tuple[SignedIn, str]:
    """A new session and its token, which is not kept. Raises Unauthenticated, the same for all that may be wrong.

    An address that nobody has costs the same work. `RateLimited`: too many others are signing in.
    """
    user = await users.find_by_email(runtime.snapshot(None), email)
    if not await passwords.is_right(user.password_hash if user else None, password) or user is None:
        raise Unauthenticated(WRONG)
    better = await passwords.hashed(password) if passwords.is_outdated(user.password_hash) else None
    viewer = Viewer(user.workspace_id, user_id=user.id, name=user.email, address=address)
    token = rules.new_token()
    made = await runtime.perform(viewer, _begin, user, better, token=token, user_agent=user_agent)
    return made, token


async def _begin(tx: Transaction, found: User, better: str | None, *, token: str, user_agent: str | None) -> SignedIn:
    user = await _still_has(tx, found.id, found.password_hash)
    if user is None:  # removed, or the password was changed, since it was verified
        raise Unauthenticated(WRONG)
    workspace = (await tx.all(select(Workspace).where(col(Workspace.id) == user.workspace_id)))[0]
    user.password_hash = better or user.password_hash
    user.last_signed_in_at = tx.now
    await _prune(tx, user.id)
    row = tx.add(
        Session(
            id=tx.new_id(),
            workspace_id=user.workspace_id,
            user_id=user.id,
            digest=rules.digest(token),
            user_agent=rules.shown_agent(user_agent),
            address=tx.viewer.address if tx.viewer else None,
            created_at=tx.now,
            last_used_at=tx.now,
            expires_at=tx.now + rules.LONGEST,
        )
    )
    audit.note(tx, Action.USER_SIGNED_IN, user.id, user.email)
    return SignedIn(
        row.id,
        row.digest,
        user.id,
        user.email,
        user.role,
        user.must_change_password,
        workspace.id,
        workspace.name,
        workspace.plan,
        row.address,
    )


async def _prune(tx: Transaction, user_id: str) -> None:
    """Forget this person's sessions that are over, and all but the latest used; the person's row is locked."""
    kept = await tx.all(
        tx.select(Session)
        .where(col(Session.user_id) == user_id, *acting.is_good(tx.now))
        .order_by(col(Session.last_used_at).desc(), col(Session.id).desc())
        .limit(rules.MOST - 1)
    )
    await _end(tx, col(Session.user_id) == user_id, col(Session.id).not_in([row.id for row in kept]))


async def authenticate(runtime: Runtime, token: str, *, address: str | None = None) -> SignedIn:
    """Who has that token. Raises Unauthenticated: unknown, idle, expired and ended read the same."""
    if not rules.is_well_formed(token):
        raise Unauthenticated(ENDED)
    reads = runtime.snapshot(None)
    statement: Executable = (
        select(
            col(Session.id),
            col(Session.digest),
            col(Session.last_used_at),
            col(User.id).label("user_id"),
            col(User.email),
            col(User.role),
            col(User.must_change_password),
            col(Workspace.id).label("workspace_id"),
            col(Workspace.name).label("workspace_name"),
            col(Workspace.plan),
        )
        .join(User, col(User.id) == Session.user_id)
        .join(Workspace, col(Workspace.id) == User.workspace_id)
        .where(col(Session.digest) == rules.digest(token), *acting.is_good(reads.now))
    )
    rows = await runtime.database.read(statement)
    if not rows:
        raise Unauthenticated(ENDED)
    row = rows[0]
    signed_in = SignedIn(
        row.id,
        row.digest,
        row.user_id,
        row.email,
        row.role,
        row.must_change_password,
        row.workspace_id,
        row.workspace_name,
        row.plan,
        address,
    )
    if reads.now - row.last_used_at >= rules.TOUCH_EVERY:
        await runtime.perform(signed_in.viewer, _touch, row.id)
    return signed_in


async def sign_out(runtime: Runtime, token: str) -> None:
    """End the session with that token; that there is none is no error."""
    with suppress(Unauthenticated):
        signed_in = await authenticate(runtime, token)
        await runtime.perform(signed_in.viewer, _leave, signed_in.session_id)


async def _leave(tx: Transaction, session_id: str) -> None:
    await acting.lock(tx)
    await _end(tx, col(Session.id) == session_id)


async def change_password(runtime: Runtime, signed_in: SignedIn, current: str, new: str) -> tuple[SignedIn, str]:
    """Take another password, which ends one's other sessions; this one, and its token from now on.

    Raises Invalid for a new password that breaks a rule, WrongPassword for a current one that is not theirs.
    """
    password_rules.check_new(new, email=signed_in.email, old=current)
    user = await users.find_by_email(runtime.snapshot(None), signed_in.email)
    if not await passwords.is_right(user.password_hash if user else None, current) or user is None:
        raise WrongPassword("currentPassword is wrong")
    hashed, token = await passwords.hashed(new), rules.new_token()
    await runtime.perform(signed_in.viewer, _change, signed_in, user.password_hash, hashed, token)
    return replace(signed_in, must_change_password=False, digest=rules.digest(token)), token


async def _change(tx: Transaction, signed_in: SignedIn, verified: str, hashed: str, token: str) -> None:
    user = await _still_has(tx, signed_in.user_id, verified)
    session = await tx.first(tx.select(Session).where(col(Session.id) == signed_in.session_id))
    if user is None or session is None:  # somebody was faster
        raise Unauthenticated(ENDED)
    user.password_hash = hashed
    user.must_change_password = False
    user.password_changed_at = tx.now
    session.digest = rules.digest(token)  # who knew the one-time password, or the old cookie, is out
    await _end(tx, col(Session.user_id) == user.id, col(Session.id) != session.id)
    audit.note(tx, Action.USER_PASSWORD_CHANGED, user.id, user.email)


async def mine(tx: Reads) -> list[Session]:
    """The viewer's sessions, the latest used first."""
    return await tx.all(
        tx.select(Session)
        .where(_is_mine(tx), *acting.is_good(tx.now))
        .order_by(col(Session.last_used_at).desc(), col(Session.id).desc())
    )


async def end(tx: Transaction, id: str) -> None:
    """End one of the viewer's own sessions, this one too. Raises Unauthenticated, NotFound, also for another's."""
    await acting.person(tx)
    if await tx.first(tx.select(Session).where(_is_mine(tx), col(Session.id) == id)) is None:
        raise missing(Session, id)
    await _end(tx, col(Session.id) == id)


async def end_others(tx: Transaction) -> int:
    """End all of the viewer's sessions but this one; how many there were. Raises Unauthenticated."""
    await acting.person(tx)
    others = [row.id for row in await mine(tx) if tx.viewer is None or row.id != tx.viewer.session_id]
    await _end(tx, col(Session.id).in_(others))
    return len(others)


async def _touch(tx: Transaction, id: str) -> None:
    """When it was last used, at most once a minute."""
    await tx.execute(
        update(Session)
        .where(col(Session.id) == id, col(Session.last_used_at) <= tx.now - rules.TOUCH_EVERY)
        .values(last_used_at=tx.now)
        .execution_options(synchronize_session=False)
    )


async def _end(tx: Transaction, *which: ColumnElement[bool]) -> None:
    await tx.execute(
        delete(Session)
        .where(col(Session.workspace_id) == tx.workspace_id, *which)
        .execution_options(synchronize_session=False)
    )


async def _still_has(tx: Transaction, user_id: str, verified: str) -> User | None:
    """The person, locked, if that is still the hash of the password; verifying takes a while, outside."""
    return await tx.first(
        tx.select(User)
        .where(col(User.id) == user_id, col(User.password_hash) == verified)
        .with_for_update(key_share=True)
    )


def _is_mine(tx: Reads) -> ColumnElement[bool]:
    return col(Session.user_id) == (tx.viewer.user_id if tx.viewer else None)
