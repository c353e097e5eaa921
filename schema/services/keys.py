"""API keys: create, list, change, rotate, revoke, and who a presented key is (decisions K1–K4)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, bindparam, delete, or_, select, union_all
from sqlalchemy import update as sql_update
from sqlmodel import col

from schema.database import Instant
from schema.errors import Forbidden, Invalid, Unauthenticated
from schema.rules import keys as rules
from schema.rules.addresses import Address
from schema.rules.audit import Action
from schema.rules.fields import camel
from schema.rules.instants import format_instant
from schema.rules.scopes import Access, Resource, Scopes, allows, beyond, lacking
from schema.runtime import Reads, Runtime, Transaction, Viewer, missing
from schema.services import acting, audit
from schema.services.paging import newest_first
from schema.tables import ApiKey, RetiredApiKey, Workspace

BAD_KEY = "Missing or invalid API key"
TOUCH_EVERY = timedelta(minutes=1)

_DIGEST: BindParameter[str] = bindparam("digest")
_NOW = bindparam("now", type_=Instant())
_OPENED = union_all(
    select(col(ApiKey.id)).where(col(ApiKey.digest) == _DIGEST),
    select(col(RetiredApiKey.api_key_id)).where(
        col(RetiredApiKey.digest) == _DIGEST, col(RetiredApiKey.good_until) > _NOW
    ),
).subquery()
# Whose key it is, by its text or one that it replaced: made once, for it is asked at every request.
_PRESENTED = (
    select(
        col(ApiKey.id),
        col(ApiKey.workspace_id),
        col(ApiKey.name),
        col(ApiKey.last_used_at),
        col(ApiKey.scopes),
        col(ApiKey.allowed_ips),
        col(Workspace.plan),
    )
    .join(Workspace, col(Workspace.id) == ApiKey.workspace_id)
    .where(
        col(ApiKey.id) == select(_OPENED.c.id).scalar_subquery(),
        col(ApiKey.revoked_at).is_(None),
        or_(col(ApiKey.expires_at).is_(None), col(ApiKey.expires_at) > _NOW),
    )
)


class WrongAddress(Forbidden):
    """A good key, used from where it may not be; the sentence tells nothing of where it may (decision K3)."""

    def __init__(self) -> None:
        super().__init__("This API key may not be used from this address")


class Rotated(NamedTuple):
    """A key with its new text, and until when the old one is good; None when it has ended."""

    api_key: ApiKey
    key: str
    previous_key_expires_at: datetime | None


class Reach(NamedTuple):
    """What a key may do, from where, and until when; as it was when it was looked up, for a key may change itself."""

    scopes: Scopes | None
    allowed_ips: list[str] | None
    expires_at: datetime | None


async def create(tx: Transaction, given: Mapping[str, Any]) -> tuple[ApiKey, str]:
    """A new key and its text, which is not kept and cannot be shown again.

    Raises Invalid, and Forbidden for a key that is to reach further than the one that makes it.
    """
    clean = rules.KEY.new(given)
    _check_expiry(tx, clean)
    _, maker = await _lock(tx)
    key = rules.new_key()
    row = ApiKey(id=tx.new_id(), workspace_id=tx.workspace_id, created_at=tx.now, **_known_by(key), **clean)
    _check_reach(maker, row)
    audit.note(tx, Action.API_KEY_CREATED, row.id, row.name, _changes({}, clean, without="name"))
    return tx.add(row), key


async def everything(tx: Reads) -> list[ApiKey]:
    """The workspace's keys, revoked ones too, newest first."""
    return await tx.all(tx.select(ApiKey).order_by(*newest_first(ApiKey)))


async def update(tx: Transaction, id: str, given: Mapping[str, Any]) -> ApiKey:
    """Change the fields given; the next request obeys.

    Raises NotFound, Invalid, also for a revoked key, and Forbidden for a key that would reach further than the one
    that changes it. An expired key may be given more time.
    """
    row, maker = await _locked(tx, id)
    clean = rules.KEY.changes(given)
    _check_expiry(tx, clean)
    if row.revoked_at is not None:
        raise Invalid(f"API key with id {id} is revoked and cannot be changed")
    before = {name: getattr(row, name) for name in clean if getattr(row, name) != clean[name]}
    for name in before:
        setattr(row, name, clean[name])
    _check_reach(maker, row)
    if before:
        audit.note(tx, Action.API_KEY_UPDATED, row.id, row.name, _changes(before, clean))
    return row


