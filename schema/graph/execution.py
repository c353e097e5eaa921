"""Operations that are known when the server starts: parsed and validated once, then run as often as anybody asks.

REST is such a set of operations. One that does not fit the schema stops the start, with a sentence that says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLField,
    GraphQLInputType,
    GraphQLNonNull,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    execute,
    parse,
    separate_operations,
    type_from_ast,
    validate,
    value_from_ast_untyped,
)
from strawberry import Schema
from strawberry.execution import optimized_is_awaitable

from schema.graph.context import Context
from schema.graph.errors import present


class OperationError(Exception):
    """A document of operations that cannot be served: it is wrong in itself, or does not fit the schema."""


class Answer(NamedTuple):
    """What an operation came to: the value of its root field, and its errors, presented; any error is a failure."""

    value: Any
    errors: list[GraphQLError]


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of an operation, by its GraphQL type; `required` when it must be given, else its `default` if any."""

    name: str
    type: GraphQLInputType
    required: bool
    default: Any = None


@dataclass(frozen=True, slots=True)
class RootField:
    """The one field an operation selects: what its answer is called there, its type, and what is selected of it.

    `definition` is the schema's own, with its description.
    """

    key: str
    type: GraphQLOutputType
    selection: SelectionSetNode | None
    definition: GraphQLField


class Operation:
    """One named operation with one root field."""

    def __init__(self, schema: Schema, document: DocumentNode, definition: OperationDefinitionNode, name: str) -> None:
        self.name = name
        self.is_mutation = definition.operation is OperationType.MUTATION
        self.variables: Mapping[str, Variable] = _variables(schema._schema, definition)  # noqa: SLF001 (no public name)
        self.fragments: Mapping[str, FragmentDefinitionNode] = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self.root = _root_field(schema._schema, definition, name)  # noqa: SLF001
        self._schema = schema
        self._document = document

    async def run(self, variables: Mapping[str, Any], context: Context) -> Answer:
        """Run it. `variables` are JSON values: enums by GraphQL name, scalars as they are written."""
        # The seam for a compiled projection: `self.root` says all that one needs to complete the root field itself.
        running = execute(
            self._schema._schema,  # noqa: SLF001
            self._document,
            context_value=context,
            variable_values=dict(variables),
            executor_class=self._schema.execution_context_class,
            is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]  # a faster TypeGuard, typed as a bool
            operation_extensions=None,
        )
        result = await running if isawaitable(running) else running
        errors = [present(error, context.request_id) for error in result.errors or ()]
        return Answer(result.data[self.root.key] if result.data is not None else None, errors)


def compile_operations(schema: Schema, text: str) -> Mapping[str, Operation]:
    """Every operation of the document, by name. Raises OperationError."""
    try:
        document = parse(text)
    except GraphQLSyntaxError as error:
        raise OperationError(str(error)) from None
    errors = validate(schema._schema, document)  # noqa: SLF001
    if errors:
        raise OperationError("\n\n".join(map(str, errors)))
    # Each with its own fragments only: graphql-core walks over the whole document at every execution.
    parts = separate_operations(document)
    if "" in parts:
        raise OperationError("every operation needs a name")
    return {name: _compile(schema, part, name) for name, part in parts.items()}


def _compile(schema: Schema, document: DocumentNode, name: str) -> Operation:
    (definition,) = (node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    return Operation(schema, document, definition, name)


def _variables(schema: GraphQLSchema, definition: OperationDefinitionNode) -> dict[str, Variable]:
    found: dict[str, Variable] = {}
    for node in definition.variable_definitions or ():
        type = type_from_ast(schema, node.type)
        name = node.variable.name.value
        required = isinstance(type, GraphQLNonNull) and node.default_value is None
        default = value_from_ast_untyped(node.default_value) if node.default_value else None
        found[name] = Variable(name, type, required, default)  # type: ignore[arg-type]  # validated: an input type
    return found


def _root_field(schema: GraphQLSchema, definition: OperationDefinitionNode, name: str) -> RootField:
    selections = definition.selection_set.selections
    node = selections[0]
    if len(selections) != 1 or not isinstance(node, FieldNode):
        raise OperationError(f"operation {name} must select one root field, and no fragment in its place")
    root_type = schema.get_root_type(definition.operation)
    field = root_type.fields.get(node.name.value) if root_type else None
    if field is None or node.directives:
        raise OperationError(f"operation {name} must select a root field of the schema, without directives")
    return RootField((node.alias or node.name).value, field.type, node.selection_set, field)
