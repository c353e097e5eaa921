"""Credentials that stay in use for as long as a connection is open: whether they are still good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from sqlalchemy import or_, select, union_all
from sqlmodel import col

from schema.errors import DomainError, Forbidden, Unauthenticated
from schema.rules import keys as rules
from schema.rules import sessions as session_rules
from schema.rules.roles import UserRole, scopes_of
from schema.rules.scopes import Scopes
from schema.runtime import Runtime, Viewer
from schema.services.keys import BAD_KEY, WrongAddress
from schema.services.sessions import ENDED
from schema.tables import ApiKey, RetiredApiKey, Session, User

CHANGED = "What these credentials may do has changed: connect again"


@dataclass(frozen=True, slots=True)
class Held:
    """What somebody was let in with: whom it showed, and the digest of the key's text; None for a session."""

    viewer: Viewer
    digest: str | None


@dataclass(frozen=True, slots=True)
class _Key:
    scopes: Scopes | None
    allowed_ips: list[str] | None


async def refusals(runtime: Runtime, held: Sequence[Held]) -> list[DomainError | None]:
    """Why each is not good any more, None while it is: one query for all keys, one for all sessions.

    Unauthenticated: revoked, expired, replaced or ended. Forbidden: it may not be used from there, or opens something
    else than it did, so that whoever watches with it is not shown what it no longer shows.
    """
    keys = await _keys(runtime, sorted({one.digest for one in held if one.digest is not None}))
    roles = await _roles(runtime, sorted({one.viewer.session_id for one in held if one.viewer.session_id is not None}))
    return [_refuse_session(one.viewer, roles) if one.digest is None else _refuse_key(one, keys) for one in held]


def _refuse_key(held: Held, keys: Mapping[str, _Key]) -> DomainError | None:
    key = keys.get(held.digest or "")
    if key is None:
        return Unauthenticated(BAD_KEY)
    address = held.viewer.address
    if not rules.may_be_used_from(ip_address(address) if address else None, key.allowed_ips):
        return WrongAddress()
    return None if key.scopes == held.viewer.scopes else Forbidden(CHANGED)


def _refuse_session(viewer: Viewer, roles: Mapping[str, UserRole]) -> DomainError | None:
    role = roles.get(viewer.session_id or "")
    if role is None:
        return Unauthenticated(ENDED)
    return None if scopes_of(role) == viewer.scopes else Forbidden(CHANGED)


async def _keys(runtime: Runtime, digests: Sequence[str]) -> dict[str, _Key]:
    """What the keys' texts with those digests open; those that open nothing are not among them."""
    if not digests:
        return {}
    now = runtime.clock.now()
    opened = union_all(
        select(col(ApiKey.id), col(ApiKey.digest)).where(col(ApiKey.digest).in_(digests)),
        select(col(RetiredApiKey.api_key_id), col(RetiredApiKey.digest)).where(
            col(RetiredApiKey.digest).in_(digests), col(RetiredApiKey.good_until) > now
        ),
    ).subquery()
    statement = (
        select(opened.c.digest, col(ApiKey.scopes), col(ApiKey.allowed_ips))
        .join(opened, opened.c.id == ApiKey.id)
        .where(
            col(ApiKey.revoked_at).is_(None),
            or_(col(ApiKey.expires_at).is_(None), col(ApiKey.expires_at) > now),
        )
    )
    return {row.digest: _Key(row.scopes, row.allowed_ips) for row in await runtime.database.read(statement)}


async def _roles(runtime: Runtime, ids: Sequence[str]) -> dict[str, UserRole]:
    """The roles of those whose sessions are good."""
    if not ids:
        return {}
    now = runtime.clock.now()
    statement = (
        select(col(Session.id), col(User.role))
        .join(User, col(User.id) == Session.user_id)
        .where(
            col(Session.id).in_(ids),
            col(Session.expires_at) > now,
            col(Session.last_used_at) > session_rules.used_since(now),
            col(User.must_change_password).is_(False),
        )
    )
    return {row.id: row.role for row in await runtime.database.read(statement)}