async def rotate(tx: Transaction, id: str, *, overlap_seconds: int | None = None) -> Rotated:
    """Give a key a new text; the old one opens it for the overlap, 24 hours unless told, at most (decision K4).

    Texts replaced before go on until their own overlaps end, for a rotation that is asked for twice, because its first
    answer was lost, must not cut off who has the deployed one; an overlap of nothing ends them all. Raises NotFound,
    Invalid, also for a key that is revoked or expired, and Forbidden as `update`.
    """
    overlap = rules.overlap(rules.DEFAULT_OVERLAP_S if overlap_seconds is None else overlap_seconds)
    row, maker = await _locked(tx, id)
    if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= tx.now):
        raise Invalid(f"API key with id {id} is {'revoked' if row.revoked_at else 'expired'} and cannot be rotated")
    _check_reach(maker, row)
    until = tx.now + overlap if overlap else None
    await _retire(tx, row, until)
    key = rules.new_key()
    for name, value in _known_by(key).items():
        setattr(row, name, value)
    audit.note(tx, Action.API_KEY_ROTATED, row.id, row.name, {"previousKeyExpiresAt": (None, _json(until))})
    return Rotated(row, key, until)


async def revoke(tx: Transaction, id: str) -> ApiKey:
    """Every text of the key is refused from now on; revoking twice is no error. Raises NotFound."""
    row, _ = await _locked(tx, id)
    if row.revoked_at is None:
        row.revoked_at = tx.now
        await tx.execute(_retired(row))
        audit.note(tx, Action.API_KEY_REVOKED, row.id, row.name)
    return row


async def authenticate(runtime: Runtime, presented: str, address: Address | None = None) -> Viewer:
    """Who holds that key, and from where. One query; a mistyped key is refused by its checksum, without any.

    Raises Unauthenticated: unknown, expired, revoked and replaced read the same; and WrongAddress for a good key from
    an address that is not on its allowlist, which leaves no trace: it was not used.
    """
    if not rules.is_well_formed(presented):
        raise Unauthenticated(BAD_KEY)
    now, digest = runtime.clock.now(), rules.digest(presented)
    rows = await runtime.database.read(_PRESENTED, {"digest": digest, "now": now})
    if not rows:
        raise Unauthenticated(BAD_KEY)
    row = rows[0]
    if not rules.may_be_used_from(address, row.allowed_ips):
        raise WrongAddress
    viewer = Viewer(
        row.workspace_id,
        row.plan,
        row.id,
        row.scopes,
        name=row.name,
        address=str(address) if address else None,
        digest=digest,
    )
    if row.last_used_at is None or now - row.last_used_at >= TOUCH_EVERY:
        await _touch(runtime, viewer, row.id)
    return viewer


async def _touch(runtime: Runtime, viewer: Viewer, id: str) -> None:
    """`lastUsedAt`, at most once a minute (decision K4)."""
    async with runtime.transaction(viewer) as tx:
        await tx.execute(
            sql_update(ApiKey)
            .where(
                col(ApiKey.id) == id,
                or_(col(ApiKey.last_used_at).is_(None), col(ApiKey.last_used_at) <= tx.now - TOUCH_EVERY),
            )
            .values(last_used_at=tx.now)
            .execution_options(synchronize_session=False)
        )


async def check_acting(tx: Transaction, resource: Resource) -> None:
    """Whoever acts, key or person, is locked, still let in, and may still write the resource.

    Raises Unauthenticated, Forbidden.
    """
    await _lock(tx, writing=resource)


async def _locked(tx: Transaction, id: str) -> tuple[ApiKey, Reach | None]:
    """The key with that id, and the reach of the one that acts, if a key does. Raises NotFound, and as `_lock`."""
    rows, maker = await _lock(tx, id)
    if id not in rows:
        raise missing(ApiKey, id)
    return rows[id], maker


