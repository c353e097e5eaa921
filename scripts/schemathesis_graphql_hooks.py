"""What schemathesis loads for GraphQL: our scalars, what an answer may be, and the hooks of REST."""

import os
import re

import requests
import schemathesis
import schemathesis_hooks
from graphql import NameNode, ObjectFieldNode
from hypothesis import strategies
from schemathesis.graphql import nodes, scalar

CODES = {"BAD_REQUEST", "UNAUTHORIZED", "FORBIDDEN", "NOT_FOUND", "LIMIT_REACHED", "RATE_LIMITED"}
REFUSALS = {400, 401, 413, 429}
EVENTS = ["call.started", "call.ended", "call.failed", "transcript.ready", "analysis.complete"]
TOOLS = ["book_appointment", "do_not_call", "end_call"]


def outcome(response):
    """The code of the first error, or "data"; what never reached GraphQL has the envelope of REST, and its status."""
    try:
        told = response.json()
        error = told["errors"][0]["extensions"] if "errors" in told else told.get("error")
        return error["code"] if error else "data"
    except (ValueError, KeyError, TypeError):
        return "status %d" % response.status_code


_send = requests.Session.send


def _spare_the_key(session, request, **options):
    """The key that asks finds its own id in the list of keys, and would revoke itself."""
    own = os.environ.get("OWN_ID", "").encode()
    if own and request.body:
        request.body = request.body.replace(own, own[::-1])
    return _send(session, request, **options)


requests.Session.send = _spare_the_key
schemathesis_hooks.outcome = outcome


@schemathesis.check
def documented_answer(_context, response, _case):
    """JSON, data or errors with a code of the document, no mistake of ours, and no word about the schema."""
    told = response.json()
    is_refused = set(told) == {"error"} and response.status_code in REFUSALS
    if not is_refused and (response.status_code != 200 or not set(told) <= {"data", "errors"}):
        raise AssertionError("status %d with %s" % (response.status_code, sorted(told)))
    for error in told.get("errors", []):
        if error["extensions"]["code"] not in CODES or re.search(r"Did you mean .*\?$", error["message"]):
            raise AssertionError(error)


def _json(value):
    if isinstance(value, dict):
        return nodes.Object(
            [ObjectFieldNode(name=NameNode(value="f%d" % at), value=_json(value[key])) for at, key in enumerate(value)]
        )
    if isinstance(value, list):
        return nodes.List([_json(each) for each in value])
    if value is None:
        return nodes.Null
    kind = {bool: nodes.Boolean, int: nodes.Int, float: nodes.Float}.get(type(value), nodes.String)
    return kind(value)


def _word(strategy):
    """Mostly what fits, and now and then anything."""
    return strategies.one_of(strategy, strategy, strategy, strategies.text(max_size=40)).map(nodes.String)


_plain = strategies.one_of(
    strategies.none(),
    strategies.booleans(),
    strategies.integers(-(2**53), 2**53),
    strategies.floats(allow_nan=False, allow_infinity=False),
    strategies.text(max_size=20),
)
_anything = strategies.recursive(
    _plain,
    lambda inner: strategies.lists(inner, max_size=3) | strategies.dictionaries(strategies.text(), inner, max_size=3),
    max_leaves=6,
)
_instants = strategies.datetimes().map(lambda at: at.isoformat() + "Z")
scalar("DateTime", _word(_instants))
scalar("DateOrDateTime", _word(_instants | strategies.dates().map(str)))
scalar("EventType", _word(strategies.sampled_from(EVENTS)))
scalar("AgentTool", strategies.one_of(_word(strategies.sampled_from(TOOLS)), _anything.map(_json)))
scalar(
    "JSONObject",
    strategies.one_of(strategies.dictionaries(strategies.text(), _anything, max_size=4), _anything).map(_json),
)
