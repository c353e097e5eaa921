"""The carriers of this process, by the name that a phone number carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from schema.clock import Clock
from schema.settings import Settings
from workers.carriers.base import Carrier
from workers.carriers.sandbox import SandboxCarrier


class OpenCarriers(Protocol):
    """Makes the carriers that the settings name."""

    def __call__(self, settings: Settings, clock: Clock) -> Mapping[str, Carrier]: ...


def open_carriers(settings: Settings, clock: Clock) -> Mapping[str, Carrier]:
    """Every carrier that can be used here."""
    return {"sandbox": SandboxCarrier(settings.data, clock, settings.sandbox_speed)}
