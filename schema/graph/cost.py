"""What an operation may cost, told before it runs (decision K5) and counted while it does.

A point is about five microseconds of a processor. An estimate is made from the document and its variables alone: a page
is as long as its `limit`, a list whose length only the data know is taken for `ASSUMED` long. The values that an answer
really holds are counted while it is made (`Counting`), so that data which are longer than assumed change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    NullValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    Undefined,
    VariableNode,
    get_named_type,
    is_list_type,
    value_from_ast_untyped,
)
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from schema.errors import Invalid
from schema.rules.paging import MAX_LIMIT

MAX_COST = 12_000
"""Points of one operation: under 100 ms of a processor, whatever is asked (`scripts/attack/run graphql`)."""
MAX_COST_OF_ANSWER = 2_000
"""Points of a subscription: it is answered at every change."""
MAX_VALUES = 12_000
"""Values in one answer, counted where they are made."""
PAGE = 1_500
"""A page is read and its rows are counted."""
ROW = 5
"""An object that comes from a row."""
LOOKUP = 300
"""A root field that looks a row up."""
CHANGE = 750
"""A root field that changes something."""
ASSUMED = 20
"""How long a list is that has no `limit`: the turns of a transcript, the attempts of a delivery."""
_WEIGHTS = {
    ("Campaign", "preflight"): 5_000,  # reads every contact
    ("Campaign", "outcomes"): 5_000,  # so does this
    ("__Schema", "types"): 4_500,  # the whole schema
    ("Query", "__type"): 1_000,
}
_EVERYTHING = "limit: null asks for everything; over GraphQL it is at most {most} rows at a time"


def check(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> None:
    """Raises GraphQLError for an operation that could cost more than it may, or asks for lists without an end."""
    cost = estimate(schema, document, operation, variables)
    most = MAX_COST_OF_ANSWER if operation.operation is OperationType.SUBSCRIPTION else MAX_COST
    if cost > most:
        raise GraphQLError(
            f"The query could cost {cost:,} points, and at most {most:,} are allowed: ask for less at a time",
            [operation],
        )


def estimate(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> int:
    """Points that the operation may cost. The document must be valid. Raises GraphQLError for a list without an end."""
    root = schema.get_root_type(operation.operation)
    given = {
        node.variable.name.value: value_from_ast_untyped(node.default_value)
        for node in operation.variable_definitions or ()
        if node.default_value is not None
    }
    return _Estimate(schema, document, {**given, **variables}).of(operation.selection_set, root, 1)


class _Estimate:
    """One operation's; every fragment is walked through once for each type and length it is used with."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self._schema = schema
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._variables = variables
        self._known: dict[tuple[str, str, int], int] = {}

    def of(self, selection: SelectionSetNode | None, parent: GraphQLNamedType | None, rows: int) -> int:
        """What a selection on `parent` costs once; `rows` is how many `nodes` it has if it is a page."""
        return sum(self._of_node(node, parent, rows) for node in (selection.selections if selection else ()))

    def _of_node(self, node: object, parent: GraphQLNamedType | None, rows: int) -> int:
        if isinstance(node, FieldNode):
            return self._of_field(node, parent, rows)
        if isinstance(node, InlineFragmentNode):
            return self.of(node.selection_set, self._type_named(node, parent), rows)
        assert isinstance(node, FragmentSpreadNode)  # noqa: S101 (there is no fourth kind)
        fragment = self._fragments[node.name.value]
        key = (node.name.value, parent.name if parent else "", rows)
        if key not in self._known:
            self._known[key] = self.of(fragment.selection_set, self._type_named(fragment, parent), rows)
        return self._known[key]

    def _type_named(
        self, node: InlineFragmentNode | FragmentDefinitionNode, parent: GraphQLNamedType | None
    ) -> GraphQLNamedType | None:
        return self._schema.get_type(node.type_condition.name.value) if node.type_condition else parent

    def _of_field(self, node: FieldNode, parent: GraphQLNamedType | None, rows: int) -> int:
        name = node.name.value
        field = self._schema.get_field(parent, name) if isinstance(parent, GraphQLObjectType) else None
        if field is None or parent is None:
            return 1
        weight = _WEIGHTS.get((parent.name, name), 0)
        if parent.name.startswith("__"):
            return 1 + weight + self.of(node.selection_set, get_named_type(field.type), 1)
        if node.selection_set is None:
            return 1 + weight
        kind = get_named_type(field.type)
        if "limit" in field.args:
            length = self._limit(node, field)
            return 1 + weight + PAGE + self.of(node.selection_set, kind, length)
        if parent is self._schema.mutation_type:
            weight += CHANGE
        elif parent in (self._schema.query_type, self._schema.subscription_type):
            weight += LOOKUP
        times, each = 1, ROW
        if _is_list(field.type):
            times, each = (rows, ROW) if name == "nodes" else (ASSUMED, 1)
        return 1 + weight + times * (each + self.of(node.selection_set, kind, 1))

    def _limit(self, node: FieldNode, field: GraphQLField) -> int:
        """How many rows a page may have. Raises GraphQLError when it is all there are."""
        argument = field.args["limit"]
        value: object = argument.default_value
        for each in node.arguments or ():
            if each.name.value != "limit":
                continue
            if isinstance(each.value, VariableNode):
                value = self._variables.get(each.value.name.value, argument.default_value)
            elif isinstance(each.value, IntValueNode):
                value = int(each.value.value)
            elif isinstance(each.value, NullValueNode):
                value = None
        if (value is None or value is Undefined) and not isinstance(argument.type, GraphQLNonNull):
            raise GraphQLError(_EVERYTHING.format(most=MAX_LIMIT), [node])
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # GraphQL takes 200.0 for an Int
        # What is out of bounds is refused by the list itself, with a sentence of its own (decision R7).
        return value if isinstance(value, int) and 0 < value <= MAX_LIMIT else 1


_BUILD = signature(StrawberryGraphQLCoreExecutionContext.build)  # whose arguments come by place


def _is_list(kind: GraphQLOutputType) -> bool:
    return is_list_type(kind.of_type if isinstance(kind, GraphQLNonNull) else kind)


class Counting(StrawberryGraphQLCoreExecutionContext):
    """Strawberry's executor, which stops when an answer holds more than the context's `values_left`; None: no end."""

    @classmethod
    def build(cls, *args: Any, **given: Any) -> Any:
        """No error suggests what was meant where nobody may ask what there is."""
        bound = _BUILD.bind(*args, **given)
        context = bound.arguments.get("context_value")
        if context is not None and not context.introspection:
            bound.arguments["hide_suggestions"] = True
        return super().build(*bound.args, **bound.kwargs)

    def execute_fields(self, parent_type: Any, source_value: Any, path: Any, grouped_field_set: Any, *more: Any) -> Any:
        """Count the fields of one object, then resolve them. Raises Invalid."""
        context = self.context_value
        if context.values_left is not None:
            context.values_left -= len(grouped_field_set)
            if context.values_left < 0:
                raise Invalid(f"The answer holds more than {MAX_VALUES:,} values: ask for less at a time")
        return super().execute_fields(parent_type, source_value, path, grouped_field_set, *more)
