"""Agents: fields, bounds and defaults (decision A1), and the tools an agent can be given."""

from __future__ import annotations

from typing import Any

from schema.errors import Invalid
from schema.rules import phone
from schema.rules.fields import Field, Shape, flag, integer, language, text

TOOLS = ("book_appointment", "do_not_call", "transfer", "end_call")
DEFAULT_TOOLS = ("book_appointment", "do_not_call", "end_call")


def tools(value: Any, name: str) -> list[str | dict[str, str]]:
    """A list of tools: a name, or `{"name": "transfer", "to": "+1…"}` for the one that needs a setting."""
    if not isinstance(value, list | tuple):
        raise Invalid(f"{name} must be a list")
    clean: list[str | dict[str, str]] = []
    seen = set()
    for tool in value:
        settings = dict(tool) if isinstance(tool, dict) else {"name": tool}
        kind = settings.pop("name", None)
        if kind not in TOOLS:
            raise Invalid(f"{name} must contain only: {', '.join(TOOLS)}")
        if kind in seen:
            raise Invalid(f"{name} must not name {kind} twice")
        seen.add(kind)
        if kind == "transfer":
            to = settings.pop("to", None)
            if not isinstance(to, str):
                raise Invalid(f'{name}: transfer needs a number, as in {{"name": "transfer", "to": "+15551234567"}}')
            clean.append({"name": kind, "to": phone.normalise(to, f"{name}.to")})
        else:
            clean.append(kind)
        if settings:
            raise Invalid(f"{name}: {kind} takes no setting '{next(iter(settings))}'")
    return clean


AGENT = Shape(
    name=Field(text(1, 200), required=True),
    system_prompt=Field(text(1, 50_000, strip=False), required=True),
    voice=Field(text(1, 64), default="jennifer"),
    first_message=Field(text(0, 5_000), nullable=True),
    language=Field(language, default="en-US"),
    max_call_duration=Field(integer(10, 14_400, "seconds"), default=600),
    voicemail_message=Field(text(0, 5_000), nullable=True),
    tools=Field(tools, default=lambda: list(DEFAULT_TOOLS)),
    is_active=Field(flag, default=True),
)
