"""Waiting for sockets, in such a way that any other thread can end the wait.

The rule of every wait in this package: publish the fact, then wake; after waking, look at the facts, never at who woke
you. A `Waker` makes the second half possible, a descriptor that is waited for beside the sockets. It stays readable
until it is cleared, so a wake before the wait begins is not lost.

`poll` waits where it exists, `select` elsewhere (Windows, some green-thread libraries). Which of them is asked at each
call through the module's `_new_poll`, so that the tests run both anywhere; a `Waker` is an eventfd or, where there is
none, a pair of sockets, by the module's `_new_eventfd`. A hang-up or an error counts as readable
and as writable: the call that follows tells what it is.
"""

from __future__ import annotations

import errno
import math
import os
import select
import socket
import sys
import threading

from ..errors import TimedOut
from ..hints import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterable,
    List,
    Optional,
    Protocol,
    Set,
    Tuple,
    TypeVar,
    Union,
)

if TYPE_CHECKING:
    from .clock import Deadline

    class HasFileno(Protocol):
        """A socket or anything else with a descriptor."""

        def fileno(self) -> int: ...

    class HasWait(Protocol):
        """A `Stream`, or what waits like one."""

        def wait(self, read: bool, write: bool, timeout: Optional[float]) -> Tuple[bool, bool]: ...

    T = TypeVar("T", bound=HasFileno)


__all__ = ["Attempt", "Waker", "Watch", "wait_for"]

_POLLIN, _POLLOUT, _POLLERR, _POLLHUP, _POLLNVAL = (
    getattr(select, name, 0) for name in ("POLLIN", "POLLOUT", "POLLERR", "POLLHUP", "POLLNVAL")
)
_READABLE, _WRITABLE = (flag | _POLLERR | _POLLHUP for flag in (_POLLIN, _POLLOUT))
_new_poll = getattr(select, "poll", None)
_new_eventfd: Optional[Callable[[int, int], int]] = getattr(os, "eventfd", None)

_ceil = math.ceil
_LONGEST = 86_400.0
"""A wait takes at most this many seconds: the system calls cannot count much further."""

_SLICE = 0.25 if sys.platform == "win32" else None
"""There Ctrl-C does not interrupt `select`, so the main thread comes up for it this often."""


class _OwnedSocket(socket.socket):
    """A socket that is closed, without a warning, by whoever lets go of it last."""

    def __del__(self) -> None:
        self.close()


class EventDescriptor:
    """An eventfd with as much of a socket as a waker needs, closed by whoever lets go of it last.

    It costs a tenth of a pair of sockets, whichever way that is counted: system calls, time or memory of the kernel.
    """

    __slots__ = ("__weakref__", "_number")

    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        """The descriptor."""
        return self._number

    def send(self, data: bytes) -> None:
        """Make it readable, whatever `data` is."""
        os.eventfd_write(self._number, 1)

    def recv(self, limit: int) -> None:
        """Make it unreadable; BlockingIOError if it is."""
        os.eventfd_read(self._number)

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        close(self._number)


class Waker:
    """A descriptor that any thread can make readable.

    `wake()` takes no lock and does not block: it may be called in a signal handler and in a finalizer. It is sticky:
    once woken, the descriptor is readable until `clear()`.
    """

    __slots__ = ("__dict__", "__weakref__", "_reader", "_writer")  # a dictionary is made when something is put in

    def __init__(self) -> None:
        self._reader: Union[_OwnedSocket, EventDescriptor, None]
        self._writer: Union[_OwnedSocket, EventDescriptor, None]
        if _new_eventfd is not None:
            self._reader = self._writer = EventDescriptor(_new_eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))
        else:
            self._reader, self._writer = map(_own, socket.socketpair())

    def wake(self) -> None:
        """End the wait of whoever waits for this waker, now or next. Nothing happens once it is closed."""
        # A thread that is in here while another closes the waker keeps the descriptor open: its number cannot be given
        # to a new file under the byte.
        writer = self._writer
        if writer is not None:
            try:
                writer.send(b"\0")
            except OSError:
                pass  # full: one wake more changes nothing; or the reading end is gone

    def clear(self) -> None:
        """Forget all wakes so far. Look at the facts after this call, not before."""
        reader = self._reader
        if reader is not None:
            try:
                reader.recv(65536)  # what is left of still more wakes is one wake more
            except BlockingIOError:
                pass

    def fileno(self) -> int:
        """The descriptor to wait for, -1 once closed."""
        reader = self._reader
        return -1 if reader is None else reader.fileno()

    def close(self) -> None:
        """Give both descriptors back; again does nothing. Nobody may be waiting for it."""
        self._reader = self._writer = None


