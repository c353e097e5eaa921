"""Single values that a REST caller sent, by GraphQL type: strings, numbers, enums, our own scalars."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite

from graphql import GraphQLEnumType, GraphQLError, GraphQLScalarType

from app.rest.wire import to_wire
from schema.errors import DomainError

Read = Callable[[object], object]
"""From a JSON value that is not null to the value of a GraphQL variable. Raises Refused."""


class Refused(Exception):
    """A value that its type does not allow: what the sentence says of it, and the path to it from the inside out."""

    def __init__(self, predicate: str, *, unknown: bool = False) -> None:
        super().__init__(predicate)
        self.predicate = predicate
        self.unknown = unknown
        self.path: list[str | int] = []

    def at(self, key: str | int) -> Refused:
        self.path.append(key)
        return self

    def sentence(self, name: str, thing: str) -> str:
        for key in reversed(self.path):
            name = f"{name}[{key}]" if isinstance(key, int) else f"{name}.{key}" if name else key
        if self.unknown:
            return f"Unknown field '{name[:100]}'"
        return _about(name or thing, self.predicate)


_PREDICATES = ("must ", "cannot ", "can ", "is ", "has ", "needs ", "may ", "should ", "does ")


def _about(name: str, said: str) -> str:
    """A sentence about a field from its predicate, or from one about "the value" or the field by its own name."""
    for subject in ("the value ", f"{name.rpartition('.')[2]} "):
        if said.startswith(subject):
            return f"{name} {said.removeprefix(subject)}"
    return f"{name} {said}" if said.startswith(_PREDICATES) else f"{name}: {said}"


def enum_reader(type: GraphQLEnumType) -> Read:
    names = {to_wire(name): name for name in type.values}

    def read_enum(value: object) -> object:
        name = names.get(value) if isinstance(value, str) else None
        if name is None:
            raise Refused(f"must be one of: {', '.join(names)}")
        return name

    return read_enum


def _read_string(value: object) -> object:
    if not isinstance(value, str):
        raise Refused("must be a string")
    if "\0" in value:
        raise Refused("cannot contain the NUL character")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise Refused("must be Unicode text")
    return value


def _read_int(value: object) -> object:
    if isinstance(value, bool) or not (isinstance(value, int) or (isinstance(value, float) and value.is_integer())):
        raise Refused("must be a whole number")
    if not -(2**31) <= value < 2**31:
        raise Refused(f"must be between {-(2**31)} and {2**31 - 1}")
    return int(value)


def _read_float(value: object) -> object:
    if isinstance(value, bool) or not (isinstance(value, int) or (isinstance(value, float) and isfinite(value))):
        raise Refused("must be a number")
    if not -(2**63) <= value < 2**63:
        raise Refused("must fit in 64 bits")
    return value


def _read_boolean(value: object) -> object:
    if not isinstance(value, bool):
        raise Refused("must be true or false")
    return value


SPECIFIED: Mapping[str, Read] = {
    "String": _read_string,
    "ID": _read_string,
    "Int": _read_int,
    "Float": _read_float,
    "Boolean": _read_boolean,
}


def scalar_reader(type: GraphQLScalarType) -> Read:
    def read_scalar(value: object) -> object:
        _read_strings_within(value)
        try:
            type.parse_value(value)
        except (DomainError, GraphQLError, ValueError, TypeError, ArithmeticError) as error:
            raise Refused(_predicate(error)) from None
        return value

    return read_scalar


def _read_strings_within(value: object) -> None:
    if isinstance(value, str):
        _read_string(value)
    elif isinstance(value, dict):
        for name, held in value.items():
            _read_string(name)
            _read_strings_within(held)
    elif isinstance(value, list):
        for held in value:
            _read_strings_within(held)


def _predicate(error: Exception) -> str:
    """What a scalar says of a value it refused, if it says it to callers; Python's and GraphQL's wording is not."""
    cause = error.original_error if isinstance(error, GraphQLError) else error
    if isinstance(cause, DomainError):
        return cause.message
    message = error.message if isinstance(error, GraphQLError) else str(error)
    return message if message.startswith(_PREDICATES) else "is not valid"
