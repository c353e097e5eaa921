"""The measuring itself: interleaved rounds, CPU time from the kernel's accounts of the server's process, medians."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from cases import OURS, PEER, Case, raw
from processes import HERE, Served, Unwell, child_environment
from seeding import Facts

_MOST = 20_000  # requests of one round


@dataclass(frozen=True, slots=True)
class Effort:
    """How long and how often."""

    rounds: int
    seconds: float
    clients: int
    warm_up_s: float = 0.3


@dataclass(slots=True)
class Figures:
    """The rounds of one case, server by server."""

    case: Case
    cpu_us: dict[str, list[float]] = field(default_factory=lambda: {OURS: [], PEER: []})
    a_second: dict[str, list[float]] = field(default_factory=lambda: {OURS: [], PEER: []})
    p99_ms: dict[str, list[float]] = field(default_factory=lambda: {OURS: [], PEER: []})

    def cpu(self, server: str) -> float:
        """Microseconds of CPU a request, the median of the rounds."""
        return median(self.cpu_us[server])

    @property
    def ratio(self) -> float:
        """How many times more CPU the peer takes."""
        return self.cpu(PEER) / self.cpu(OURS)

    @property
    def ratios(self) -> list[float]:
        """The same for each pair of neighbouring rounds: how far to trust it."""
        return [peer / ours for ours, peer in zip(self.cpu_us[OURS], self.cpu_us[PEER], strict=True)]


def measure(
    cases: Sequence[Case], servers: Sequence[Served], facts: Facts, effort: Effort, tell: Callable[[str], None]
) -> list[Figures]:
    """One server, the other, and so on, for each case. Raises Unwell for an answer that is not the expected one."""
    measured = []
    for case in cases:
        figures = Figures(case)
        for server in servers:
            one_round(server, case, facts, effort, effort.warm_up_s)
        for _ in range(effort.rounds):
            for server in servers:
                used, outcome = one_round(server, case, facts, effort, effort.seconds)
                figures.cpu_us[server.name].append(used / outcome["requests"] * 1e6)
                figures.a_second[server.name].append(outcome["requests"] / outcome["seconds"])
                figures.p99_ms[server.name].append(outcome["p99_ms"])
        tell(f"{case.label}: {figures.ratio:.1f} ×")
        measured.append(figures)
    return measured


def one_round(server: Served, case: Case, facts: Facts, effort: Effort, seconds: float) -> tuple[float, dict[str, Any]]:
    """Seconds of CPU that a round took the server, and what the load saw."""
    job = {
        "port": server.port,
        "requests": [raw(ask, server.port, facts.api_key) for ask in case.asks(server.name, facts)],
        "clients": effort.clients,
        "seconds": seconds,
        "most": _MOST,
        "status": case.status,
    }
    before = server.cpu_s()
    done = subprocess.run(
        [sys.executable, "-S", str(HERE / "load.py")],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
    )
    used = server.cpu_s() - before
    if done.returncode != 0:
        raise Unwell(f"The load on {server.name} broke off at {case.label}:\n{done.stderr[-2000:]}")
    outcome = json.loads(done.stdout)
    if outcome["unexpected"]:
        raise Unwell(f"{server.name} answered {case.label} with {outcome['unexpected']}")
    return used, outcome


def deliver(settings: dict[str, str], endpoints: int, deliveries: int, samples: Path | None = None) -> dict[str, Any]:
    """One round of deliveries, in a process of its own. Raises Unwell."""
    development = {"VOXFORGE_WEBHOOK_ALLOW_HTTP": "true", "VOXFORGE_WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8"}
    done = subprocess.run(
        [
            sys.executable,
            str(HERE / "deliveries.py"),
            str(endpoints),
            str(deliveries),
            *([str(samples)] if samples else []),
        ],
        cwd=settings["VOXFORGE_DATA"],
        env=child_environment(settings | development),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Unwell(f"The deliveries broke off:\n{done.stderr[-3000:]}")
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


def machine_load() -> str:
    """How busy the machine is, ourselves included."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
