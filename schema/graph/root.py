"""The one schema; `schema.graph.documents` limits what may be asked of it at once."""

from __future__ import annotations

from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.execution import ExecutionContext

from schema.graph.agents import AgentMutations, AgentQueries
from schema.graph.appointments import AppointmentMutations, AppointmentQueries
from schema.graph.audit import AuditQueries
from schema.graph.calls import CallMutations, CallQueries, CallSubscriptions
from schema.graph.campaigns import CampaignMutations, CampaignQueries
from schema.graph.contact_import import ContactImportMutations
from schema.graph.contacts import ContactMutations, ContactQueries
from schema.graph.cost import Counting
from schema.graph.dialer import DialerQueries
from schema.graph.documents import PreparedDocuments
from schema.graph.inputs import build
from schema.graph.keys import KeyMutations, KeyQueries
from schema.graph.phone_numbers import PhoneNumberMutations, PhoneNumberQueries
from schema.graph.scalars import SCALARS
from schema.graph.subscriptions import ListSubscriptions
from schema.graph.users import UserMutations, UserQueries
from schema.graph.webhooks import WebhookMutations, WebhookQueries


@strawberry.type
class Query(
    AgentQueries,
    CampaignQueries,
    CallQueries,
    AppointmentQueries,
    ContactQueries,
    PhoneNumberQueries,
    WebhookQueries,
    KeyQueries,
    AuditQueries,
    DialerQueries,
    UserQueries,
):
    """Everything that can be read."""


@strawberry.type
class Mutation(
    AgentMutations,
    CampaignMutations,
    CallMutations,
    AppointmentMutations,
    ContactMutations,
    ContactImportMutations,
    PhoneNumberMutations,
    WebhookMutations,
    KeyMutations,
    UserMutations,
):
    """Everything that can be changed."""


@strawberry.type
class Subscription(CallSubscriptions, ListSubscriptions):
    """Everything that can be watched."""


class Schema(strawberry.Schema):
    """Strawberry's schema; errors are presented and logged by `schema.graph.errors`, not printed with stack traces."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Nothing: a caller's mistake is not ours to log, and `errors.present` logs what is."""


schema = Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    execution_context_class=Counting,
    config=StrawberryConfig(scalar_map=SCALARS),
    extensions=[PreparedDocuments],
)
for _type in schema.schema_converter.type_map.values():
    if isinstance(_type.definition, StrawberryObjectDefinition) and _type.definition.is_input:
        _type.definition.from_input = build


def sdl() -> str:
    """The schema as it is printed and kept in `schema/schema.graphql`."""
    return schema.as_str().rstrip() + "\n"


def graphql_schema() -> Any:
    """graphql-core's own schema, for those who read types."""
    return schema._schema  # noqa: SLF001 (strawberry offers no public name for it)
