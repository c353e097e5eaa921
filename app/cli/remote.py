"""A running server, for the commands that talk to one: where it is, and what it says when it will not."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from app.failure import Failure

if TYPE_CHECKING:
    import httpx

# ruff: noqa: PLC0415 (a command loads what it needs when it runs)

URL, KEY = "VOXFORGE_URL", "VOXFORGE_API_KEY"
_ANSWER_S = 900.0  # a large import, on a machine that has much else to do


@dataclass(frozen=True, slots=True)
class Server:
    """An address, and a key that is valid there."""

    url: str
    key: str

    @classmethod
    def named(cls) -> Server | None:
        """The server that the environment names, None if it names none. Raises Failure for half of it."""
        url = os.environ.get(URL)
        if not url:
            return None
        if urlsplit(url).scheme not in {"http", "https"}:
            raise Failure(f"{URL} must be an address such as http://127.0.0.1:8000")
        key = os.environ.get(KEY)
        if not key:
            raise Failure(f"{URL} names a server, and {KEY} is not set: voxforge keys create makes one")
        return cls(url.rstrip("/"), key)

    @classmethod
    def required(cls) -> Server:
        """The server that the environment names. Raises Failure if it names none."""
        server = cls.named()
        if server is None:
            raise Failure(f"Set {URL} to the address of a running server, and {KEY} to a key of it")
        return server

    @property
    def authorization(self) -> dict[str, str]:
        """The header that lets us in."""
        return {"Authorization": f"Bearer {self.key}"}

    def ask(self, method: str, path: str, json: object = None) -> Any:
        """The JSON that a request below `/api/v1` is answered. Raises Failure, also for what the server refuses."""
        import httpx

        where = f"{self.url}/api/v1{path}"
        try:
            return content(httpx.request(method, where, json=json, headers=self.authorization, timeout=30))
        except httpx.TransportError as error:
            raise self.unreachable(error) from None

    def unreachable(self, error: httpx.TransportError) -> Failure:
        """What to say when nobody answers."""
        return Failure(f"{self.url} cannot be reached: {error}")

    def post(
        self, path: str, content: Iterable[bytes], headers: Mapping[str, str], params: Mapping[str, str]
    ) -> httpx.Response:
        """Send a request below `/api/v1`. Raises Failure when nobody answers."""
        import httpx

        every = {**self.authorization, **headers}
        try:
            return httpx.post(
                f"{self.url}/api/v1{path}",
                content=content,
                headers=every,
                params=params,
                timeout=httpx.Timeout(30, read=_ANSWER_S),
            )
        except httpx.TransportError as error:
            raise self.unreachable(error) from None


def refusal(response: httpx.Response) -> Failure:
    """What a server's error says (decision E1)."""
    try:
        return Failure(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return Failure(f"{response.url.host} answered {response.status_code}, and not as VoxForge does")


def content(response: httpx.Response) -> Any:
    """The JSON of a success. Raises Failure with what the server says."""
    if not response.is_success:
        raise refusal(response)
    return response.json()
