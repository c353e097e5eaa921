"""Whether what VoxForge says of its calls is true, by the sandbox carrier's own ledger and the files on the disk."""

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

import soundfile
from installing import Installation

COMPLETED = {
    "00": ("agent-hangup", "appointment-booked", 10),
    "01": ("agent-hangup", "not-interested", 3),
    "02": ("opted-out", "do-not-call", 4),
    "03": ("agent-hangup", "callback-requested", 3),
    "04": ("voicemail", "voicemail-left", 2),
    "05": ("callee-hangup", "conversation", 5),
    "06": ("silence-timeout", "no-conversation", 2),
    "07": ("agent-hangup", "conversation", 7),
    "08": ("callee-hangup", "conversation", 4),
    "44": ("agent-hangup", "appointment-booked", 10),
    "45": ("agent-hangup", "appointment-booked", 10),
    "47": ("callee-hangup", "conversation", 3),
    "48": ("agent-hangup", "appointment-booked", 10),
    "49": ("callee-hangup", "conversation", 5),
}
"""What becomes of a call to a number with these last digits: end reason, outcome, lines of the transcript."""
FAILED = {
    "40": "busy",
    "41": "no-answer",
    "42": "rejected",
    "43": "unallocated-number",
    "46": "submission-unknown",
}
_ENDED = ["call.started", "call.ended", "transcript.ready", "analysis.complete"]
_FAILED = ["call.started", "call.failed"]
_MOST_RECORDINGS = 200


def compare(running: Installation, placed: dict[str, str]) -> list[str]:
    """A sentence for each call that is not as it should be."""
    with sqlite3.connect(running.data / "sandbox.db") as ledger:
        durations = {
            attempt.partition(".")[0]: duration
            for attempt, duration in ledger.execute("SELECT attempt_id, duration_s FROM legs")
        }
    with sqlite3.connect(running.settings.sqlite_path) as database:
        database.row_factory = sqlite3.Row
        calls = {row["id"]: row for row in database.execute("SELECT * FROM calls")}
        told: dict[str, list[str]] = {}
        for call_id, kind in database.execute("SELECT call_id, type FROM events ORDER BY id"):
            told.setdefault(call_id, []).append(kind)
    wrong = []
    for id, to in placed.items():
        found = _wrong(calls[id], to[-2:], durations.get(id), told.get(id, []))
        wrong += [f"{id} ({to[-2:]}): {what}" for what in found]
    return wrong


def _wrong(call: sqlite3.Row, number: str, duration_s: float | None, told: list[str]) -> Iterator[str]:
    completed = number in COMPLETED
    if call["phase"] != "done" or call["due_at"] is not None:
        yield f"{call['phase']}, due {call['due_at']}"
    reason, outcome, lines = COMPLETED.get(number) or (FAILED[number], "not-reached", 0)
    said = json.loads(call["transcript"] or "[]")
    expected: tuple[Any, ...] = ("completed" if completed else "failed", reason, outcome, lines)
    found = (call["status"], call["end_reason"], call["outcome"], len(said))
    if found != expected:
        yield f"{found}, expected {expected}"
    if call["duration"] != int(duration_s or 0):
        yield f"lasted {call['duration']} s, the carrier says {duration_s}"
    if told != (_ENDED if completed else _FAILED):
        yield f"told {told}"
    if any(line["start"] > line["end"] for line in said):
        yield "a line ends before it begins"


def recordings(running: Installation) -> list[str]:
    """Completed calls whose recording is not there or not as long as the call; of many, some are opened."""
    with sqlite3.connect(running.settings.sqlite_path) as database:
        rows = database.execute("SELECT id, recording, duration FROM calls WHERE status = 'completed'").fetchall()
    directory = running.data / "recordings"
    wrong = [f"{id}: no file {name}" for id, name, _ in rows if not name or not (directory / name).is_file()]
    for id, name, duration in rows[:: max(1, len(rows) // _MOST_RECORDINGS)]:
        if name and (directory / name).is_file():
            seconds = soundfile.info(directory / name).duration
            if not duration - 1 <= seconds <= duration + 5:
                wrong.append(f"{id}: {seconds:.1f} s of {duration}")
    return wrong
