"""A profiler by sampling, in the process that is looked at: who is on the stack, every millisecond of CPU.

A thread that waits for work is not counted, one that waits for the interpreter's lock is. Time in a C function counts
for the Python function that called it.
"""

import json
import linecache
import os
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from threading import Event, Thread
from types import FrameType
from typing import Any

_EVERY_S = 0.001
_WAITING = frozenset({"wait", "_wait_for_tstate_lock", "select", "_end_in_time"})
_DEEPEST = 200
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class Sampler:
    """Counts functions: `own` where they are on top of a stack, `under` where they are anywhere in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own: Counter[str] = Counter()
        self._under: Counter[str] = Counter()
        self._samples = 0
        self._main = threading.main_thread().ident

    def start(self) -> None:
        """Forget what was, and sample."""
        self._own.clear()
        self._under.clear()
        self._samples = 0
        sys.setswitchinterval(_EVERY_S)
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, _EVERY_S, _EVERY_S)

    def stop(self) -> None:
        """Stop, and write what was seen."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        seen = {"samples": self._samples, "own": dict(self._own), "under": dict(self._under)}
        aside = self._path.with_suffix(".part")
        aside.write_text(json.dumps(seen))
        aside.rename(self._path)

    def _sample(self, _number: int, frame: FrameType | None) -> None:
        for thread, top in sys._current_frames().items():  # noqa: SLF001 (documented, despite its name)
            self._count(frame if thread == self._main else top)

    def _count(self, frame: FrameType | None) -> None:
        if frame is None or _is_waiting(frame):
            return
        self._samples += 1
        self._own[_name(frame)] += 1
        self._under.update(_stack(frame))


class ThreadSampler:
    """The same by a thread of its own that looks every few milliseconds, for work that is not in the main thread.

    Also writes how much CPU each thread has used.
    """

    def __init__(self, path: Path, every_s: float = 0.004) -> None:
        self._path = path
        self._every_s = every_s
        self._stopping = Event()
        self._looking: Thread | None = None

    def start(self) -> None:
        """Sample from now on."""
        self._stopping.clear()
        self._looking = Thread(target=self._look, name="sampler", daemon=True)
        self._looking.start()

    def stop(self) -> None:
        """Stop, and write what was seen."""
        self._stopping.set()

    def _look(self) -> None:
        seen: dict[str, dict[str, Any]] = {}
        before = _cpu_of_threads()
        while not self._stopping.wait(self._every_s):
            names = {thread.ident: _kind(thread.name) for thread in threading.enumerate()}
            for thread, frame in sys._current_frames().items():  # noqa: SLF001 (as above)
                if thread == threading.get_ident() or _is_waiting(frame):
                    continue
                counts = seen.setdefault(names.get(thread, "?"), {"samples": 0, "own": Counter(), "under": Counter()})
                counts["samples"] += 1
                counts["own"][_name(frame)] += 1
                counts["under"].update(_stack(frame))
        for name, used in _cpu_of_threads().items():
            seen.setdefault(name, {"samples": 0, "own": {}, "under": {}})["cpu_s"] = used - before.get(name, 0.0)
        aside = self._path.with_suffix(".part")
        aside.write_text(json.dumps(seen))
        aside.rename(self._path)


def _kind(name: str) -> str:
    """Threads that do the same have the same name, but for a number."""
    return "aiosqlite" if "_connection_worker_thread" in name else name.rstrip("0123456789-_ ")


def _cpu_of_threads() -> dict[str, float]:
    """Seconds of CPU by the name of the thread, those with the same name together."""
    used: Counter[str] = Counter()
    for thread in threading.enumerate():
        try:
            fields = Path(f"/proc/self/task/{thread.native_id}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        used[_kind(thread.name)] += (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND
    return dict(used)


def _stack(frame: FrameType) -> set[str]:
    """Every function that is on the stack."""
    seen = set()
    walked: FrameType | None = frame
    for _ in range(_DEEPEST):
        if walked is None:
            break
        seen.add(_name(walked))
        walked = walked.f_back
    return seen


def _is_waiting(frame: FrameType) -> bool:
    """Whether the thread is in its event loop and nowhere else, or has nothing to do."""
    code = frame.f_code
    if code.co_filename.endswith("asyncio/runners.py"):
        return True
    if code.co_name == "_connection_worker_thread":  # aiosqlite's: it takes from its queue, or it works
        return ".get(" in linecache.getline(code.co_filename, frame.f_lineno)
    return code.co_name in _WAITING


def _name(frame: FrameType) -> str:
    code = frame.f_code
    parts = Path(code.co_filename).parts
    parts = parts[parts.index("site-packages") + 1 :] if "site-packages" in parts else parts[-3:]
    return f"{'/'.join(parts)}:{code.co_firstlineno} {code.co_qualname}"
