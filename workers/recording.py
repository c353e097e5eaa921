"""Recordings of calls whose carrier has only words: real audio with the transcript's timing, agent left, callee right.

Spoken by espeak-ng where it is installed, otherwise a tone for each word, which the file's title says. 8 kHz is what a
telephone line carries. Encoded as MP3 where the installed libsndfile can (it can in soundfile's wheels), else as WAV;
as WAV, too, while more calls end than can be encoded.
"""

from __future__ import annotations

import asyncio
import math
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile

from schema.rules.calls import Role
from workers.conversation.turns import Turn

Samples = np.ndarray[Any, np.dtype[np.float32]]

RATE = 8_000
TONE_LEVEL = 0.3
SPEECH_LEVEL = 0.6
"""Peaks, of 1: a tone is louder than speech of the same peak."""
LONGEST_TEXT = 2_000
LONGEST_CALL_S = 4 * 3600
SPEECH_TIMEOUT_S = 20.0
WORDS_PER_MINUTE = (80, 175, 400)
"""Slowest, usual and fastest voice of espeak-ng that can still be understood."""
FADE_S = 0.01
BEHIND_S = 1_200.0
"""Seconds of calls that may wait to be made an MP3 of, which takes four of a processor; with more, WAV it is."""

_PITCH = {Role.AGENT: 330.0, Role.CALLEE: 220.0}
_CHANNEL = {Role.AGENT: 0, Role.CALLEE: 1}


@dataclass(frozen=True, slots=True)
class RecordingInfo:
    """The file is `<path>.<format>` and lasts `seconds`."""

    seconds: float
    format: Literal["mp3", "wav"]
    voice: Literal["espeak-ng", "tones"]


class Studio:
    """Makes recordings one after the other in a thread of its own; it is work for a processor, not for a loop.

    An MP3 costs twenty times the time of a WAV: when `BEHIND_S` seconds of calls wait, room on the disk matters less
    than that calls are done with.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "studio")
        self._waiting_s = 0.0

    async def record(self, turns: Sequence[Turn], duration_s: float, path: Path, *, language: str) -> RecordingInfo:
        """`render`, when its turn has come. Raises OSError when the file cannot be written."""
        self._waiting_s += duration_s
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, self._render, turns, duration_s, path, language)
        finally:
            self._waiting_s -= duration_s

    def close(self) -> None:
        """Make no more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _render(self, turns: Sequence[Turn], duration_s: float, path: Path, language: str) -> RecordingInfo:
        behind = self._waiting_s - duration_s > BEHIND_S
        return render(turns, duration_s, path, language=language, format="wav" if behind else None)


def best_format() -> Literal["mp3", "wav"]:
    """MP3 takes 20 times the processor time of WAV (0.4 % of the call's length) and a fifteenth of the room."""
    return "mp3" if "MP3" in soundfile.available_formats() else "wav"


def render(
    turns: Sequence[Turn],
    duration_s: float,
    path: Path,
    *,
    language: str,
    format: Literal["mp3", "wav"] | None = None,  # noqa: A002 (as soundfile calls it)
) -> RecordingInfo:
    """Write `path` + `.mp3` or `.wav`, all of it or nothing; takes processor time, so call it in a thread.

    Memory is bounded by one turn, whatever the call's length. Raises OSError when the file cannot be written.
    """
    kind = format or best_format()
    seconds = min(max(duration_s, max((turn.end for turn in turns), default=0.0)), LONGEST_CALL_S)
    studio = _Studio(language)
    target = path.with_name(f"{path.name}.{kind}")
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=f".{kind}")
    os.close(handle)
    try:
        _write(temporary, kind, seconds, _clips(turns, studio), studio.voice)
        Path(temporary).replace(target)
    except soundfile.SoundFileError as error:
        raise OSError(f"the recording could not be encoded: {error}") from error
    finally:
        Path(temporary).unlink(missing_ok=True)
    return RecordingInfo(round(seconds, 2), kind, studio.voice)


@dataclass(slots=True)
class _Clip:
    """What one turn sounds like. `at`: its first sample's place in the call."""

    at: int
    channel: int
    samples: Samples


def _clips(turns: Sequence[Turn], studio: _Studio) -> Iterator[_Clip]:
    """The turns that can be heard, in the order of their beginnings, each made when it is reached."""
    spoken = [turn for turn in turns if turn.role in _CHANNEL and turn.text]
    for turn in sorted(spoken, key=lambda turn: turn.start):
        length_s = max(0.05, turn.end - turn.start)
        samples = studio.say(turn.text[:LONGEST_TEXT], length_s, turn.role)
        yield _Clip(round(max(0.0, turn.start) * RATE), _CHANNEL[turn.role], samples)


