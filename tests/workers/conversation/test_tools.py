from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from schema.errors import Invalid
from tests.workers.conversations import NOW, Actions, toolbox
from workers.conversation.tools import ToolResult, succeeded, tool_of
from workers.conversation.turns import ToolCall


def book(**arguments: object) -> ToolCall:
    return ToolCall("book_appointment", json.dumps({"start": "2025-01-16T10:00:00Z", "title": "Demo", **arguments}))


async def test_an_appointment_is_booked():
    actions = Actions()

    result = await toolbox(actions).run(book(end="2025-01-16T11:00:00Z", notes=" CRM "), now=NOW)

    start = datetime(2025, 1, 16, 10, tzinfo=UTC)
    assert actions.done == [("book_appointment", start, start + timedelta(hours=1), "Demo", "CRM")]
    assert result == ToolResult(
        "book_appointment(start=2025-01-16T10:00:00+00:00, end=2025-01-16T11:00:00+00:00, title=Demo): Booked.", ok=True
    )
    assert (tool_of(result.text), succeeded(result.text, "book_appointment")) == ("book_appointment", True)


async def test_an_appointment_lasts_half_an_hour_if_nothing_else_is_said():
    actions = Actions()

    await toolbox(actions).run(book(end=None, notes=None), now=NOW)

    assert actions.done[0][2:] == (datetime(2025, 1, 16, 10, 30, tzinfo=UTC), "Demo", None)


async def test_a_time_without_an_offset_is_the_agents():
    actions, zone = Actions(), timezone(timedelta(hours=1))

    await toolbox(actions).run(book(start="2025-01-16T10:00"), now=NOW.astimezone(zone))

    assert actions.done[0][1] == datetime(2025, 1, 16, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (book(start="tomorrow"), "start must be an ISO 8601 date and time, such as 2025-06-03T10:00:00+02:00."),
        (book(start="2025-01-15T13:59:59Z"), "start must be in the future and within a year."),
        (book(start="2027-01-15T14:00:00Z"), "start must be in the future and within a year."),
        (book(end="2025-01-16T10:00:00Z"), "end must be after start, by 8 hours at most."),
        (book(end="2025-01-16T18:00:01Z"), "end must be after start, by 8 hours at most."),
        (book(title=" "), "title must have between 1 and 200 characters."),
        (book(title=7), "title must be a string."),
        (book(contactId="x"), "There is no argument contactId."),
        (ToolCall("book_appointment", "{"), "The arguments must be a JSON object."),
        (ToolCall("book_appointment", "[]"), "The arguments must be a JSON object."),
        (
            ToolCall("book_appointment", "{}"),
            "start must be an ISO 8601 date and time, such as 2025-06-03T10:00:00+02:00.",
        ),
    ],
)
async def test_wrong_arguments_are_explained_and_nothing_is_done(call, sentence):
    actions = Actions()

    result = await toolbox(actions).run(call, now=NOW)

    assert result == ToolResult(f"book_appointment failed: {sentence}", ok=False)
    assert actions.done == []
    assert not succeeded(result.text, "book_appointment")


async def test_an_error_of_the_domain_becomes_a_sentence():
    result = await toolbox(Actions(fails=Invalid("That slot is taken"))).run(book(), now=NOW)

    assert result == ToolResult("book_appointment failed: That slot is taken", ok=False)


async def test_an_error_of_another_kind_is_not_hidden():
    with pytest.raises(RuntimeError):
        await toolbox(Actions(fails=RuntimeError())).run(book(), now=NOW)


@pytest.mark.parametrize(
    ("tools", "names"),
    [
        ([], ["do_not_call", "end_call"]),
        (["book_appointment", "end_call"], ["book_appointment", "do_not_call", "end_call"]),
        ([{"name": "book_appointment"}], ["book_appointment", "do_not_call", "end_call"]),
        ([{"name": "transfer", "to": "+12125550198"}], ["do_not_call", "transfer", "end_call"]),
        (["transfer"], ["do_not_call", "end_call"]),  # nowhere to
        (["launch_rocket"], ["do_not_call", "end_call"]),
    ],
)
def test_an_agent_has_the_tools_it_was_given_and_two_always(tools, names):
    assert [spec.name for spec in toolbox(Actions(), tools).specs] == names


@pytest.mark.parametrize("name", ["book_appointment", "transfer", "launch_rocket"])
async def test_a_tool_that_was_not_given_does_nothing(name):
    actions = Actions()

    result = await toolbox(actions, []).run(ToolCall(name), now=NOW)

    assert result == ToolResult(f"{name} failed: There is no such tool in this call.", ok=False)
    assert actions.done == []


async def test_where_to_transfer_is_the_agents_configuration_alone():
    actions = Actions()
    tools = toolbox(actions, [{"name": "transfer", "to": "+12125550198"}])

    refused = await tools.run(ToolCall("transfer", '{"to": "+19005550199"}'), now=NOW)
    result = await tools.run(ToolCall("transfer"), now=NOW)

    assert refused == ToolResult("transfer failed: There is no argument to.", ok=False)
    assert result == ToolResult("transfer(): Connected.", ok=True)
    assert actions.done == [("transfer", "+12125550198")]


async def test_opting_out_twice_is_done_once():
    actions = Actions()
    tools = toolbox(actions)

    await tools.run(ToolCall("do_not_call", '{"reason": "asked"}'), now=NOW)
    await tools.run(ToolCall("do_not_call"), now=NOW)

    assert actions.done == [("do_not_call", "asked")]
    assert tools.opted_out
