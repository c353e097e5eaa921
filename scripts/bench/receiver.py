"""A receiver of deliveries, in a process of its own: answers 200 at once and checks every signature.

Prints its port; when its stdin is closed it prints what it got, as JSON.
"""

import asyncio
import hashlib
import hmac
import json
import re
import sys
from typing import Any

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)\r\n")
_SIGNATURE = re.compile(rb"(?i)\r\nx-voxforge-signature: *sha256=([0-9a-f]{64})\r\n")
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Receiver(asyncio.Protocol):
    """One connection."""

    received = 0
    unsigned = 0

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._buffer = bytearray()

    def connection_made(self, transport: Any) -> None:
        """Keep what to answer on."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._buffer, 0, end + 2)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            signature = _SIGNATURE.search(self._buffer, 0, end + 2)
            expected = hmac.new(self._secret, self._buffer[end + 4 : whole], hashlib.sha256).hexdigest().encode()
            Receiver.received += 1
            Receiver.unsigned += signature is None or signature[1] != expected
            del self._buffer[:whole]
            self._transport.write(_OK)


async def receive(secret: bytes) -> None:
    """Serve until nobody wants it any more."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Receiver(secret), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()
    print(json.dumps({"received": Receiver.received, "unsigned": Receiver.unsigned}), flush=True)


if __name__ == "__main__":
    asyncio.run(receive(sys.argv[1].encode()))