def _write(name: str, kind: str, seconds: float, clips: Iterator[_Clip], voice: str) -> None:
    """Mix the clips into the file, a second at a time."""
    total = max(1, math.ceil(seconds * RATE))
    sounding: list[_Clip] = []
    coming = next(clips, None)
    with soundfile.SoundFile(name, "w", RATE, 2, format=kind.upper()) as file:
        file.title = "Call recording" if voice == "espeak-ng" else "Call recording (tones in place of words)"
        file.comment = f"agent left, callee right; voice: {voice}"
        for at in range(0, total, RATE):
            block = np.zeros((min(RATE, total - at), 2), dtype=np.float32)
            while coming is not None and coming.at < at + len(block):
                sounding.append(coming)
                coming = next(clips, None)
            for clip in sounding:
                start, end = max(clip.at, at), min(clip.at + len(clip.samples), at + len(block))
                if start < end:
                    block[start - at : end - at, clip.channel] += clip.samples[start - clip.at : end - clip.at]
            sounding = [clip for clip in sounding if clip.at + len(clip.samples) > at + len(block)]
            file.write(np.clip(block, -1.0, 1.0))


@dataclass(slots=True)
class _Studio:
    """Says things in a language: with espeak-ng, or in tones from the first time that it fails."""

    language: str
    program: str | None = field(default_factory=lambda: shutil.which("espeak-ng"))

    def __post_init__(self) -> None:
        if self.program is not None and self._speak("test", 2.0, Role.AGENT) is None:
            self.program = None

    @property
    def voice(self) -> Literal["espeak-ng", "tones"]:
        return "tones" if self.program is None else "espeak-ng"

    def say(self, text: str, length_s: float, role: Role) -> Samples:
        """Words that last `length_s` seconds."""
        spoken = None if self.program is None else self._speak(text, length_s, role)
        return _tones(text, length_s, role) if spoken is None else spoken

    def _speak(self, text: str, length_s: float, role: Role) -> Samples | None:
        slowest, _, fastest = WORDS_PER_MINUTE
        pace = round(min(fastest, max(slowest, len(text.split()) * 60 / length_s)))
        pitch = "55" if role is Role.AGENT else "35"
        command = [self.program or "", "-v", self._voice_name(), "-s", str(pace), "-p", pitch, "--stdin", "--stdout"]
        try:
            done = subprocess.run(  # noqa: S603 (no shell; what was said goes in through stdin)
                command, input=text.encode(), capture_output=True, timeout=SPEECH_TIMEOUT_S, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return _fit(_wave(done.stdout), length_s)

    def _voice_name(self) -> str:
        name = self.language.replace("_", "-").lower()
        return name if name.replace("-", "").isalnum() else "en"


def _wave(data: bytes) -> Samples:
    """The samples of espeak-ng's output, whose header does not know its length, at the telephone's rate."""
    rate = int.from_bytes(data[24:28], "little") or 22_050
    pcm = np.frombuffer(data[44 : 44 + (len(data) - 44) // 2 * 2], dtype="<i2")
    samples: Samples = pcm.astype(np.float32) / np.float32(32_768)
    if not len(samples):
        return samples
    width = max(1, round(rate / RATE))
    smooth = np.convolve(
        samples, np.full(width, 1 / width, dtype=np.float32), "same"
    )  # keeps what 8 kHz cannot carry out
    places = np.arange(0, len(samples) - 1, rate / RATE)
    resampled: Samples = np.interp(places, np.arange(len(samples)), smooth).astype(np.float32)
    return resampled


def _fit(samples: Samples, length_s: float) -> Samples:
    """Cut to the turn's length, at the level of a voice."""
    samples = samples[: round(length_s * RATE)]
    peak = float(np.abs(samples).max(initial=0.0))
    return samples if peak == 0.0 else samples * np.float32(SPEECH_LEVEL / peak)


def _tones(text: str, length_s: float, role: Role) -> Samples:
    """A tone for each word, as long as the word is, a little higher or lower by its letters."""
    samples = np.zeros(round(length_s * RATE), dtype=np.float32)
    words = text.split() or ["…"]
    per_letter = len(samples) / (sum(len(word) + 1 for word in words))
    at = 0.0
    for word in words:
        length = int(per_letter * len(word))
        pitch = _PITCH[role] * (1 + sum(word.encode()) % 8 / 24)
        time = np.arange(length, dtype=np.float32) / RATE
        fade = np.minimum(1.0, np.minimum(time, time[::-1]) / FADE_S)
        start = int(at)
        samples[start : start + length] = TONE_LEVEL * fade * np.sin(2 * math.pi * pitch * time)
        at += per_letter * (len(word) + 1)
    return samples
