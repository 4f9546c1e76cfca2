"""The bytes under a server's connection: plain TCP or TLS, for as many threads as a handler likes to have.

`wssync.transport` has streams of its own, made for an engine that must never block. A test server that used them would
hide their mistakes behind the same mistakes, so this is another construction, and a simpler one: the socket does not
block, every touch of it or of the TLS object is made under one lock and returns at once, and all waiting is done
outside the lock. What is to be sent goes into a queue, and whoever comes by pumps it, the reading thread too: two sides
that both write a megabyte before they read one cannot block each other. An `ssl.SSLSocket` could not be shared so by
two threads. The same queue is where a test has the bytes divided, delayed and cut off.

The end needs care, since a descriptor must not be closed while another thread waits on it: the kernel would keep the
connection alive for that thread's sake, or wake it by what the number is given to next. So `end` only says how it is to
end and wakes all who wait; whoever leaves the wire last closes it.
"""

from __future__ import annotations

import contextlib
import enum
import os
import socket
import ssl
import struct
import threading
import time
from typing import TYPE_CHECKING, Callable, Iterator, List, Optional, TypeVar

from ..transport.waiting import Waker, wait_for
from .outgoing import CutReached, Outgoing

if TYPE_CHECKING:
    from ..transport.waiting import HasFileno

__all__ = ["Ending", "Wire", "WireEnded"]

T = TypeVar("T")

READ_SIZE = 65536
WRITE_SIZE = 262144
"""What is encrypted and offered to the kernel at once, so that no thread holds the lock for a whole 64 MiB message."""

PIECES = 256
"""How many pieces are sent under one hold of the lock, at most, for the same reason."""

RESET = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
"""SO_LINGER with a time of zero: closing then sends RST. Windows has two 16-bit fields, the others two `int`."""


class Ending(enum.Enum):
    """How a wire ends."""

    CLEAN = "close_notify where there is TLS, then FIN"
    FIN = "FIN alone; over TLS that is a truncation"
    RST = "RST; what the peer has not read yet is lost"


class WireEnded(OSError):
    """The wire was ended from this side, by whatever thread."""


