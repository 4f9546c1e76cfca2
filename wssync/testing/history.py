"""What a `Server` remembers: who asked, who was let in, and what went wrong.

A test compares it with what it did. So everything is put on record before the client can know of it: when a client has
read the answer, its request and its connection are there.
"""

from __future__ import annotations

import logging
import threading
from typing import List, Optional

from ..protocol.http1 import RequestHead
from .connection import ServerConnection
from .unframed import CLOSE_TIMEOUT

__all__ = ["History"]

logger = logging.getLogger("wssync.testing")


class History:
    """The part of `Server` that remembers. All methods and properties may be used from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._over = False
        self._requests: List[RequestHead] = []
        self._connections: List[ServerConnection] = []
        self._handed_out = 0
        self._errors: List[BaseException] = []

    @property
    def requests(self) -> List[RequestHead]:
        """The requests received so far, those that were refused too; a new list."""
        with self._changed:
            return list(self._requests)

    @property
    def connections(self) -> List[ServerConnection]:
        """The connections opened so far, those that have ended too, in order of arrival; a new list.

        A client that has seen the 101 finds its connection here.
        """
        with self._changed:
            return list(self._connections)

    @property
    def errors(self) -> List[BaseException]:
        """What handlers and `opening` functions have raised, and what clients did wrong; a new list.

        The latter are a ProtocolError for a breach of the WebSocket protocol, MessageTooBig for a message over
        `maximum_message_size`, and HandshakeError for a request that is no HTTP. Each is here before the server says
        anything about it: a client that has read the Close, or the 400, finds it. An error that no client is told of
        may be later; after `close()` of the server all of them are there.
        """
        with self._changed:
            return list(self._errors)

    def take_errors(self) -> List[BaseException]:
        """The `errors` so far, which are forgotten: so a test says that it expected them."""
        with self._changed:
            taken, self._errors = self._errors, []
            return taken

    def wait_for_connection(self, timeout: Optional[float] = CLOSE_TIMEOUT) -> ServerConnection:
        """The first of `connections` that no call of this has returned yet; waits for it if need be.

        TimeoutError after `timeout` seconds, RuntimeError once the server is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._has_news() or self._over, timeout)
            if not self._has_news():
                if self._over:
                    raise RuntimeError("the server is closed, no connection will come")
                raise TimeoutError(f"no connection was opened within {timeout:g} seconds")
            self._handed_out += 1
            return self._connections[self._handed_out - 1]

    def _has_news(self) -> bool:
        return len(self._connections) > self._handed_out

    def _add_request(self, request: RequestHead) -> None:
        with self._changed:
            self._requests.append(request)

    def _add_connection(self, connection: ServerConnection) -> None:
        with self._changed:
            self._connections.append(connection)
            self._changed.notify_all()

    def _add_error(self, error: BaseException) -> None:
        with self._changed:
            self._errors.append(error)
        logger.error("a connection of the test server failed", exc_info=error)

    def _finish(self) -> None:
        """No connection will come any more."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
