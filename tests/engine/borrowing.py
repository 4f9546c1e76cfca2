"""A connection over a pair of sockets, for the tests of receives that read by themselves.

Such a receive waits in the kernel, and only what a kernel does (an end, a shutdown) rouses it: a stream in memory would
have to imitate all that. So the stream here is the real one, on one end of a socket pair, and the test has the other.

There are three forms of it, and what is promised holds in each:

| form       | how a borrower reads, and a sender sends                     |
| ---------- | ------------------------------------------------------------ |
| `compiled` | with the accelerator's `Borrower`, and its `Express`         |
| `pure`     | with the socket's own `recv` and `send`                      |
| `staged`   | through the stream, as over TLS: nothing stands `direct`     |
"""

from __future__ import annotations

import functools
import socket
import threading
import unittest
from typing import Any, Callable, List, Optional, Tuple, TypeVar, Union
from unittest import mock

from tests.threads import is_held
from wssync.engine import express
from wssync.engine.accelerated import CompiledBorrower, CompiledExpress
from wssync.engine.completions import Message, Waiter
from wssync.engine.plan import Opened
from wssync.engine.reader import Reader
from wssync.engine.receiver import LITTLE, READ
from wssync.protocol.frames import read_header
from wssync.protocol.handshake import Accepted
from wssync.transport.stream import Direct, TCPStream
from wssync.transport.waiting import Waker

from .support import PATIENCE, URL, Frame, Rig, Running, frames_in

__all__ = ["FORMS", "SocketRig", "SocketStream", "in_each_form"]

FORMS = ("compiled", "pure", "staged") if CompiledBorrower is not None else ("pure", "staged")

_HEAD = (b"HTTP/1.1 101 Switching Protocols", URL)

Case = TypeVar("Case", bound=unittest.TestCase)


def in_each_form(test: Callable[[Case, str], None]) -> Callable[[Case], None]:
    """Run a test once for each form there is."""

    @functools.wraps(test)
    def run(case: Case) -> None:
        for form in FORMS:
            with case.subTest(form):
                test(case, form)

    del run.__wrapped__  # else runners would take the test for one with an argument
    return run


class Amount:
    """How much is to be read: a number that tells when it is looked at.

    It is the one thing that the compiled form looks at just before it waits. (Whoever else reads takes the `size`.)
    """

    def __init__(self, size: int, look: Callable[[], object]) -> None:
        self.size = size
        self._look = look

    def __index__(self) -> int:
        self._look()
        return self.size

    @staticmethod
    def of(limit: Any) -> int:
        """It as a number, which is not looked at."""
        size: int = limit.size if isinstance(limit, Amount) else limit
        return size


