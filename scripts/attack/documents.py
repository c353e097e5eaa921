"""The most expensive GraphQL documents that are accepted, searched for: `scripts/attack/run graphql`.

Documents are made at random from the schema itself, the worst are varied, and known bombs are added. Each is run as
`POST /graphql` runs it, over 10,000 calls on SQLite, and timed by the processor's clock of this process. Those that are
refused are timed too: refusing must be cheap.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))

import orjson
from goals import Figure, at_most, show, write
from graphql import (
    GraphQLError,
    GraphQLNamedType,
    GraphQLObjectType,
    get_introspection_query,
    get_named_type,
    is_leaf_type,
    is_required_argument,
)
from seeding import settings_for, template
from sqlalchemy import select

from app.graphql_request import select_operation
from schema.graph.context import Context
from schema.graph.cost import MAX_VALUES, estimate
from schema.graph.documents import MAX_ALIASES, forget_documents, prepare
from schema.graph.errors import present
from schema.graph.root import graphql_schema, schema
from schema.runtime import Runtime, Viewer
from schema.tables import Agent, Call, Contact

ACCEPTED_MS = 100.0
REFUSED_MS = 20.0
_LIMITS = (1, 10, 50, 100, 200)
_SHOWN = 8


@dataclass(order=True)
class Timed:
    """A document, with the milliseconds of a processor that it takes, and what was estimated; -1: refused before."""

    ms: float
    text: str = field(compare=False)
    points: int = field(compare=False)
    name: str = field(compare=False, default="")


class Maker:
    """Documents at random."""

    def __init__(self, chance: random.Random, ids: dict[str, str]) -> None:
        self._chance = chance
        self._ids = ids
        self._aliases = 0

    def document(self) -> str:
        """One query."""
        self._aliases = 0
        query = graphql_schema().query_type
        if query is None:
            raise RuntimeError("the schema has no queries")
        names = [name for name in query.fields if self._can_ask(query, name)]
        parts = []
        for _ in range(self._chance.choice((1, 1, 1, 2, 3, 5, 8, MAX_ALIASES))):
            name = self._chance.choice(names)
            parts.append(f"r{len(parts)}: " + self._field(query, name, 1))
            self._aliases += 1
        return "{" + " ".join(parts) + "}"

    def _can_ask(self, kind: GraphQLObjectType, name: str) -> bool:
        required = [arg for arg, each in kind.fields[name].args.items() if is_required_argument(each)]
        return all(arg == "id" and name in self._ids for arg in required)

    def _field(self, kind: GraphQLObjectType, name: str, depth: int) -> str:
        definition = kind.fields[name]
        args = []
        if "id" in definition.args and name in self._ids:
            args.append(f'id: "{self._ids[name]}"')
        if "limit" in definition.args:
            args.append(f"limit: {self._chance.choice(_LIMITS)}")
        written = name + (f"({', '.join(args)})" if args else "")
        inner = get_named_type(definition.type)
        return written if is_leaf_type(inner) else f"{written} {self._selection(inner, depth + 1)}"

    def _selection(self, kind: GraphQLNamedType, depth: int) -> str:
        if not isinstance(kind, GraphQLObjectType):
            return "{__typename}"
        leaves = [
            name for name, each in kind.fields.items() if is_leaf_type(get_named_type(each.type)) and not each.args
        ]
        nested = [
            name
            for name, each in kind.fields.items()
            if not is_leaf_type(get_named_type(each.type)) and self._can_ask(kind, name)
        ]
        share = self._chance.choice((0.1, 0.5, 1.0))
        chosen = [name for name in leaves if self._chance.random() < share]
        if depth < 8:
            deep = self._chance.choice((0.3, 0.7, 1.0)) if "nodes" not in nested else 1.0
            chosen += [self._field(kind, name, depth) for name in nested if self._chance.random() < deep]
        return "{" + " ".join(chosen or ["__typename"]) + "}"


def bombs() -> Iterator[tuple[str, str]]:
    """Documents that others have met, each with a name."""
    introspection = get_introspection_query()
    yield "introspection", introspection
    yield (
        "introspection, types by 15 aliases",
        "{__schema{" + " ".join(f"a{i}: types{{name fields{{name type{{name}}}}}}" for i in range(15)) + "}}",
    )
    yield (
        "introspection, 15 times",
        "{" + " ".join(f"a{i}: __schema{{types{{name fields{{name}}}}}}" for i in range(15)) + "}",
    )
    yield (
        "introspection of one type, deep",
        '{__type(name: "Query"){fields{type{ofType{fields{type{ofType{fields{name}}}}}}}}}',
    )
    yield "one field 490 times", "{" + "__typename " * 490 + "}"
    yield "the same list 80 times", "{" + "calls(limit: 1){total} " * 80 + "}"
    yield "fields that must be merged", "{calls(limit: 1){" + "nodes{agent{id}}" * 80 + "}}"
    yield "nested fields that must be merged", "{" + "calls(limit: 1){nodes{agent{id name}campaign{id}}} " * 24 + "}"
    yield (
        "fragments that double",
        "{...f0} "
        + " ".join(f"fragment f{i} on Query{{...f{i + 1} ...f{i + 1}}}" for i in range(40))
        + " fragment f40 on Query{__typename}",
    )
    yield "a circle of fragments", "{...a} fragment a on Query{...b} fragment b on Query{...a}"
    yield (
        "60 fragments that nobody uses",
        "{__typename} " + " ".join(f"fragment f{i} on Call{{id to}}" for i in range(60)),
    )
    yield "60 operations", " ".join(f"query q{i}{{__typename}}" for i in range(60))
    yield "a flood of directives", "{__typename " + "@skip(if: false) " * 80 + "}"
    yield "a flood of unknown directives", "{__typename " + "@nobody " * 240 + "}"
    yield "a flood of unknown fields", "{" + " ".join(f"nobody{i}" for i in range(490)) + "}"
    yield "a flood of unknown arguments", "{calls(" + " ".join(f"a{i}: 1" for i in range(160)) + "){total}}"
    yield "deep inline fragments", "{" + "...on Query{" * 160 + "__typename" + "}" * 161
    yield "deep brackets", "{" * 400 + "}" * 400
    yield "a list of lists", "{calls(limit: " + "[" * 240 + "]" * 240 + "){total}}"
    yield "a long string", '{agent(id: "' + "x" * 19_000 + '"){id}}'
    yield "a long name", "{" + "x" * 19_000 + "}"
    yield "too many tokens", "{" + "a " * 9_000 + "}"
    yield "comments only", "#" * 19_900 + "\n{__typename}"
    yield "100 variables", "query(" + " ".join(f"$v{i}: Int" for i in range(100)) + "){__typename}"
    yield "ten lists, counted", "{" + " ".join(f"a{i}: calls(limit: 1){{total}}" for i in range(10)) + "}"
    yield (
        "15 rows by id that are not there",
        "{" + " ".join(f'a{i}: call(id: "c0000000000000000unknown{i:01x}"){{id}}' for i in range(15)) + "}",
    )
    yield (
        "transcripts and analyses",
        "{calls(limit: 40){nodes{transcript{role text start end} analysis{summary sentiment outcome extracted}}}}",
    )


class Asker:
    """Asks as `POST /graphql` does."""

    def __init__(self, runtime: Runtime, viewer: Viewer) -> None:
        self._runtime = runtime
        self._viewer = viewer

    def points(self, text: str) -> int:
        """What it is estimated at; -1 when it is refused before."""
        prepared = prepare(graphql_schema(), text)
        if prepared.errors or prepared.document is None:
            return -1
        try:
            operation = select_operation(prepared, None)
            prepared.check_cost(graphql_schema(), operation, {})
            return estimate(graphql_schema(), prepared.document, operation, {})
        except GraphQLError:
            return -1

    async def ms(self, text: str) -> float:
        """Milliseconds of this process's processor time, threads included, from the text to the answer's bytes."""
        forget_documents()
        begun = time.process_time()
        context = Context(self._runtime, self._viewer)
        context.values_left = MAX_VALUES
        prepared = prepare(graphql_schema(), text)
        errors: list[GraphQLError] = list(prepared.errors)
        data: Any = None
        if not errors:
            with suppress(GraphQLError):
                prepared.check_cost(graphql_schema(), select_operation(prepared, None), {})
                result = await schema.execute(text, context_value=context)
                data, errors = result.data, result.errors or []
        orjson.dumps({"data": data, "errors": [present(error, "").formatted for error in errors]})
        return (time.process_time() - begun) * 1000


async def search(runtime: Runtime, options: argparse.Namespace) -> tuple[list[Timed], list[Timed]]:
    """The worst that are accepted, and the worst that are refused, worst first."""
    chance = random.Random(options.seed)
    asker, maker = Asker(runtime, await _viewer(runtime)), Maker(chance, await _ids(runtime))
    accepted: list[Timed] = []
    refused: list[Timed] = []
    for name, text in bombs():
        timed = await _timed(asker, text, name)
        (accepted if timed.points >= 0 else refused).append(timed)
    deadline = time.monotonic() + options.seconds
    tried = 0
    while time.monotonic() < deadline:
        text = maker.document()
        if accepted and chance.random() < 0.5:
            text = _varied(chance, max(chance.sample(accepted, min(3, len(accepted)))).text)
        points = asker.points(text)
        tried += 1
        if points < 0:
            if not refused or chance.random() < 0.05:
                refused.append(Timed(await asker.ms(text), text, -1))
            continue
        if points * chance.random() < 1_500:  # cheap ones are many
            continue
        accepted.append(Timed(await asker.ms(text), text, points))
        accepted = sorted(accepted, reverse=True)[:200]
    print(f"{tried:,} documents were made", file=sys.stderr)
    return await _again(asker, accepted), await _again(asker, refused)


async def _again(asker: Asker, found: list[Timed]) -> list[Timed]:
    """The worst, timed anew: one slow run may be the machine's."""
    worst = sorted(found, reverse=True)[: 2 * _SHOWN]
    return sorted([await _timed(asker, each.text, each.name) for each in worst], reverse=True)[:_SHOWN]


