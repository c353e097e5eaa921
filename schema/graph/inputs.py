"""Inputs as services take them: a dictionary of the fields that were sent, by Python name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any

from strawberry import UNSET, Some
from strawberry.schema.name_converter import NameConverter
from strawberry.types.arguments import InputContext, convert_argument
from strawberry.types.base import StrawberryMaybe, StrawberryObjectDefinition, StrawberryOptional

from schema.errors import Invalid


def given(value: Any) -> dict[str, Any]:
    """Only what the caller sent: absent fields are left out, null is None (decision R6)."""
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        if isinstance(item, Some):
            fields[field.name] = _plain(item.value)
        elif item is not None and item is not UNSET:
            fields[field.name] = _plain(item)
    return fields


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return given(value) if dataclasses.is_dataclass(value) else value


def build(kind: type, value: Mapping[str, Any], context: InputContext) -> Any:
    """Make an input of its fields; null for a `Maybe[T]` is refused in our own words, as REST does (decision R6).

    The `from_input` of every input type: Strawberry's own refusal names Python types, and reads as a crash of ours.
    """
    fields: dict[str, Any] = {}
    for name, python_name, type in _fields(kind, context.config.name_converter):
        path = (*context.path, name)
        if name not in value:
            fields[python_name] = None
            continue
        if (
            value[name] is None
            and isinstance(type, StrawberryMaybe)
            and not isinstance(type.of_type, StrawberryOptional)
        ):
            raise Invalid(f"{_spelled(path)} cannot be null")
        fields[python_name] = convert_argument(
            value[name], type, context.scalar_registry, context.config, context.info, path=path
        )
    return kind(**fields)


@cache
def _fields(kind: type, names: NameConverter) -> list[tuple[str, str, Any]]:
    """Names in GraphQL and in Python, and types: looked up once, or 10,000 contacts take twice as long."""
    definition: StrawberryObjectDefinition = kind.__strawberry_definition__  # type: ignore[attr-defined]
    return [
        (names.from_field(field), field.python_name, field.resolve_type(type_definition=definition))
        for field in definition.fields
    ]


def _spelled(path: tuple[str | int, ...]) -> str:
    """`("input", "contacts", 3, "notes")` is `contacts[3].notes`."""
    inside = path[1:] if path[0] == "input" else path
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in inside).removeprefix(".")
