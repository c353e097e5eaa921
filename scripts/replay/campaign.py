"""The campaign that is replayed: who is called, under which rules, and the run itself in virtual time."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

from schema import migrations
from schema.rules.plans import Plan
from schema.runtime import Runtime, Transaction, Viewer
from schema.services import agents, campaigns, contacts, do_not_call, phone_numbers, seed
from schema.settings import Settings
from scripts.replay import virtual_time
from scripts.replay.pump import Pump
from scripts.replay.timeline import Timeline, read
from workers import recording
from workers.calls import Calls
from workers.carriers.sandbox_numbers import SCENARIOS
from workers.dialers import Dialers

ZONE = "America/New_York"
FRIDAY = datetime(2025, 3, 7, 16, 30, tzinfo=ZoneInfo(ZONE))  # clocks change on the Sunday after it
AREA_CODES = (212, 312, 303, 415, 305, 617, 404, 206, 214, 310)  # from coast to coast
LARGEST = len(AREA_CODES) * len(SCENARIOS)
_HEAD_START = timedelta(minutes=30)
_PATIENCE = timedelta(days=14)

RULES: Mapping[str, Any] = {
    "name": "From Friday to Monday",
    "timezone": ZONE,
    "scheduled_start": FRIDAY,
    "call_window": {"start": "09:00", "end": "17:00"},
    "call_days": ["monday", "tuesday", "wednesday", "thursday", "friday"],
    "contact_window": {"start": "10:00", "end": "19:00"},
    "max_concurrent_calls": 2,
    "retry_policy": {"max_attempts": 3, "delay_minutes": [20, 120]},
}
AGENT: Mapping[str, Any] = {
    **seed.AGENT,
    "voicemail_message": None,  # a voicemail is nobody reached, and is tried again
    "max_call_duration": 120,
}


@dataclass(frozen=True, slots=True)
class Cast:
    """Who is called, in the order of enrolment, and who of them is on the do-not-call list from the beginning."""

    numbers: Sequence[str]
    not_to_be_called: Sequence[str] = ()


def drawn(number: int, size: int) -> Cast:
    """`size` people, as the seed `number` draws them: each of the sandbox's scenarios first, if there is room."""
    chance = random.Random(number)
    everybody = [f"+1{area}55501{code}" for area in AREA_CODES for code in SCENARIOS]
    one_each = [f"+1{chance.choice(AREA_CODES)}55501{code}" for code in SCENARIOS]
    others = [each for each in everybody if each not in one_each]
    chance.shuffle(others)
    numbers = [*one_each, *others][:size]
    chance.shuffle(numbers)
    return Cast(numbers, chance.sample(numbers, min(2, size // 10)))


def replay(cast: Cast, data: Path, rules: Mapping[str, Any] = RULES) -> Timeline:
    """Run the campaign on an empty data directory, from half an hour before its start until nobody is left to call."""
    random.seed(0)  # what draws lots is not what is tried here
    with mock.patch.object(recording, "best_format", return_value="wav"):  # nobody listens, and MP3 takes its time
        return virtual_time.run(_replay(cast, data, rules))


async def _replay(cast: Cast, data: Path, rules: Mapping[str, Any]) -> Timeline:
    settings = Settings(_env_file=None, data=data)
    await migrations.upgrade(settings)
    start: datetime = rules["scheduled_start"]
    runtime = Runtime.open(settings, clock=virtual_time.LoopClock(start - _HEAD_START))
    try:
        async with runtime.transaction(None) as tx:
            workspace = await seed.found(tx, name="Replay", plan=Plan.PROFESSIONAL)
            viewer = Viewer(workspace.id, workspace.plan)
            campaign_id = await _plant(tx, cast, rules)
        pump = Pump(runtime, [Dialers, Calls])
        try:
            await pump.run(until=start + _PATIENCE)
        finally:
            await pump.close()
        return await read(runtime, viewer, campaign_id)
    finally:
        await runtime.close()


async def _plant(tx: Transaction, cast: Cast, rules: Mapping[str, Any]) -> str:
    agent = await agents.create(tx, AGENT)
    number = (await phone_numbers.list_page(tx)).nodes[0]
    for each in cast.not_to_be_called:
        await do_not_call.add(tx, {"phone_number": each})
    people = [await contacts.create(tx, {"phone_number": each}) for each in cast.numbers]
    given = {**rules, "agent_id": agent.id, "phone_number_id": number.id, "contact_ids": [each.id for each in people]}
    campaign = await campaigns.create(tx, given)
    tx.wake()
    return campaign.id
