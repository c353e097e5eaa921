"""People over GraphQL: owners manage them, members and keys see nothing of them."""

from __future__ import annotations

from typing import Any

import pytest

from schema.runtime import Runtime, Viewer
from schema.services import keys, sessions, users
from schema.services.acting import ENDED, UNMANAGED
from schema.services.sessions import SignedIn
from tests.schema.conftest import Unchanged
from tests.schema.graph.conftest import Ask
from tests.support import seeds
from tests.support.api import UNKNOWN
from tests.support.runtime import on_both

CREATE = """mutation ($email: String!, $role: UserRole!) {
    createUser(input: {email: $email, role: $role}) { user { id email role mustChangePassword } oneTimePassword }
}"""
MANAGING = (
    "{ users { email } }",
    'mutation { createUser(input: {email: "lee@example.com", role: OWNER}) { oneTimePassword } }',
    "mutation ($id: ID!) { updateUser(id: $id, role: MEMBER) { role } }",
    "mutation ($id: ID!) { removeUser(id: $id) }",
    "mutation ($id: ID!) { resetUserPassword(id: $id) { oneTimePassword } }",
)
OWN = ("{ sessions { id } }", "mutation ($id: ID!) { endSession(id: $id) }", "mutation { endOtherSessions }")
VIEWER = "{ viewer { user { email role mustChangePassword } key { id name } } }"


@pytest.fixture
async def kim(runtime: Runtime, viewer: Viewer) -> SignedIn:
    """An owner who is signed in."""
    return (await seeds.signed_in(runtime, viewer, email="kim@example.com"))[0]


@pytest.fixture
async def lee(runtime: Runtime, viewer: Viewer) -> SignedIn:
    """A member who is signed in."""
    return (await seeds.signed_in(runtime, viewer, email="lee@example.com", role="member"))[0]


def errors(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(error["extensions"]["code"], error["message"]) for error in answer.get("errors", ())]


def given(text: str, id: str) -> dict[str, str]:
    return {"id": id} if "$id" in text else {}


@on_both
async def test_who_asks(ask: Ask, runtime: Runtime, viewer: Viewer, kim: SignedIn) -> None:
    row, _ = await seeds.key(runtime, viewer)
    key = Viewer(viewer.workspace_id, viewer.plan, row.id, {"calls": "read"})

    person = await ask(VIEWER, as_=kim.viewer)
    program = await ask(VIEWER, as_=key)

    user = {"email": "kim@example.com", "role": "OWNER", "mustChangePassword": False}
    assert person == {"data": {"viewer": {"user": user, "key": None}}}
    assert program == {"data": {"viewer": {"user": None, "key": {"id": row.id, "name": "Zapier"}}}}


@on_both
async def test_an_owner_manages_people(ask: Ask, runtime: Runtime, kim: SignedIn) -> None:
    created = await ask(CREATE, as_=kim.viewer, email="Lee@example.com", role="MEMBER")
    user, password = created["data"]["createUser"]["user"], created["data"]["createUser"]["oneTimePassword"]
    listed = await ask("{ users { email role mustChangePassword lastSignedInAt } }", as_=kim.viewer)
    signed_in, _ = await sessions.sign_in(runtime, "lee@example.com", password)
    again = await ask(MANAGING[4], as_=kim.viewer, id=user["id"])
    promoted = await ask(
        "mutation ($id: ID!) { updateUser(id: $id, role: OWNER) { role } }", as_=kim.viewer, id=user["id"]
    )
    removed = await ask(MANAGING[3], as_=kim.viewer, id=user["id"])

    assert user == {"id": user["id"], "email": "lee@example.com", "role": "MEMBER", "mustChangePassword": True}
    assert signed_in.must_change_password
    assert listed["data"]["users"] == [
        {
            "email": "kim@example.com",
            "role": "OWNER",
            "mustChangePassword": False,
            "lastSignedInAt": "2025-01-15T14:00:00Z",
        },
        {"email": "lee@example.com", "role": "MEMBER", "mustChangePassword": True, "lastSignedInAt": None},
    ]
    assert again["data"]["resetUserPassword"]["oneTimePassword"] != password
    assert promoted == {"data": {"updateUser": {"role": "OWNER"}}}
    assert removed == {"data": {"removeUser": user["id"]}}
    assert [row.email for row in await users.everybody(runtime.snapshot(kim.viewer))] == ["kim@example.com"]


@pytest.mark.parametrize("text", MANAGING)
async def test_members_and_keys_see_nothing_of_people(
    ask: Ask, runtime: Runtime, viewer: Viewer, kim: SignedIn, lee: SignedIn, unchanged: Unchanged, text: str
) -> None:
    everything = {"api-keys": "write", "calls": "write", "users": "write"}
    key = Viewer(viewer.workspace_id, viewer.plan, "ckey", everything)

    async with unchanged():
        member = await ask(text, as_=lee.viewer, **given(text, lee.user_id))
        program = await ask(text, as_=key, **given(text, lee.user_id))
        default = await ask(text, **given(text, lee.user_id))

    assert errors(member) == [("FORBIDDEN", "Your role lacks permission to see or manage users")]
    assert errors(program) == errors(default)
    assert errors(default) == [("FORBIDDEN", "An API key cannot see or manage users: sign in as an owner")]