class Wire:
    """A connected socket, with TLS in the server's role if `context` is given (say `handshake()` first then).

    All methods may be called from any thread. Those that wait raise `WireEnded` as soon as `end` is called,
    `TimeoutError` after `timeout` seconds (`None` waits for ever), and `OSError` or `ssl.SSLError` when the network
    fails; all of these are `OSError`.
    """

    def __init__(self, sock: socket.socket, context: Optional[ssl.SSLContext] = None) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._waker = Waker()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True) if context is not None else None
        self._lock = threading.Lock()
        self._queue = Outgoing()
        self._chunk = memoryview(b"")
        self._users = 0
        self._ending: Optional[Ending] = None
        self._closed = threading.Event()

    @property
    def ended(self) -> bool:
        """Whether `end` was called."""
        return self._ending is not None

    def handshake(self) -> None:
        """Do the TLS handshake, if there is TLS. Over plain TCP: nothing.

        When it fails, the alert that tells the client why goes out with `end`.
        """
        if self._tls is not None:
            self._wait_until(self._shake, reading=True)

    def queue(self, data: bytes) -> None:
        """Put `data` behind all that is to be sent; nothing is sent before the next `flush` or `read`."""
        with self._lock:
            self._queue.append(data)

    def shape(self, change: Callable[[Outgoing], None]) -> None:
        """Let `change` say how what is queued from now on is divided and where it is cut; what it raises, this does.

        Each piece is sent by a system call of its own and, over TLS, in a record of its own. Whoever has sent the last
        byte before a cut, or wants to send later, gets `CutReached`; `end` carries the cut out, by RST if it says so.
        """
        with self._lock:
            change(self._queue)

    def post(self, data: bytes) -> None:
        """`queue`, and send what the kernel takes at once; the rest goes with the next `flush` or `read`.

        Raises nothing: who waits for an answer will hear of the end by that.
        """
        self.queue(data)
        with contextlib.suppress(OSError):
            self.flush(0)

    def flush(self, timeout: Optional[float] = None) -> None:
        """Wait until the kernel has taken everything that is queued."""
        self._wait_until(self._pump, timeout=timeout)

    def read(self, timeout: Optional[float] = None) -> bytes:
        """The next bytes, at least one, or `b""` at the end of the stream, however that came about over TLS.

        What is queued is sent meanwhile, as far as the kernel takes it.
        """
        return self._wait_until(self._receive, reading=True, timeout=timeout)

    def finish_writing(self) -> None:
        """Say that no more will come: close_notify where there is TLS, then FIN. What the peer says is still heard."""
        with self._using(), self._lock:
            self._finish_writing(clean=True)

    def linger(self, timeout: float) -> None:
        """Say FIN, then read and forget until the peer's FIN or for `timeout` seconds.

        A socket that is closed with unread bytes sends RST, and that makes the peer forget what it has not read yet:
        the refusal or the Close frame that explains the end.
        """
        deadline = time.monotonic() + timeout
        with contextlib.suppress(OSError):
            self.finish_writing()
            while self.read(max(0.0, deadline - time.monotonic())) and time.monotonic() < deadline:
                pass

    def end(self, how: Ending) -> None:
        """End the wire, once; wakes every thread that waits. What is queued goes out if the kernel takes it at once.

        If there is a cut, it goes out no further than that, and the cut may make the end an RST.

        Returns when the socket is closed, or five seconds later if some thread clings to it.
        """
        with self._lock:
            if self._ending is None:
                self._ending = how
                self._waker.wake()
                self._close_if_last()
        self._closed.wait(5.0)

    @contextlib.contextmanager
    def _using(self) -> Iterator[None]:
        """Hold off the closing of the socket."""
        with self._lock:
            self._refuse_ended()
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                self._close_if_last()

    def _wait_until(
        self, step: Callable[[], Optional[T]], *, reading: bool = False, timeout: Optional[float] = None
    ) -> T:
        """Take `step` again and again until it returns something."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._using():
            while True:
                with self._lock:
                    self._refuse_ended()
                    result = step()
                    delay = self._delay()
                if result is not None:
                    return result
                remaining = None if deadline is None else deadline - time.monotonic()
                if remaining is not None and remaining <= 0:
                    raise TimeoutError(f"nothing happened within {timeout:g} seconds")
                writing = delay == 0
                if delay and (remaining is None or delay < remaining):
                    remaining = delay
                watched: List[HasFileno] = [self._waker, *([self._sock] if reading else [])]
                wait_for(watched, [self._sock] if writing else [], remaining)

    # What follows is done under the lock and never blocks; a step that has to wait returns None.

    def _refuse_ended(self) -> None:
        if self._ending is not None:
            raise WireEnded("this side has ended the connection")

    def _delay(self) -> Optional[float]:
        """Seconds until something can be sent if the kernel takes it; `None` if there is nothing."""
        if self._chunk or self._outgoing.pending:
            return 0.0
        return self._queue.delay() if self._queue else None

    def _shake(self) -> Optional[bool]:
        assert self._tls is not None
        while True:
            try:
                self._tls.do_handshake()
                return True
            except ssl.SSLWantReadError:
                self._pump()
                if not self._feed():
                    return None

    def _pump(self) -> Optional[bool]:
        for _ in range(PIECES):
            self._chunk = self._chunk or self._next_chunk()
            if not self._chunk:
                return None if self._queue else True
            try:
                self._chunk = self._chunk[self._sock.send(self._chunk) :]
            except BlockingIOError:
                return None
            if not self._chunk:
                self._queue.sent()
        return None

    def _next_chunk(self) -> memoryview:
        if self._tls is None:
            return self._queue.take()
        piece = self._queue.take(WRITE_SIZE)
        while piece:
            piece = piece[self._tls.write(piece) :]
        return memoryview(self._outgoing.read())

    def _receive(self) -> Optional[bytes]:
        try:
            self._pump()
        except CutReached:
            raise
        except OSError:
            # Nobody takes anything any more, but what the peer said before is still to be read.
            self._queue.clear()
            self._chunk = memoryview(b"")
        return self._receive_plain() if self._tls is None else self._receive_tls(self._tls)

    def _receive_plain(self) -> Optional[bytes]:
        try:
            return self._sock.recv(READ_SIZE)
        except BlockingIOError:
            return None

    def _receive_tls(self, tls: ssl.SSLObject) -> Optional[bytes]:
        while True:
            try:
                return tls.read(READ_SIZE)
            except ssl.SSLWantReadError:
                if not self._feed():
                    return None
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
                return b""

    def _feed(self) -> bool:
        """Hand bytes of the socket to TLS, or their end; False if there is nothing now."""
        data = self._receive_plain()
        if data:
            self._incoming.write(data)
        elif data is not None:
            self._incoming.write_eof()
        return data is not None

    def _finish_writing(self, clean: bool) -> None:
        try:
            self._pump()
            if clean and self._tls is not None:
                try:
                    self._tls.unwrap()
                except ssl.SSLError:
                    pass  # it wants the peer's close_notify as well, or the handshake was never done
                self._pump()
        except CutReached:
            raise
        except OSError:
            pass
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def _close_if_last(self) -> None:
        if self._users or self._ending is None or self._closed.is_set():
            return
        reset = self._ending is Ending.RST
        if not reset:
            try:
                self._finish_writing(clean=self._ending is Ending.CLEAN)
            except CutReached as cut:
                reset = cut.reset
        if reset:
            with contextlib.suppress(OSError):  # some systems refuse it for a socket that is shut down both ways
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        else:
            self._forget_unread()
        self._sock.close()
        self._waker.close()
        self._closed.set()

    def _forget_unread(self) -> None:
        with contextlib.suppress(OSError):
            for _ in range(256):
                if not self._sock.recv(READ_SIZE):
                    return
