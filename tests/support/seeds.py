"""Rows to begin a test with, made by the services themselves."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count
from typing import Any

from sqlmodel import col

from schema import due
from schema.rules.agents import AGENT
from schema.rules.calls import AnsweredBy, EndReason, Outcome, Sentiment
from schema.rules.idempotency import fingerprint, reservation_id
from schema.rules.ids import new_id
from schema.rules.plans import Plan
from schema.runtime import Runtime, Viewer
from schema.services import (
    agents,
    appointments,
    calls,
    campaigns,
    contacts,
    dialing,
    do_not_call,
    endings,
    enrolment,
    holding,
    idempotency,
    keys,
    passwords,
    phone_numbers,
    progress,
    sending,
    sessions,
    steps,
    users,
    webhooks,
    workspaces,
)
from schema.services.sessions import SignedIn
from schema.tables import (
    Agent,
    ApiKey,
    Appointment,
    Call,
    Campaign,
    CampaignContact,
    Contact,
    Delivery,
    PhoneNumber,
    User,
    WebhookEndpoint,
)

_numbers = count(2_000_000)
URL = "https://hooks.example.com/voxforge"


def number() -> str:
    """A number that no other row of the test has."""
    return f"+1555{next(_numbers)}"


async def workspace(runtime: Runtime, *, name: str = "Acme", plan: Plan = Plan.ENTERPRISE) -> Viewer:
    """Somebody who may see and do everything in a new workspace."""
    async with runtime.transaction(None) as tx:
        row = await workspaces.create(tx, name=name, plan=plan)
    return Viewer(row.id, plan)


async def plan(runtime: Runtime, viewer: Viewer, plan: Plan) -> None:
    """The workspace pays for another plan from now on."""
    async with runtime.transaction(None) as tx:
        await workspaces.set_plan(tx, viewer.workspace_id, plan)


async def key(runtime: Runtime, viewer: Viewer, **given: Any) -> tuple[ApiKey, str]:
    async with runtime.transaction(viewer) as tx:
        return await keys.create(tx, {"name": "Zapier", **given})


PASSWORD = "a sentence of my own"


async def user(
    runtime: Runtime, viewer: Viewer, *, email: str | None = None, role: str = "owner", password: str | None = PASSWORD
) -> User:
    """Somebody with that password, or (None) with a one-time password that nobody knows."""
    first = await passwords.new_one_time()
    async with runtime.transaction(viewer) as tx:
        address = email or f"{new_id(tx.now)}@example.com"
        row = await users.create(tx, address=address, role=role, password=first)
        if password is not None:
            row.password_hash, row.must_change_password = await passwords.hashed(password), False
    return row


async def signed_in(
    runtime: Runtime, viewer: Viewer, *, email: str | None = None, role: str = "owner"
) -> tuple[SignedIn, str]:
    """Somebody who has just signed in, and the token of the session."""
    row = await user(runtime, viewer, email=email, role=role)
    return await sessions.sign_in(runtime, row.email, PASSWORD, address="203.0.113.7", user_agent="Firefox")


async def agent(runtime: Runtime, viewer: Viewer, **given: Any) -> Agent:
    async with runtime.transaction(viewer) as tx:
        return await agents.create(tx, {"name": "Sam", "system_prompt": "Be kind.", **given})


async def _agent_beyond_plan(runtime: Runtime, viewer: Viewer) -> Agent:
    """An agent whatever the plan allows (K6): a test of calls is not one of agents."""
    async with runtime.transaction(viewer) as tx:
        clean = AGENT.new({"name": "Sam", "system_prompt": "Be kind."})
        row = Agent(id=tx.new_id(), workspace_id=tx.workspace_id, created_at=tx.now, updated_at=tx.now, **clean)
        return tx.add(row)


async def phone_number(runtime: Runtime, viewer: Viewer, *, carrier: str = "sandbox", **given: Any) -> PhoneNumber:
    async with runtime.transaction(viewer) as tx:
        return await phone_numbers.create(tx, {"phone_number": number(), "name": "Sales", "carrier": carrier, **given})


async def contact(runtime: Runtime, viewer: Viewer, **given: Any) -> Contact:
    async with runtime.transaction(viewer) as tx:
        return await contacts.create(tx, {"phone_number": number(), **given})


async def contact_list(runtime: Runtime, viewer: Viewer, size: int) -> list[str]:
    """The ids of that many contacts."""
    async with runtime.transaction(viewer) as tx:
        rows = [contacts.new(tx, {"phone_number": number(), "custom_fields": {}}) for _ in range(size)]
        tx.session.add_all(rows)
    return [row.id for row in rows]


async def endpoint(runtime: Runtime, viewer: Viewer, **given: Any) -> WebhookEndpoint:
    async with runtime.transaction(viewer) as tx:
        return await webhooks.create(tx, {"url": URL, **given})


async def campaign(runtime: Runtime, viewer: Viewer, **given: Any) -> Campaign:
    """A campaign, with an agent and a number of its own unless told."""
    if "agent_id" not in given:
        given["agent_id"] = (await _agent_beyond_plan(runtime, viewer)).id
    if "phone_number_id" not in given:
        given["phone_number_id"] = (await phone_number(runtime, viewer)).id
    async with runtime.transaction(viewer) as tx:
        return await campaigns.create(tx, {"name": "Spring", **given})


async def enrolled(runtime: Runtime, viewer: Viewer, row: Campaign, ids: list[str]) -> None:
    """Those contacts are in the campaign, too."""
    async with runtime.transaction(viewer) as tx:
        await enrolment.add(tx, row.id, await enrolment.checked(ids))


async def appointment(runtime: Runtime, viewer: Viewer, **given: Any) -> Appointment:
    """An hour with a contact of its own, a day from now unless told."""
    if "contact_id" not in given:
        given["contact_id"] = (await contact(runtime, viewer)).id
    start = given.pop("start_time", runtime.clock.now() + timedelta(days=1))
    end = given.pop("end_time", start + timedelta(hours=1))
    async with runtime.transaction(viewer) as tx:
        return await appointments.create(tx, {"title": "Demo", "start_time": start, "end_time": end, **given})


async def call(runtime: Runtime, viewer: Viewer, *, to: str | None = None, **columns: Any) -> Call:
    """A queued call, with an agent and a number of its own; `columns` are set on its row.

    One of a campaign is its first try at a contact of its own.
    """
    sam = await _agent_beyond_plan(runtime, viewer)
    sales = await phone_number(runtime, viewer)
    if columns.get("campaign_id") and "contact_id" not in columns:
        to = to or number()
        columns |= {"contact_id": await _called(runtime, viewer, columns["campaign_id"], to), "contact_attempt": 1}
    async with runtime.transaction(viewer) as tx:
        row = await calls.place(tx, {"agent_id": sam.id, "phone_number_id": sales.id, "to": to or number()})
        for name, value in columns.items():
            setattr(row, name, value)
        return row


async def _called(runtime: Runtime, viewer: Viewer, campaign_id: str, to: str) -> str:
    """A contact enrolled in the campaign, whose turn it was."""
    async with runtime.transaction(viewer) as tx:
        person = await contacts.create(tx, {"phone_number": to})
        added = await enrolment.add(tx, campaign_id, await enrolment.checked([person.id]))
        enrolled = await tx.first(tx.select(CampaignContact).where(col(CampaignContact.contact_id) == person.id))
        assert enrolled is not None
        progress.begin(enrolled)
        added.campaign.cursor = enrolled.position
        return person.id


async def taken(runtime: Runtime, row: Call) -> due.Lease:
    """The lease of a due call."""
    leases = await due.lease(runtime, Call, limit=100, seconds=steps.LEASE_S)
    return next(held for held in leases if held.id == row.id)


async def dialed(runtime: Runtime, viewer: Viewer, row: Call) -> dialing.Dial:
    """The call, taken and through its gate: phase `dialing`."""
    held = await taken(runtime, row)
    async with runtime.transaction(viewer) as tx:
        dial = await dialing.begin(tx, held)
    assert dial is not None
    return dial


async def submitted(runtime: Runtime, viewer: Viewer, row: Call) -> due.Lease:
    """The call, with its carrier."""
    dial = await dialed(runtime, viewer, row)
    async with runtime.transaction(viewer) as tx:
        return await dialing.submitted(tx, dial.held, dial.attempt_id, "leg-1")


async def answered(runtime: Runtime, viewer: Viewer, row: Call) -> due.Lease:
    """The call, answered by a person."""
    held = await submitted(runtime, viewer, row)
    async with runtime.transaction(viewer) as tx:
        (kept,) = await holding.write(tx, [holding.IsAnswered(held, tx.now, AnsweredBy.HUMAN)])
    assert kept is not None
    return kept.held


async def over(runtime: Runtime, viewer: Viewer, row: Call, *, duration_s: float = 183.9) -> due.Lease:
    """The call, answered and over: phase `processing`."""
    held = await answered(runtime, viewer, row)
    async with runtime.transaction(viewer) as tx:
        held = await endings.ended(tx, held, reason=EndReason.CALLEE_HANGUP, ended_at=tx.now, duration_s=duration_s)
    assert held is not None
    return held


async def done(runtime: Runtime, viewer: Viewer, row: Call) -> None:
    """The call from its queue to its analysis."""
    held = await over(runtime, viewer, row)
    async with runtime.transaction(viewer) as tx:
        held = await endings.recorded(tx, held, recording=f"{row.id}.mp3", voice="tones")
        await endings.analysed(
            tx,
            held,
            summary="Wants a demo.",
            sentiment=Sentiment.POSITIVE,
            outcome=Outcome.INTERESTED,
            action_items=["Send an invitation"],
            extracted={"company": "Acme"},
        )


def at(text: str) -> datetime:
    """`2025-01-15T14:00:00Z` as an instant."""
    return datetime.fromisoformat(text)


async def everything(runtime: Runtime, viewer: Viewer) -> None:
    """At least one row in every table of a workspace: a finished call, one that waits, and what goes with them."""
    await endpoint(runtime, viewer, description=None)
    await done(runtime, viewer, await call(runtime, viewer, to="+15551234567"))
    await call(runtime, viewer)
    people = await contact_list(runtime, viewer, 2)
    await campaign(runtime, viewer, contact_ids=people)
    await appointment(runtime, viewer, contact_id=people[0])
    replaced, _ = await key(runtime, viewer)
    ours = col(Delivery.workspace_id) == viewer.workspace_id
    leases = await due.lease(runtime, Delivery, limit=1, seconds=30, where=[ours])
    sent = await sending.load(runtime, leases)
    await signed_in(runtime, viewer)
    async with runtime.transaction(viewer) as tx:
        await do_not_call.add(tx, {"phone_number": number()})
        await sending.settle(tx, [answer(out, tx.now, status_code=500) for out in sent])
        await keys.rotate(tx, replaced.id)
        await idempotency.reserve(tx, reservation_id(viewer.workspace_id, ["/calls"], "seeded"), fingerprint({}))


def answer(out: sending.Outgoing, ended_at: datetime, *, status_code: int | None = 200, **given: Any) -> sending.Result:
    """What came of a request that took a quarter of a second."""
    values: dict[str, Any] = {"error_class": None, "error": None, "response_body": "ok", **given}
    return sending.Result(
        out, ended_at - timedelta(seconds=0.25), ended_at, duration_ms=250, status_code=status_code, **values
    )
