"""uvicorn's HTTP/1.1 whose own refusal, of what is not HTTP at all, is in the envelope too (decisions E1, R11)."""

from __future__ import annotations

import secrets

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.graphql import PATH
from app.responses import error_response
from app.websocket.server_protocol import is_handshake
from schema.errors import ErrorCode


class HttpProtocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=HttpProtocol)`."""

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing: the request's own log line says what was answered, and no library is missing."""

    def _should_upgrade(self) -> bool:
        """To a WebSocket at its one address; any other request to upgrade is answered like a request."""
        at_address = self.url.partition(b"?")[0] == PATH.encode() and self.scope["method"] == "GET"
        return at_address and super()._should_upgrade() and is_handshake(self.headers)

    def send_400_response(self, msg: str) -> None:
        headers = {"Connection": "close", "X-Request-Id": secrets.token_hex(16)}
        response = error_response(400, ErrorCode.BAD_REQUEST, "The request is not valid HTTP", headers)
        lines = [STATUS_LINE[400], *(b"%s: %s\r\n" % header for header in response.raw_headers), b"\r\n"]
        self.transport.write(b"".join(lines) + bytes(response.body))
        self.transport.close()
