"""The command: one attack, a table of what came of it, and an exit status that says whether every bound was kept."""

from __future__ import annotations

import argparse
import asyncio
import sys

import structlog
import uvloop


def main() -> None:
    """Parse the options, attack, report."""
    parser = argparse.ArgumentParser(prog="scripts/attack/run", description=__doc__)
    parser.add_argument("attack", choices=("receivers", "ssrf"))
    parser.add_argument("--only", metavar="WORD", default="", help="of the receivers, those whose names have it")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    if options.attack == "ssrf":
        import ssrf  # each attack loads what it needs

        sys.exit(not asyncio.run(ssrf.attack()))
    import receivers

    sys.exit(not uvloop.run(receivers.attack(options.only)))  # the loop of the workers


if __name__ == "__main__":
    main()
