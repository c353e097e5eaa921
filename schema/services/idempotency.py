"""Idempotency keys: reserve one, commit the answer with what was done, answer again (decision R10).

A reservation is a row with a lease and a token. Whoever holds the token writes the answer into that row in the
transaction that does the work, so that either both are there or neither. One that dies before leaves a reservation
that expires; one that was frozen longer than its lease finds another token, and its transaction is undone.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace

import orjson
from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col

from schema.errors import Invalid
from schema.rules.idempotency import HEADER, LEASE, RETENTION
from schema.runtime import Reads, Transaction
from schema.tables import IdempotencyKey, WebhookEndpoint

_SWEPT_AT_ONCE = 10  # more than one, so that there are never many more rows than a day has keys


class StillRunning(Exception):
    """Another request has this key in hand; wait a moment, and its answer is there."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """The right to answer a key, for as long as nobody else has taken it."""

    id: str
    token: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered: HTTP status, `Location` if it had one, and the body, byte for byte."""

    status: int
    location: str | None
    body: bytes


async def reserve(tx: Transaction, id: str, fingerprint: str) -> Reservation | Answer:
    """Take the key, or find what it was answered.

    Free are a new key, one whose 24 hours are over, and one whose holder let its lease run out. Raises StillRunning,
    and Invalid for a key that was used with another body, or whose answer has a secret that is no longer kept.
    """
    token = secrets.token_hex(16)
    if await _take(tx, id, fingerprint, token):
        await _sweep(tx)
        return Reservation(id, token)
    row = await tx.first(tx.select(IdempotencyKey).where(col(IdempotencyKey.id) == id))
    if row is None:  # let go of a moment ago
        raise StillRunning
    if row.fingerprint != fingerprint:
        raise Invalid(f"This {HEADER} was used with another body: send a new key with a new request")
    if row.status is None or row.body is None:
        raise StillRunning
    return await _with_secret(tx, Answer(row.status, row.location, row.body))


async def renew(tx: Transaction, held: Reservation) -> bool:
    """Hold on for another lease; False if somebody else has the key."""
    return await _write(tx, held, reserved_until=tx.now + LEASE)


async def settle(tx: Transaction, held: Reservation, answer: Answer) -> None:
    """Keep the answer, in the transaction of what it answers. Raises StillRunning if somebody else has the key."""
    body = _without_secret(answer.body)
    if not await _write(tx, held, status=answer.status, location=answer.location, body=body):
        raise StillRunning


async def release(tx: Transaction, held: Reservation) -> None:
    """Let go of a key that nothing was done with: the next request with it is executed."""
    mine = col(IdempotencyKey.token) == held.token
    await tx.execute(
        delete(IdempotencyKey)
        .where(col(IdempotencyKey.id) == held.id, mine, col(IdempotencyKey.status).is_(None))
        .execution_options(synchronize_session=False)
    )


async def _take(tx: Transaction, id: str, fingerprint: str, token: str) -> bool:
    """One statement, so that of many at once one has it."""
    fresh = {
        "fingerprint": fingerprint,
        "token": token,
        "reserved_until": tx.now + LEASE,
        "expires_at": tx.now + RETENTION,
        "status": None,
        "location": None,
        "body": None,
    }
    insert = sqlite.insert if tx.runtime.database.is_sqlite else postgresql.insert
    statement = insert(IdempotencyKey).values(id=id, workspace_id=tx.workspace_id, **fresh)
    abandoned = and_(
        col(IdempotencyKey.status).is_(None),
        col(IdempotencyKey.reserved_until) <= tx.now,
        col(IdempotencyKey.fingerprint) == fingerprint,
    )
    taking = statement.on_conflict_do_update(index_elements=["id"], set_=fresh, where=or_(_expired(tx), abandoned))
    return (await tx.execute(taking.returning(col(IdempotencyKey.id)))).first() is not None


async def _write(tx: Transaction, held: Reservation, **values: object) -> bool:
    statement = (
        update(IdempotencyKey)
        .where(
            col(IdempotencyKey.id) == held.id,
            col(IdempotencyKey.token) == held.token,
            col(IdempotencyKey.status).is_(None),
        )
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    return (await tx.execute(statement)).rowcount == 1


async def _sweep(tx: Transaction) -> None:
    """Delete a few rows, of whatever workspace, whose time is over."""
    old = select(col(IdempotencyKey.id)).where(_expired(tx)).order_by(col(IdempotencyKey.expires_at))
    old = old.limit(_SWEPT_AT_ONCE)
    if not tx.runtime.database.is_sqlite:
        old = old.with_for_update(skip_locked=True)
    swept = old.cte("swept")
    await tx.execute(
        delete(IdempotencyKey)
        .where(col(IdempotencyKey.id).in_(select(swept.c.id)))
        .execution_options(synchronize_session=False)
    )


def _expired(tx: Transaction) -> ColumnElement[bool]:
    return col(IdempotencyKey.expires_at) <= tx.now


# --- signing secrets: they are with their endpoint, and no second row has them ---

_SECRET = "secret"  # noqa: S105 (the name of the field, at the top of an answer that shows an endpoint's)


def _without_secret(body: bytes) -> bytes:
    """The body with a digest in place of an endpoint's signing secret."""
    content = _content(body)
    if content is None:
        return body
    return orjson.dumps({**content, _SECRET: _digest(content[_SECRET])})


async def _with_secret(tx: Reads, answer: Answer) -> Answer:
    """The answer as it was given. Raises Invalid when the secret of then is no longer kept."""
    content = _content(answer.body)
    if content is None:
        return answer
    endpoint = await tx.first(tx.select(WebhookEndpoint, deleted=True).where(col(WebhookEndpoint.id) == content["id"]))
    kept = [endpoint.secret, *(one["secret"] for one in endpoint.previous_secrets)] if endpoint else []
    for secret in kept:
        if _digest(secret) == content[_SECRET]:
            return replace(answer, body=orjson.dumps({**content, _SECRET: secret}))
    raise Invalid("This request was carried out, but the secret in its answer has been replaced since: rotate it")


def _content(body: bytes) -> dict[str, str] | None:
    """The body's JSON, if it is one with a secret."""
    if b'"secret":' not in body:
        return None
    content = orjson.loads(body)
    return content if isinstance(content, dict) and _SECRET in content else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
