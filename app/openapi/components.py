"""Schemas that have a name, each written down once, and what enums, scalars and ids look like as JSON."""

from __future__ import annotations

from typing import Any

from graphql import GraphQLEnumType, GraphQLNamedType, GraphQLScalarType

from app.rest.wire import to_wire
from schema.rules.agents import TOOLS
from schema.rules.ids import ID
from schema.rules.phone import E164
from schema.rules.webhooks import EventType

Schema = dict[str, Any]
"""A JSON Schema, draft 2020-12."""

EXAMPLE_ID = "clx0a1b2c3d4e5f6g7h8i9j0k"
PHONE_NUMBER: Schema = {"type": "string", "pattern": f"^{E164}$", "examples": ["+15551234567"]}

_SPECIFIED: dict[str, Schema] = {
    "String": {"type": "string"},
    "Int": {"type": "integer", "format": "int32"},
    "Float": {"type": "number"},
    "Boolean": {"type": "boolean"},
    "JSONObject": {"type": "object"},
}
_NAMED: dict[str, Schema] = {
    "ID": {
        "type": "string",
        "description": "Ids sort by the time of creation.",
        "pattern": f"^{ID}$",
        "examples": [EXAMPLE_ID],
    },
    "DateTime": {"type": "string", "format": "date-time", "examples": ["2025-01-15T14:23:00Z"]},
    "DateOrDateTime": {
        "anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}],
        "examples": ["2025-02-01", "2025-02-01T09:00:00Z"],
    },
    "EventType": {"type": "string", "enum": [event.value for event in EventType]},
    "AgentTool": {
        "anyOf": [
            {"type": "string", "enum": [tool for tool in TOOLS if tool != "transfer"]},
            {
                "type": "object",
                "properties": {"name": {"const": "transfer"}, "to": PHONE_NUMBER},
                "required": ["name", "to"],
                "additionalProperties": False,
            },
        ],
    },
}


class DescriptionError(Exception):
    """The API cannot be described: two schemas would have one name, or a type has no JSON that we know of."""


class Components:
    """The schemas of the document that have a name."""

    def __init__(self) -> None:
        self.schemas: dict[str, Schema] = {}

    def add(self, name: str, schema: Schema) -> Schema:
        """A reference to the schema under that name. Raises DescriptionError if another one has it."""
        if self.schemas.setdefault(name, schema) != schema:
            raise DescriptionError(f"two different schemas would be called {name}")
        return {"$ref": f"#/components/schemas/{name}"}

    def leaf(self, type: GraphQLNamedType) -> Schema:
        """The schema of a scalar or an enum; enums as REST spells them. Raises DescriptionError."""
        if isinstance(type, GraphQLEnumType):
            return self._describe(type, {"type": "string", "enum": [to_wire(name) for name in type.values]})
        if isinstance(type, GraphQLScalarType) and type.name in _NAMED:
            return self._describe(type, _NAMED[type.name])
        if type.name in _SPECIFIED:
            return dict(_SPECIFIED[type.name])
        raise DescriptionError(f"no JSON is known for {type.name}")

    def _describe(self, type: GraphQLNamedType, schema: Schema) -> Schema:
        described = {"description": type.description, **schema} if type.description else schema
        return self.add("Id" if type.name == "ID" else type.name, described)


def nullable(schema: Schema) -> Schema:
    """The schema, or null."""
    kind = schema.get("type")
    if not isinstance(kind, str) or "enum" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    return {**schema, "type": [kind, "null"]}


def present(schema: Schema) -> Schema:
    """What `nullable` was given."""
    if "anyOf" in schema:
        options = [option for option in schema["anyOf"] if option != {"type": "null"}]
        said = {"description": schema["description"]} if "description" in schema else {}
        return {**options[0], **said} if len(options) == 1 else schema
    kind = schema.get("type")
    return {**schema, "type": kind[0]} if isinstance(kind, list) else schema


def described(schema: Schema, description: str | None) -> Schema:
    """The schema with that description, if there is one."""
    return {**schema, "description": description} if description else schema
