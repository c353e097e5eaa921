"""The schema as it is published."""

from __future__ import annotations

from pathlib import Path

from graphql import GraphQLEnumType, GraphQLObjectType

from schema.graph.root import graphql_schema, sdl
from schema.rules.calls import CallStatus, EndReason
from schema.rules.campaigns import CampaignStatus

PRINTED = Path(__file__).parents[3] / "schema" / "schema.graphql"


def test_the_printed_schema_is_the_schema() -> None:
    """`voxforge schema > schema/schema.graphql` after a change that is meant."""
    assert PRINTED.read_text(encoding="utf-8") == sdl()


def test_enums_are_the_rules_own() -> None:
    """R8: upper case with underscores here, lower case with hyphens over REST."""
    types = graphql_schema().type_map
    for name, kind in (("CallStatus", CallStatus), ("CampaignStatus", CampaignStatus), ("EndReason", EndReason)):
        published = types[name]
        assert isinstance(published, GraphQLEnumType)
        assert [value.replace("_", "-").lower() for value in published.values] == [member.value for member in kind]


def test_nothing_secret_has_a_field() -> None:
    """K1, W3: a secret is shown when it is made, and at no other time."""
    secret = {
        (type.name, field)
        for type in graphql_schema().type_map.values()
        if isinstance(type, GraphQLObjectType) and not type.name.startswith("__")
        for field in type.fields
        if any(word in field.lower() for word in ("secret", "digest", "password", "hash"))
    }

    assert secret == {
        ("Mutation", "rotateWebhookSecret"),
        ("WebhookEndpointWithSecret", "secret"),
        ("WebhookEndpointWithSecret", "previousSecretExpiresAt"),
        ("Mutation", "resetUserPassword"),
        ("UserWithOneTimePassword", "oneTimePassword"),
        ("User", "mustChangePassword"),
    }
