"""Every route and every root field with a key of every scope, over HTTP: `scripts/attack/run scopes`.

Prints what each takes. Fails when one is open to more keys than those of one resource, or when a route takes another
scope than reading or writing what its path begins with.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import httpx
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    build_schema,
    get_named_type,
    is_leaf_type,
)
from production import Server, production_server

RESOURCES = ("agents", "campaigns", "calls", "appointments", "contacts", "phone-numbers", "webhooks", "api-keys")
DEFAULT = "default"
EVERY, NONE = "every key", "no key, only who is signed in"
OTHERWISE = {"do-not-call": "contacts", "events": "webhooks"}  # a path that does not begin with its resource
EVERY_KEY = ("viewer", "workspace")
NO_KEY = (
    "users",
    "sessions",
    "createUser",
    "updateUser",
    "removeUser",
    "resetUserPassword",
    "endSession",
    "endOtherSessions",
)
VARIABLES = {"createApiKey": {"input": {"name": "of no use", "scopes": []}}}  # nobody grants what they do not have
NOBODY = "c" + "0" * 24
SAMPLES = {"ID": NOBODY, "Int": 1, "Boolean": True, "DateTime": "2025-02-01T09:00:00Z", "JSONObject": {}}


def main() -> None:
    """Start, ask, print."""
    with tempfile.TemporaryDirectory(prefix="voxforge-scopes-") as name, production_server(Path(name)) as server:
        server.lift_limits()
        keys = {DEFAULT: server.new_key()}
        for scope in (f"{resource}:{access}" for resource in RESOURCES for access in ("read", "write")):
            keys[scope] = server.new_key(scope)
        sys.exit(not asyncio.run(_walk(server, keys)))


async def _walk(server: Server, keys: dict[str, str]) -> bool:
    all_kept = True
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        described = (await http.get("/api/v1/openapi.json")).json()
        for path, item in described["paths"].items():
            for method in (each for each in ("get", "post", "patch", "delete") if each in item):
                open_to = [scope for scope, key in keys.items() if await _may_call(http, method, path, key)]
                first = path.removeprefix("/api/v1/").split("/")[0]
                wanted = f"{OTHERWISE.get(first, first)}:{'read' if method == 'get' else 'write'}"
                wanted = EVERY if item[method].get("security") == [] else wanted
                all_kept &= _told(f"{method.upper():6} {path}", open_to, wanted)
        roots = build_schema(server.run("schema"))
        for root in filter(None, (roots.query_type, roots.mutation_type)):
            for name, field in root.fields.items():
                open_to = [scope for scope, key in keys.items() if await _may_ask(http, root, name, field, key)]
                wanted_of_all = EVERY if name in EVERY_KEY else NONE if name in NO_KEY else None
                all_kept &= _told(f"{root.name.lower():8} {name}", open_to, wanted_of_all)
    return all_kept


async def _may_call(http: httpx.AsyncClient, method: str, path: str, key: str) -> bool:
    sent: dict[str, Any] = {"json": {}} if method in ("post", "patch") else {}
    where = path.replace("{id}", NOBODY)
    async with http.stream(method, where, headers={"Authorization": f"Bearer {key}"}, **sent) as answer:
        return answer.status_code != httpx.codes.FORBIDDEN  # one of the answers has no end


async def _may_ask(http: httpx.AsyncClient, root: GraphQLObjectType, name: str, field: GraphQLField, key: str) -> bool:
    asked = {argument: each.type for argument, each in field.args.items() if isinstance(each.type, GraphQLNonNull)}
    declared = ", ".join(f"${argument}: {type}" for argument, type in asked.items())
    given = ", ".join(f"{argument}: ${argument}" for argument in asked)
    text = f"{root.name.lower()} {f'({declared})' if declared else ''} {{ {name}{f'({given})' if given else ''} "
    variables = VARIABLES.get(name) or {each: _sample(type) for each, type in asked.items()}
    body = {"query": f"{text} {_leaf(field)} }}", "variables": variables}
    told = (await http.post("/graphql", json=body, headers={"Authorization": f"Bearer {key}"})).json()
    return not any(error["extensions"]["code"] == "FORBIDDEN" for error in told.get("errors", ()))


def _leaf(field: GraphQLField) -> str:
    type = get_named_type(field.type)
    if not isinstance(type, GraphQLObjectType):
        return ""
    for name, each in type.fields.items():
        if is_leaf_type(get_named_type(each.type)):
            return f"{{ {name} }}"
    return next(f"{{ {name} {_leaf(each)} }}" for name, each in type.fields.items())


def _sample(type: Any) -> Any:
    if isinstance(type, GraphQLNonNull):
        return _sample(type.of_type)
    if isinstance(type, GraphQLList):
        return [_sample(type.of_type)]
    if isinstance(type, GraphQLEnumType):
        return next(iter(type.values))
    if isinstance(type, GraphQLInputObjectType):
        required = {name: each.type for name, each in type.fields.items() if isinstance(each.type, GraphQLNonNull)}
        return {name: _sample(each) for name, each in required.items()}
    return SAMPLES.get(get_named_type(type).name, "+12025550100")


def _told(what: str, open_to: Collection[str], wanted: str | None) -> bool:
    """A line, and whether it is right. `wanted`: what it is to take; None: a scope of any one resource."""
    found = _least(open_to)
    is_right = found == wanted if wanted else found not in (None, EVERY, NONE)
    print(f"{what:64} {found or ', '.join(open_to)}{'' if is_right else '  MISSED'}")
    return is_right


def _least(open_to: Collection[str]) -> str | None:
    """The least scope of those that may, if all they have in common is one resource."""
    if not open_to:
        return NONE
    if len(open_to) == 1 + 2 * len(RESOURCES):
        return EVERY
    for resource in RESOURCES:
        for least in ("read", "write"):
            may = {f"{resource}:write", f"{resource}:{least}"} | ({DEFAULT} if resource != "api-keys" else set())
            if may == set(open_to):
                return f"{resource}:{least}"
    return None


if __name__ == "__main__":
    main()
