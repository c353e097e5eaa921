"""What can be watched besides one call: its transcript, campaigns, and lists that change."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import strawberry

from schema.graph.access import reads
from schema.graph.calls import Call
from schema.graph.campaigns import Campaign
from schema.graph.context import Info
from schema.graph.scalars import Role
from schema.graph.webhooks import Delivery
from schema.rules.scopes import Resource
from schema.services import news


@strawberry.type(description="One line of a transcript as it is spoken; seconds from the answer.")
class TranscriptTurn:
    number: int = strawberry.field(description="How many turns there are up to this one: give the last as `after`.")
    role: Role
    text: str
    start: float
    end: float


@strawberry.type
class ListSubscriptions:
    @strawberry.subscription(
        graphql_type=TranscriptTurn,
        permission_classes=reads(Resource.CALLS),
        description="The turns of a call, one an answer: those beyond the first `after`, and others as they are "
        "spoken; ends when the call is over. Whoever was cut off gives the number of the last turn and misses nothing.",
    )
    async def call_transcript(self, info: Info, id: strawberry.ID, after: int = 0) -> AsyncGenerator[Any, None]:
        info.context.tells_all = True  # somebody may say the same twice
        async with aclosing(news.transcript(info.context.runtime, info.context.viewer, id, after)) as turns:
            async for turn in turns:
                yield turn

    @strawberry.subscription(
        graphql_type=Campaign,
        permission_classes=reads(Resource.CAMPAIGNS),
        description="A campaign as it is now, and after everything that changes it; ends when it is over and its last "
        "call is.",
    )
    async def campaign_changed(self, info: Info, id: strawberry.ID) -> AsyncGenerator[Any, None]:
        async with aclosing(news.campaign(info.context.runtime, info.context.viewer, id)) as states:
            async for row in states:
                yield row

    @strawberry.subscription(
        graphql_type=list[Call],
        permission_classes=reads(Resource.CALLS),
        description="Calls of the workspace that are new or have changed, up to 50 an answer. The first answer is "
        "empty: ask for the list then, and nothing is missed.",
    )
    async def calls_changed(self, info: Info) -> AsyncGenerator[Any, None]:
        async with aclosing(news.calls(info.context.runtime, info.context.viewer)) as lists:
            async for rows in lists:
                yield rows

    @strawberry.subscription(
        graphql_type=list[Delivery],
        permission_classes=reads(Resource.WEBHOOKS),
        description="Of an endpoint's latest 100 deliveries, those that are new or have changed, up to 50 an answer. "
        "The first answer is empty: ask for the log then, and nothing is missed.",
    )
    async def delivery_changed(self, info: Info, endpoint_id: strawberry.ID) -> AsyncGenerator[Any, None]:
        async with aclosing(news.deliveries(info.context.runtime, info.context.viewer, endpoint_id)) as lists:
            async for rows in lists:
                yield rows
