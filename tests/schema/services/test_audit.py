"""The audit log: who changed a key, an endpoint or a plan, and never a secret."""

from __future__ import annotations

from ipaddress import ip_address

from sqlalchemy import select
from sqlmodel import col

from schema.errors import Invalid
from schema.rules.audit import Action, Actor
from schema.rules.keys import digest
from schema.rules.plans import Plan
from schema.rules.scopes import Resource
from schema.runtime import Runtime, Viewer
from schema.services import audit, keys, webhooks, workspaces
from schema.tables import AuditEntry
from tests.schema.conftest import Act, Refused
from tests.support import seeds
from tests.support.runtime import on_both
from tests.support.seeds import at
from tests.support.time import VirtualClock


async def log(runtime: Runtime, viewer: Viewer) -> list[AuditEntry]:
    """The workspace's entries, oldest first."""
    return (await audit.list_page(runtime.snapshot(viewer))).nodes[::-1]


@on_both
async def test_the_life_of_a_key(runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock) -> None:
    row, _ = await act(keys.create, {"name": "CRM", "scopes": [("calls", "read")], "allowed_ips": ["10.0.0.0/8"]})
    await act(keys.update, row.id, {"name": "Sync", "expires_at": at("2026-01-01T00:00:00Z"), "allowed_ips": None})
    await act(keys.rotate, row.id, overlap_seconds=3600)
    await act(keys.rotate, row.id, overlap_seconds=0)
    await act(keys.revoke, row.id)
    await act(keys.revoke, row.id)

    entries = await log(runtime, viewer)

    assert [(each.action, each.subject_name, each.changes) for each in entries] == [
        (Action.API_KEY_CREATED, "CRM", {"scopes": [None, {"calls": "read"}], "allowedIps": [None, ["10.0.0.0/8"]]}),
        (
            Action.API_KEY_UPDATED,
            "Sync",
            {
                "name": ["CRM", "Sync"],
                "expiresAt": [None, "2026-01-01T00:00:00Z"],
                "allowedIps": [["10.0.0.0/8"], None],
            },
        ),
        (Action.API_KEY_ROTATED, "Sync", {"previousKeyExpiresAt": [None, "2025-01-15T15:00:00Z"]}),
        (Action.API_KEY_ROTATED, "Sync", {"previousKeyExpiresAt": [None, None]}),
        (Action.API_KEY_REVOKED, "Sync", None),
    ]
    assert {each.subject_id for each in entries} == {row.id}
    assert {(each.actor, each.actor_id, each.actor_name, each.address) for each in entries} == {
        (Actor.SYSTEM, None, None, None)
    }
    assert {each.created_at for each in entries} == {clock.now()}


async def test_a_plain_key_has_no_changes_to_tell_of(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    row, _ = await act(keys.create, {"name": "CRM"})

    (entry,) = await log(runtime, viewer)

    assert (entry.action, entry.subject_id, entry.subject_name, entry.changes) == (
        Action.API_KEY_CREATED,
        row.id,
        "CRM",
        None,
    )


async def test_a_key_that_acts_is_named_with_its_address_as_it_was_then(runtime: Runtime, viewer: Viewer) -> None:
    row, text = await seeds.key(runtime, viewer, name="Manager", scopes=[(each, "write") for each in Resource])
    manager = await keys.authenticate(runtime, text, ip_address("2001:db8::1"))
    async with runtime.transaction(manager) as tx:
        await keys.update(tx, row.id, {"name": "Boss"})

    entry = (await log(runtime, viewer))[-1]

    assert (entry.actor, entry.actor_id, entry.actor_name, entry.address) == (
        Actor.API_KEY,
        row.id,
        "Manager",
        "2001:db8::1",
    )


@on_both
async def test_a_plan_is_noted_when_it_is_another(runtime: Runtime, viewer: Viewer) -> None:
    for plan in (Plan.ENTERPRISE, Plan.STARTER):
        async with runtime.transaction(None) as tx:
            await workspaces.set_plan(tx, viewer.workspace_id, plan)

    (entry,) = await log(runtime, viewer)

    assert (entry.action, entry.actor, entry.subject_id, entry.subject_name, entry.changes) == (
        Action.WORKSPACE_PLAN_CHANGED,
        Actor.SYSTEM,
        viewer.workspace_id,
        "Acme",
        {"plan": ["enterprise", "starter"]},
    )


@on_both
async def test_what_is_refused_is_not_in_the_log(runtime: Runtime, viewer: Viewer, act: Act, refused: Refused) -> None:
    row, _ = await act(keys.create, {"name": "CRM"})
    await act(keys.revoke, row.id)

    async with refused(Invalid, f"API key with id {row.id} is revoked and cannot be rotated"):
        await act(keys.rotate, row.id)


@on_both
async def test_a_log_is_of_its_workspace_newest_first_a_page_at_a_time(
    runtime: Runtime, viewer: Viewer, act: Act
) -> None:
    ids = [(await act(keys.create, {"name": f"Key {i}"}))[0].id for i in range(51)]
    await seeds.key(runtime, await seeds.workspace(runtime, name="Other"))

    first = await audit.list_page(runtime.snapshot(viewer))
    second = await audit.list_page(runtime.snapshot(viewer), limit=50, offset=50)

    assert [entry.subject_id for entry in first.nodes] == ids[:0:-1]
    assert [entry.subject_id for entry in second.nodes] == ids[:1]
    assert (first.total, second.total) == (51, 51)


@on_both
async def test_there_is_no_secret_in_any_row(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    """K1, W3: whatever is done, neither a key's text nor its digest, nor a signing secret."""
    row, first = await act(keys.create, {"name": "CRM", "scopes": [("calls", "read")]})
    second = (await act(keys.rotate, row.id)).key
    third = (await act(keys.rotate, row.id)).key
    await act(keys.update, row.id, {"name": "Sync"})
    await act(keys.revoke, row.id)
    endpoint = await act(webhooks.create, {"url": seeds.URL})
    secrets = [endpoint.secret, (await act(webhooks.rotate_secret, endpoint.id)).secret]
    await act(webhooks.update, endpoint.id, {"is_active": False})
    await act(webhooks.delete, endpoint.id)

    entries = await runtime.database.read(select(AuditEntry).where(col(AuditEntry.workspace_id) == viewer.workspace_id))
    told = "\n".join(str([getattr(entry, name) for name in AuditEntry.model_fields]) for entry in entries)

    assert len(entries) == 9
    for key in (first, second, third):
        for hidden in (key, key[len("vf_live_") :][:12], key[-6:], digest(key), digest(key)[:12]):
            assert hidden not in told
    for secret in secrets:
        assert secret not in told
        assert secret.removeprefix("whsec_")[:12] not in told