async def _lock(
    tx: Transaction, *ids: str, writing: Resource = Resource.API_KEYS
) -> tuple[dict[str, ApiKey], Reach | None]:
    """Those keys, locked in one order, so that nobody waits in a circle, and the reach of the one that acts.

    Whoever acts, a person too, is looked at again: what has lost its rights while its request was under way leaves
    nothing behind. Raises Unauthenticated, Forbidden.
    """
    scopes = await acting.person(tx)
    if scopes is not None and not allows(scopes, writing, Access.WRITE):
        raise Forbidden(f"Your role {lacking(writing, Access.WRITE)}")
    own = tx.viewer.key_id if tx.viewer is not None else None
    wanted = {*ids} if own is None else {*ids, own}
    if not wanted:
        return {}, None
    statement = tx.select(ApiKey).where(col(ApiKey.id).in_(wanted)).order_by(col(ApiKey.id))
    rows = {row.id: row for row in await tx.all(statement.with_for_update(key_share=True))}
    return rows, await _reach(tx, tx.viewer, rows.get(own), writing) if tx.viewer and own is not None else None


async def _reach(tx: Transaction, viewer: Viewer, row: ApiKey | None, writing: Resource) -> Reach:
    """The reach of the key that acts, which is locked, if it is still what let the request in, and for that."""
    tx.read_clock()
    if row is None or row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= tx.now):
        raise Unauthenticated(BAD_KEY)
    if row.digest != viewer.digest:
        retired = tx.select(RetiredApiKey).where(
            col(RetiredApiKey.api_key_id) == row.id,
            col(RetiredApiKey.digest) == viewer.digest,
            col(RetiredApiKey.good_until) > tx.now,
        )
        if await tx.first(retired) is None:
            raise Unauthenticated(BAD_KEY)
    if not rules.may_be_used_from(ip_address(viewer.address) if viewer.address else None, row.allowed_ips):
        raise WrongAddress
    if not allows(row.scopes, writing, Access.WRITE):
        raise Forbidden(f"This API key {lacking(writing, Access.WRITE)}")
    return Reach(row.scopes, row.allowed_ips, row.expires_at)


def _check_reach(maker: Reach | None, row: ApiKey) -> None:
    """A key hands out no more than it has: neither scopes, nor addresses, nor time. Raises Forbidden."""
    if maker is None:
        return
    more = beyond(row.scopes, maker.scopes)
    if more:
        raise Forbidden(f"This API key cannot give a key more than it has itself: {', '.join(more)}")
    if not rules.is_within(row.allowed_ips, maker.allowed_ips):
        raise Forbidden("This API key cannot give a key more than it has itself: addresses outside its own allowedIps")
    if maker.expires_at is not None and (row.expires_at is None or row.expires_at > maker.expires_at):
        raise Forbidden("This API key cannot give a key more than it has itself: time beyond its own expiresAt")


def _check_expiry(tx: Transaction, clean: Mapping[str, Any]) -> None:
    expires_at = clean.get("expires_at")
    if expires_at is not None and expires_at <= tx.now:
        raise Invalid("expiresAt must be in the future")


async def _retire(tx: Transaction, row: ApiKey, until: datetime | None) -> None:
    """The text that is replaced goes on until then, and those before it that still do; the others are forgotten."""
    if until is None:
        await tx.execute(_retired(row))
        return
    await tx.execute(_retired(row).where(col(RetiredApiKey.good_until) <= tx.now))
    kept = tx.select(RetiredApiKey).where(col(RetiredApiKey.api_key_id) == row.id)
    for old in (await tx.all(kept.order_by(col(RetiredApiKey.id).desc())))[rules.MAX_RETIRED - 1 :]:
        await tx.session.delete(old)
    tx.add(
        RetiredApiKey(
            id=tx.new_id(), workspace_id=tx.workspace_id, api_key_id=row.id, digest=row.digest, good_until=until
        )
    )


def _retired(row: ApiKey) -> Any:
    ours = delete(RetiredApiKey).where(col(RetiredApiKey.api_key_id) == row.id)
    return ours.execution_options(synchronize_session=False)


def _known_by(key: str) -> dict[str, Any]:
    """What of a text is kept."""
    prefix, last_four = rules.hint(key)
    return {"digest": rules.digest(key), "prefix": prefix, "last_four": last_four}


def _changes(before: Mapping[str, Any], after: Mapping[str, Any], *, without: str = "") -> dict[str, tuple[Any, Any]]:
    """What the audit log says of fields: those that were changed, or of a new key those that limit it."""
    names = before or [name for name, value in after.items() if value is not None and name != without]
    return {camel(name): (_json(before.get(name)), _json(after[name])) for name in names}


def _json(value: Any) -> Any:
    return format_instant(value) if isinstance(value, datetime) else value