class SocketStream(TCPStream):
    """Tells what is done with it, and may hide its socket."""

    def __init__(self, sock: socket.socket, waker: Waker, *, staged: bool) -> None:
        super().__init__(sock, waker)
        self._staged = staged
        self.changed = threading.Condition()
        self.waits: List[Tuple[bool, bool, Optional[float]]] = []
        self.borrowed_waits: List[Optional[float]] = []
        self.calls: List[str] = []
        self.found = (False, False)
        self.before_borrowed: Callable[[], None] = lambda: None
        self.before_wait: Callable[[], None] = lambda: None
        self.after_recv: Callable[[], None] = lambda: None

    def note(self, call: str) -> None:
        """Something was done."""
        with self.changed:
            self.calls.append(call)
            self.changed.notify_all()

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until something that is done with this stream makes the condition true."""
        with self.changed:
            if not self.changed.wait_for(condition, PATIENCE):
                raise AssertionError(f"{what}: that did not happen")

    @property
    def direct(self) -> Optional[Direct]:
        """The socket, unless it hides."""
        return None if self._staged else super().direct

    @property
    def patient_recv(self) -> Optional[Callable[[int], Optional[bytes]]]:
        """Waiting in the kernel, unless the socket hides."""
        return None if self._staged else super().patient_recv

    def wait(self, read: bool, write: bool, timeout: Optional[float], *, owner: bool = True) -> Tuple[bool, bool]:
        """See `Stream.wait`."""
        if not owner:
            self.borrowed_waits.append(timeout)
            self.note("borrowed wait")
            self.before_borrowed()
            return super().wait(read, write, timeout, owner=False)
        self.before_wait()
        self.waits.append((read, write, timeout))
        self.note("wait")
        self.found = super().wait(read, write, timeout)
        return self.found

    def recv(self, limit: int) -> Optional[bytes]:
        """See `Stream.recv`."""
        self.note("recv")
        data = super().recv(Amount.of(limit))
        self.after_recv()
        return data

    def shutdown_read(self) -> None:
        """See `Stream.shutdown_read`."""
        super().shutdown_read()
        self.note("shutdown_read")


class SocketRig(Rig):
    """A `Rig` whose stream is a socket, already open; `peer` is the other end.

    The engine thread's `GRACE` is `grace`: with none it sees at once whether somebody reads.
    """

    stream: SocketStream  # type: ignore[assignment] # not the one in memory

    def __init__(
        self, case: unittest.TestCase, form: str, *, threaded: bool = False, grace: float = 0.0, **settings: Any
    ) -> None:
        super().__init__(case, threaded=threaded, opened=False, **settings)
        patch = mock.patch("wssync.engine.reader.GRACE", grace)
        patch.start()
        case.addCleanup(patch.stop)
        self.form = form
        self.peer, ours = socket.socketpair()
        self.peer.settimeout(PATIENCE)
        case.addCleanup(self.peer.close)
        self.stream = SocketStream(ours, self.engine._waker, staged=form == "staged")
        self.borrowed = threading.Semaphore(0)
        self._heard = b""
        case.assertTrue(self.connection.resume())
        opened = Opened(self.stream, Accepted(None, None, ()), _HEAD, b"")
        with mock.patch.object(express, "CompiledExpress", CompiledExpress if form == "compiled" else None):
            if threaded:
                self.engine._open = lambda: opened  # type: ignore[method-assign]
                self.engine.start()
                self.stream.wait_until(lambda: bool(self.stream.waits), "the engine thread has let go of the role")
            else:
                self.connection.waker = self.engine._waker
                self.engine._begin_open(opened)
        self._hook()

    @property
    def reader(self) -> Reader:
        """The receiving half."""
        assert self.engine.reader is not None
        return self.engine.reader

    def _hook(self) -> None:
        """Tell when a borrower begins to wait, whichever way it waits."""
        reader, patient = self.reader, self.reader._patient

        def begin() -> None:
            self.borrowed.release()
            self.before_read()

        def read(limit: int) -> Optional[bytes]:
            begin()
            assert patient is not None
            return patient(Amount.of(limit))

        if self.form == "compiled":
            amounts: Any = (Amount(LITTLE, begin),), (Amount(READ, begin),)
            reader._little, reader._much = amounts
            reader._most = reader._little
        else:
            reader._borrower = None
        if patient is not None:
            reader._patient = read
        else:
            self.stream.before_borrowed = begin

    @property
    def most(self) -> int:
        """How much the next read asks for."""
        return Amount.of(self.reader._most[0])

    before_read: Callable[[], object] = staticmethod(lambda: None)
    """Called where a borrower is about to wait for the network without a limit, or (`staged`) with one."""

    # -- the peer ------------------------------------------------------------------------------------------------------

    def say(self, *pieces: bytes) -> None:
        """Let the peer send this, in one piece."""
        self.peer.sendall(b"".join(pieces))

    def hear(self, count: int = 1) -> List[Frame]:
        """The next frames that the peer gets."""
        while True:
            frames, rest = frames_in(self._heard)
            if len(frames) >= count:
                self._heard = rest if len(frames) == count else self._heard_behind(count)
                return frames[:count]
            data = self.peer.recv(65_536)
            assert data, "the connection has ended"
            self._heard += data

    def hear_some(self) -> List[Frame]:
        """The frames that the peer has got by now."""
        self.peer.setblocking(False)
        try:
            while True:
                self._heard += self.peer.recv(65_536)
        except BlockingIOError:
            pass
        self.peer.settimeout(PATIENCE)
        frames, self._heard = frames_in(self._heard)
        return frames

    def _heard_behind(self, count: int) -> bytes:
        data = self._heard
        for _ in range(count):
            header = read_header(data)
            assert header is not None
            data = data[header.end + header.length :]
        return data

    # -- receiving -----------------------------------------------------------------------------------------------------

    def receive_blocking(self, timeout: Optional[float] = None) -> Message:
        """What `task.receive` does without a handler."""
        connection = self.connection
        if timeout is not None:
            return connection.receive_within(timeout)
        got: Union[Message, Waiter[Message], None]
        got = connection.take_first() if connection.inbox.express is None else connection.receive_at_once(None)
        if got is None or isinstance(got, Waiter):
            return connection.receive_in_turn(got, None, None)
        return got

    def receiving(self, timeout: Optional[float] = None) -> Running[Message]:
        """The same in a thread of its own, which is about to wait for the network when this returns."""
        while self.borrowed.acquire(blocking=False):
            pass  # an earlier one has waited more than once
        running = Running(lambda: self.receive_blocking(timeout))
        self.wait_for_borrower()
        return running

    def wait_for_borrower(self) -> None:
        """Wait until a borrower is about to wait for the network, once for each time."""
        assert self.borrowed.acquire(timeout=PATIENCE), "nobody borrowed the role"

    def let_wait(self) -> None:
        """Let the engine thread wait once more: it holds no role then, and has none to take while nothing comes."""
        before = len(self.stream.waits)
        self.connection.wake()
        self.stream.wait_until(lambda: len(self.stream.waits) > before, "the engine thread waits")

    def put_to_sleep(self) -> None:
        """Let the engine thread see that a borrower reads: it then sleeps until it is woken."""
        self.connection.wake()
        self.stream.wait_until(lambda: self.reader.asleep and self.stream.waits[-1][0] is False, "it stood aside")

    def free(self) -> None:
        """Assert that nobody holds anything."""
        self.case.assertFalse(self.reader.lent, "the role is lent")
        for role in (self.reader.role, self.connection.outbox.role):
            self.case.assertFalse(role.is_mine)
            if self.threaded:
                self.case.assertTrue(Running(lambda role=role: role.attempt(lambda: None)).result())  # type: ignore[misc]
        self.case.assertFalse(is_held(self.connection.mutex))
