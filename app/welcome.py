"""What the first start prints, once: where the server is, and how to place a call with one line."""

from __future__ import annotations

import json
import shlex
import sys

from app.pages import is_built
from schema.services.seed import Seed
from schema.settings import Settings

WIDTH = 100
BUILT = "open it and sign in"
NOT_BUILT = "a plain page, for the dashboard could not be built; POST /session signs in"


def curl_lines(seed: Seed, address: str) -> tuple[str, str]:
    """Two lines for a shell, to be pasted as they are: place a sandbox call, and read it."""
    call = {"agentId": seed.agent_id, "phoneNumberId": seed.phone_number_id, "to": seed.callee}
    key = f"Authorization: Bearer {seed.api_key}"
    calls = f"{address}/api/v1/calls"
    place = ["curl", "-sS", calls, "-H", key, "-H", "Content-Type: application/json", "-d", json.dumps(call)]
    read = ["curl", "-sS", f"{calls}?limit=1", "-H", key]
    return shlex.join(place), shlex.join(read)


def print_welcome(seed: Seed, settings: Settings, address: str) -> None:
    """Print the box on stdout; without borders around the lines, which are there to be copied."""
    place, read = curl_lines(seed, address)
    parts = [
        ("VoxForge is set up. Keep this: it is shown only now.", ""),
        ("Dashboard", f"{settings.public_base}/   ({BUILT if is_built() else NOT_BUILT})"),
        ("Sign in", f"{seed.owner}   (the owner)"),
        ("Password", f"{seed.password}   (to begin with: nothing works with it until you have chosen another)"),
        ("API key", seed.api_key),
        ("", ""),
        (f"Place a call from {seed.phone_number} to {seed.callee}, in the sandbox, where nothing costs anything:", ""),
        ("", place),
        ("", ""),
        ("See how it goes, now and in a minute:", ""),
        ("", read),
        ("", ""),
        ("Lost it? voxforge keys create --name NAME makes another key.", ""),
    ]
    if sys.stdout.isatty():
        _print_coloured(parts)
    else:
        _print_plain(parts)


def _print_plain(parts: list[tuple[str, str]]) -> None:
    lines = [_line(label, value) for label, value in parts]
    sys.stdout.write("\n".join(["=" * WIDTH, *lines, "=" * WIDTH, ""]))
    sys.stdout.flush()


def _line(label: str, value: str) -> str:
    return f"{label:<11}{value}" if label and value else label + value


def _print_coloured(parts: list[tuple[str, str]]) -> None:
    from rich.console import Console  # noqa: PLC0415 (only a terminal wants colours)
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False, soft_wrap=True)  # long lines are wrapped by the terminal, and copied whole
    console.rule(style="cyan")
    for label, value in parts:
        line = Text(_line(label, value))
        line.stylize("bold", 0, len(label))
        if value.startswith("curl "):
            line.stylize("cyan")
        console.print(line)
    console.rule(style="cyan")
