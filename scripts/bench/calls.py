"""A thousand calls at the same time on one machine: placed over REST, dialed, carried and processed, then checked.

`scripts/bench/run calls`. Afterwards every call is compared with what the sandbox carrier's own ledger says of its leg.
"""

import argparse
import asyncio
import json
import os
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from goals import Figure, at_least, at_most, none_of, percentile, show, write
from installing import Installation, installed
from measuring import machine_load
from processes import Unwell
from report import show_threads
from truth import compare, recordings

MIX = ("00", "05", "07", "08", "04", "48", "00", "06")
"""The last two digits of who is called: conversations of half a minute and more, so that all live at the same time."""
ASIDE = ("40", "42", "43", "44", "45", "46", "47", "01", "02", "03")
"""One in ten is one of these: busy, declined, refused, lost, or over soon."""
_PATIENCE_S = 240
_LOOK_S = 1.0
_PLACING = 16  # requests at the same time


@dataclass(slots=True)
class Seen:
    """What was looked at every second."""

    live: list[int] = field(default_factory=list)
    answers_ms: list[float] = field(default_factory=list)
    cores: list[float] = field(default_factory=list)
    memory_mib: float = 0.0


def main() -> None:
    """Run once and print the table."""
    options = _options()
    samples = Path(f"{options.profile}.json") if options.profile else None
    given = {"VOXFORGE_SANDBOX_SPEED": str(options.speed)}
    if options.webhooks:
        given |= {"VOXFORGE_WEBHOOK_ALLOW_HTTP": "true", "VOXFORGE_WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8"}
    with installed(given, samples=samples) as running:
        placed, seen, took_s = asyncio.run(_run(running, options, samples))
        figures = _figures(running, placed, seen, took_s, options)
    title = f"{len(placed):,} calls, sandbox speed {options.speed:g}, `voxforge up` on SQLite; {machine_load()}"
    good = show(title, figures)
    write(options.json, title, figures)
    if samples is not None and samples.exists():
        show_threads(json.loads(samples.read_text()))
    raise SystemExit(0 if good else 1)


async def _run(
    running: Installation, options: argparse.Namespace, samples: Path | None
) -> tuple[dict[str, str], Seen, float]:
    """Place all and wait until all are over: the number of each call, what was seen, and how long it took."""
    headers = {"Authorization": f"Bearer {running.api_key}"}
    async with aiohttp.ClientSession(running.url, headers=headers) as client:
        seen = Seen()
        watching = asyncio.create_task(_watch(running, client, seen))
        if samples is not None:
            os.kill(running.processes[0].pid, signal.SIGUSR1)
        begun = time.monotonic()
        placed = await _place(running, client, options)
        print(f"placed {len(placed)} in {time.monotonic() - begun:.1f} s", flush=True)
        if samples is not None:  # only while calls are dialed: that is the busiest time
            await _until(running, lambda phases: not phases.keys() & {"queued", "dialing"}, options)
            os.kill(running.processes[0].pid, signal.SIGUSR2)
        await _until(running, lambda phases: phases.get("done") == len(placed), options)
        took_s = time.monotonic() - begun
        watching.cancel()
        return placed, seen, took_s


async def _place(running: Installation, client: aiohttp.ClientSession, options: argparse.Namespace) -> dict[str, str]:
    """POST every call, as fast as is answered or at the rate that was asked for."""
    placed: dict[str, str] = {}
    numbers = iter(_numbers(options.calls, options.extra))
    begun = time.monotonic()

    async def place() -> None:
        for number in numbers:
            if options.rate and (early_s := begun + len(placed) / options.rate - time.monotonic()) > 0:
                await asyncio.sleep(early_s)
            body = {"agentId": running.agent_id, "phoneNumberId": running.phone_number_id, "to": number}
            async with client.post("/api/v1/calls", json=body) as answer:
                if answer.status != 201:
                    raise Unwell(f"a call was answered with {answer.status}: {await answer.text()}")
                placed[(await answer.json())["id"]] = number

    await asyncio.gather(*(place() for _ in range(_PLACING)))
    return placed


