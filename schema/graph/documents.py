"""Documents that callers send: each is parsed and validated once, and refused if answering it could cost too much.

Strawberry's own limiters make a new rule class for each request, which its ValidationCache takes for another set of
rules, and they follow fragments without remembering them: twenty small fragments that each name the next one twice
cost five seconds. Here every fragment is looked at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from graphql import (
    ASTValidationRule,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    parse,
    specified_rules,
    validate,
)
from strawberry.extensions import SchemaExtension

from schema.graph import cost

MAX_DEPTH = 10
MAX_ALIASES = 15
MAX_TOKENS = 500
MAX_CHARACTERS = 20_000
MAX_ERRORS = 10
"""Of a document; finding what a wrong name may have meant takes long."""
_REMEMBERED = 200


@dataclass(frozen=True, slots=True)
class Prepared:
    """A text, parsed and validated; without a document when it does not parse."""

    document: DocumentNode | None
    errors: tuple[GraphQLError, ...]

    def operation(self, name: str | None) -> OperationDefinitionNode | None:
        """The operation of that name, or without a name the only one; None if there is no such."""
        found = _operations(self.document) if self.document else []
        if name is not None:
            found = [node for node in found if node.name and node.name.value == name]
        return found[0] if len(found) == 1 else None

    def check_cost(
        self, schema: GraphQLSchema, operation: OperationDefinitionNode, variables: Mapping[str, Any]
    ) -> None:
        """Raises GraphQLError for an operation that could cost too much (`schema.graph.cost`)."""
        if self.document is not None:
            cost.check(schema, self.document, operation, variables)

    def root_fields(self, operation: OperationDefinitionNode) -> int:
        """How many root fields an operation asks for, its fragments opened; what merges counts once (decision K5)."""
        fragments = _fragments(self.document) if self.document else {}
        return len(_response_keys(operation.selection_set, fragments, set()))


class LimitsRule(ASTValidationRule):
    """No deeper, and no more aliased fields, than is allowed, with every fragment in its places; no NUL in strings."""

    def enter_document(self, document: DocumentNode, *_args: object) -> None:
        """Report each operation of the document that is too large."""
        sizes = _Sizes(_fragments(document))
        aliases = 0
        for operation in _operations(document):
            size = sizes.of(operation.selection_set)
            aliases += size.aliases
            if size.depth > MAX_DEPTH:
                self.report_error(GraphQLError(f"The query is nested deeper than {MAX_DEPTH} levels", [operation]))
        if aliases > MAX_ALIASES:
            self.report_error(GraphQLError(f"The query has more than {MAX_ALIASES} aliases", [document]))

    def enter_string_value(self, node: StringValueNode, *_args: object) -> None:
        """No database takes the character, and no text of a caller's needs it."""
        if "\0" in node.value:
            self.report_error(GraphQLError("A string cannot contain the NUL character", [node]))


@lru_cache(maxsize=_REMEMBERED)
def _prepare(schema: GraphQLSchema, text: str, introspection: bool) -> Prepared:
    try:
        document = parse(text, max_tokens=MAX_TOKENS)
    except GraphQLError as error:
        return Prepared(None, (error,))
    # GraphQL's rules without strawberry's for `Maybe`, which knows literals only, in words of its own: the services
    # refuse null for literals and variables in one sentence (decision R6).
    rules = specified_rules if introspection else (*specified_rules, NoSchemaIntrospectionCustomRule)
    errors = validate(schema, document, (LimitsRule,)) or validate(
        schema, document, rules, max_errors=MAX_ERRORS, hide_suggestions=not introspection
    )
    return Prepared(document, tuple(errors))


def prepare(schema: GraphQLSchema, text: str, *, introspection: bool = True) -> Prepared:
    """The text parsed and validated, from memory if it was asked before.

    Without `introspection` nobody may ask what the schema is, and no error suggests what was meant.
    """
    if len(text) > MAX_CHARACTERS:
        return Prepared(None, (GraphQLError(f"The query is longer than {MAX_CHARACTERS:,} characters"),))
    return _prepare(schema, text, introspection)


def forget_documents() -> None:
    """As if none had been asked before: for those who measure."""
    _prepare.cache_clear()


class PreparedDocuments(SchemaExtension):
    """Strawberry's way in: what it would parse and validate is prepared here."""

    def on_parse(self) -> Iterator[None]:
        """Give it the document, or the reason why there is none."""
        context = self.execution_context.context
        self._prepared = prepare(
            self.execution_context.schema._schema,  # noqa: SLF001
            self.execution_context.query or "",
            introspection=context is None or context.introspection,
        )
        if self._prepared.document is None:
            raise self._prepared.errors[0]
        self.execution_context.graphql_document = self._prepared.document
        yield

    def on_validate(self) -> Iterator[None]:
        """Give it what validation said, so that it does not ask again."""
        self.execution_context.pre_execution_errors = list(self._prepared.errors)
        yield


class _Size(NamedTuple):
    depth: int
    aliases: int


class _Sizes:
    """Sizes of selections, each fragment measured once. A fragment within itself is another rule's business."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._known: dict[str, _Size] = {}

    def of(self, selection: SelectionSetNode | None) -> _Size:
        depth = aliases = 0
        for node in selection.selections if selection else ():
            size = self._of_node(node)
            depth = max(depth, size.depth)
            aliases = min(aliases + size.aliases, MAX_ALIASES + 1)
        return _Size(depth, aliases)

    def _of_node(self, node: object) -> _Size:
        if isinstance(node, FieldNode):
            size = self.of(node.selection_set)
            # Introspection has a rule of its own among the specified ones, and GraphiQL's question is deep.
            depth = 0 if node.name.value.startswith("__") else size.depth + 1
            return _Size(depth, size.aliases + (node.alias is not None))
        if isinstance(node, InlineFragmentNode):
            return self.of(node.selection_set)
        assert isinstance(node, FragmentSpreadNode)  # noqa: S101 (there is no fourth kind)
        name = node.name.value
        if name not in self._known:
            self._known[name] = _Size(0, 0)  # what a fragment within itself adds
            fragment = self._fragments.get(name)
            self._known[name] = self.of(fragment.selection_set if fragment else None)
        return self._known[name]


def _response_keys(
    selection: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode], seen: set[str]
) -> set[str]:
    keys: set[str] = set()
    for node in selection.selections:
        if isinstance(node, FieldNode):
            keys.add((node.alias or node.name).value)
        elif isinstance(node, InlineFragmentNode):
            keys |= _response_keys(node.selection_set, fragments, seen)
        elif isinstance(node, FragmentSpreadNode) and node.name.value not in seen:
            seen.add(node.name.value)
            fragment = fragments.get(node.name.value)
            keys |= _response_keys(fragment.selection_set, fragments, seen) if fragment else set()
    return keys


def _fragments(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    return {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}


def _operations(document: DocumentNode) -> list[OperationDefinitionNode]:
    return [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
