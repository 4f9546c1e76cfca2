"""The port of a `Server`: who connects is welcomed, ignored or refused.

The three ways are those of a real server: it is well, it hangs (the kernel still completes the connections, and nobody
ever says a word on them), or it is down (the kernel refuses). While it is down the port must stay ours, or the server
could come back to find another one there: a socket that is bound to the port but does not listen keeps it, on every
system.

One thread does all of it. A descriptor must not be closed under another thread's `poll`, so whoever wants another way
gives that thread the order and waits until it was carried out. Whoever had connected before the order is still treated
in the old way: the thread empties the kernel's queue first.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import os
import socket
import threading
from typing import TYPE_CHECKING, Callable, List, Optional

from ..transport.waiting import Waker, wait_for

if TYPE_CHECKING:
    from ..transport.waiting import HasFileno

__all__ = ["Listener", "Welcome"]

logger = logging.getLogger("wssync.testing")

BACKLOG = 128


class Welcome(enum.Enum):
    """What becomes of those who connect."""

    SERVE = "their connections are handed on"
    IGNORE = "their connections are taken, and nothing is read or said"
    REFUSE = "TCP refuses them"


class Listener:
    """A port of 127.0.0.1 and a thread that accepts; `port` 0 takes a free one. OSError when it is taken.

    Clients can connect at once, and wait for the start of `thread`; that done, `close` gives everything back.

    `serve` and `ignore` are called, in that thread, with the socket of each connection, which is then theirs; when they
    raise OSError, or RuntimeError as `Thread.start` does, the socket is closed here. All methods may be called from any
    other thread.
    """

    def __init__(
        self, port: int, serve: Callable[[socket.socket], None], ignore: Callable[[socket.socket], None]
    ) -> None:
        self._takers = {Welcome.SERVE: serve, Welcome.IGNORE: ignore}
        self._welcome = Welcome.SERVE
        self._ordering = threading.Lock()
        self._changed = threading.Condition()
        self._order: Optional[Welcome] = None
        self._failure: Optional[OSError] = None
        self._closing = False
        with contextlib.ExitStack() as undo:
            self._socket = _bind(port)
            undo.callback(self._socket.close)
            self._socket.listen(BACKLOG)
            self.port: int = self._socket.getsockname()[1]
            """The port's number."""
            self._waker = Waker()
            undo.pop_all()
        self.thread = threading.Thread(target=self._run, name=f"wssync-testing-server-{self.port}", daemon=True)
        """Who accepts, from its start on."""

    def change(self, welcome: Welcome) -> None:
        """Treat so who connects from now on. OSError when that cannot be, RuntimeError when the listener is closed."""
        with self._ordering, self._changed:
            self._order, self._failure = welcome, None
            self._waker.wake()
            self._changed.wait_for(lambda: self._order is None or self._closing)
            if self._failure is not None:
                raise self._failure
            if self._closing:
                raise RuntimeError("the server is closed")

    def discard(self) -> None:
        """Give everything back, if `thread` was never started; else it does so itself, and this does nothing."""
        if self.thread.ident is None:
            self._socket.close()
            self._waker.close()

    def close(self) -> None:
        """Give up the port: nobody is accepted any more. Joining `thread` shows when all of it is over."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._waker.wake()

    def _run(self) -> None:
        try:
            while not self._closing:
                wait_for(self._watched(), [], None)
                self._waker.clear()
                order = self._order  # before the queue is emptied: who connects after this look comes after the order
                self._accept_all()
                if order is not None:
                    self._obey(order)
        finally:
            self.close()
            self._socket.close()
            self._waker.close()

    def _watched(self) -> List[HasFileno]:
        # A socket that does not listen counts as hung up, at once and for ever.
        return [self._waker] if self._welcome is Welcome.REFUSE else [self._waker, self._socket]

    def _accept_all(self) -> None:
        if self._welcome is Welcome.REFUSE:
            return
        for _ in range(BACKLOG + 1):
            if self._closing:
                return
            try:
                sock, _address = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self._rest(error)
                return
            try:
                self._takers[self._welcome](sock)
            except (OSError, RuntimeError) as error:
                sock.close()
                self._rest(error)

    def _rest(self, error: Exception) -> None:
        # The client is gone again, or there is no descriptor or thread left: trying at once would be a busy loop.
        logger.info("a connection could not be accepted: %s", error)
        wait_for([self._waker], [], 0.05)

    def _obey(self, order: Welcome) -> None:
        with self._changed:
            self._order = None
            try:
                self._change(order)
            except OSError as error:
                self._failure = error
            self._changed.notify_all()

    def _change(self, welcome: Welcome) -> None:
        if welcome is Welcome.REFUSE and self._welcome is not Welcome.REFUSE:
            self._welcome = welcome
            self._socket.close()
            self._socket = _bind(self.port)
        elif self._welcome is Welcome.REFUSE and welcome is not Welcome.REFUSE:
            if self._socket.fileno() < 0:
                self._socket = _bind(self.port)
            self._socket.listen(BACKLOG)
        self._welcome = welcome


def _bind(port: int) -> socket.socket:
    """A socket with this port that refuses; it is ready to listen."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if os.name == "posix":
            # For ports with connections of an earlier listener; on Windows the same option shares a port in use.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
    except BaseException:
        sock.close()
        raise
    return sock
