"""Recordings: what is heard where and when, and what becomes of the file when something fails."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from schema.rules.calls import Role
from workers import recording
from workers.conversation.turns import Turn
from workers.recording import RecordingInfo, Studio, render

TURNS = [
    Turn(Role.AGENT, "Hi, this is Sarah calling from Acme.", 0.6, 3.0),
    Turn(Role.CALLEE, "Sorry, who is this?", 2.5, 4.0),  # cut in
    Turn(Role.TOOL, "do_not_call(reason=asked): Done.", 4.0, 4.0),
    Turn(Role.AGENT, "This is Sarah.", 4.5, 5.5),
]

FAKE_ESPEAK = """#!{python}
import struct, sys
text = sys.stdin.read()
with open({log!r}, "a") as log:
    log.write(repr((sys.argv[1:], text)) + "\\n")
if {status}:
    sys.exit({status})
samples = [8000 if i // 20 % 2 else -8000 for i in range(22050 * 8)]
data = struct.pack("<%dh" % len(samples), *samples)
header = b"RIFF" + b"\\xff" * 4 + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 22050, 44100, 2, 16)
sys.stdout.buffer.write(header + b"data" + b"\\xff" * 4 + data)
"""


@pytest.fixture(autouse=True)
def path(monkeypatch, tmp_path) -> Path:
    """Programs are found here alone: without espeak-ng, unless a test installs one."""
    bin_path = tmp_path / "bin"
    bin_path.mkdir()
    monkeypatch.setenv("PATH", str(bin_path))
    return bin_path


def install(path: Path, status: int = 0) -> Path:
    log = path / "log"
    program = path / "espeak-ng"
    program.write_text(FAKE_ESPEAK.format(python=sys.executable, log=str(log), status=status))
    program.chmod(0o755)
    return log


def loudness(samples: np.ndarray, rate: int, start: float, end: float) -> tuple[float, float]:
    """Of both channels, in a piece of the call."""
    left, right = np.sqrt((samples[int(start * rate) : int(end * rate)] ** 2).mean(axis=0))
    return float(left), float(right)


@pytest.mark.parametrize("kind", ["mp3", "wav"])
def test_the_agent_is_left_the_callee_right_at_the_transcripts_times(tmp_path, kind):
    info = render(TURNS, 8.0, tmp_path / "call", language="en-US", format=kind)

    assert info == RecordingInfo(8.0, kind, "tones")
    with soundfile.SoundFile(tmp_path / f"call.{kind}") as file:
        assert (file.channels, file.samplerate, file.format) == (2, 8_000, kind.upper())
        assert file.title == "Call recording (tones in place of words)"
        assert file.comment == "agent left, callee right; voice: tones"
        samples, rate = file.read(), file.samplerate
    assert len(samples) / rate == pytest.approx(8.0, abs=0.1)
    heard = {
        (start, end): tuple(level > 0.05 for level in loudness(samples, rate, start, end))
        for start, end in [(0.0, 0.5), (0.7, 2.4), (2.6, 2.9), (3.2, 3.9), (4.1, 4.4), (4.6, 5.4), (5.7, 8.0)]
    }
    assert heard == {
        (0.0, 0.5): (False, False),
        (0.7, 2.4): (True, False),
        (2.6, 2.9): (True, True),
        (3.2, 3.9): (False, True),
        (4.1, 4.4): (False, False),
        (4.6, 5.4): (True, False),
        (5.7, 8.0): (False, False),
    }
    for start, end in [(0.7, 2.4), (4.6, 5.4)]:
        left, right = loudness(samples, rate, start, end)
        assert right < left / 100


def test_the_best_format_is_mp3_where_it_can_be_written(tmp_path, monkeypatch):
    assert render(TURNS, 8.0, tmp_path / "call", language="en-US").format == "mp3"

    monkeypatch.setattr(soundfile, "available_formats", lambda: {"WAV": "WAV"})

    assert render(TURNS, 8.0, tmp_path / "call", language="en-US").format == "wav"
    assert (tmp_path / "call.wav").read_bytes()[:4] == b"RIFF"


def test_it_is_spoken_where_espeak_ng_is_installed(tmp_path, path):
    log = install(path)

    info = render(TURNS, 8.0, tmp_path / "call", language="de_AT", format="wav")

    assert info.voice == "espeak-ng"
    with soundfile.SoundFile(tmp_path / "call.wav") as file:
        assert file.title == "Call recording"
        samples, rate = file.read(), file.samplerate
    assert loudness(samples, rate, 0.7, 2.4)[0] > 0.3
    assert loudness(samples, rate, 3.1, 4.0)[0] == 0.0  # cut to the turn's length
    assert loudness(samples, rate, 2.6, 3.9)[1] > 0.3
    _, first, second, third = log.read_text().splitlines()
    assert first == repr(
        (["-v", "de-at", "-s", "175", "-p", "55", "--stdin", "--stdout"], "Hi, this is Sarah calling from Acme.")
    )
    assert "who is this" in second
    assert "This is Sarah." in third


@pytest.mark.parametrize("text", ["$(touch hacked); rm -rf *", "-f /etc/passwd", "--help", "\x00 <script>"])
def test_words_never_reach_a_shell_or_an_option(tmp_path, path, text):
    log = install(path)

    render([Turn(Role.CALLEE, text, 0.0, 2.0)], 2.0, tmp_path / "call", language="en; rm -rf *", format="wav")

    arguments, said = eval(log.read_text().splitlines()[-1])  # noqa: S307 (our own repr)
    assert said == text
    assert arguments[:2] == ["-v", "en"]
    assert text not in arguments


def test_a_program_that_fails_leaves_it_to_tones(tmp_path, path):
    install(path, status=1)

    info = render(TURNS, 8.0, tmp_path / "call", language="xx", format="wav")

    assert info.voice == "tones"
    samples, rate = soundfile.read(tmp_path / "call.wav")
    assert loudness(samples, rate, 0.7, 2.4)[0] > 0.05


def test_a_program_that_hangs_leaves_it_to_tones(tmp_path, path, monkeypatch):
    program = path / "espeak-ng"
    program.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    program.chmod(0o755)
    monkeypatch.setattr(recording, "SPEECH_TIMEOUT_S", 0.2)

    assert render(TURNS, 8.0, tmp_path / "call", language="en", format="wav").voice == "tones"


def test_a_call_without_words_is_silence_of_its_length(tmp_path):
    info = render([], 3.0, tmp_path / "call", language="en", format="wav")

    samples, rate = soundfile.read(tmp_path / "call.wav")
    assert info.seconds == 3.0
    assert (len(samples) / rate, float(np.abs(samples).max())) == (3.0, 0.0)


def test_words_after_the_carriers_end_are_kept(tmp_path):
    assert render(TURNS, 5.0, tmp_path / "call", language="en", format="wav").seconds == 5.5


def test_a_finished_recording_replaces_the_old_one_and_leaves_nothing_else(tmp_path):
    for _ in range(2):
        render(TURNS, 8.0, tmp_path / "call", language="en", format="wav")

    assert sorted(file.name for file in tmp_path.iterdir()) == ["bin", "call.wav"]


def test_a_recording_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def full(self, data):
        raise soundfile.SoundFileError("no space left")

    monkeypatch.setattr(soundfile.SoundFile, "write", full)

    with pytest.raises(OSError, match="could not be encoded: no space left"):
        render(TURNS, 8.0, tmp_path / "call", language="en", format="wav")

    assert [file.name for file in tmp_path.iterdir()] == ["bin"]


def test_a_folder_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        render(TURNS, 8.0, tmp_path / "none" / "call", language="en")


async def test_while_more_calls_end_than_can_be_encoded_it_is_wav(tmp_path, monkeypatch):
    """An MP3 takes twenty times as long, and a call that waits for its recording is not done with."""
    asked = []
    all_wait = threading.Event()

    def render(turns, duration_s, path, *, language, format=None):  # noqa: A002 (as it is called there)
        asked.append(format)
        assert all_wait.wait(10)
        return RecordingInfo(duration_s, format or "mp3", "tones")

    monkeypatch.setattr(recording, "render", render)
    monkeypatch.setattr(recording, "BEHIND_S", 7.0)
    studio = Studio()

    async def record(name):
        return await studio.record(TURNS, 8.0, tmp_path / name, language="en")

    several = [asyncio.create_task(record(name)) for name in ("a", "b", "c")]
    await asyncio.sleep(0)
    all_wait.set()
    made = [info.format for info in await asyncio.gather(*several)]
    alone = await record("d")
    studio.close()

    assert (made[1], asked[1]) == ("wav", "wav")  # a third one waits behind it
    assert (alone.format, asked[-1]) == ("mp3", None)
