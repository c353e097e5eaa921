"""From the JSON that a REST caller sent to a GraphQL variable, by type, with refusals for a REST caller.

A sentence names fields of the body, never GraphQL nor its types (decision E4). Readers are made once for each type and
say what is wrong with a value; where it was is added on the way out.
"""

from __future__ import annotations

from functools import cache, lru_cache

from graphql import (
    GraphQLEnumType,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    is_required_input_field,
    is_specified_scalar_type,
)

from app.rest.leaves import SPECIFIED, Read, Refused, enum_reader, scalar_reader
from schema.errors import Invalid


def read_input(type: GraphQLInputType, value: object, name: str = "") -> object:
    """The JSON value as the variable of that type: enums by name, scalars checked but still as JSON.

    `name` is the field's, for the sentence; without it the value is the body and its fields go by their own names.
    Raises Invalid.
    """
    try:
        return value_reader(type)(value)
    except Refused as refused:
        raise Invalid(refused.sentence(name, "The request body")) from None


@lru_cache(maxsize=4096)
def value_reader(type: GraphQLInputType) -> Read:
    """The reader of a type's values, null among them."""
    if isinstance(type, GraphQLNonNull):
        return _never_null(value_reader(type.of_type))
    if isinstance(type, GraphQLList):
        return _nullable(_list_reader(type.of_type))
    if isinstance(type, GraphQLInputObjectType):
        return _nullable(_object_reader(type))
    if isinstance(type, GraphQLEnumType):
        return _nullable(enum_reader(type))
    if is_specified_scalar_type(type):
        return _nullable(SPECIFIED[type.name])
    return _nullable(scalar_reader(type))


def _never_null(read: Read) -> Read:
    def read_present(value: object) -> object:
        if value is None:
            raise Refused("cannot be null")
        return read(value)

    return read_present


def _nullable(read: Read) -> Read:
    return lambda value: None if value is None else read(value)


def _list_reader(of: GraphQLInputType) -> Read:
    read = value_reader(of)

    def read_list(value: object) -> object:
        if not isinstance(value, list):
            raise Refused("must be a list")
        items: list[object] = []
        try:
            items.extend(map(read, value))
        except Refused as refused:
            raise refused.at(len(items)) from None
        return items

    return read_list


def _object_reader(type: GraphQLInputObjectType) -> Read:
    fields = cache(lambda: _field_readers(type))  # made at first use: an input may hold itself

    def read_object(value: object) -> object:
        readers, required = fields()
        if not isinstance(value, dict):
            raise Refused("must be an object")
        for name in value:
            if name not in readers:
                raise Refused("is unknown", unknown=True).at(name)
        for name in required:
            if name not in value:
                raise Refused("is required").at(name)
        if type.is_one_of and (len(value) != 1 or None in value.values()):
            raise Refused(f"must have exactly one of: {', '.join(readers)}")
        return {name: _read_field(readers[name], name, held) for name, held in value.items()}

    return read_object


def _field_readers(type: GraphQLInputObjectType) -> tuple[dict[str, Read], list[str]]:
    readers: dict[str, Read] = {}
    for name, field in type.fields.items():
        read = value_reader(field.type)
        readers[name] = _never_null(read) if refuses_null(field) else read
    return readers, [name for name, field in type.fields.items() if is_required_input_field(field)]


def _read_field(read: Read, name: str, value: object) -> object:
    try:
        return read(value)
    except Refused as refused:
        raise refused.at(name) from None


def refuses_null(field: GraphQLInputField) -> bool:
    """Whether the field may be left out but not be null: Strawberry's `Maybe[T]`, unlike `Maybe[T | None]`.

    GraphQL has no such type (the field's is nullable), and Strawberry's own rule looks at literals, not at variables.
    """
    declared = getattr(field.extensions.get("strawberry-definition"), "type", None)
    inner = getattr(declared, "of_type", None)
    return _class_name(declared) == "StrawberryMaybe" and _class_name(inner) != "StrawberryOptional"


def _class_name(value: object) -> str:
    return value.__class__.__name__