async def test_a_member_may_do_the_rest_but_keys_and_the_audit_log(ask: Ask, lee: SignedIn) -> None:
    refused = [("FORBIDDEN", "Your role lacks permission to read api-keys")]

    assert errors(await ask("{ apiKeys { id } }", as_=lee.viewer)) == refused
    assert errors(await ask("{ auditLog { total } }", as_=lee.viewer)) == refused
    assert errors(await ask("{ agents { total } calls { total } webhookEndpoints { total } }", as_=lee.viewer)) == []


async def test_an_owner_may_do_the_rest(ask: Ask, kim: SignedIn) -> None:
    assert errors(await ask("{ apiKeys { id } auditLog { total } agents { total } }", as_=kim.viewer)) == []


@on_both
async def test_another_workspace_s_people_are_not_there(
    ask: Ask, runtime: Runtime, kim: SignedIn, unchanged: Unchanged
) -> None:
    """R5: the same answer as for an id that nobody has."""
    other = await seeds.workspace(runtime, name="Other")
    theirs, _ = await seeds.signed_in(runtime, other, email="theirs@example.com")

    async with unchanged():
        for text in (*MANAGING[2:], OWN[1]):
            noun, id = ("Session", theirs.session_id) if text == OWN[1] else ("User", theirs.user_id)
            foreign, unknown = [await ask(text, as_=kim.viewer, id=each) for each in (id, UNKNOWN)]
            assert errors(foreign) == [("NOT_FOUND", f"{noun} with id {id} not found")]
            assert errors(unknown) == [("NOT_FOUND", f"{noun} with id {UNKNOWN} not found")]
    assert (await ask(MANAGING[0], as_=kim.viewer))["data"] == {"users": [{"email": "kim@example.com"}]}


@on_both
async def test_the_last_owner_stays(ask: Ask, kim: SignedIn, lee: SignedIn, unchanged: Unchanged) -> None:
    async with unchanged():
        for text in MANAGING[2:4]:
            assert errors(await ask(text, as_=kim.viewer, id=kim.user_id)) == [("BAD_REQUEST", users.LAST_OWNER)]


LOSING = {
    "removeUser(id: $id)": ("UNAUTHORIZED", ENDED),
    "resetUserPassword(id: $id) { oneTimePassword }": ("UNAUTHORIZED", ENDED),
    "updateUser(id: $id, role: MEMBER) { role }": ("FORBIDDEN", ""),
}
NEXT = {
    'createUser(input: {email: "evil@example.com", role: OWNER}) { user { id } }': UNMANAGED,
    'createApiKey(input: {name: "Evil"}) { key }': "Your role lacks permission to write api-keys",
}


@on_both
@pytest.mark.parametrize("first", LOSING)
@pytest.mark.parametrize("then", NEXT)
async def test_the_rest_of_a_document_is_not_done_by_who_is_out(
    ask: Ask, runtime: Runtime, viewer: Viewer, kim: SignedIn, first: str, then: str
) -> None:
    """Each root field looks at whoever acts again."""
    owner = await seeds.user(runtime, viewer)
    code, says = LOSING[first]

    answer = await ask(f"mutation ($id: ID!) {{ {first} {then} }}", as_=kim.viewer, id=kim.user_id)

    assert errors(answer) == [(code, says or NEXT[then])]
    assert {row.id for row in await users.everybody(runtime.snapshot(viewer))} <= {owner.id, kim.user_id}
    assert await keys.everything(runtime.snapshot(viewer)) == []


@on_both
async def test_one_s_own_sessions(ask: Ask, runtime: Runtime, kim: SignedIn, lee: SignedIn) -> None:
    text = "{ sessions { id createdAt lastUsedAt expiresAt address userAgent current } }"
    phone, _ = await sessions.sign_in(runtime, kim.email, seeds.PASSWORD)
    await sessions.sign_in(runtime, kim.email, seeds.PASSWORD)

    seen = (await ask(text, as_=kim.viewer))["data"]["sessions"]
    ended = await ask(OWN[1], as_=kim.viewer, id=phone.session_id)
    others = await ask(OWN[2], as_=kim.viewer)

    assert len(seen) == 3
    assert [each for each in seen if each["current"]] == [
        {
            "id": kim.session_id,
            "createdAt": "2025-01-15T14:00:00Z",
            "lastUsedAt": "2025-01-15T14:00:00Z",
            "expiresAt": "2025-02-14T14:00:00Z",
            "address": "203.0.113.7",
            "userAgent": "Firefox",
            "current": True,
        }
    ]
    assert ended == {"data": {"endSession": phone.session_id}}
    assert others == {"data": {"endOtherSessions": 1}}
    assert [row.id for row in await sessions.mine(runtime.snapshot(kim.viewer))] == [kim.session_id]
    assert [row.id for row in await sessions.mine(runtime.snapshot(lee.viewer))] == [lee.session_id]


@pytest.mark.parametrize("text", OWN)
async def test_a_key_has_no_sessions(ask: Ask, kim: SignedIn, unchanged: Unchanged, text: str) -> None:
    async with unchanged():
        answer = await ask(text, **given(text, kim.session_id))

    assert errors(answer) == [("FORBIDDEN", "An API key has no sessions: only somebody who is signed in has")]
