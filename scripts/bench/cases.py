"""What is asked of both servers."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from graphql import parse, print_ast, separate_operations
from seeding import Facts

_BODIES = 1_000
OURS = "ours"
PEER = "peer"


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, without what is the same in all of them."""

    method: str
    path: str
    body: object = None


@dataclass(frozen=True, slots=True)
class Case:
    """A row of the report. `peer` None: the peer is asked the same as ours."""

    name: str
    label: str
    ours: Callable[[Facts], list[Ask]]
    peer: Callable[[Facts], list[Ask]] | None = None
    status: int = 200

    def asks(self, server: str, facts: Facts) -> list[Ask]:
        """The requests to send in turn."""
        return (self.peer or self.ours)(facts) if server == PEER else self.ours(facts)


def raw(ask: Ask, port: int, key: str) -> str:
    """The request as it goes over the wire."""
    lines = [
        f"{ask.method} {ask.path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        f"Authorization: Bearer {key}",
        "Accept: */*",
        "User-Agent: voxforge-bench",
    ]
    body = ""
    if ask.body is not None:
        body = json.dumps(ask.body)
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", body])


@cache
def list_document() -> str:
    """The operation behind `GET /calls`, with its fragments: what a GraphQL client would send for the same JSON."""
    document = parse((files("app.rest") / "operations.graphql").read_text())
    return print_ast(separate_operations(document)["ListCalls"])


def _list(limit: int) -> Callable[[Facts], list[Ask]]:
    return lambda _facts: [Ask("GET", f"/api/v1/calls?limit={limit}")]


def _list_of_agents(facts: Facts) -> list[Ask]:
    return [Ask("GET", f"/api/v1/calls?limit=50&agentId={id}") for id in facts.agent_ids]


def _get(facts: Facts) -> list[Ask]:
    return [Ask("GET", f"/api/v1/calls/{id}") for id in facts.call_ids]


def _post(facts: Facts) -> list[Ask]:
    return [
        Ask(
            "POST",
            "/api/v1/calls",
            {
                "agentId": facts.agent_ids[i % len(facts.agent_ids)],
                "phoneNumberId": facts.phone_number_id,
                "to": f"+1555{2_000_000 + i}",
            },
        )
        for i in range(_BODIES)
    ]


def graphql(variables: dict[str, object]) -> Ask:
    """The list, asked for in GraphQL."""
    return Ask("POST", "/graphql", {"query": list_document(), "variables": variables})


def _graphql_of_agents(facts: Facts) -> list[Ask]:
    return [graphql({"limit": 50, "agentId": id}) for id in facts.agent_ids]


CASES = (
    Case("list-50", "GET /calls?limit=50", _list(50)),
    Case("list-200", "GET /calls?limit=200", _list(200)),
    Case("agent-50", "GET /calls?limit=50&agentId=…", _list_of_agents),
    Case("get", "GET /calls/:id", _get),
    Case("graphql-50", "POST /graphql, the list of 50", lambda _: [graphql({"limit": 50})], _list(50)),
    Case("graphql-agent", "POST /graphql, with agentId", _graphql_of_agents, _list_of_agents),
    Case("post", "POST /calls", _post, status=201),
)
