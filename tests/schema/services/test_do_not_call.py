"""The do-not-call list (decision L5)."""

from __future__ import annotations

import pytest

from schema.errors import Invalid, NotFound
from schema.rules.contacts import DoNotCallSource
from schema.runtime import Runtime, Viewer
from schema.services import do_not_call
from tests.schema.conftest import Act, Refused, Unchanged
from tests.support import seeds
from tests.support.runtime import on_both
from tests.support.time import VirtualClock

NUMBER = "+15551234567"


@on_both
async def test_a_number_put_on_the_list_is_on_it(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    row = await act(do_not_call.add, {"phone_number": NUMBER, "reason": "Asked by letter"})

    entry = await do_not_call.entry(runtime.snapshot(viewer), NUMBER)

    assert entry is not None
    assert (entry.id, entry.reason, entry.source, entry.call_id) == (row.id, "Asked by letter", "api", None)
    other = await seeds.workspace(runtime, name="Other")
    assert await do_not_call.entry(runtime.snapshot(other), NUMBER) is None


@on_both
async def test_a_number_that_is_there_stays_as_it_is(
    runtime: Runtime, viewer: Viewer, act: Act, unchanged: Unchanged, clock: VirtualClock
) -> None:
    row = await act(do_not_call.add, {"phone_number": NUMBER, "reason": "Asked by letter"})
    await clock.advance(1)

    async with unchanged():
        again = await act(do_not_call.add, {"phone_number": NUMBER, "reason": "Asked again"})
        callee = await act(do_not_call.put, NUMBER, reason="In a call", source=DoNotCallSource.CALLEE, call_id="c1")

    assert again.id == callee.id == row.id


async def test_a_callee_s_wish_says_where_it_came_from(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    call = await seeds.call(runtime, viewer, to=NUMBER)

    row = await act(do_not_call.put, NUMBER, reason="Do not call me", source=DoNotCallSource.CALLEE, call_id=call.id)

    assert (row.source, row.call_id) == (DoNotCallSource.CALLEE, call.id)


@on_both
async def test_a_number_can_be_taken_off(runtime: Runtime, viewer: Viewer, act: Act, refused: Refused) -> None:
    row = await act(do_not_call.add, {"phone_number": NUMBER})

    assert await act(do_not_call.remove, row.id) == row.id

    assert await do_not_call.entry(runtime.snapshot(viewer), NUMBER) is None
    async with refused(NotFound, f"Do-not-call entry with id {row.id} not found"):
        await act(do_not_call.remove, row.id)
    await act(do_not_call.add, {"phone_number": NUMBER})


async def test_the_list_is_newest_first(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    ids = [(await act(do_not_call.add, {"phone_number": seeds.number()})).id for _ in range(3)]

    page = await do_not_call.list_page(runtime.snapshot(viewer), limit=2)

    assert [row.id for row in page.nodes] == ids[:0:-1]
    assert page.total == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"reason": "?"}, "phoneNumber is required"),
        ({"phone_number": NUMBER, "reason": "x" * 501}, "reason must be between 0 and 500 characters"),
        ({"phone_number": NUMBER, "source": "callee"}, "Unknown field 'source'"),
    ],
)
async def test_what_breaks_a_rule_is_refused(act: Act, refused: Refused, given: dict[str, str], message: str) -> None:
    async with refused(Invalid, message):
        await act(do_not_call.add, given)