def _numbers(calls: int, extra: int) -> list[str]:
    """Whom to call; every area code has a hundred numbers, and some are called twice."""
    numbers = [f"+1{200 + i // len(MIX) % 799}55501{MIX[i % len(MIX)]}" for i in range(calls)]
    step = max(1, calls // extra) if extra else 0
    for i in range(extra):
        numbers.insert(i * (step + 1), f"+1{200 + i % 799}55501{ASIDE[i % len(ASIDE)]}")
    return numbers


async def _watch(running: Installation, client: aiohttp.ClientSession, seen: Seen) -> None:
    """Every second: how many are live, how busy the processes are, and how long an answer takes."""
    before, at = running.cpu_s(), time.monotonic()
    while True:
        await asyncio.sleep(_LOOK_S)
        with sqlite3.connect(f"file:{running.settings.sqlite_path}?mode=ro", uri=True) as database:
            seen.live.append(database.execute("SELECT count(*) FROM calls WHERE status = 'in-progress'").fetchone()[0])
        asked = time.monotonic()
        async with client.get("/api/v1/calls?limit=1") as answer:
            await answer.read()
        seen.answers_ms.append((time.monotonic() - asked) * 1000)
        used, now = running.cpu_s(), time.monotonic()
        seen.cores.append((used - before) / (now - at))
        before, at = used, now
        seen.memory_mib = max(seen.memory_mib, running.memory_mib())


async def _until(running: Installation, over: Callable[[dict[str, int]], bool], options: argparse.Namespace) -> None:
    """Until the numbers of calls in each phase are as wanted, or patience ends. Raises Unwell."""
    deadline = time.monotonic() + _PATIENCE_S / min(1.0, options.speed)
    while time.monotonic() < deadline:
        running.check()
        with sqlite3.connect(f"file:{running.settings.sqlite_path}?mode=ro", uri=True) as database:
            phases = dict(database.execute("SELECT phase, count(*) FROM calls GROUP BY phase"))
        if options.verbose:
            print(f"{time.monotonic():.0f} {phases}", flush=True)
        if over(phases):
            return
        await asyncio.sleep(_LOOK_S)


def _figures(
    running: Installation, placed: dict[str, str], seen: Seen, took_s: float, options: argparse.Namespace
) -> list[Figure]:
    with sqlite3.connect(running.data / "sandbox.db") as ledger:
        legs = {
            row[0].partition(".")[0]: row[1:]
            for row in ledger.execute("SELECT attempt_id, placed_at, ended_at, scenario, duration_s FROM legs")
        }
        dials = Counter(row[0].partition(".")[0] for row in ledger.execute("SELECT attempt_id FROM dials"))
    with sqlite3.connect(running.settings.sqlite_path) as database:
        created = dict(database.execute("SELECT id, strftime('%s', created_at) + substr(created_at, 20, 7) FROM calls"))
    # The first nine tenths: the last ones wait for slots, or are tried a second time.
    dialed = sorted(leg[0] for leg in legs.values())[: options.calls * 9 // 10]
    if options.verbose:
        print(
            "dials by second:", *(count for _, count in sorted(Counter(int(at - dialed[0]) for at in dialed).items()))
        )
        print("cores by second:", *(f"{one:.2f}" for one in seen.cores))
    waited = [leg[0] - float(created[id]) for id, leg in legs.items()]
    at_once = _at_once([(leg[0], leg[1]) for leg in legs.values() if leg[1]])
    goal = options.calls if options.speed == 1 else 0
    return [
        at_least("calls at the same time, by the carrier's ledger", at_once, goal),
        at_least("dials a second", (len(dialed) - 1) / (dialed[-1] - dialed[0]), 50),
        Figure("from POST to dial p50 / p95 / max, s", _spread(waited, "{:.2f}")),
        none_of("lost or dialed more than once", _misdialed(placed, dials)),
        none_of("not what the ledger says", compare(running, placed)),
        none_of("without a recording that plays", recordings(running)),
        Figure("conversation by the ledger, slowest ÷ quickest of a number", _stretch(legs)),
        at_most("GET /calls meanwhile p95", percentile(seen.answers_ms, 0.95), 1_000, "ms"),
        Figure("GET /calls meanwhile p50 / p95 / max, ms", _spread(seen.answers_ms, "{:.0f}")),
        Figure("live calls, as the API says, at most", f"{max(seen.live):,}"),
        Figure("cores busy: mean / most", f"{sum(seen.cores) / len(seen.cores):.2f} / {max(seen.cores):.2f}"),
        Figure("memory", f"{seen.memory_mib:.0f} MiB"),
        Figure("from the first POST until all was processed", f"{took_s:.0f} s"),
        Figure("warnings in the log", _summary(running.complaints())),
    ]  # fmt: skip


def _summary(lines: Sequence[str]) -> str:
    events = Counter(json.loads(line)["event"] if line.endswith("}") else line for line in lines)
    return ", ".join(f"{count} × {event}" for event, count in events.most_common(4)) or "none"


def _spread(values: Sequence[float], shown: str) -> str:
    return " / ".join(shown.format(percentile(values, share)) for share in (0.5, 0.95, 1))


def _misdialed(placed: dict[str, str], dials: Counter[str]) -> list[str]:
    never = {"46"}  # the order never arrives, and the caller cannot know
    return [f"{id} ({to}) {dials[id]}" for id, to in placed.items() if dials[id] != (to[-2:] not in never)]


def _at_once(spans: Sequence[tuple[float, float]]) -> int:
    """The most that were on at the same time."""
    moves = sorted([(begun, 1) for begun, _ in spans] + [(ended, -1) for _, ended in spans])
    most = now = 0
    for _, move in moves:
        now += move
        most = max(most, now)
    return most


def _stretch(legs: dict[str, tuple[float, float, str, float]]) -> str:
    """How much longer the same words took when the machine was busy."""
    took: dict[str, list[float]] = {}
    for _, _, scenario, duration_s in legs.values():
        if duration_s:
            took.setdefault(scenario, []).append(duration_s)
    worst = {scenario: max(each) / min(each) for scenario, each in took.items()}
    return f"{max(worst.values()):.3f} ({max(worst, key=lambda one: worst[one])})"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench/run calls", description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000, help="calls that are to live at the same time (1000)")
    parser.add_argument("--extra", type=int, default=100, help="short and unhappy ones beside them (100)")
    parser.add_argument("--rate", type=float, default=0, help="POSTs a second (as fast as they are answered)")
    parser.add_argument("--speed", type=float, default=1.0, help="of the sandbox (1: like real calls)")
    parser.add_argument("--webhooks", type=int, default=0, help="endpoints that want every event (0)")
    parser.add_argument("--profile", metavar="NAME", help="sample the threads; NAME.json is written, and printed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON")
    parser.add_argument("--verbose", action="store_true", help="say every second how far the calls are")
    return parser.parse_args()


if __name__ == "__main__":
    main()
