"""Credentials that stay in use for as long as a connection is open: whether they are still good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from sqlalchemy import or_, select, union_all
from sqlmodel import col

from schema.errors import DomainError, Forbidden, Unauthenticated
from schema.rules import keys as rules
from schema.rules.roles import UserRole, scopes_of
from schema.rules.scopes import Scopes
from schema.runtime import Runtime, Viewer
from schema.services.acting import ENDED, is_good
from schema.services.keys import BAD_KEY, WrongAddress
from schema.tables import ApiKey, RetiredApiKey, Session, User

CHANGED = "What these credentials may do has changed: connect again"


@dataclass(frozen=True, slots=True)
class _Key:
    scopes: Scopes | None
    allowed_ips: list[str] | None


async def refusals(runtime: Runtime, viewers: Sequence[Viewer]) -> list[DomainError | None]:
    """Why each is not let in any more, None while they are: one query for all keys, one for all sessions.

    Unauthenticated: revoked, expired, replaced or ended. Forbidden: it may not be used from there, or opens something
    else than it did, so that whoever watches with it is not shown what it no longer shows.
    """
    keys = await _keys(runtime, _digests(viewers, of_people=False))
    roles = await _roles(runtime, _digests(viewers, of_people=True))
    return [_refuse_key(one, keys) if one.user_id is None else _refuse_session(one, roles) for one in viewers]


def _digests(viewers: Sequence[Viewer], *, of_people: bool) -> list[str]:
    return sorted({one.digest for one in viewers if one.digest and (one.user_id is not None) is of_people})


def _refuse_key(viewer: Viewer, keys: Mapping[str, _Key]) -> DomainError | None:
    key = keys.get(viewer.digest or "")
    if key is None:
        return Unauthenticated(BAD_KEY)
    if not rules.may_be_used_from(ip_address(viewer.address) if viewer.address else None, key.allowed_ips):
        return WrongAddress()
    return None if key.scopes == viewer.scopes else Forbidden(CHANGED)


def _refuse_session(viewer: Viewer, roles: Mapping[str, UserRole]) -> DomainError | None:
    role = roles.get(viewer.digest or "")
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


async def _roles(runtime: Runtime, digests: Sequence[str]) -> dict[str, UserRole]:
    """The roles of those whose sessions are good, by the digests of their tokens."""
    if not digests:
        return {}
    statement = (
        select(col(Session.digest), col(User.role))
        .join(User, col(User.id) == Session.user_id)
        .where(
            col(Session.digest).in_(digests),
            col(User.must_change_password).is_(False),
            *is_good(runtime.clock.now()),
        )
    )
    return {row.digest: row.role for row in await runtime.database.read(statement)}
