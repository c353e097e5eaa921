"""API keys: create, list, rename, revoke, and who a presented key is (decisions K1, K4)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import or_, select, update
from sqlmodel import col

from schema.errors import Invalid, Unauthenticated
from schema.rules import keys as rules
from schema.rules.fields import Field, Shape, instant, text
from schema.runtime import Reads, Runtime, Transaction, Viewer
from schema.services.paging import newest_first
from schema.tables import ApiKey, Workspace

BAD_KEY = "Missing or invalid API key"
KEY = Shape(name=Field(text(1, 100), required=True), expires_at=Field(instant, nullable=True))
TOUCH_EVERY = timedelta(minutes=1)


async def create(tx: Transaction, given: Mapping[str, Any]) -> tuple[ApiKey, str]:
    """A new key and its text, which is not kept and cannot be shown again. Raises Invalid."""
    clean = KEY.new(given)
    if clean["expires_at"] is not None and clean["expires_at"] <= tx.now:
        raise Invalid("expiresAt must be in the future")
    secret = rules.new_key()
    prefix, last_four = rules.hint(secret)
    row = ApiKey(
        id=tx.new_id(),
        workspace_id=tx.workspace_id,
        name=clean["name"],
        digest=rules.digest(secret),
        prefix=prefix,
        last_four=last_four,
        expires_at=clean["expires_at"],
        created_at=tx.now,
    )
    return tx.add(row), secret


async def everything(tx: Reads) -> list[ApiKey]:
    """The workspace's keys, revoked ones too, newest first."""
    return await tx.all(tx.select(ApiKey).order_by(*newest_first(ApiKey)))


async def rename(tx: Transaction, id: str, name: str) -> ApiKey:
    """Give a key another name. Raises NotFound, Invalid."""
    row = await tx.lock(ApiKey, id)
    row.name = KEY.changes({"name": name})["name"]
    return row


async def revoke(tx: Transaction, id: str) -> ApiKey:
    """The key is refused from now on; revoking twice is no error. Raises NotFound."""
    row = await tx.lock(ApiKey, id)
    row.revoked_at = row.revoked_at or tx.now
    return row


async def authenticate(runtime: Runtime, presented: str) -> Viewer:
    """Who holds that key. Raises Unauthenticated: unknown, expired and revoked read the same.

    A mistyped key is refused by its checksum, without a query.
    """
    if not rules.is_well_formed(presented):
        raise Unauthenticated(BAD_KEY)
    now = runtime.clock.now()
    statement = (
        select(
            col(ApiKey.id), col(ApiKey.workspace_id), col(ApiKey.last_used_at), col(ApiKey.scopes), col(Workspace.plan)
        )
        .join(Workspace, col(Workspace.id) == ApiKey.workspace_id)
        .where(
            col(ApiKey.digest) == rules.digest(presented),
            col(ApiKey.revoked_at).is_(None),
            or_(col(ApiKey.expires_at).is_(None), col(ApiKey.expires_at) > now),
        )
    )
    rows = await runtime.database.read(statement)
    if not rows:
        raise Unauthenticated(BAD_KEY)
    row = rows[0]
    viewer = Viewer(row.workspace_id, row.plan, row.id, row.scopes)
    if row.last_used_at is None or now - row.last_used_at >= TOUCH_EVERY:
        await _touch(runtime, viewer, row.id)
    return viewer


async def _touch(runtime: Runtime, viewer: Viewer, id: str) -> None:
    """`lastUsedAt`, at most once a minute (decision K4)."""
    async with runtime.transaction(viewer) as tx:
        await tx.execute(
            update(ApiKey)
            .where(
                col(ApiKey.id) == id,
                or_(col(ApiKey.last_used_at).is_(None), col(ApiKey.last_used_at) <= tx.now - TOUCH_EVERY),
            )
            .values(last_used_at=tx.now)
            .execution_options(synchronize_session=False)
        )
