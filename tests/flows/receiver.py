"""A customer's own server: keeps every webhook it gets, and answers as told."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Delivered:
    """One request as it came."""

    at: float
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class Receiver:
    """What has arrived, and the statuses to answer with, in order, for each path; then 200."""

    url: str = ""
    got: list[Delivered] = field(default_factory=list)
    statuses: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, count: int, path: str = "/", within_s: float = 30.0) -> list[Delivered]:
        """The requests at `path`, once there are `count` of them."""
        deadline = time.monotonic() + within_s
        with self.arrived:
            while len(self.at(path)) < count:
                left = deadline - time.monotonic()
                assert left > 0, f"{len(self.at(path))} of {count} webhooks at {path} within {within_s} s"
                self.arrived.wait(left)
            return self.at(path)

    def at(self, path: str) -> list[Delivered]:
        return [one for one in self.got if one.path == path]


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A receiver on a free port of the loopback address."""
    state = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with state.arrived:
                headers = {name.lower(): value for name, value in self.headers.items()}
                state.got.append(Delivered(time.monotonic(), self.path, headers, body))
                queued = state.statuses[self.path]
                status = queued.pop(0) if queued else 200
                state.arrived.notify_all()
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
