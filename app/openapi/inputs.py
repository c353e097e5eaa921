"""Schemas of what is sent: the graph's input types, with what the rules say of each field."""

from __future__ import annotations

import re
from collections.abc import Mapping

from graphql import (
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    get_nullable_type,
    is_required_input_field,
)

from app.openapi.components import Components, Schema, described, nullable
from app.openapi.facts import Facts
from app.rest.inputs import refuses_null


class Inputs:
    """Schemas of bodies. Objects are closed: an unknown field is refused (decision R7)."""

    def __init__(self, schema: GraphQLSchema, components: Components, facts: Facts) -> None:
        self._schema = schema
        self._components = components
        self._facts = facts

    def of(self, type: GraphQLInputType) -> Schema:
        """The schema of a value that is not null."""
        present = get_nullable_type(type)
        if isinstance(present, GraphQLList):
            return {"type": "array", "items": self.of(present.of_type)}
        named = get_named_type(present)
        if isinstance(named, GraphQLInputObjectType):
            return self._object(named)
        return self._components.leaf(named)

    def _object(self, type: GraphQLInputObjectType) -> Schema:
        said = self._said_of_answers(type.name)
        return self._components.add(
            type.name,
            {
                "type": "object",
                "properties": {
                    name: described(self._property(type.name, name, field), said.get(name))
                    for name, field in type.fields.items()
                },
                "required": [name for name, field in type.fields.items() if is_required_input_field(field)],
                "additionalProperties": False,
                **self._facts.about(type.name),
            },
        )

    def _property(self, input: str, name: str, field: GraphQLInputField) -> Schema:
        schema = _merged(self.of(field.type), self._facts.of(input, name))
        required = isinstance(field.type, GraphQLNonNull)
        return schema if required or refuses_null(field) else nullable(schema)

    def _said_of_answers(self, input: str) -> Mapping[str, str | None]:
        """What the graph says of the fields of `Agent`, for `CreateAgentInput`."""
        answered = self._schema.type_map.get(re.sub("^(Create|Update)|Input$", "", input))
        fields = answered.fields if isinstance(answered, GraphQLObjectType) else {}
        return {name: field.description for name, field in fields.items()}


def _merged(schema: Schema, facts: Schema) -> Schema:
    """The schema with those keywords; `items` are merged too."""
    merged = {**schema, **facts}
    if "items" in schema and "items" in facts:
        merged["items"] = _merged(schema["items"], facts["items"])
    return merged
