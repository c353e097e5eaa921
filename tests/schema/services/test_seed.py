"""The first start's sample data: all of it, once."""

from __future__ import annotations

import asyncio

import pytest

from schema.errors import Invalid
from schema.rules.agents import DEFAULT_TOOLS
from schema.rules.plans import Plan
from schema.runtime import Runtime, Viewer
from schema.services import agents, calls, contacts, keys, phone_numbers, seed, users, workspaces
from schema.settings import Settings
from tests.support.runtime import on_both


@on_both
async def test_an_empty_database_is_filled(runtime: Runtime) -> None:
    planted = await seed.plant(runtime)

    assert planted is not None
    (workspace,) = await workspaces.everything(runtime.snapshot(None))
    assert (workspace.id, workspace.name, workspace.plan) == (
        planted.workspace_id,
        "My workspace",
        Plan.PROFESSIONAL,
    )
    tx = runtime.snapshot(Viewer(workspace.id))
    assert [(user.email, user.role, user.must_change_password) for user in await users.everybody(tx)] == [
        ("owner@example.com", "owner", True)
    ]
    (number,) = (await phone_numbers.list_page(tx)).nodes
    assert (number.id, number.phone_number, number.carrier) == (planted.phone_number_id, "+15555550199", "sandbox")
    (agent,) = (await agents.list_page(tx)).nodes
    assert (agent.id, agent.is_active, agent.tools) == (planted.agent_id, True, list(DEFAULT_TOOLS))
    assert agent.first_message
    assert agent.voicemail_message
    assert "do-not-call" in agent.system_prompt
    assert {contact.phone_number for contact in (await contacts.list_page(tx)).nodes} == {
        "+15555550100",
        "+15555550101",
        "+15555550102",
        "+15555550104",
        "+15555550140",
        "+15555550141",
    }


@on_both
async def test_what_it_hands_out_works(runtime: Runtime) -> None:
    planted = await seed.plant(runtime)

    assert planted is not None
    viewer = await keys.authenticate(runtime, planted.api_key)
    async with runtime.transaction(viewer) as tx:
        call = await calls.place(
            tx, {"agent_id": planted.agent_id, "phone_number_id": planted.phone_number_id, "to": planted.callee}
        )
    assert call.contact_id is not None


@on_both
async def test_a_second_start_changes_nothing(runtime: Runtime) -> None:
    await seed.plant(runtime)

    assert await seed.plant(runtime) is None
    assert len(await workspaces.everything(runtime.snapshot(None))) == 1


@on_both
async def test_a_database_with_a_workspace_is_left_alone(runtime: Runtime) -> None:
    async with runtime.transaction(None) as tx:
        mine = await workspaces.create(tx, name="Mine", plan=Plan.STARTER)

    assert await seed.plant(runtime) is None
    assert [row.id for row in await workspaces.everything(runtime.snapshot(None))] == [mine.id]


@on_both
async def test_of_many_at_once_one_plants(runtime: Runtime, settings: Settings) -> None:
    others = [Runtime.open(settings) for _ in range(4)]

    planted = await asyncio.gather(*(seed.plant(each) for each in (runtime, *others)))

    for other in others:
        await other.close()
    assert sum(found is not None for found in planted) == 1
    assert len(await workspaces.everything(runtime.snapshot(None))) == 1


@on_both
async def test_half_of_it_is_nothing(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seed, "CONTACTS", (*seed.CONTACTS, ("Nobody", "no number", "")))

    with pytest.raises(Invalid):
        await seed.plant(runtime)

    assert await workspaces.everything(runtime.snapshot(None)) == []
