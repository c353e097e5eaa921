"""The database both servers read: 100,000 calls and 1,000 agents of one Enterprise workspace, made once and copied."""

import asyncio
import hashlib
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select
from sqlmodel import col

from schema import migrations
from schema.rules.agents import AGENT
from schema.rules.calls import CallPhase, CallStatus, EndReason, Outcome, Sentiment
from schema.rules.ids import new_id
from schema.rules.plans import Plan
from schema.runtime import Runtime, Transaction, Viewer
from schema.services import do_not_call, keys, phone_numbers, workspaces
from schema.settings import Settings
from schema.tables import Agent, Call, PhoneNumber

CALLS = 100_000
AGENTS = 1_000
BLOCKED = "+15550009999"
SAMPLE = 1_000  # of the calls' and the agents' ids, to ask for
_WORKSPACE = "VoxForge benchmark"
_CHUNK = 5_000
_LEFT_OVER_S = 3600
_LINES = 6  # of the transcript of a call that somebody answered


class NotOurs(Exception):
    """The database holds something else, which a benchmark leaves alone."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is to ask for, and a key to ask with."""

    api_key: str
    agent_ids: list[str]
    inactive_agent_id: str
    phone_number_id: str
    call_ids: list[str]


def settings_for(data: Path, **given: object) -> Settings:
    """Settings that read neither `.env` nor the environment's idea of where the data is."""
    return Settings(_env_file=None, data=data, **given)


def temporary_root() -> Path:
    """The directory that seeded databases are kept in from run to run; nobody else's."""
    path = Path(tempfile.gettempdir()) / f"voxforge-bench-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    if path.is_symlink() or path.stat().st_uid != os.getuid():
        raise NotOurs(f"{path} belongs to somebody else: set TMPDIR")
    return path


def template() -> Path:
    """A data directory with the seeded SQLite file; made again when the migrations or this module change."""
    sources = [Path(__file__), *sorted(Path(migrations.__file__).parent.rglob("*.py"))]
    version = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    path = temporary_root() / f"seeded-{version}"
    _sweep(keeping=path)
    if path.exists():
        return path
    making = Path(tempfile.mkdtemp(prefix="making-", dir=temporary_root()))
    try:
        asyncio.run(fill(settings_for(making)))
        with suppress(OSError):  # another run has made it meanwhile
            making.rename(path)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return path


def _sweep(keeping: Path) -> None:
    """Remove what earlier versions and runs that were killed have left."""
    for directory in temporary_root().iterdir():
        if directory != keeping and directory.stat().st_mtime < time.time() - _LEFT_OVER_S:
            shutil.rmtree(directory, ignore_errors=True)


async def fill(settings: Settings) -> None:
    """Migrate and seed an empty database; one that is seeded stays as it is. Raises NotOurs."""
    await migrations.upgrade(settings)
    runtime = Runtime.open(settings)
    try:
        async with runtime.transaction(None) as tx:
            await take_workspace(tx)
            if await tx.first(tx.select(Call)) is None:
                await _fill(tx)
    finally:
        await runtime.close()


async def take_workspace(tx: Transaction) -> None:
    """Be in the benchmark's own workspace, made in an empty database. Raises NotOurs where there is another one."""
    there = await workspaces.everything(tx)
    if any(workspace.name != _WORKSPACE for workspace in there):
        raise NotOurs("The database has workspaces of its own: a benchmark wants an empty one")
    workspace = there[0] if there else await workspaces.create(tx, name=_WORKSPACE, plan=Plan.ENTERPRISE)
    await tx.flush()
    tx.viewer = Viewer(workspace.id, workspace.plan)


