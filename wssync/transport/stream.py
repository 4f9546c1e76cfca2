"""What a connection is to the engine: a `Stream` of bytes, and the plain TCP one.

A stream does not block but in `wait()`. Two threads may use it at once, one that reads (`recv`) and one that writes
(`send`, `flush`, `shutdown_write`); who that is at a moment is the engine's affair. `wake()` and `shutdown()` are
anybody's. No lock is held during a system call, so two well-behaved peers that both send a lot at once cannot hold
each other up.

Bytes that the kernel gave are never lost in silence to an exception that arrives from outside (Ctrl-C in a thread that
reads): they are stored within the same C call that fetched them, and leave the store with the return. Where that cannot
be had (within TLS), the connection counts as lost. What such an exception does to a `send` or a `flush` cannot be
known: who writes must then treat the connection as broken.
"""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Callable, List, Optional, Tuple, Union

from ..errors import ConnectionClosed
from .waiting import Watch

if TYPE_CHECKING:
    from .waiting import Waker

__all__ = ["Address", "Stream", "TCPStream"]

Address = Tuple[str, int]
"""An IP address in its usual text form, and a port."""

Buffer = Union[bytes, bytearray, memoryview]

_NO_SIGNAL: int = getattr(socket, "MSG_NOSIGNAL", 0)
"""A program may have taken SIGPIPE back from Python, which ignores it; a lost connection must not end it."""


def connection_lost(error: BaseException) -> ConnectionClosed:
    """The error for a connection that broke; the caller raises it `from error`."""
    return ConnectionClosed(f"the connection was lost: {error}", code=1006, url_error_code=-1005)


class Stream(ABC):
    """Bytes both ways.

    `recv`, `send`, `flush` and `shutdown_write` raise `ConnectionClosed` (1006, -1005) with the `OSError` or
    `ssl.SSLError` as `__cause__` when the connection is broken.
    """

    @abstractmethod
    def wait(self, read: bool, write: bool, timeout: Optional[float], *, owner: bool = True) -> Tuple[bool, bool]:
        """Wait until `recv` (if `read`) or `send`/`flush` (if `write`) has something to do; return which of them.

        `timeout` is in seconds, `None` is no limit. The wait ends early, perhaps with (False, False), when the stream
        is woken, and that takes the wake away. It belongs to one thread: others (who read or write for a moment in the
        place of that one) pass `owner=False`, are not woken, and only `shutdown()` ends their wait. OSError once it is
        closed.
        """

    @abstractmethod
    def wake(self) -> None:
        """End the owner's `wait`, this one or the next. Any thread, signal handler or finalizer."""

    @property
    @abstractmethod
    def pending(self) -> bool:
        """Whether `recv` has something to tell without asking the network; `wait` then returns at once."""

    @abstractmethod
    def recv(self, limit: int) -> Optional[bytes]:
        """What has come, at most `limit` (> 0) bytes; `None` when nothing is there now; b"" at the end of the stream.

        The end is the peer's half of the connection being closed, by TLS's close_notify or without (rule 177); asked
        again, it is still b"".
        """

    @abstractmethod
    def send(self, data: Buffer) -> int:
        """Take as much of `data` as can be had without waiting; return how many bytes that was, 0 if none."""

    @property
    def remembers(self) -> bool:
        """Whether a `send` that was interrupted from outside is on record: `send` the same again, and it will tell."""
        return False

    @property
    @abstractmethod
    def has_output(self) -> bool:
        """Whether something taken, or something that TLS has to say, has not reached the kernel yet: `flush()`."""

    @abstractmethod
    def flush(self) -> bool:
        """Hand to the kernel what it takes now; True when nothing is left."""

    @abstractmethod
    def shutdown_write(self) -> None:
        """Tell the peer that no more will come (TLS close_notify, TCP FIN), after everything taken so far.

        What the kernel does not take at once goes with later `flush()` calls. The writing thread; again does nothing.
        """

    @abstractmethod
    def shutdown(self) -> None:
        """Cut the connection both ways, which ends all waits for it. Any thread, before `close()`; never raises."""

    @abstractmethod
    def close(self) -> None:
        """Give the descriptor back; again does nothing. Nobody may be using the stream. The waker is its maker's."""

    @abstractmethod
    def abandon(self) -> None:
        """After a fork: close this process's descriptor, leave the parent's connection alone, take no lock."""

    @property
    @abstractmethod
    def local_address(self) -> Optional[Address]:
        """This end, also after `close()`; `None` where it is no Internet address."""

    @property
    @abstractmethod
    def remote_address(self) -> Optional[Address]:
        """The other end (the proxy's, if there is one), as `local_address`."""


class TCPStream(Stream):
    """A connected socket, which becomes non-blocking and belongs to the stream. The waker stays its maker's."""

    def __init__(self, sock: socket.socket, waker: Waker) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._waker = waker
        self._watch = Watch(sock, waker)
        self._received: List[bytes] = []
        self._sent: List[int] = []
        self._write_closed = False
        self._local = _address(sock.getsockname)
        self._remote = _address(sock.getpeername)

    def wait(self, read: bool, write: bool, timeout: Optional[float], *, owner: bool = True) -> Tuple[bool, bool]:
        """See `Stream.wait`."""
        if read and self._received:
            return True, self._watch.wait(True, write, 0.0, owner)[1]
        return self._watch.wait(read, write, timeout, owner)

    def wake(self) -> None:
        """See `Stream.wake`."""
        self._waker.wake()

    @property
    def pending(self) -> bool:
        """True after a `recv` that was interrupted from outside."""
        return bool(self._received)

    def recv(self, limit: int) -> Optional[bytes]:
        """One `recv` of the socket."""
        received = self._received
        if not received:
            try:
                received.extend(map(self._sock.recv, (limit,)))
            except BlockingIOError:
                return None
            except OSError as error:
                raise connection_lost(error) from error
        data = received[0]
        del received[0]
        return data

    def send(self, data: Buffer) -> int:
        """One `send` of the socket, or the outcome of one that was interrupted, for which `data` must be the same."""
        sent = self._sent
        if not sent:
            try:
                sent.extend(map(self._sock.send, (data,), (_NO_SIGNAL,)))
            except BlockingIOError:
                return 0
            except OSError as error:
                raise connection_lost(error) from error
        count = sent[0]
        del sent[0]
        return count

    @property
    def remembers(self) -> bool:
        """True when the kernel took something and nobody has heard of it."""
        return bool(self._sent)

    @property
    def has_output(self) -> bool:
        """False: what `send` took has reached the kernel."""
        return False

    def flush(self) -> bool:
        """True at once."""
        return True

    def shutdown_write(self) -> None:
        """Send FIN."""
        if not self._write_closed:
            self._write_closed = True
            try:
                self._sock.shutdown(socket.SHUT_WR)
            except OSError as error:
                raise connection_lost(error) from error

    def shutdown(self) -> None:
        """See `Stream.shutdown`."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the peer was quicker

    def close(self) -> None:
        """See `Stream.close`."""
        self._sock.close()

    def abandon(self) -> None:
        """The same as `close()`, which sends nothing either."""
        self._sock.close()

    @property
    def local_address(self) -> Optional[Address]:
        """See `Stream.local_address`."""
        return self._local

    @property
    def remote_address(self) -> Optional[Address]:
        """See `Stream.remote_address`."""
        return self._remote


def _address(ask: Callable[[], object]) -> Optional[Address]:
    try:
        name = ask()
    except OSError:
        return None  # it was reset in the meantime
    if isinstance(name, tuple) and len(name) >= 2:
        return str(name[0]), int(name[1])
    return None
