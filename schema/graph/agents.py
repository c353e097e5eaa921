"""Agents in the graph."""

from __future__ import annotations

from typing import Any

import strawberry
from strawberry import Maybe

from schema.graph.access import reads, writes
from schema.graph.context import Info
from schema.graph.inputs import given
from schema.graph.paging import Page
from schema.graph.scalars import AgentTool, DateTime
from schema.rules.paging import LIMIT
from schema.rules.scopes import Resource
from schema.services import agents


@strawberry.type(description="An AI voice that handles calls.")
class Agent:
    id: strawberry.ID
    name: str
    is_active: bool
    voice: str
    first_message: str | None
    system_prompt: str
    language: str
    max_call_duration: int = strawberry.field(description="Seconds.")
    voicemail_message: str | None
    tools: list[AgentTool]
    created_at: DateTime
    updated_at: DateTime


@strawberry.input
class CreateAgentInput:
    name: str
    system_prompt: str
    first_message: Maybe[str | None]
    voice: Maybe[str]
    language: Maybe[str]
    max_call_duration: Maybe[int]
    voicemail_message: Maybe[str | None]
    tools: Maybe[list[AgentTool]]
    is_active: Maybe[bool]


@strawberry.input
class UpdateAgentInput:
    name: Maybe[str]
    system_prompt: Maybe[str]
    first_message: Maybe[str | None]
    voice: Maybe[str]
    language: Maybe[str]
    max_call_duration: Maybe[int]
    voicemail_message: Maybe[str | None]
    tools: Maybe[list[AgentTool]]
    is_active: Maybe[bool]


@strawberry.type
class AgentQueries:
    @strawberry.field(
        graphql_type=Page[Agent], permission_classes=reads(Resource.AGENTS), description="Agents, newest first."
    )
    async def agents(self, info: Info, limit: int | None = LIMIT, offset: int | None = None) -> Any:
        return await agents.list_page(info.context.read(), limit=limit, offset=offset)

    @strawberry.field(graphql_type=Agent | None, permission_classes=reads(Resource.AGENTS), description="One agent.")
    async def agent(self, info: Info, id: strawberry.ID) -> Any:
        return await agents.get(info.context.read(), id)


@strawberry.type
class AgentMutations:
    @strawberry.mutation(graphql_type=Agent, permission_classes=writes(Resource.AGENTS), description="Make an agent.")
    async def create_agent(self, info: Info, input: CreateAgentInput) -> Any:
        async with info.context.write() as tx:
            return await agents.create(tx, given(input))

    @strawberry.mutation(
        graphql_type=Agent, permission_classes=writes(Resource.AGENTS), description="Change the fields sent."
    )
    async def update_agent(self, info: Info, id: strawberry.ID, input: UpdateAgentInput) -> Any:
        async with info.context.write() as tx:
            return await agents.update(tx, id, given(input))

    @strawberry.mutation(
        permission_classes=writes(Resource.AGENTS),
        description="Delete an agent; its past calls stay readable. Answers the id.",
    )
    async def delete_agent(self, info: Info, id: strawberry.ID) -> strawberry.ID:
        async with info.context.write() as tx:
            return strawberry.ID(await agents.delete(tx, id))
