"""Schemas of what is answered: a field's type, and what its operation selects of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    InlineFragmentNode,
    SelectionSetNode,
    get_named_type,
)

from app.openapi.components import Components, DescriptionError, Schema, described, nullable
from schema.graph.execution import RootField

_Selections = Sequence[SelectionSetNode]


class Answers:
    """Schemas of one operation's answers. Objects are closed: what is not selected is not answered."""

    def __init__(self, components: Components, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self._components = components
        self._fragments = fragments

    def of(self, root: RootField) -> Schema:
        """The schema of the root field's value, which is never null: what is not there is an error."""
        type = root.type.of_type if isinstance(root.type, GraphQLNonNull) else root.type
        return self._present(type, [root.selection] if root.selection else [])

    def within(self, root: RootField, key: str) -> Schema:
        """The schema of what is under that key of it. Raises DescriptionError if nothing is."""
        parent = get_named_type(root.type)
        selections = [root.selection] if root.selection else []
        fields = dict(self._fields(parent, selections)) if isinstance(parent, GraphQLObjectType) else {}
        if key not in fields:
            raise DescriptionError(f"{key} of {parent.name} is not selected")
        definition, below = fields[key]
        return self._of(definition.type, below)

    def _of(self, type: GraphQLOutputType, selections: _Selections) -> Schema:
        if isinstance(type, GraphQLNonNull):
            return self._present(type.of_type, selections)
        return nullable(self._present(type, selections))

    def _present(self, type: GraphQLOutputType, selections: _Selections) -> Schema:
        if isinstance(type, GraphQLList):
            return {"type": "array", "items": self._of(type.of_type, selections)}
        named = get_named_type(type)
        return self._object(named, selections) if isinstance(named, GraphQLObjectType) else self._components.leaf(named)

    def _object(self, type: GraphQLObjectType, selections: _Selections) -> Schema:
        properties = {
            key: described(self._of(definition.type, below), definition.description)
            for key, (definition, below) in self._fields(type, selections)
        }
        schema = {
            "type": "object",
            "properties": properties,
            "required": list(properties),  # what is selected is always there, null or not
            "additionalProperties": False,
        }
        return self._components.add(self._name(type, selections), described(schema, type.description))

    def _name(self, type: GraphQLObjectType, selections: _Selections) -> str:
        """The fragment's, without `Detail`, if what is selected is one fragment; else the type's."""
        nodes = [node for selection in selections for node in selection.selections]
        if len(nodes) == 1 and isinstance(nodes[0], FragmentSpreadNode):
            return nodes[0].name.value.removesuffix("Detail")
        return type.name

    def _fields(
        self, type: GraphQLObjectType, selections: _Selections
    ) -> Iterator[tuple[str, tuple[GraphQLField, list[SelectionSetNode]]]]:
        merged: dict[str, tuple[GraphQLField, list[SelectionSetNode]]] = {}
        for node in self._field_nodes(selections):
            key = (node.alias or node.name).value
            _, below = merged.setdefault(key, (type.fields[node.name.value], []))
            if node.selection_set:
                below.append(node.selection_set)
        yield from merged.items()

    def _field_nodes(self, selections: _Selections) -> Iterator[FieldNode]:
        """Fragments opened: all are on the type itself, as there are no interfaces in the graph."""
        for selection in selections:
            for node in selection.selections:
                if isinstance(node, FieldNode):
                    yield node
                elif isinstance(node, FragmentSpreadNode):
                    yield from self._field_nodes([self._fragments[node.name.value].selection_set])
                elif isinstance(node, InlineFragmentNode):
                    yield from self._field_nodes([node.selection_set])
