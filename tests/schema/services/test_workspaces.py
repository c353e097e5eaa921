"""Workspaces: the system's own verbs."""

from __future__ import annotations

import pytest

from schema.errors import Invalid, NotFound
from schema.rules.plans import Plan
from schema.runtime import Runtime
from schema.services import workspaces
from tests.schema.conftest import Refused
from tests.support import seeds
from tests.support.runtime import on_both


@on_both
async def test_a_workspace_has_a_name_and_a_plan(runtime: Runtime) -> None:
    async with runtime.transaction(None) as tx:
        row = await workspaces.create(tx, name=" Acme ", plan="professional")

    found = await workspaces.find(runtime.snapshot(None), row.id)

    assert (found.name, found.plan, found.created_at) == ("Acme", Plan.PROFESSIONAL, runtime.clock.now())


@pytest.mark.parametrize(
    ("name", "plan", "message"),
    [
        ("", "starter", "name must not be empty"),
        ("Acme", "free", "plan must be one of: starter, professional, business, enterprise"),
    ],
)
async def test_what_breaks_a_rule_is_refused(
    runtime: Runtime, refused: Refused, name: str, plan: str, message: str
) -> None:
    async with refused(Invalid, message), runtime.transaction(None) as tx:
        await workspaces.create(tx, name=name, plan=plan)


async def test_the_only_workspace_need_not_be_named(runtime: Runtime, refused: Refused) -> None:
    hint = "There is no workspace yet: voxforge workspaces create --name NAME --plan professional"
    async with runtime.transaction(None) as tx:
        for row in await workspaces.everything(tx):  # `refused` made one
            await tx.session.delete(row)
    async with refused(NotFound, hint):
        await workspaces.only(runtime.snapshot(None))

    first = await seeds.workspace(runtime, name="First")
    assert (await workspaces.only(runtime.snapshot(None))).id == first.workspace_id

    second = await seeds.workspace(runtime, name="Second")
    async with refused(Invalid, "There are 2 workspaces: name one with --workspace ID"):
        await workspaces.only(runtime.snapshot(None))
    everything = await workspaces.everything(runtime.snapshot(None))
    assert [row.id for row in everything] == [first.workspace_id, second.workspace_id]


@on_both
async def test_a_plan_can_be_changed(runtime: Runtime, refused: Refused) -> None:
    viewer = await seeds.workspace(runtime, plan=Plan.STARTER)

    async with runtime.transaction(None) as tx:
        await workspaces.set_plan(tx, viewer.workspace_id, "business")

    assert (await workspaces.find(runtime.snapshot(None), viewer.workspace_id)).plan is Plan.BUSINESS
    for id, plan, kind, message in (
        ("c1", "business", NotFound, "Workspace with id c1 not found"),
        (
            viewer.workspace_id,
            "free",
            Invalid,
            "plan must be one of: starter, professional, business, enterprise",
        ),
    ):
        async with refused(kind, message), runtime.transaction(None) as tx:
            await workspaces.set_plan(tx, id, plan)