def _own(sock: socket.socket) -> _OwnedSocket:
    owned = _OwnedSocket(sock.family, sock.type, sock.proto, sock.detach())
    owned.setblocking(False)
    return owned


def wait_for(read: Iterable[T], write: Iterable[T], timeout: Optional[float]) -> Tuple[Set[T], Set[T]]:
    """Wait until one of the sockets is ready; return those that are readable and those that are writable.

    `timeout` is in seconds, `None` waits as long as it takes. Both sets may be empty also before the time is up: ask
    again. OSError for a descriptor that is closed, or that `select` cannot watch; ValueError when nothing is to be
    waited for.
    """
    if _new_poll is None:
        return _by_select(_numbered(read), _numbered(write), timeout)
    return _by_poll(_numbered(read), _numbered(write), timeout)


def _numbered(items: Iterable[T]) -> Dict[int, T]:
    found = {item.fileno(): item for item in items}
    if -1 in found:
        raise _is_closed()
    return found


def _descriptor(item: HasFileno) -> int:
    number = item.fileno()
    if number < 0:
        raise _is_closed()
    return number


def _is_closed() -> OSError:
    return OSError(errno.EBADF, "cannot wait for a closed descriptor")


def _by_poll(reading: Dict[int, T], writing: Dict[int, T], timeout: Optional[float]) -> Tuple[Set[T], Set[T]]:
    assert _new_poll is not None
    poll = _new_poll()
    for number in reading:
        poll.register(number, _POLLIN)
    for number in writing:
        poll.register(number, _POLLIN | _POLLOUT if number in reading else _POLLOUT)
    if not (reading or writing):
        raise _no_aim()
    readable, writable = set(), set()
    for number, flags in poll.poll(_milliseconds(timeout)):
        if flags & _POLLNVAL:
            raise _is_invalid(number)
        if flags & _READABLE and number in reading:
            readable.add(reading[number])
        if flags & _WRITABLE and number in writing:
            writable.add(writing[number])
    return readable, writable


def _no_aim() -> ValueError:
    return ValueError("nothing to wait for")


def _is_invalid(number: int) -> OSError:
    return OSError(errno.EBADF, f"cannot wait for descriptor {number}: it is closed")


def _milliseconds(timeout: Optional[float]) -> Optional[int]:
    # Upwards: a wait that ends a little early would be begun again and again until its time is really up.
    if timeout is None:
        return None
    if 0.0 < timeout < _LONGEST:
        return _ceil(timeout * 1000)
    return 0 if timeout <= 0.0 else _ceil(_LONGEST * 1000)


def _by_select(reading: Dict[int, T], writing: Dict[int, T], timeout: Optional[float]) -> Tuple[Set[T], Set[T]]:
    if not (reading or writing):
        raise _no_aim()
    if _SLICE is not None and threading.current_thread() is threading.main_thread():
        timeout = _SLICE if timeout is None else min(timeout, _SLICE)
    if timeout is not None:
        timeout = min(max(timeout, 0.0), _LONGEST)
    try:
        # Windows tells a failed connect in the third list alone.
        readable, writable, troubled = select.select(list(reading), list(writing), list(writing), timeout)
    except ValueError as error:
        raise OSError(errno.EMFILE, f"too many open descriptors to wait for them with select(): {error}") from error
    found = {*readable, *(number for number in troubled if number in reading)}
    return {reading[number] for number in found}, {writing[number] for number in (*writable, *troubled)}


