"""How REST spells what GraphQL says: enums change their spelling, and nothing else changes (decision R8).

`IN_PROGRESS` is `in-progress`, wherever the *types* say enum; a writer of answers is compiled once, at start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    InlineFragmentNode,
    NamedTypeNode,
    SelectionSetNode,
    get_named_type,
)

Write = Callable[[Any], Any]
_Selections = list[tuple[GraphQLNamedType, SelectionSetNode]]
"""What is selected under one response key: several fields of that key merge, each with its own parent type."""
_Selected = tuple[str, GraphQLOutputType, SelectionSetNode | None]


def to_wire(name: str) -> str:
    """An enum's name as REST spells it: `IN_PROGRESS` is `in-progress`."""
    return name.lower().replace("_", "-")


def from_wire(text: str) -> str:
    """The enum's name that REST spells so. Raises ValueError for any other spelling, such as `IN_PROGRESS`."""
    name = text.upper().replace("-", "_")
    if to_wire(name) != text:
        raise ValueError(f"{text!r} is not lower case with hyphens")
    return name


def identity(value: Any) -> Any:
    """The writer of answers in which no enum occurs."""
    return value


def writer(
    schema: GraphQLSchema,
    type: GraphQLOutputType,
    selection: SelectionSetNode | None,
    fragments: Mapping[str, FragmentDefinitionNode],
) -> Write:
    """What makes REST JSON of an executed field's data, given the field's type and selection.

    The operation must be valid for the schema. The writer changes the data where it is and returns it (a bare enum or
    a list of them is returned anew); it is `identity` if there is nothing to change.
    """
    write = _Compiler(schema, fragments).compile(type, _under(type, selection))
    if write is None:
        return identity
    return lambda data: None if data is None else write(data)


class _Compiler:
    def __init__(self, schema: GraphQLSchema, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self._schema = schema
        self._fragments = fragments

    def compile(self, type: GraphQLOutputType, selections: _Selections) -> Write | None:
        """The writer of values of a type that are not null; None if nothing in them changes."""
        if isinstance(type, GraphQLNonNull):
            return self.compile(type.of_type, selections)
        if isinstance(type, GraphQLList):
            write = self.compile(type.of_type, selections)
            return _list_writer(write) if write else None
        if isinstance(type, GraphQLEnumType):
            return {name: to_wire(name) for name in type.values}.__getitem__
        writes: list[tuple[str, Write]] = []
        for key, (field_type, below) in self._fields(selections).items():
            write = self.compile(field_type, below)
            if write:
                writes.append((key, write))
        return _object_writer(writes) if writes else None

    def _fields(self, selections: _Selections) -> dict[str, tuple[GraphQLOutputType, _Selections]]:
        """By response key. Fields that share one have the same shape, whichever object they are on: GraphQL's rule."""
        merged: dict[str, tuple[GraphQLOutputType, _Selections]] = {}
        for parent, selection in selections:
            for key, type, below in self._selected(parent, selection):
                merged.setdefault(key, (type, []))[1].extend(_under(type, below))
        return merged

    def _selected(self, parent: GraphQLNamedType, selection: SelectionSetNode) -> Iterator[_Selected]:
        for node in selection.selections:
            if isinstance(node, FieldNode):
                held = parent.fields if isinstance(parent, (GraphQLObjectType, GraphQLInterfaceType)) else {}
                if node.name.value in held:  # else it is `__typename`
                    yield (node.alias or node.name).value, held[node.name.value].type, node.selection_set
            elif isinstance(node, FragmentSpreadNode):
                fragment = self._fragments[node.name.value]
                yield from self._inside(parent, fragment.type_condition, fragment.selection_set)
            elif isinstance(node, InlineFragmentNode):
                yield from self._inside(parent, node.type_condition, node.selection_set)

    def _inside(
        self, parent: GraphQLNamedType, condition: NamedTypeNode | None, selection: SelectionSetNode
    ) -> Iterator[_Selected]:
        yield from self._selected(self._schema.type_map[condition.name.value] if condition else parent, selection)


def _under(type: GraphQLOutputType, selection: SelectionSetNode | None) -> _Selections:
    return [(get_named_type(type), selection)] if selection else []


def _list_writer(write: Write) -> Write:
    return lambda items: [None if item is None else write(item) for item in items]


def _object_writer(writes: list[tuple[str, Write]]) -> Write:
    def write_object(data: dict[str, Any]) -> dict[str, Any]:
        for key, write in writes:
            value = data.get(key)
            if value is not None:
                data[key] = write(value)
        return data

    return write_object
