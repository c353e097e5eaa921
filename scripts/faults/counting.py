"""Counting what the receiver and the carrier saw; pure. `docs/faults.md` says what each number means."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

SETTLING_S = 0.5
"""A request answered so shortly before the sender's death may not be written down yet: it counts as in flight."""

CLOSING_S = 1.0
"""Within which the receiver sees the connections of a process that was killed break."""

RECOVERY_S = 20.0
"""The longest that work may lie where a dead worker left it."""

HANG_RATIO = 1.25
"""What an endpoint that hangs may cost the others, of the p99 that they have without it."""


@dataclass(slots=True)
class Request:
    """One webhook as the receiver saw it; instants are of the monotonic clock, which all processes share."""

    path: str
    id: str
    connection: int
    at: float
    event: str = ""
    call: str | None = None
    body: int = 0
    answered_at: float | None = None
    status: int = 0
    closed_at: float | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Which delivery it belongs to: one endpoint, one event."""
        return self.path, self.id

    @property
    def arrived(self) -> bool:
        """Whether the receiver took it."""
        return 200 <= self.status < 300

    def open_at(self, moment: float) -> bool:
        """Whether its sender was waiting for the answer then, or had it and had hardly time to write it down."""
        return self.at <= moment and (self.answered_at is None or self.answered_at >= moment - SETTLING_S)


@dataclass(frozen=True, slots=True)
class Strike:
    """A process was killed or frozen at this moment. `cuts`: its connections broke."""

    at: float
    victim: str
    cuts: bool = True


def by_delivery(requests: Iterable[Request]) -> dict[tuple[str, str], list[Request]]:
    """The requests of each delivery, in order."""
    found: dict[tuple[str, str], list[Request]] = defaultdict(list)
    for request in sorted(requests, key=lambda one: one.at):
        found[request.key].append(request)
    return found


def copies(requests: Iterable[Request]) -> int:
    """Requests beyond one for each delivery, but for those that follow a refusal (`status` of 300 and more)."""
    extra = 0
    for sent in by_delivery(requests).values():
        refused = sum(one.status >= 300 for one in sent)
        extra += max(0, len(sent) - 1 - refused)
    return extra


def altered(requests: Iterable[Request]) -> int:
    """Deliveries whose body was not the same bytes every time (W1)."""
    return sum(len({one.body for one in sent}) > 1 for sent in by_delivery(requests).values())


def in_flight(requests: Sequence[Request], strikes: Iterable[Strike]) -> int:
    """Requests that were under way when their sender was struck, each counted once for each strike."""
    count = 0
    for strike in strikes:
        for request in requests:
            if not strike.cuts:
                count += request.open_at(strike.at)
            elif request.closed_at is not None and strike.at <= request.closed_at <= strike.at + CLOSING_S:
                # What lay in the socket at the kill is read a moment after it.
                count += request.open_at(max(strike.at, min(request.at, strike.at + CLOSING_S)))
    return count


def undelivered(expected: Iterable[tuple[str, str, str]], requests: Iterable[Request]) -> list[tuple[str, str, str]]:
    """Which (path, call, event) of those promised the receiver never answered with a 2xx."""
    arrived = {(one.path, one.call, one.event) for one in requests if one.arrived}
    return [each for each in expected if each not in arrived]


def dialed_too_often(dials: Mapping[str, int], allowed: Mapping[str, int]) -> list[str]:
    """Numbers dialed more often than they may be: once, unless `allowed` says otherwise."""
    return sorted(number for number, count in dials.items() if count > allowed.get(number, 1))


@dataclass(frozen=True, slots=True)
class Held:
    """A row that was held when somebody died. `until`: the end of its lease."""

    table: str
    id: str
    version: int
    until: float
    strike: Strike


def recovery(strikes: Sequence[Strike], held: Held, moved_at: float) -> float:
    """Seconds from its holder's death until a held row moved on.

    A row does not say who held it: if another worker died between, it may have been that one's, and counts from there.
    So it does if somebody died after its lease had run out: then it was that one's turn to take it.
    """
    died = held.strike
    between = [strike for strike in strikes if died.at < strike.at <= moved_at]
    since = [strike.at for strike in between if strike.victim != died.victim or strike.at >= held.until]
    return moved_at - max(since, default=died.at)


def p99(seconds: Sequence[float]) -> float:
    """The time within which 99 of 100 were done."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


def hang_ratio(baseline: Sequence[Sequence[float]], hanging: Sequence[Sequence[float]]) -> float:
    """How many times the p99 without the hang the one during it is: the median over the pairs of neighbouring rounds.

    One round's p99 is its slowest few, which a hiccup of the machine decides; the median of several is not.
    """
    return median(p99(during) / p99(without) for without, during in zip(baseline, hanging, strict=True))


@dataclass(slots=True)
class Outcome:
    """A row of the table: what one fault did to one installation. None: does not apply."""

    fault: str
    mode: str
    done: str = ""
    lost: int = 0
    twice: int = 0
    stuck: int = 0
    copies: int = 0
    in_flight: int = 0
    recovery_s: float | None = None
    slowest: str = ""
    ratio: float | None = None
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)
    """What no number says, in sentences: broken invariants, answers that are not the envelope, altered bodies."""
    lost_ones: list[str] = field(default_factory=list)
    """The first of those that were lost, to look for."""

    @property
    def misses(self) -> list[str]:
        """Which numbers were missed, and how much else was wrong."""
        found = []
        if self.lost:
            found.append(f"{self.lost} lost")
        if self.twice:
            found.append(f"{self.twice} dialed twice")
        if self.stuck:
            found.append(f"{self.stuck} stuck")
        if self.copies > self.in_flight:
            found.append(f"{self.copies} copies, but {self.in_flight} in flight")
        if self.recovery_s is not None and self.recovery_s > RECOVERY_S:
            found.append(f"recovery took {self.recovery_s:.1f} s")
        if self.ratio is not None and self.ratio > HANG_RATIO:
            found.append(f"p99 × {self.ratio:.2f}")
        if self.wrong:
            found.append(f"{len(self.wrong)} wrong")
        return found

    @property
    def details(self) -> list[str]:
        """Sentences for whoever wants to know more."""
        slow = self.recovery_s is not None and self.recovery_s > RECOVERY_S
        found = [*summary(self.wrong), *(f"lost: {one}" for one in self.lost_ones)]
        return [*found, *([f"slowest to move on: {self.slowest}"] if slow else [])]

    @property
    def verdict(self) -> str:
        """One word, or what was missed."""
        return "; ".join(self.misses) or "held"


def summary(sentences: Sequence[str]) -> list[str]:
    """The same sentence once, with how often it was said."""
    return [text if count == 1 else f"{text} (× {count})" for text, count in Counter(sentences).items()]
