"""Webhook endpoints, deliveries and their log in the graph."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import strawberry
from strawberry import Maybe

from schema.graph.access import reads, writes
from schema.graph.context import Info
from schema.graph.inputs import given
from schema.graph.paging import Page
from schema.graph.scalars import AttemptTrigger, DateOrDateTime, DateTime, DeliveryState, ErrorClass, EventType
from schema.rules.paging import CALLS_LIMIT, LIMIT
from schema.rules.scopes import Resource
from schema.services import deliveries, recovery, webhooks
from schema.tables import Delivery as DeliveryRow
from schema.tables import WebhookEndpoint as WebhookEndpointRow


@strawberry.type(description="Where a workspace wants its events.")
class WebhookEndpoint:
    id: strawberry.ID
    url: str
    description: str | None
    events: list[EventType]
    is_active: bool
    failing_since: DateTime | None = strawberry.field(
        description="The first failure after the last success; null while deliveries succeed."
    )
    disabled_at: DateTime | None = strawberry.field(
        description="When it was switched off because everything had failed for five days; null otherwise."
    )
    disabled_reason: str | None
    created_at: DateTime
    updated_at: DateTime


@strawberry.type(
    description="An endpoint with its signing secret, which is shown when it is made and at no other time."
)
class WebhookEndpointWithSecret(WebhookEndpoint):
    secret: str

    @strawberry.field(description="Until when the secret that was replaced is good.")
    def previous_secret_expires_at(self, root: strawberry.Parent[WebhookEndpointRow]) -> DateTime | None:
        previous = root.previous_secrets
        return DateTime(datetime.fromisoformat(previous[0]["expiresAt"])) if previous else None


@strawberry.type(description="One request that was sent, and what came back. Secrets and signatures are not kept.")
class DeliveryAttempt:
    number: int
    trigger: AttemptTrigger
    started_at: DateTime
    duration_ms: int
    status_code: int | None
    error_class: ErrorClass | None
    error: str | None
    response_body: str | None = strawberry.field(description="The first 16 KiB.")
    next_attempt_at: DateTime | None


@strawberry.type(description="One event on its way to one endpoint.")
class Delivery:
    id: strawberry.ID
    event_id: strawberry.ID = strawberry.field(description="The `webhook-id` header, the same on every attempt.")
    endpoint_id: strawberry.ID
    event: EventType
    state: DeliveryState
    attempts_made: int
    created_at: DateTime
    finished_at: DateTime | None

    @strawberry.field(description="When it is sent next; null when it is not.")
    def next_attempt_at(self, root: strawberry.Parent[DeliveryRow]) -> DateTime | None:
        return DateTime(root.due_at) if root.due_at else None

    @strawberry.field(description="The body, byte for byte what is sent.")
    async def body(self, info: Info, root: strawberry.Parent[DeliveryRow]) -> str:
        return (await info.context.events.load(root.event_id)).body.decode()

    @strawberry.field(graphql_type=list[DeliveryAttempt], description="Every attempt, in order.")
    async def attempts(self, info: Info, root: strawberry.Parent[DeliveryRow]) -> Any:
        return await info.context.attempts.load(root.id)

    @strawberry.field(graphql_type=WebhookEndpoint | None)
    async def endpoint(self, info: Info, root: strawberry.Parent[DeliveryRow]) -> Any:
        return await info.context.row(WebhookEndpointRow, root.endpoint_id)


@strawberry.type(description="What recovering an endpoint has set going.")
class Recovery:
    recovered: int = strawberry.field(description="Deliveries that are sent because of it.")


@strawberry.type(description="A made-up event that has happened.")
class TriggeredEvent:
    id: strawberry.ID = strawberry.field(description="The `webhook-id` of its deliveries.")
    event: EventType
    created_at: DateTime
    deliveries: int = strawberry.field(description="Endpoints that it is sent to.")


@strawberry.input
class CreateWebhookEndpointInput:
    url: str
    description: Maybe[str | None]
    events: Maybe[list[EventType]]
    is_active: Maybe[bool]


@strawberry.input
class UpdateWebhookEndpointInput:
    url: Maybe[str]
    description: Maybe[str | None]
    events: Maybe[list[EventType]]
    is_active: Maybe[bool]


@strawberry.input
class TestWebhookEndpointInput:
    event: Maybe[EventType]


@strawberry.input
class TriggerEventInput:
    event: EventType


@strawberry.input
class RotateWebhookSecretInput:
    overlap_seconds: Maybe[int]


@strawberry.input
class RecoverDeliveriesInput:
    since: DateTime = strawberry.field(description="The first instant of what was missed.")
    until: Maybe[DateTime] = strawberry.field(description="The last, inclusive; now unless told.")


@strawberry.type
class WebhookQueries:
    @strawberry.field(
        graphql_type=Page[WebhookEndpoint],
        permission_classes=reads(Resource.WEBHOOKS),
        description="Webhook endpoints, newest first.",
    )
    async def webhook_endpoints(self, info: Info, limit: int | None = LIMIT, offset: int | None = None) -> Any:
        return await webhooks.list_page(info.context.read(), limit=limit, offset=offset)

    @strawberry.field(
        graphql_type=WebhookEndpoint | None,
        permission_classes=reads(Resource.WEBHOOKS),
        description="One webhook endpoint.",
    )
    async def webhook_endpoint(self, info: Info, id: strawberry.ID) -> Any:
        return await webhooks.get(info.context.read(), id)

    @strawberry.field(
        graphql_type=Page[Delivery],
        permission_classes=reads(Resource.WEBHOOKS),
        description="An endpoint's deliveries, newest first, 50 at a time unless told. "
        "`from` and `to` bound `createdAt`, inclusive.",
    )
    async def deliveries(
        self,
        info: Info,
        *,
        endpoint_id: Annotated[strawberry.ID, strawberry.argument(name="id")],
        state: DeliveryState | None = None,
        event: EventType | None = None,
        start: Annotated[DateOrDateTime | None, strawberry.argument(name="from")] = None,
        end: Annotated[DateOrDateTime | None, strawberry.argument(name="to")] = None,
        limit: int = CALLS_LIMIT,
        offset: int | None = None,
    ) -> Any:
        return await deliveries.list_page(
            info.context.read(),
            endpoint_id,
            state=state,
            event=event,
            start=start,
            end=end,
            limit=limit,
            offset=offset,
        )

    @strawberry.field(
        graphql_type=Delivery | None, permission_classes=reads(Resource.WEBHOOKS), description="One delivery."
    )
    async def delivery(self, info: Info, id: strawberry.ID) -> Any:
        return await deliveries.get(info.context.read(), id)


@strawberry.type
class WebhookMutations:
    @strawberry.mutation(
        graphql_type=WebhookEndpointWithSecret,
        permission_classes=writes(Resource.WEBHOOKS),
        description="Add an endpoint; without `events` it gets them all. The secret is shown only here.",
    )
    async def create_webhook_endpoint(self, info: Info, input: CreateWebhookEndpointInput) -> Any:
        async with info.context.write() as tx:
            return await webhooks.create(tx, given(input))

    @strawberry.mutation(
        graphql_type=WebhookEndpoint,
        permission_classes=writes(Resource.WEBHOOKS),
        description="Change the fields sent; pending deliveries obey at once.",
    )
    async def update_webhook_endpoint(self, info: Info, id: strawberry.ID, input: UpdateWebhookEndpointInput) -> Any:
        async with info.context.write() as tx:
            return await webhooks.update(tx, id, given(input))

    @strawberry.mutation(
        permission_classes=writes(Resource.WEBHOOKS),
        description="Delete an endpoint; nothing more is sent to it. Answers the id.",
    )
    async def delete_webhook_endpoint(self, info: Info, id: strawberry.ID) -> strawberry.ID:
        async with info.context.write() as tx:
            return strawberry.ID(await webhooks.delete(tx, id))

    @strawberry.mutation(
        graphql_type=WebhookEndpointWithSecret,
        permission_classes=writes(Resource.WEBHOOKS),
        description="Give an endpoint a new secret; the old one stays good for the overlap, 24 hours unless told.",
    )
    async def rotate_webhook_secret(
        self, info: Info, id: strawberry.ID, input: RotateWebhookSecretInput | None = None
    ) -> Any:
        sent = given(input) if input else {}
        async with info.context.write() as tx:
            return await webhooks.rotate_secret(tx, id, overlap_seconds=sent.get("overlap_seconds"))

    @strawberry.mutation(
        graphql_type=Delivery,
        permission_classes=writes(Resource.WEBHOOKS),
        description="Send an endpoint a made-up event, `call.ended` unless told, once.",
    )
    async def test_webhook_endpoint(
        self, info: Info, id: strawberry.ID, input: TestWebhookEndpointInput | None = None
    ) -> Any:
        sent = given(input) if input else {}
        async with info.context.write() as tx:
            return await webhooks.test(tx, id, sent.get("event"))

    @strawberry.mutation(
        graphql_type=TriggeredEvent,
        permission_classes=writes(Resource.WEBHOOKS),
        description="Have a made-up event happen. Those who follow the workspace's events get it, and every endpoint "
        "that wants such events is sent it, once.",
    )
    async def trigger_event(self, info: Info, input: TriggerEventInput) -> Any:
        return await info.context.perform(webhooks.trigger, input.event)

    @strawberry.mutation(
        graphql_type=Delivery,
        permission_classes=writes(Resource.WEBHOOKS),
        description="Send a delivery once more, now, whatever became of it.",
    )
    async def resend_delivery(self, info: Info, id: strawberry.ID) -> Any:
        async with info.context.write() as tx:
            return await deliveries.resend(tx, id)

    @strawberry.mutation(
        graphql_type=Recovery,
        permission_classes=writes(Resource.WEBHOOKS),
        description="Send an endpoint what it has missed since a time. Failed and cancelled deliveries begin anew, "
        "events that it had no delivery of get one; what is pending or delivered is left alone.",
    )
    async def recover_deliveries(self, info: Info, id: strawberry.ID, input: RecoverDeliveriesInput) -> Any:
        until = input.until.value if input.until else None
        return await recovery.recover(info.context.write, id, input.since, until)