async def facts(runtime: Runtime) -> Facts:
    """Read what there is to ask for, and make a key."""
    async with runtime.transaction(None) as tx:
        await take_workspace(tx)
        _, api_key = await keys.create(tx, {"name": "Benchmark"})
        agents = await tx.all(tx.select(Agent).where(col(Agent.is_active).is_(True)).limit(SAMPLE))
        inactive = await tx.first(tx.select(Agent).where(col(Agent.is_active).is_(False)))
        number = await tx.first(tx.select(PhoneNumber))
        step = max(1, CALLS // SAMPLE)
        call_ids = (await tx.execute(select(col(Call.id)).order_by(col(Call.id)).limit(CALLS))).scalars().all()[::step]
    if inactive is None or number is None:
        raise NotOurs("The database is not whole: empty it")
    return Facts(api_key, [agent.id for agent in agents], inactive.id, number.id, list(call_ids))


async def _fill(tx: Transaction) -> None:
    number = await phone_numbers.create(tx, {"phone_number": "+15555550199", "name": "Benchmark"})
    await do_not_call.add(tx, {"phone_number": BLOCKED})
    await tx.flush()
    agents = [_agent(tx, i) for i in range(AGENTS + 1)]
    agents[-1]["is_active"] = False
    await tx.execute(insert(Agent.__table__), agents)
    agent_ids = [agent["id"] for agent in agents[:-1]]
    chance = random.Random(7)  # the same calls at every seeding
    for first in range(0, CALLS, _CHUNK):
        calls = _calls(tx, range(first, first + _CHUNK), agent_ids, number, chance)
        await tx.execute(insert(Call.__table__), list(calls))


def _agent(tx: Transaction, i: int) -> dict[str, Any]:
    clean = AGENT.new({"name": f"Agent {i}", "system_prompt": "You are friendly, brief and honest. " * 20})
    made = (tx.now - timedelta(days=100, seconds=-i)).replace(microsecond=0)
    return {
        "id": new_id(made),
        "workspace_id": tx.workspace_id,
        "created_at": made,
        "updated_at": made,
        "deleted_at": None,
        **clean,
    }


def _calls(
    tx: Transaction, numbers: range, agent_ids: list[str], number: PhoneNumber, chance: random.Random
) -> Iterator[dict[str, Any]]:
    """Calls a minute apart, three in four of them answered."""
    start = tx.now.replace(microsecond=0) - timedelta(minutes=CALLS)
    for i in numbers:
        made = start + timedelta(minutes=i)
        row = {
            "id": new_id(made),
            "workspace_id": tx.workspace_id,
            "agent_id": agent_ids[i % len(agent_ids)],
            "phone_number_id": number.id,
            "campaign_id": None,
            "contact_id": None,
            "to_number": f"+1555{2_000_000 + chance.randrange(7_000_000)}",
            "from_number": number.phone_number,
            "direction": "outbound",
            "phase": CallPhase.DONE,
            "version": 4,
            "due_at": None,
            "attempts_made": 1,
            "leg": f"leg-{i}",
            "hangup_requested": False,
            "carrier_code": None,
            "created_at": made,
            "updated_at": made + timedelta(minutes=5),
            "started_at": made + timedelta(seconds=1),
            "ended_at": made + timedelta(minutes=4),
        }
        yield row | (_answered(row["id"], made, chance) if i % 4 else _UNANSWERED)


_UNANSWERED: dict[str, Any] = {
    "status": CallStatus.FAILED,
    "end_reason": EndReason.NO_ANSWER,
    "outcome": Outcome.NOT_REACHED,
    "sip_code": 480,
    "q850": 19,
    "duration": 0,
    "summary": None,
    "sentiment": None,
    "answered_by": None,
    "answered_at": None,
    "recording": None,
    "recording_voice": None,
    "transcript": None,
    "analysis": None,
}


def _answered(id: str, made: Any, chance: random.Random) -> dict[str, Any]:
    sentiment = chance.choice(list(Sentiment))
    outcome = chance.choice([Outcome.INTERESTED, Outcome.NOT_INTERESTED, Outcome.APPOINTMENT_BOOKED])
    summary = "The prospect asked about prices and wants a demo next week, on Tuesday or Wednesday."
    return {
        "status": CallStatus.COMPLETED,
        "end_reason": chance.choice([EndReason.CALLEE_HANGUP, EndReason.AGENT_HANGUP]),
        "outcome": outcome,
        "sip_code": 200,
        "q850": 16,
        "duration": chance.randrange(20, 300),
        "summary": summary,
        "sentiment": sentiment,
        "answered_by": "human",
        "answered_at": made + timedelta(seconds=9),
        "recording": f"{id}.mp3",
        "recording_voice": "tones",
        "transcript": [
            {
                "role": "callee" if line % 2 else "agent",
                "text": "Yes, next week would suit us; the mornings are best, and please send an invitation.",
                "start": line * 6.5,
                "end": line * 6.5 + 5.25,
            }
            for line in range(_LINES)
        ],
        "analysis": {
            "summary": summary,
            "sentiment": sentiment.value,
            "outcome": outcome.value,
            "actionItems": ["Send an invitation for Tuesday"],
            "extracted": {"company": "Acme", "seats": 12},
        },
    }