async def _timed(asker: Asker, text: str, name: str) -> Timed:
    runs = [await asker.ms(text) for _ in range(5)]
    return Timed(statistics.median(runs), text, asker.points(text), name)


def _varied(chance: random.Random, text: str) -> str:
    """The same with another limit somewhere."""
    places = [at for at in range(len(text)) if text.startswith("limit: ", at)]
    if not places:
        return text
    at = chance.choice(places) + len("limit: ")
    end = at
    while text[end].isdigit():
        end += 1
    return f"{text[:at]}{chance.randint(1, 200)}{text[end:]}"


async def _viewer(runtime: Runtime) -> Viewer:
    return Viewer((await runtime.database.read(select(Call).limit(1)))[0].workspace_id)


async def _ids(runtime: Runtime) -> dict[str, str]:
    found = {}
    for name, table in (("agent", Agent), ("call", Call), ("contact", Contact)):
        rows = await runtime.database.read(select(table).limit(1))
        if rows:
            found[name] = rows[0].id
    return found


async def _run(data: Path, options: argparse.Namespace) -> tuple[list[Timed], list[Timed]]:
    runtime = Runtime.open(settings_for(data))
    try:
        return await search(runtime, options)
    finally:
        await runtime.close()


def main() -> None:
    """Search and report; a document that costs too much is an error."""
    parser = argparse.ArgumentParser(prog="scripts/attack/run graphql", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of searching (60)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON")
    options = parser.parse_args()
    data = Path(tempfile.mkdtemp(prefix="voxforge-attack-"))
    try:
        shutil.copyfile(settings_for(template()).sqlite_path, settings_for(data).sqlite_path)
        accepted, refused = asyncio.run(_run(data, options))
    finally:
        shutil.rmtree(data, ignore_errors=True)
    figures = [
        at_most("the worst that is accepted", accepted[0].ms, ACCEPTED_MS, "ms"),
        at_most("the worst that is refused", refused[0].ms, REFUSED_MS, "ms"),
        *(_figure(each) for each in (*accepted, *refused)),
    ]
    write(options.json, "GraphQL documents", figures)
    raise SystemExit(0 if show("GraphQL documents, milliseconds of a processor", figures) else 1)


def _figure(timed: Timed) -> Figure:
    about = timed.name or " ".join(timed.text.split())[:90]
    return Figure(about, f"{timed.ms:.1f} ms", f"{timed.points:,} points" if timed.points >= 0 else "refused")


if __name__ == "__main__":
    main()
