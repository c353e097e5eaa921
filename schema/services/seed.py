"""The first start's sample data, so that a call can be placed at once; made all together or not at all."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, text

from schema.rules.plans import Plan
from schema.rules.roles import UserRole
from schema.runtime import Runtime, Transaction, Viewer
from schema.services import agents, contacts, keys, passwords, phone_numbers, users, workspaces
from schema.tables import Workspace

OWNER = "owner@example.com"
CALLER = "+15555550199"  # in the range for fiction, like everybody it calls
CALLEE = "+15555550100"
ZONE = "America/New_York"  # their area code is nobody's: without it they could be anywhere from Guam to Bermuda

AGENT = {
    "name": "Sarah, sales",
    "first_message": "Hi, this is Sarah calling from Acme Solar. Do you have a minute?",
    "voicemail_message": (
        "Hi, this is Sarah from Acme Solar. I am calling about lowering your electricity bill. "
        "Please call us back at this number. Thank you, goodbye."
    ),
    "system_prompt": """\
You are Sarah, who calls for Acme Solar, a company that plans and installs solar panels on private houses.

Your aim: find out whether the person would like a free consultation at home, and book one.

How you speak:
- Short sentences, one question at a time, friendly and unhurried. You are on the telephone: no lists, no links.
- Say who you are and why you call before you ask for anything. When asked, say that you are an AI assistant.
- Let the person finish. If they interrupt you, stop and answer what they said.

What you do:
1. Ask whether they own their house and are curious about solar power.
2. If they are interested, suggest a day and a time, agree on one, and book the appointment.
3. Repeat what was agreed, thank them and say goodbye.

What you never do:
- Promise savings or prices: the consultant works them out on site.
- Go on after a no. Thank them and end the call.
- Argue when somebody does not want to be called: put them on the do-not-call list, say so and end the call.
""",
}

CONTACTS = (
    ("Irene Interested", CALLEE, "Listens and books an appointment."),
    ("Norman Notinterested", "+15555550101", "Says no, twice, and hangs up."),
    ("Olga Optout", "+15555550102", "Asks not to be called again, and lands on the do-not-call list."),
    ("Victor Voicemail", "+15555550104", "Never picks up: his voicemail does."),
    ("Betty Busy", "+15555550140", "Is always on the phone."),
    ("Nora Noanswer", "+15555550141", "Lets it ring."),
)
"""Name, number and what the sandbox makes that number do."""


@dataclass(frozen=True, slots=True)
class Seed:
    """What was made, with the secrets that are shown once and not kept."""

    workspace_id: str
    owner: str
    password: str
    api_key: str
    agent_id: str
    phone_number_id: str
    phone_number: str
    callee: str


async def plant(runtime: Runtime) -> Seed | None:
    """Fill an empty database; None when it has a workspace already. Of several that start together, one plants."""
    if await runtime.database.read(select(Workspace.id).limit(1)):  # type: ignore[call-overload]
        return None
    password = await passwords.new_one_time()
    async with runtime.transaction(None) as tx:
        if not runtime.database.is_sqlite:  # where one transaction writes at a time anyway
            await tx.execute(text("LOCK TABLE workspaces IN SHARE ROW EXCLUSIVE MODE"))
        if await workspaces.everything(tx):
            return None
        await found(tx, name="My workspace", plan=Plan.PROFESSIONAL)
        return await _plant(tx, password)


async def found(tx: Transaction, *, name: str, plan: str) -> Workspace:
    """A new workspace with a number to call from, which the transaction then works in. Raises Invalid."""
    workspace = await workspaces.create(tx, name=name, plan=plan)
    await tx.flush()
    tx.viewer = Viewer(workspace.id, workspace.plan)
    await phone_numbers.create(tx, {"phone_number": CALLER, "name": "Sandbox number"})
    return workspace


async def _plant(tx: Transaction, password: passwords.OneTimePassword) -> Seed:
    user = await users.create(tx, address=OWNER, role=UserRole.OWNER, password=password)
    row, key = await keys.create(tx, {"name": "First key"})
    number = (await phone_numbers.list_page(tx)).nodes[0]
    agent = await agents.create(tx, AGENT)
    for name, phone_number, notes in CONTACTS:
        given = {"name": name, "phone_number": phone_number, "notes": notes, "timezone": ZONE}
        await contacts.create(tx, given)
    return Seed(
        workspace_id=row.workspace_id,
        owner=user.email,
        password=password.text,
        api_key=key,
        agent_id=agent.id,
        phone_number_id=number.id,
        phone_number=number.phone_number,
        callee=CALLEE,
    )
