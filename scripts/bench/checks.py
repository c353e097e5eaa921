"""Before anything is measured: both servers must give the same JSON, and refuse the same requests."""

from cases import CASES, Ask, graphql
from processes import Served, Unwell
from seeding import BLOCKED, Facts

_OF_THE_REQUEST = ("id", "createdAt", "updatedAt")  # what differs between two calls that were placed alike
_SOME = 8


def check(ours: Served, peer: Served, facts: Facts) -> int:
    """Returns how many requests were compared. Raises Unwell at the first that differs."""
    compared = 0
    for case in CASES:
        for ask in case.asks("ours", facts)[:_SOME] if case.peer is None else ():
            _same(ours, peer, facts, ask, case.status)
            compared += 1
    for ask, status in _refusals(facts):
        _same(ours, peer, facts, ask, status)
        compared += 1
    stranger = [server.ask("GET", "/api/v1/calls", "vf_live_nobody") for server in (ours, peer)]
    _demand(stranger[0] == stranger[1], "a request without a good key", *stranger)
    for variables in ({"limit": 50}, {"limit": 50, "agentId": facts.agent_ids[0]}):
        _same_list(ours, facts, variables)
        compared += 1
    return compared + 1


def _refusals(facts: Facts) -> list[tuple[Ask, int]]:
    good = {"agentId": facts.agent_ids[0], "phoneNumberId": facts.phone_number_id, "to": "+15552000000"}
    unknown = "c" + "0" * 24
    bodies = [
        (good | {"agentId": facts.inactive_agent_id}, 400),
        (good | {"agentId": unknown}, 404),
        (good | {"phoneNumberId": unknown}, 404),
        (good | {"to": BLOCKED}, 400),
        (good | {"to": "+1555"}, 400),
    ]
    return [
        (Ask("GET", f"/api/v1/calls/{unknown}"), 404),
        *((Ask("POST", "/api/v1/calls", body), status) for body, status in bodies),
    ]


def _same(ours: Served, peer: Served, facts: Facts, ask: Ask, status: int) -> None:
    for last_try in (False, True):  # a second time, because links to recordings change with the hour
        answers = [server.ask(ask.method, ask.path, facts.api_key, ask.body) for server in (ours, peer)]
        shown = [_comparable(ask, body) for _, body in answers]
        if answers[0][0] == answers[1][0] == status and shown[0] == shown[1]:
            return
        _demand(not last_try, f"{ask.method} {ask.path}", *answers)


def _comparable(ask: Ask, body: dict[str, object]) -> dict[str, object]:
    if ask.method == "POST":
        return {name: value for name, value in body.items() if name not in _OF_THE_REQUEST}
    return body


def _same_list(ours: Served, facts: Facts, variables: dict[str, object]) -> None:
    """GraphQL's list is REST's, but for the spelling of enums."""
    ask = graphql(variables)
    _, answer = ours.ask(ask.method, ask.path, facts.api_key, ask.body)
    query = "&".join(f"{name}={value}" for name, value in variables.items())
    _, listed = ours.ask("GET", f"/api/v1/calls?{query}", facts.api_key)
    page = (answer.get("data") or {}).get("calls") or {"calls": []}
    for call in page["calls"]:
        for name in ("status", "direction", "sentiment"):
            if call[name] is not None:
                call[name] = call[name].lower().replace("_", "-")
    _demand(page == listed, "the list in GraphQL and in REST", answer, listed)


def _demand(same: bool, what: str, one: object, other: object) -> None:
    if not same:
        raise Unwell(f"The servers do not agree about {what}:\n{str(one)[:2000]}\n{str(other)[:2000]}")