class Watch:
    """One socket and the waker of its owner, waited for again and again.

    The `poll` objects are kept; two threads that wait at once never share one, which `poll` would refuse.
    """

    __slots__ = ("_for_owner", "_idle", "_sock", "_waker")

    def __init__(self, sock: HasFileno, waker: Waker) -> None:
        self._sock = sock
        self._waker = waker
        self._for_owner: Optional[select.poll] = None
        """For the owner who reads, which is all that an idle connection needs."""
        self._idle: Optional[Dict[int, select.poll]] = None

    def wait(self, read: bool, write: bool, timeout: Optional[float], owner: bool = True) -> Tuple[bool, bool]:
        """Wait for the socket; return whether it is readable and whether it is writable (False for what was not asked).

        The waker's owner is woken by it, and clears it; both results may then be False. Another thread than the owner
        (`owner=False`) leaves the waker alone: it sleeps until the socket is ready, which a shutdown makes it.
        """
        if _new_poll is None:
            return self._select(read, write, timeout, owner)
        number = self._sock.fileno()
        if number < 0:
            raise _is_closed()
        if owner and read and not write:
            poll = self._for_owner
            if poll is None:
                poll = self._for_owner = self._prepare(number, True, False, True)
            found = poll.poll(_milliseconds(timeout))
        else:
            found = self._wait_otherwise(number, read, write, timeout, owner)
        readable = writable = False
        for ready, flags in found:
            if flags & _POLLNVAL:
                raise _is_invalid(ready)
            if ready == number:
                readable = read and flags & _READABLE != 0
                writable = write and flags & _WRITABLE != 0
            else:
                self._waker.clear()
        return readable, writable

    def _wait_otherwise(
        self, number: int, read: bool, write: bool, timeout: Optional[float], owner: bool
    ) -> List[Tuple[int, int]]:
        if self._idle is None:
            self._idle = {}  # of two that are made at once, one is lost, and what is in it is made again
        idle, kind = self._idle, read | write << 1 | owner << 2
        poll = idle.pop(kind, None) or self._prepare(number, read, write, owner)
        found = poll.poll(_milliseconds(timeout))
        idle[kind] = poll
        return found

    def _prepare(self, number: int, read: bool, write: bool, owner: bool) -> select.poll:
        assert _new_poll is not None
        poll: select.poll = _new_poll()
        if read or write:
            poll.register(number, (_POLLIN if read else 0) | (_POLLOUT if write else 0))
        elif not owner:
            raise _no_aim()
        if owner:
            poll.register(_descriptor(self._waker), _POLLIN)
        return poll

    def _select(self, read: bool, write: bool, timeout: Optional[float], owner: bool) -> Tuple[bool, bool]:
        # A shutdown need not end another thread's select on Windows, so there all watch the waker and the owner clears
        # it.
        sock = [self._sock]
        readable, writable = wait_for([*(sock if read else ()), self._waker], sock if write else (), timeout)
        if owner and self._waker in readable:
            self._waker.clear()
        return self._sock in readable, self._sock in writable


class Attempt:
    """One attempt to open something: what all its waits have in common.

    Each wait ends early when `waker` is woken, calls `check` before and after, and never lasts past `deadline`. `check`
    raises `Cancelled` (or any other error) to end the attempt; it may itself take its time, with the deadline paused.
    """

    def __init__(self, waker: Waker, deadline: Deadline, check: Callable[[], None]) -> None:
        self.waker = waker
        self.deadline = deadline
        self.check = check

    def wait(
        self, read: Iterable[T] = (), write: Iterable[T] = (), timeout: Optional[float] = None
    ) -> Tuple[Set[T], Set[T]]:
        """Wait like `wait_for`, for the waker too; both sets are empty when only that was ready, or `timeout` is over.

        TimedOut when the deadline has passed and nothing was ready, and whatever `check` raises.
        """
        seconds, waker = self._begin(timeout), self.waker
        watched: List[Any] = [*read, waker]
        readable: Set[Any]
        readable, writable = wait_for(watched, write, seconds)
        if waker in readable:
            waker.clear()
            readable.remove(waker)
        self._end(bool(readable or writable))
        return readable, writable

    def wait_stream(self, stream: HasWait, read: bool, write: bool) -> Tuple[bool, bool]:
        """The same for a `Stream` that was made with this attempt's waker."""
        readable, writable = stream.wait(read, write, self._begin(None))
        self._end(readable or writable)
        return readable, writable

    def _begin(self, timeout: Optional[float]) -> Optional[float]:
        """Before a wait: how long it may take."""
        self.check()
        remaining = self.deadline.remaining()
        if remaining is None:
            return timeout
        if not remaining:
            raise self._late()
        return remaining if timeout is None else min(timeout, remaining)

    def _end(self, is_ready: bool) -> None:
        """After a wait: whether the next one may follow."""
        self.check()
        if not is_ready and self.deadline.expired():
            raise self._late()

    def _late(self) -> TimedOut:
        return TimedOut(f"the connection was not open after {self.deadline.seconds:g} seconds")
