"""What a connection is to the engine: a `Stream` of bytes, and the plain TCP one.

A stream does not block but in `wait()`, and in what `patient_recv` and `direct` give. Two threads may use it at once,
one that reads (`recv`) and one that writes (`send`, `flush`, `shutdown_write`); who that is at a moment is the engine's
affair. `wake()`, `shutdown_read()` and `shutdown()` are anybody's. No lock is held during a system call, so two
well-behaved peers that both send a lot at once cannot hold each other up.

Bytes that the kernel gave are never lost in silence to an exception that arrives from outside (Ctrl-C in a thread that
reads): they are stored within the same C call that fetched them, and leave the store with the return. Where that cannot
be had (within TLS), the connection counts as lost. What such an exception does to a `send` or a `flush` cannot be
known: who writes must then treat the connection as broken.
"""

from __future__ import annotations

import _socket
import socket
import sys
import threading
from abc import ABC, abstractmethod

from ..errors import ConnectionClosed
from ..hints import TYPE_CHECKING, Any, Callable, List, NamedTuple, Optional, Tuple, Union
from .waiting import Watch

if TYPE_CHECKING:
    from .waiting import Waker

__all__ = ["Address", "Direct", "Sealing", "Stream", "TCPStream", "Unsealing"]

Address = Tuple[str, int]
"""An IP address in its usual text form, and a port."""

Buffer = Union[bytes, bytearray, memoryview]

_NO_SIGNAL = int(getattr(socket, "MSG_NOSIGNAL", 0))  # a number: flags of an enumeration are slow to join
"""A program may have taken SIGPIPE back from Python, which ignores it; a lost connection must not end it."""

_DONT_WAIT = int(getattr(socket, "MSG_DONTWAIT", 0))


def connection_lost(error: BaseException) -> ConnectionClosed:
    """The error for a connection that broke, `error` its cause."""
    lost = ConnectionClosed(f"the connection was lost: {error}", code=1006, url_error_code=-1005)
    lost.__cause__ = error
    return lost


def is_of_socket(error: BaseException) -> bool:
    """Whether this is an error that the system told; those have a number.

    A call that waits may also end with what a signal handler raises, and that may well be an OSError: an alarm's is
    often TimeoutError. It is for the program, and says nothing of the connection.
    """
    return isinstance(error, OSError) and error.errno is not None


class Direct(NamedTuple):
    """A socket's own calls, for who reads or writes in the place of the stream and cannot afford a detour.

    OSError from them means that the connection is broken.
    """

    descriptor: int
    send: Callable[[bytes, int], int]
    """Called with `send_flags` it does not wait: BlockingIOError when nothing is taken."""
    send_flags: int
    recv_into: Callable[[memoryview, int, int], int]
    """Called with 0 (all of the memory) and `recv_flags` it does not wait, with 0 and 0 it is as patient as
    `patient_recv`."""
    recv_flags: int


class Sealing(NamedTuple):
    """The two steps of a `send` and `flush`, apart, for who writes and must know after an exception from outside what
    the kernel took. An exception within the first leaves that unknown.
    """

    seal: Callable[[bytes], Optional[bytes]]
    """Takes all of the data and gives what is to be sent for it, or takes nothing and gives `None`: then `send` it.
    `ConnectionClosed` as from `send`."""
    direct: Direct
    """To send that."""
    keep: Callable[[bytes], None]
    """Called with what the kernel did not take of that, which the next `flush` hands down."""


class Unsealing(NamedTuple):
    """The two steps of a `patient_recv`, apart, for who fetches in the place of the stream.

    As long as the stream's `is_clean` is true and the two lists are empty, `recv` has nothing to tell before bytes are
    fetched. Whoever has some makes `is_clean` false, appends them to `fetched`, and calls `open`. From then on the
    stream answers for them: after an exception from outside, or without an answer of `open`, `recv` tells what became
    of them.
    """

    direct: Direct
    """To fetch, at most 4096 bytes at a time."""
    fetched: List[Any]
    decrypted: List[bytes]
    open: Callable[[int], Optional[bytes]]
    """What `recv` with this limit has to tell, if that is bytes."""


