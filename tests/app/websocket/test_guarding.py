"""A connection ends soon after what opened it; all of them cost one look (decision 0015)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete
from sqlmodel import col

from schema.services import keys, sessions, users
from schema.services.acting import ENDED
from schema.services.credentials import CHANGED
from schema.services.keys import BAD_KEY
from schema.services.sessions import SignedIn
from schema.settings import Settings
from schema.tables import ApiKey, Session, User
from tests.app.websocket.support import listening, opened
from tests.support import seeds
from tests.support.api import Api
from tests.support.runtime import on_both

Change = Callable[[Api], Awaitable[Any]]


async def revoke(api: Api) -> None:
    async with api.runtime.transaction(api.viewer) as tx:
        await keys.revoke(tx, api.key_id)


async def replace(api: Api) -> None:
    async with api.runtime.transaction(api.viewer) as tx:
        await keys.rotate(tx, api.key_id, overlap_seconds=0)


async def expire(api: Api) -> None:
    await api.set(ApiKey, api.key_id, expires_at=api.clock.now() + timedelta(seconds=1))


async def shut_out(api: Api) -> None:
    await api.set(ApiKey, api.key_id, allowed_ips=["203.0.113.0/24"])


async def narrow(api: Api) -> None:
    await api.set(ApiKey, api.key_id, scopes={"agents": "read"})


@on_both
@pytest.mark.parametrize(
    ("change", "closed"),
    [
        (revoke, (4401, BAD_KEY)),
        (replace, (4401, BAD_KEY)),
        (expire, (4401, BAD_KEY)),
        (shut_out, (4403, "This API key may not be used from this address")),
        (narrow, (4403, CHANGED)),
    ],
)
async def test_what_opened_it_is_looked_at_every_two_seconds(
    api: Api, other: Api, change: Change, closed: tuple[int, str]
) -> None:
    async with listening(api.app) as port, opened(port, api.key) as peer, opened(port, other.key) as somebody_else:
        await api.clock.advance(2)
        before = await peer.ask("{ __typename }")
        await change(api)
        await api.clock.advance(2)

        assert before == {"data": {"__typename": "Query"}}
        assert await peer.closed() == closed
        assert await somebody_else.ask("{ __typename }") == {"data": {"__typename": "Query"}}


async def test_a_key_that_is_rotated_stays_for_its_overlap(api: Api) -> None:
    """K4."""
    async with listening(api.app) as port, opened(port, api.key) as peer:
        async with api.runtime.transaction(api.viewer) as tx:
            await keys.rotate(tx, api.key_id, overlap_seconds=60)
        await api.clock.advance(58)
        before = await peer.ask("{ __typename }")
        await api.clock.advance(4)

        assert before == {"data": {"__typename": "Query"}}
        assert await peer.closed() == (4401, BAD_KEY)


async def test_the_next_operation_does_not_wait_for_the_look(api: Api) -> None:
    async with listening(api.app) as port, opened(port, api.key) as peer:
        await revoke(api)
        await peer.subscribe("a", "{ agents { total } }")

        assert await peer.closed() == (4401, BAD_KEY)


async def test_what_runs_ends_too(api: Api) -> None:
    row = await seeds.call(api.runtime, api.viewer)
    async with listening(api.app) as port, opened(port, api.key) as peer:
        await peer.subscribe("a", "subscription($id: ID!) { callChanged(id: $id) { status } }", id=row.id)
        await peer.get()
        await revoke(api)
        await api.clock.advance(2)
        await seeds.dialed(api.runtime, api.viewer, row)

        assert await peer.closed() == (4401, BAD_KEY)


async def sign_out(api: Api, session: Session, user: User) -> None:
    async with api.runtime.transaction(api.viewer) as tx:
        await tx.execute(delete(Session).where(col(Session.id) == session.id))


async def demote(api: Api, session: Session, user: User) -> None:
    async with api.runtime.transaction(api.viewer) as tx:
        await users.set_role(tx, user.id, "member")


async def remove(api: Api, session: Session, user: User) -> None:
    async with api.runtime.transaction(api.viewer) as tx:
        await users.remove(tx, user.id)


async def choose(api: Api, session: Session, user: User) -> None:
    """The session goes on, with another token: whoever has the old cookie is out."""
    role, id = user.role, api.viewer.workspace_id
    who = SignedIn(session.id, session.digest, user.id, user.email, role, False, id, "Acme", api.viewer.plan)
    await sessions.change_password(api.runtime, who, seeds.PASSWORD, "another sentence of mine")


@on_both
@pytest.mark.parametrize(
    ("change", "closed"),
    [(sign_out, (4401, ENDED)), (remove, (4401, ENDED)), (demote, (4403, CHANGED)), (choose, (4401, ENDED))],
)
async def test_a_session(api: Api, settings: Settings, change: Any, closed: tuple[int, str]) -> None:
    await seeds.user(api.runtime, api.viewer)  # so that there is another owner
    who, token = await seeds.signed_in(api.runtime, api.viewer)
    session = await api.runtime.snapshot(api.viewer).get(Session, who.session_id)
    user = await api.runtime.snapshot(api.viewer).get(User, who.user_id)
    headers = {"Cookie": f"voxforge_session={token}"}
    async with (
        listening(api.app) as port,
        opened(port, additional_headers=headers, origin=settings.public_base) as peer,
    ):
        await peer.send("connection_init")
        await peer.get()
        await api.clock.advance(2)
        before = await peer.ask("{ __typename }")
        await change(api, session, user)
        await api.clock.advance(2)

        assert before == {"data": {"__typename": "Query"}}
        assert await peer.closed() == closed


async def test_one_query_for_all_connections(api: Api, other: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    read = api.runtime.database.read

    async def counting(*given: Any) -> Any:
        asked.append(given)
        return await read(*given)

    async with listening(api.app) as port:
        async with opened(port, api.key), opened(port, api.key), opened(port, other.key):
            monkeypatch.setattr(api.runtime.database, "read", counting)
            await api.clock.advance(2)
            once = len(asked)
            await api.clock.advance(2)
            twice = len(asked)

        assert (once, twice) == (1, 2)


@pytest.mark.parametrize("trouble", [OSError("connection refused"), KeyError("a bug")])
async def test_a_look_that_fails_closes_nobody_and_is_not_the_last(
    api: Api, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    async def away(*_: Any) -> Any:
        raise trouble

    async with listening(api.app) as port, opened(port, api.key) as peer:
        with monkeypatch.context() as broken:
            broken.setattr(api.runtime.database, "read", away)
            await api.clock.advance(4)
        alive = await peer.ask("{ __typename }")
        await revoke(api)
        await api.clock.advance(2)

        assert alive == {"data": {"__typename": "Query"}}
        assert await peer.closed() == (4401, BAD_KEY)
