"""The command: seeds, starts both servers, compares their answers, measures, reports."""

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cases import CASES, OURS, PEER, Case
from checks import check
from measuring import Effort, deliver, machine_load, measure, one_round
from processes import Unwell, served
from report import Report, show_profile
from seeding import AGENTS, CALLS, Facts, NotOurs, facts, fill, settings_for, template, temporary_root

from schema.runtime import Runtime

ENDPOINTS = (1, 50)
DELIVERIES = "deliveries"
_BEGUN = time.monotonic()
PUBLIC_URL = "http://voxforge.test"  # the same in the links of both


@dataclass(frozen=True, slots=True)
class Place:
    """A run's own data directory, the settings that name its database, and what there is to ask for."""

    data: Path
    settings: dict[str, str]
    facts: Facts


def main() -> None:
    """Parse the options and run."""
    options = _options()
    cases = [case for case in CASES if not options.only or case.name in options.only]
    try:
        with placed(options.postgres) as place:
            if options.profile:
                profile(place, cases, options)
                return
            report = run(place, cases, options)
    except (Unwell, NotOurs) as failure:
        sys.exit(str(failure))
    report.show()
    print(f"{time.monotonic() - _BEGUN:.0f} s")
    for path, text in ((options.markdown, report.markdown), (options.json, report.json)):
        if path:
            path.write_text(text())


def run(place: Place, cases: Sequence[Case], options: argparse.Namespace) -> Report:
    """Everything that was asked for. Raises Unwell."""
    effort = Effort(*((3, 0.6) if options.quick else (7, 1.6)), clients=options.clients)
    database = "PostgreSQL" if options.postgres else "SQLite"
    report = Report(CALLS, AGENTS, database, effort.rounds, effort.clients, [machine_load()])
    if cases:
        with (
            served(OURS, "ours.py", data=place.data, settings=place.settings) as ours,
            served(PEER, "peer.py", data=place.data, settings=place.settings) as peer,
        ):
            tell(f"{check(ours, peer, place.facts)} requests are answered alike")
            report.figures = measure(cases, (ours, peer), place.facts, effort, tell)
    if not options.only or DELIVERIES in options.only:
        rounds, each = (1, 1_000) if options.quick else (3, 5_000)
        report.deliveries = {endpoints: [] for endpoints in ENDPOINTS}
        for _ in range(rounds):
            for endpoints, outcomes in report.deliveries.items():
                outcomes.append(deliver(place.settings, endpoints, each))
                tell(f"Deliveries, endpoints: {endpoints}")
    report.loads.append(machine_load())
    return report


def profile(place: Place, cases: Sequence[Case], options: argparse.Namespace) -> None:
    """The hottest functions of ours, case by case. Raises Unwell."""
    path = place.data / "samples.json"
    if options.only and DELIVERIES in options.only:
        for endpoints in ENDPOINTS:
            deliver(place.settings, endpoints, 2_000, path)
            show_profile(f"Deliveries, endpoints: {endpoints}", _written(path))
    if not cases:
        return
    with served(OURS, "ours.py", str(path), data=place.data, settings=place.settings) as ours:
        for case in cases:
            one_round(ours, case, place.facts, Effort(1, 0, options.clients), 0.5)
            os.kill(ours.pid, signal.SIGUSR1)
            one_round(ours, case, place.facts, Effort(1, 0, options.clients), 4)
            os.kill(ours.pid, signal.SIGUSR2)
            show_profile(case.label, _written(path))


def _written(path: Path) -> dict[str, object]:
    deadline = time.monotonic() + 10
    while not path.exists():
        if time.monotonic() > deadline:
            raise Unwell("the profiler wrote nothing")
        time.sleep(0.05)
    seen: dict[str, object] = json.loads(path.read_text())
    path.unlink()
    return seen


@contextmanager
def placed(postgres: str | None) -> Iterator[Place]:
    """A data directory that is gone afterwards; a PostgreSQL database keeps what was put into it. Raises NotOurs."""
    data = Path(tempfile.mkdtemp(prefix="run-", dir=temporary_root()))
    try:
        settings = {"VOXFORGE_DATA": str(data), "VOXFORGE_PUBLIC_URL": PUBLIC_URL}
        if postgres:
            settings["VOXFORGE_DATABASE_URL"] = postgres
        tell("Seeding, if need be …")
        if not postgres:
            shutil.copyfile(settings_for(template()).sqlite_path, settings_for(data).sqlite_path)
        yield Place(data, settings, asyncio.run(_prepare(data, postgres)))
    finally:
        shutil.rmtree(data, ignore_errors=True)


async def _prepare(data: Path, postgres: str | None) -> Facts:
    settings = settings_for(data, database_url=postgres) if postgres else settings_for(data)
    await fill(settings)
    runtime = Runtime.open(settings)
    try:
        return await facts(runtime)
    finally:
        await runtime.close()


def tell(line: str) -> None:
    """Progress, beside the result."""
    print(f"{time.monotonic() - _BEGUN:4.0f} s  {line}", file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    names = [*(case.name for case in CASES), DELIVERIES]
    parser = argparse.ArgumentParser(prog="scripts/bench/run", description="What a request costs, beside the peer.")
    parser.add_argument("--quick", action="store_true", help="under 90 seconds; without it, under six minutes")
    parser.add_argument("--only", nargs="+", choices=names, metavar="CASE", help=", ".join(names))
    parser.add_argument("--clients", type=int, default=8, help="keep-alive connections (8)")
    parser.add_argument("--postgres", metavar="URL", help="measure on an empty PostgreSQL database instead of SQLite")
    parser.add_argument("--profile", action="store_true", help="print the hottest functions of ours instead")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the result as Markdown")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
