"""Campaigns in the graph."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry
from strawberry import Maybe

from schema.graph.access import reads, require_access, writes
from schema.graph.agents import Agent
from schema.graph.contacts import Contact, CreateContactInput
from schema.graph.context import Info
from schema.graph.inputs import given
from schema.graph.paging import Page
from schema.graph.phone_numbers import PhoneNumber
from schema.graph.scalars import CampaignContactStatus, CampaignStatus, DateTime, EndReason, WaitReason
from schema.rules.campaigns import shown
from schema.rules.paging import CONTACTS_LIMIT, LIMIT
from schema.rules.scopes import Access, Resource
from schema.services import campaigns, enrolment, gate
from schema.services import preflight as preflights
from schema.tables import Agent as AgentRow
from schema.tables import Campaign as CampaignRow
from schema.tables import CampaignContact as CampaignContactRow
from schema.tables import Contact as ContactRow
from schema.tables import PhoneNumber as PhoneNumberRow


@strawberry.type(description="Hours in which a campaign may dial, in its time zone: start inclusive, end exclusive.")
class CallWindow:
    start: str
    end: str


@strawberry.type(description="How unanswered calls are tried again.")
class RetryPolicy:
    max_attempts: int
    delay_minutes: list[int]
    on: list[str]


@strawberry.type(description="A contact enrolled in a campaign.")
class CampaignContact:
    id: strawberry.ID
    contact_id: strawberry.ID
    next_attempt_at: DateTime | None = strawberry.field(
        description="When a contact that waits for an instant is called; null while it waits for something else."
    )
    waiting_for: WaitReason | None = strawberry.field(description="Why a contact that waits is not called now.")
    end_reason: EndReason | None = strawberry.field(
        description="How its last call ended, or why the dial gate refused to call it."
    )
    finished_at: DateTime | None
    created_at: DateTime

    @strawberry.field(
        description="`WAITING`, too, while its call is held back: by a pause, say, or by hours, limits or the carrier."
    )
    def status(self, root: strawberry.Parent[CampaignContactRow]) -> CampaignContactStatus:
        return _shown(root)[0]

    @strawberry.field(
        description="How often it has been called, or is being called. A call that is held back does not count before "
        "it is dialed."
    )
    def attempts(self, root: strawberry.Parent[CampaignContactRow]) -> int:
        return _shown(root)[1]

    @strawberry.field(graphql_type=Contact | None, permission_classes=reads(Resource.CONTACTS))
    async def contact(self, info: Info, root: strawberry.Parent[CampaignContactRow]) -> Any:
        return await info.context.row(ContactRow, root.contact_id)


def _shown(row: CampaignContactRow) -> tuple[CampaignContactStatus, int]:
    return shown(row.status, row.attempts, row.waiting_for)


@strawberry.type(description="Contacts of a campaign, each counted once, by what the dial gate would say.")
class Preflight:
    at: DateTime = strawberry.field(description="The instant that it was asked for.")
    callable: int = strawberry.field(description="May be called.")
    on_do_not_call_list: int = strawberry.field(description="Will be skipped: on the do-not-call list.")
    outside_hours: int = strawberry.field(
        description="Outside the call window or their own hours; skipped if those never open."
    )
    invalid: int = strawberry.field(description="Will be skipped: deleted, or without a number that can be called.")
    duplicate: int = strawberry.field(description="Will be skipped: another contact has the same number.")


@strawberry.type(description="Contacts of a campaign that have got equally far.")
class CampaignOutcome:
    status: CampaignContactStatus
    end_reason: EndReason | None = strawberry.field(
        description="How their last call ended, or why the dial gate refused to call them; null for those without one."
    )
    contacts: int


@strawberry.type(description="Outbound calling of a list of contacts with one agent from one number.")
class Campaign:
    id: strawberry.ID
    name: str
    status: CampaignStatus
    agent_id: strawberry.ID
    phone_number_id: strawberry.ID
    scheduled_start: DateTime
    timezone: str
    call_days: list[str] | None = strawberry.field(
        description="Weekdays, `monday` to `sunday`, on which it dials; where contacts have hours of their own, by "
        "their own clocks too. Null: every day."
    )
    max_concurrent_calls: int
    calls_total: int = strawberry.field(description="Contacts enrolled.")
    calls_completed: int = strawberry.field(description="Contacts finished, however they ended.")
    created_at: DateTime
    updated_at: DateTime

    @strawberry.field(description="Null: any hour.")
    def call_window(self, root: strawberry.Parent[CampaignRow]) -> CallWindow | None:
        window = gate.call_window(root)
        return CallWindow(**window) if window else None

    @strawberry.field(description="Hours in which a contact may be called, by the clock where it is. Null: any.")
    def contact_window(self, root: strawberry.Parent[CampaignRow]) -> CallWindow | None:
        window = gate.contact_window(root)
        return CallWindow(**window) if window else None

    @strawberry.field
    def retry_policy(self, root: strawberry.Parent[CampaignRow]) -> RetryPolicy:
        return RetryPolicy(**root.retry_policy)

    @strawberry.field(
        description="When an active campaign that waits for its start or its window may dial; null when neither holds "
        "it back, and when it is not active."
    )
    def next_dial_at(self, info: Info, root: strawberry.Parent[CampaignRow]) -> DateTime | None:
        instant = campaigns.next_dial(root, info.context.runtime.clock.now())
        return DateTime(instant) if instant else None

    @strawberry.field(description="Its calls under way: the slots it uses.")
    async def calls_in_progress(self, info: Info, root: strawberry.Parent[CampaignRow]) -> int:
        return await info.context.live_calls(root.id)

    @strawberry.field(
        graphql_type=Preflight,
        description="What the dial gate would say of the contacts that are not finished, at an instant: its start, or "
        "now once it has started, unless told.",
    )
    async def preflight(self, info: Info, root: strawberry.Parent[CampaignRow], at: DateTime | None = None) -> Any:
        return await preflights.of(info.context.read(), root, at)

    @strawberry.field(
        graphql_type=list[CampaignOutcome],
        description="Its contacts, each counted once, by how far they have got and how their last call ended.",
    )
    async def outcomes(self, info: Info, root: strawberry.Parent[CampaignRow]) -> Any:
        return await campaigns.outcomes(info.context.read(), root)

    @strawberry.field(graphql_type=Agent | None, permission_classes=reads(Resource.AGENTS))
    async def agent(self, info: Info, root: strawberry.Parent[CampaignRow]) -> Any:
        return await info.context.row(AgentRow, root.agent_id)

    @strawberry.field(graphql_type=PhoneNumber | None, permission_classes=reads(Resource.PHONE_NUMBERS))
    async def phone_number(self, info: Info, root: strawberry.Parent[CampaignRow]) -> Any:
        return await info.context.row(PhoneNumberRow, root.phone_number_id)


@strawberry.type(description="What enrolling contacts did.")
class Enrolment:
    campaign: Campaign
    enrolled: int = strawberry.field(description="Contacts added.")
    duplicates: int = strawberry.field(description="Contacts that were enrolled already, or came twice.")

    @strawberry.field(description="Contacts enrolled in the campaign, these among them.")
    def calls_total(self, root: strawberry.Parent[enrolment.Enrolment]) -> int:
        return root.campaign.calls_total


@strawberry.input
class CallWindowInput:
    start: str
    end: str


@strawberry.input
class RetryPolicyInput:
    max_attempts: int
    delay_minutes: Maybe[list[int]]
    on: Maybe[list[str]]


@strawberry.input
class CreateCampaignInput:
    name: str
    agent_id: strawberry.ID
    phone_number_id: strawberry.ID
    scheduled_start: Maybe[DateTime]
    timezone: Maybe[str]
    call_window: Maybe[CallWindowInput | None]
    call_days: Maybe[list[str] | None]
    contact_window: Maybe[CallWindowInput | None]
    max_concurrent_calls: Maybe[int]
    retry_policy: Maybe[RetryPolicyInput]
    contact_ids: Maybe[list[strawberry.ID]]


@strawberry.input
class UpdateCampaignInput:
    status: Maybe[CampaignStatus]
    name: Maybe[str]
    timezone: Maybe[str]
    call_window: Maybe[CallWindowInput | None]
    call_days: Maybe[list[str] | None]
    contact_window: Maybe[CallWindowInput | None]
    max_concurrent_calls: Maybe[int]
    retry_policy: Maybe[RetryPolicyInput]


@strawberry.input
class EnrolContactsInput:
    contact_ids: Maybe[list[strawberry.ID]]
    contacts: Maybe[list[CreateContactInput]]
    all: Maybe[bool]


@strawberry.type
class CampaignQueries:
    @strawberry.field(
        graphql_type=Page[Campaign],
        permission_classes=reads(Resource.CAMPAIGNS),
        description="Campaigns, newest first.",
    )
    async def campaigns(
        self, info: Info, limit: int | None = LIMIT, offset: int | None = None, status: CampaignStatus | None = None
    ) -> Any:
        return await campaigns.list_page(info.context.read(), limit=limit, offset=offset, status=status)

    @strawberry.field(
        graphql_type=Campaign | None, permission_classes=reads(Resource.CAMPAIGNS), description="One campaign."
    )
    async def campaign(self, info: Info, id: strawberry.ID) -> Any:
        return await campaigns.get(info.context.read(), id)

    @strawberry.field(
        graphql_type=Page[CampaignContact],
        permission_classes=reads(Resource.CAMPAIGNS),
        description="Who is enrolled in a campaign, in the order of enrolment, a hundred at a time unless told.",
    )
    async def campaign_contacts(  # noqa: PLR0917 (resolvers get them by name)
        self,
        info: Info,
        campaign_id: Annotated[strawberry.ID, strawberry.argument(name="id")],
        limit: int = CONTACTS_LIMIT,
        offset: int | None = None,
        status: CampaignContactStatus | None = None,
        end_reason: EndReason | None = None,
    ) -> Any:
        return await campaigns.enrolled_page(
            info.context.read(), campaign_id, status=status, end_reason=end_reason, limit=limit, offset=offset
        )


@strawberry.type
class CampaignMutations:
    @strawberry.mutation(
        graphql_type=Campaign, permission_classes=writes(Resource.CAMPAIGNS), description="Make an active campaign."
    )
    async def create_campaign(self, info: Info, input: CreateCampaignInput) -> Any:
        async with info.context.write() as tx:
            return await campaigns.create(tx, given(input))

    @strawberry.mutation(
        graphql_type=Campaign,
        permission_classes=writes(Resource.CAMPAIGNS),
        description="Change the fields sent: pause, resume, complete, cancel, or edit while it is open.",
    )
    async def update_campaign(self, info: Info, id: strawberry.ID, input: UpdateCampaignInput) -> Any:
        async with info.context.write() as tx:
            return await campaigns.update(tx, id, given(input))

    @strawberry.mutation(
        graphql_type=Enrolment,
        permission_classes=writes(Resource.CAMPAIGNS),
        description="Enrol up to 10,000 contacts, by id or by number, or all that there are. New contacts take "
        "a key that may write contacts, too, and all of them one that may read contacts.",
    )
    async def enrol_contacts(self, info: Info, id: strawberry.ID, input: EnrolContactsInput) -> Any:
        sent = given(input)
        ids, new, is_all = sent.get("contact_ids", ()), sent.get("contacts", ()), sent.get("all", False)
        if new:
            require_access(Resource.CONTACTS, Access.WRITE, info.context.viewer)
        if is_all:
            require_access(Resource.CONTACTS, Access.READ, info.context.viewer)
        people = await enrolment.checked(ids, new, is_all=is_all)
        return await enrolment.enrol(info.context.write, id, people)
