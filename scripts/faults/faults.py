"""The command: plays every fault in every mode that was asked for, and shows what came of it."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import structlog
from backends import backends
from catalogue import FAULTS
from counting import Outcome
from installing import Unwell, reaping
from report import Report
from scene import Fault, Run, playing
from telling import Teller


def main() -> None:
    """Parse the options, play, report; the exit status says whether every number was met."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is open is closed
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))  # ours; the installations' go to files
    scenes = _scenes(options)
    if not scenes:
        sys.exit("None of these faults is played there")
    teller, report = Teller(), Report(options.seed, options.quick)
    directory = Path(tempfile.mkdtemp(prefix="voxforge-faults-"))
    with ExitStack() as stack:
        reaper = stack.enter_context(reaping(directory))
        servers = stack.enter_context(backends()) if any(mode == "scaled" for _, mode in scenes) else None
        run = Run(options.seed, options.quick, directory, reaper, servers, teller)
        for fault, mode in scenes:
            try:
                outcome = asyncio.run(play(run, fault, mode, options.logs))
            except KeyboardInterrupt:
                sys.exit("Interrupted; what was started has been stopped")
            teller.line(f"{fault.name} ({mode}): {outcome.verdict}")
            report.outcomes.append(outcome)
    report.seconds = teller.seconds
    report.show()
    if options.json:
        options.json.write_text(report.json())
    sys.exit(not report.held)


async def play(run: Run, fault: Fault, mode: str, logs: Path | None) -> Outcome:
    """One fault in one mode; what the suite itself could not do is a missed number, too."""
    begun = run.teller.seconds
    outcome = Outcome(fault.name, mode)
    with run.teller.about(f"{fault.name} ({mode})"):
        try:
            async with playing(run, fault, mode) as scene:
                outcome = scene.outcome
                try:
                    await fault.act(scene)
                finally:
                    if logs is not None:
                        scene.site.keep_logs(logs / scene.site.data.name)
        except Unwell as failure:
            outcome.wrong.append(str(failure))
    outcome.seconds = run.teller.seconds - begun
    return outcome


def _scenes(options: argparse.Namespace) -> list[tuple[Fault, str]]:
    """What is played, in order; a quick run plays most faults in one mode, unless faults or a mode are asked for."""
    wanted = [fault for fault in FAULTS if not options.only or fault.name in options.only]
    if options.mode != "both":
        return [(fault, options.mode) for fault in wanted if options.mode in fault.modes]
    all_modes = options.only or not options.quick
    return [(fault, mode) for fault in wanted for mode in (fault.modes if all_modes else fault.quickly)]


def _options() -> argparse.Namespace:
    names = [fault.name for fault in FAULTS]
    parser = argparse.ArgumentParser(
        prog="scripts/faults/run", description="What becomes of work when things break, counted; see docs/faults.md."
    )
    parser.add_argument("--quick", action="store_true", help="less work and fewer kills: under 4 minutes instead of 15")
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument(
        "--mode", choices=["embedded", "scaled", "both"], default="both", help="which installation (both)"
    )
    parser.add_argument("--seed", type=int, default=1, help="the same seed strikes at the same points (1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON, too")
    parser.add_argument("--logs", type=Path, metavar="DIR", help="keep what the processes and the receiver wrote")
    return parser.parse_args()


if __name__ == "__main__":
    main()
