"""A real Chromium without a window, driven over its DevTools protocol: what a person does, and what the page then asks.

Only what the tests need, over `websockets`, which the server uses anyway; selectors are CSS, or text that is seen.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = "These tests need Chromium, and there is none on PATH. On Debian and Ubuntu: apt-get install chromium"
_WAIT_S = 20.0


@contextlib.contextmanager
def chromium(width: int = 1280, height: int = 900, *, dark: bool = False) -> Iterator[Page]:
    """A browser with one empty page, a profile of its own, and no network but the loopback address's."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        raise RuntimeError(MISSING)
    with tempfile.TemporaryDirectory(prefix="voxforge-chromium-", ignore_cleanup_errors=True) as profile:
        options = [
            "--headless=new",
            "--remote-debugging-port=0",
            f"--user-data-dir={profile}",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--hide-scrollbars",
            "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
        ]
        log = Path(profile, "log")
        with (
            log.open("wb") as output,
            subprocess.Popen([program, *options, "about:blank"], stdout=output, stderr=output) as process,
        ):
            try:
                port, path = _listening(process, Path(profile), log)
                with connect(f"ws://127.0.0.1:{port}{path}", max_size=None) as socket:
                    page = Page(socket)
                    page.resize(width, height)
                    page.prefer("dark" if dark else "light")
                    yield page
            finally:
                process.terminate()


def _listening(process: subprocess.Popen[bytes], profile: Path, log: Path) -> tuple[str, str]:
    told = profile / "DevToolsActivePort"
    deadline = time.monotonic() + _WAIT_S
    while not (told.exists() and len(lines := told.read_text().splitlines()) == 2):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"Chromium did not start:\n{log.read_text(errors='replace')[-2_000:]}")
        time.sleep(0.02)
    return lines[0], lines[1]


class Page:
    """The browser's one page. `requests` are the addresses that it asked for, `complaints` what its console said."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._session: str | None = None
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.received = 0
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol; what the page reports meanwhile is noted."""
        number = next(self._ids)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(timeout=_WAIT_S))
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return dict(answer["result"])
            self._note(answer.get("method"), answer.get("params", {}))

    def _note(self, method: str | None, params: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            if not params["request"]["url"].startswith("data:"):  # Chromium's own icons of its date fields
                self.requests.append(params["request"]["url"])
        elif method == "Network.webSocketCreated":
            self.requests.append(params["url"])
        elif method == "Network.loadingFinished":
            self.received += int(params["encodedDataLength"])
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in {"error", "warning", "assert"}:
            self.complaints.append(" ".join(str(each.get("value")) for each in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in {"error", "warning"}:
            entry = params["entry"]
            self.complaints.append(f"{entry['source']}: {entry['text']} {entry.get('url', '')}")

    def resize(self, width: int, height: int) -> None:
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def prefer(self, scheme: str) -> None:
        """Be on a system that prefers `light` or `dark`."""
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, url: str) -> None:
        """Go to an address, and wait until something is on the page."""
        self.send("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && document.body.innerText.trim() !== ''")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression on the page, or of its promise. Raises RuntimeError for what it throws."""
        answer = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']['exception'].get('description')}")
        return answer["result"].get("value")

    def wait(self, condition: str) -> Any:
        """Until an expression is true on the page; its value."""
        deadline = time.monotonic() + _WAIT_S
        while True:
            with contextlib.suppress(RuntimeError):  # between two documents there is no context to ask
                if value := self.evaluate(condition):
                    return value
            if time.monotonic() > deadline:
                text = self.evaluate("document.body.innerText")
                raise AssertionError(f"never true: {condition}\n{self.complaints}\n{text}")
            time.sleep(0.03)

    def see(self, text: str) -> None:
        """Wait until that text is seen."""
        self.wait(f"document.body.innerText.includes({json.dumps(text)})")

    def unsee(self, text: str) -> None:
        """Wait until that text is seen no longer."""
        self.wait(f"!document.body.innerText.includes({json.dumps(text)})")

    def click(self, name: str, role: str = "button, a, label, [role=menuitem], [role=option]") -> None:
        """Click with the mouse on what has that name: its text, or its `aria-label`."""
        where = self.wait(
            f"""(() => {{
                const named = [...document.querySelectorAll({json.dumps(role)})].filter((each) =>
                    (each.getAttribute('aria-label') ?? each.innerText.trim()) === {json.dumps(name)}
                    && each.checkVisibility() && !each.disabled);
                const found = named.at(-1);  // what lies over the page comes last
                if (!found) return null;
                found.scrollIntoView({{block: 'center', behavior: 'instant'}});
                const box = found.getBoundingClientRect();
                return {{x: box.x + box.width / 2, y: box.y + box.height / 2}};
            }})()"""
        )
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **where)

    def fill(self, label: str, text: str) -> None:
        """Type into the field with that label, over what it holds."""
        self.wait(
            f"""(() => {{
                const label = [...document.querySelectorAll('label')].find(
                    (each) => each.innerText.trim() === {json.dumps(label)});
                const field = label && (label.control ?? document.getElementById(label.htmlFor));
                if (!field) return false;
                field.focus();
                field.select?.();
                return document.activeElement === field;
            }})()"""
        )
        self.send("Input.insertText", text=text)

    def choose(self, label: str, option: str) -> None:
        """Choose an option, by its text, of the select with that label or `aria-label`."""
        self.wait(
            f"""(() => {{
                const wanted = {json.dumps(label)};
                const field = [...document.querySelectorAll('select')].findLast((each) =>
                    each.getAttribute('aria-label') === wanted
                    || [...each.labels].some((name) => name.innerText.trim().split('\\n')[0] === wanted));
                const option = [...(field?.options ?? [])].find(
                    (each) => each.text.trim() === {json.dumps(option)});
                if (!option) return false;
                Object.getOwnPropertyDescriptor(HTMLSelectElement.prototype, 'value').set.call(field, option.value);
                field.dispatchEvent(new Event('change', {{bubbles: true}}));
                return true;
            }})()"""
        )

    def drop(self, name: str, content: str) -> None:
        """Drop a file onto what takes one."""
        self.wait(
            f"""(() => {{
                const target = document.querySelector('input[type=file]')?.closest('label');
                if (!target) return false;
                const carried = new DataTransfer();
                carried.items.add(new File([{json.dumps(content)}], {json.dumps(name)}, {{type: 'text/csv'}}));
                target.dispatchEvent(new DragEvent('drop', {{dataTransfer: carried, bubbles: true, cancelable: true}}));
                return true;
            }})()"""
        )

    def press(self, key: str, *, control: bool = False) -> None:
        """Press a key, by its name."""
        code = {"Enter": 13, "Escape": 27}.get(key, ord(key[0].upper()))
        given = {"key": key, "windowsVirtualKeyCode": code, "modifiers": 2 if control else 0}
        if key == "Enter":
            given["text"] = "\r"
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, **given)

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """A picture of the page, for whoever wants to look at it."""
        picture = self.send("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(picture["data"]))