class Stream(ABC):
    """Bytes both ways.

    `recv`, `send`, `flush` and `shutdown_write` raise `ConnectionClosed` (1006, -1005) with the `OSError` or
    `ssl.SSLError` as `__cause__` when the connection is broken.
    """

    __slots__ = ()

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

    @property
    def patient_recv(self) -> Optional[Callable[[int], Optional[bytes]]]:
        """`recv` that waits until something has come, in the place of the owner; `None` where waiting in the kernel
        would stop more than this thread. `shutdown()` and `shutdown_read()` end it. OSError too when the connection is
        broken.
        """
        return None

    @property
    def direct(self) -> Optional[Direct]:
        """The socket itself, where nothing but that stands behind `recv` and `send`."""
        return None

    @property
    def sealing(self) -> Optional[Sealing]:
        """The steps of `send`, where all that stands behind it is one step and the socket."""
        return None

    @property
    def unsealing(self) -> Optional[Unsealing]:
        """The steps of `patient_recv`, where all that stands behind it is one step and the socket."""
        return None

    @property
    def recv_into(self) -> Optional[Callable[[memoryview, bool], Optional[int]]]:
        """`recv` into memory, which it fills in part or whole: how many bytes that were, `None` when nothing is there
        now, 0 at the end. The second argument makes it as patient as `patient_recv`. `None` where there is none.

        After an exception from outside part of the memory may be filled; so it comes next, with the same memory.
        """
        return None

    @abstractmethod
    def send(self, data: Buffer) -> int:
        """Take as much of `data` as can be had without waiting; return how many bytes that was, 0 if none."""

    @property
    def is_exact(self) -> bool:
        """Whether a `send` that was interrupted, and is not remembered, has taken nothing."""
        return False

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
    def shutdown_read(self) -> None:
        """End the wait of another thread that reads in the place of the owner; nobody will read any more. Any thread,
        before `close()`; never raises. What was sent still arrives.
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


def _may_block(sock: socket.socket) -> bool:
    """Whether one call may wait in the kernel while others do not wait, by a flag for each call.

    Linux keeps to the flag, and ends a `recv` when another thread calls `shutdown`. Both are uncertain elsewhere. A
    class that green-thread libraries put in the place of `socket` has a `recv` of its own, which waits in its own way.
    """
    return sys.platform == "linux" and type(sock).recv is _socket.socket.recv


class TCPStream(Stream):
    """A connected socket, which belongs to the stream. The waker stays its maker's.

    Where that is possible the socket blocks, for the sake of `patient_recv`, and every other call says that it must
    not wait; elsewhere the socket does not block.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_blocks",
        "_direct",
        "_flags",
        "_is_local_known",
        "_local",
        "_received",
        "_remote",
        "_send_flags",
        "_sent",
        "_sock",
        "_waker",
        "_watch",
        "_write_closed",
    )

    def __init__(self, sock: socket.socket, waker: Waker, remote: Optional[Address] = None) -> None:
        """`remote` is where it was connected to, for who knows that."""
        self._blocks = blocks = _may_block(sock)
        sock.settimeout(None if blocks else 0.0)
        self._sock = sock
        self._flags = _DONT_WAIT if blocks else 0
        self._send_flags = self._flags | _NO_SIGNAL
        self._waker = waker
        self._watch = Watch(sock, waker)
        self._received: Optional[List[bytes]] = None
        self._sent: Optional[List[int]] = None
        self._write_closed = False
        self._is_local_known = False
        self._direct: Optional[Direct] = None
        self._local: Optional[Address] = None
        self._remote = remote or _address(sock.getpeername)

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
            received = self._received = []  # there for the time of the call: most streams are idle
            try:
                received.extend(map(self._sock.recv, (limit,), (self._flags,)))
            except BlockingIOError:
                return None
            except OSError as error:
                if not is_of_socket(error):
                    raise
                raise connection_lost(error) from error
        data = received[0]
        self._received = None  # no call from here to the return
        return data

    @property
    def direct(self) -> Optional[Direct]:
        """See `Stream.direct`."""
        direct = self._direct
        if direct is None:
            sock = self._sock
            direct = self._direct = Direct(sock.fileno(), sock.send, self._send_flags, sock.recv_into, self._flags)
        return direct

    @property
    def patient_recv(self) -> Optional[Callable[[int], Optional[bytes]]]:
        """The socket's own `recv`, where it blocks."""
        return self._sock.recv if self._blocks else None

    def send(self, data: Buffer) -> int:
        """One `send` of the socket, or the outcome of one that was interrupted, for which `data` must be the same."""
        sent = self._sent
        if not sent:
            sent = self._sent = []
            try:
                sent.extend(map(self._sock.send, (data,), (self._send_flags,)))
            except BlockingIOError:
                return 0
            except OSError as error:
                if not is_of_socket(error):
                    raise
                raise connection_lost(error) from error
        count = sent[0]
        self._sent = None  # no call from here to the return
        return count

    @property
    def is_exact(self) -> bool:
        """True."""
        return True

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

    def shutdown_read(self) -> None:
        """See `Stream.shutdown_read`."""
        self._cut(socket.SHUT_RD)
        self._waker.wake()  # for `select` on Windows, which a shutdown need not end

    def shutdown(self) -> None:
        """See `Stream.shutdown`."""
        self._cut(socket.SHUT_RDWR)

    def _cut(self, how: int) -> None:
        try:
            self._sock.shutdown(how)
        except OSError:
            pass  # the peer was quicker

    def close(self) -> None:
        """See `Stream.close`."""
        with self._asking:
            self._ask_local()
            self._direct = None
            self._sock.close()

    @property
    def _asking(self) -> threading.RLock:
        """Made when it is needed; a signal handler may ask in the middle of an answer."""
        lock: threading.RLock = vars(self).setdefault("_lock", threading.RLock())
        return lock

    def abandon(self) -> None:
        """The same, which sends nothing either; but nothing is asked any more."""
        self._is_local_known = True
        self._sock.close()

    @property
    def local_address(self) -> Optional[Address]:
        """See `Stream.local_address`. Any thread."""
        if not self._is_local_known:
            with self._asking:  # the descriptor must not be closed under the question: it could be another's by then
                self._ask_local()
        return self._local

    def _ask_local(self) -> None:
        """Not before somebody wants it, or the close comes: glibc needs a kilobyte of stack to write an address down,
        and the connection's thread one page more for its whole life.
        """
        if not self._is_local_known:
            self._local = _address(self._sock.getsockname)
            self._is_local_known = True

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
