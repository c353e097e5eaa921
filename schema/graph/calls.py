"""Calls in the graph."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Any

import strawberry

from schema.graph.access import reads, writes
from schema.graph.agents import Agent
from schema.graph.campaigns import Campaign
from schema.graph.contacts import Contact
from schema.graph.context import Info
from schema.graph.inputs import given
from schema.graph.paging import Page
from schema.graph.phone_numbers import PhoneNumber
from schema.graph.scalars import (
    AnsweredBy,
    CallDirection,
    CallStatus,
    DateOrDateTime,
    DateTime,
    EndReason,
    JSONObject,
    Outcome,
    Role,
    Sentiment,
    WaitReason,
)
from schema.rules.paging import CALLS_LIMIT
from schema.rules.scopes import Resource
from schema.services import calls, recordings, watching
from schema.tables import Agent as AgentRow
from schema.tables import Call as CallRow
from schema.tables import Campaign as CampaignRow
from schema.tables import Contact as ContactRow
from schema.tables import PhoneNumber as PhoneNumberRow

Row = strawberry.Parent[CallRow]


@strawberry.type(description="One line of a transcript; seconds from the answer.")
class TranscriptLine:
    role: Role
    text: str
    start: float
    end: float


@strawberry.type(description="What a call came to.")
class CallAnalysis:
    summary: str
    sentiment: Sentiment
    outcome: Outcome
    action_items: list[str]
    extracted: JSONObject


@strawberry.type(description="One call.")
class Call:
    id: strawberry.ID
    status: CallStatus
    direction: CallDirection
    to_number: str = strawberry.field(name="to", description="E.164.")
    from_number: str = strawberry.field(name="from", description="E.164.")
    duration: int | None = strawberry.field(
        description="Whole seconds from answer to end, 0 if never answered, null while queued."
    )
    summary: str | None
    sentiment: Sentiment | None
    outcome: Outcome | None
    answered_by: AnsweredBy | None
    end_reason: EndReason | None
    waiting_for: WaitReason | None = strawberry.field(
        description="Why a queued call is not being dialed; null when it is about to be."
    )
    sip_code: int | None
    agent_id: strawberry.ID
    phone_number_id: strawberry.ID
    campaign_id: strawberry.ID | None
    contact_id: strawberry.ID | None
    created_at: DateTime
    updated_at: DateTime
    started_at: DateTime | None = strawberry.field(description="When it was submitted to the carrier.")
    answered_at: DateTime | None
    ended_at: DateTime | None

    @strawberry.field(description="An absolute link that plays and expires; null when nothing was recorded.")
    def recording_url(self, info: Info, root: Row) -> str | None:
        return recordings.link(info.context.runtime, root)

    @strawberry.field(description="What was said; null until somebody answered.")
    def transcript(self, root: Row) -> list[TranscriptLine] | None:
        if root.transcript is None:
            return None
        return [TranscriptLine(**{**line, "role": Role(line["role"])}) for line in root.transcript]

    @strawberry.field(description="Null until the call is over and has been analysed.")
    def analysis(self, root: Row) -> CallAnalysis | None:
        if root.analysis is None:
            return None
        return CallAnalysis(
            summary=root.analysis["summary"],
            sentiment=Sentiment(root.analysis["sentiment"]),
            outcome=Outcome(root.analysis["outcome"]),
            action_items=root.analysis["actionItems"],
            extracted=root.analysis["extracted"],
        )

    @strawberry.field(graphql_type=Agent | None, permission_classes=reads(Resource.AGENTS))
    async def agent(self, info: Info, root: Row) -> Any:
        return await info.context.row(AgentRow, root.agent_id)

    @strawberry.field(graphql_type=PhoneNumber | None, permission_classes=reads(Resource.PHONE_NUMBERS))
    async def phone_number(self, info: Info, root: Row) -> Any:
        return await info.context.row(PhoneNumberRow, root.phone_number_id)

    @strawberry.field(graphql_type=Campaign | None, permission_classes=reads(Resource.CAMPAIGNS))
    async def campaign(self, info: Info, root: Row) -> Any:
        return await info.context.row(CampaignRow, root.campaign_id)

    @strawberry.field(graphql_type=Contact | None, permission_classes=reads(Resource.CONTACTS))
    async def contact(self, info: Info, root: Row) -> Any:
        return await info.context.row(ContactRow, root.contact_id)


@strawberry.input
class CreateCallInput:
    agent_id: strawberry.ID
    phone_number_id: strawberry.ID
    to: str


@strawberry.type
class CallQueries:
    @strawberry.field(
        graphql_type=Page[Call],
        permission_classes=reads(Resource.CALLS),
        description="Calls, newest first, 50 at a time unless told. `from` and `to` bound `createdAt`, inclusive.",
    )
    async def calls(
        self,
        info: Info,
        *,
        limit: int = CALLS_LIMIT,
        offset: int | None = None,
        status: CallStatus | None = None,
        agent_id: strawberry.ID | None = None,
        campaign_id: strawberry.ID | None = None,
        contact_id: strawberry.ID | None = None,
        start: Annotated[DateOrDateTime | None, strawberry.argument(name="from")] = None,
        end: Annotated[DateOrDateTime | None, strawberry.argument(name="to")] = None,
    ) -> Any:
        return await calls.list_page(
            info.context.read(),
            limit=limit,
            offset=offset,
            status=status,
            agent_id=agent_id,
            campaign_id=campaign_id,
            contact_id=contact_id,
            start=start,
            end=end,
        )

    @strawberry.field(graphql_type=Call | None, permission_classes=reads(Resource.CALLS), description="One call.")
    async def call(self, info: Info, id: strawberry.ID) -> Any:
        return await calls.get(info.context.read(), id)


@strawberry.type
class CallMutations:
    @strawberry.mutation(
        graphql_type=Call, permission_classes=writes(Resource.CALLS), description="Queue one outbound call."
    )
    async def create_call(self, info: Info, input: CreateCallInput) -> Any:
        return await info.context.perform(calls.place, given(input))

    @strawberry.mutation(
        graphql_type=Call,
        permission_classes=writes(Resource.CALLS),
        description="End a call: one that waits is cancelled now, one under way is hung up; one that is over stays.",
    )
    async def hang_up_call(self, info: Info, id: strawberry.ID) -> Any:
        async with info.context.write() as tx:
            return await calls.hang_up(tx, id)


@strawberry.type
class CallSubscriptions:
    @strawberry.subscription(
        graphql_type=Call,
        permission_classes=reads(Resource.CALLS),
        description="A call as it is now, and after everything that changes it; ends after its final state.",
    )
    async def call_changed(self, info: Info, id: strawberry.ID) -> AsyncGenerator[Any, None]:
        async for row in watching.states(info.context.runtime, info.context.viewer, id):
            yield row
