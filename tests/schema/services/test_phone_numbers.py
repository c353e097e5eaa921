"""Phone numbers that calls are placed from."""

from __future__ import annotations

import pytest

from schema.errors import Invalid, NotFound
from schema.runtime import Runtime, Viewer
from schema.services import phone_numbers
from tests.schema.conftest import Act, Refused
from tests.support import seeds
from tests.support.runtime import on_both

NUMBER = "+15551234567"


@on_both
async def test_a_number_is_added_active(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    row = await act(phone_numbers.create, {"phone_number": NUMBER, "name": " Sales ", "carrier": "sandbox"})

    kept = await phone_numbers.get(runtime.snapshot(viewer), row.id)

    assert (kept.phone_number, kept.name, kept.carrier, kept.is_active) == (NUMBER, "Sales", "sandbox", True)


@pytest.mark.parametrize(
    ("number", "name", "message"),
    [
        (NUMBER, "Again", f"Phone number {NUMBER} is there already"),
        ("+15551234568", "", "name must not be empty"),
    ],
)
async def test_what_breaks_a_rule_is_refused(act: Act, refused: Refused, number: str, name: str, message: str) -> None:
    await act(phone_numbers.create, {"phone_number": NUMBER, "name": "Sales", "carrier": "sandbox"})

    async with refused(Invalid, message):
        await act(phone_numbers.create, {"phone_number": number, "name": name, "carrier": "sandbox"})


async def test_numbers_are_listed_newest_first(runtime: Runtime, viewer: Viewer) -> None:
    ids = [(await seeds.phone_number(runtime, viewer)).id for _ in range(3)]

    page = await phone_numbers.list_page(runtime.snapshot(viewer))

    assert [row.id for row in page.nodes] == ids[::-1]


async def test_only_an_active_number_can_be_used(runtime: Runtime, viewer: Viewer, act: Act, refused: Refused) -> None:
    """E5."""
    row = await seeds.phone_number(runtime, viewer)
    assert (await act(phone_numbers.usable, row.id)).id == row.id
    async with runtime.transaction(viewer) as tx:
        (await tx.lock(type(row), row.id)).is_active = False

    async with refused(Invalid, f"Phone number with id {row.id} is not active"):
        await act(phone_numbers.usable, row.id)
    async with refused(NotFound, "Phone number with id c1 not found"):
        await act(phone_numbers.usable, "c1")
