"""What a test leaves behind of this library: threads that still run, and sockets that are still open.

Production code keeps no list of its sockets for the sake of tests. The interpreter has one: the garbage collector knows
every object, and a socket is the library's when an object of a class of the library has it as an attribute. So the
user's own sockets are never meant, however many there are. Of tasks and sessions that are there, the engine has a list
for the end of the process, so a thread can be told by what it is for.

Going through all objects takes milliseconds (50 for half a million), which is too much for every test. So the operating
system is asked first: only when there is a socket among the process's descriptors that was not there before, it may be
one of ours. That takes about a microsecond per descriptor. Where descriptors cannot be listed (Windows), the objects
are gone through twice.
"""

from __future__ import annotations

import gc
import os
import socket
import stat
import threading
import time
import weakref
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple, Union

from ..engine import goodbye
from ..engine.connection import Connection
from ..engine.loop import Engine
from ..engine.readiness import Readiness
from ..session import Session, _shared_session
from ..transport.waiting import EventDescriptor, Waker, Watch
from .listener import Listener

__all__ = ["Snapshot"]

_DESCRIPTORS = "/dev/fd"
_RESOLVERS = ("wssync-resolver-", "wssync-testing-resolver")

PAUSE = 0.002
"""Seconds until the next look at what is still there."""

SETTLING = 1.0
"""Seconds for the threads of tasks that were ended here: it takes them a millisecond, unless a handler is busy."""

Identity = Tuple[int, int]


class Snapshot:
    """The library's threads and sockets at the moment when this is made, to be compared with a later one."""

    def __init__(self) -> None:
        self._threads = set(_library_threads())
        self._descriptors = _socket_descriptors()
        found = () if self._descriptors is not None else (held.sock for held in _held_sockets(_library_objects()))
        self._sockets = weakref.WeakSet(found)

    def end_clients(self, timeout: float) -> List[str]:
        """What clients have left: a line for each task that is open, which is ended now, and for each thread else.

        Threads that are about to end are waited for, `timeout` seconds all together, and a second for those of the
        tasks. What the kit itself runs, servers above all, is passed over. What is told here is not told again.
        """
        late = self._join(timeout, clients=True)
        reading = _connections()
        left = [reading[thread] for thread in late if thread in reading]
        for connection in left:
            connection.cancel()
        late = self._join(SETTLING, clients=True) if left else late
        self._threads.update(late)
        return [
            *sorted(f"a task to {connection.url} was left open" for connection in left),
            *map(_tell, (thread for thread in late if reading.get(thread) not in left)),
        ]

    def leaks(self, timeout: float) -> List[str]:
        """What was not there before and is there now, one line for each thread and each socket; no line is good.

        What is about to end is waited for, `timeout` seconds all together: threads, and what the threads of a server
        that was there before have still to accept and to close. A look-up of a name counts as nothing: the operating
        system does not let it be ended, and nobody waits for it.
        """
        end = time.monotonic() + timeout
        while True:
            found = [*map(_tell, self._join(end - time.monotonic())), *self._new_sockets()]
            if not found or time.monotonic() >= end:
                return found
            time.sleep(PAUSE)

    def _join(self, timeout: float, clients: bool = False) -> List[threading.Thread]:
        end = time.monotonic() + timeout
        late = [thread for thread in _library_threads() if thread not in self._threads]
        late = [thread for thread in late if not (clients and thread.name.startswith("wssync-testing-"))]
        for thread in late:
            if thread is not threading.current_thread():
                _join_until(end, thread)
        there = threading.enumerate()
        return [thread for thread in late if thread in there]

    def _new_sockets(self) -> List[str]:
        descriptors = _socket_descriptors()
        if descriptors is not None and all(map(self._knows, descriptors.items())):
            return []
        objects = _library_objects()
        held = [held for held in _held_sockets(objects) if self._is_new(held.sock) and not self._is_of_old(held.holder)]
        return list(_describe(held, objects))

    def _is_of_old(self, holder: object) -> bool:
        """Whether it is the port of a server that was there, which has another socket since it refused connections."""
        return isinstance(holder, Listener) and holder.thread in self._threads

    def _knows(self, item: Tuple[int, Identity]) -> bool:
        number, identity = item
        return self._descriptors is not None and self._descriptors.get(number) == identity

    def _is_new(self, sock: Union[socket.socket, EventDescriptor]) -> bool:
        if self._descriptors is None:
            return sock not in self._sockets
        number = sock.fileno()
        identity = _identity(number)
        return identity is not None and not self._knows((number, identity))


class _Held(NamedTuple):
    holder: object
    sock: Union[socket.socket, EventDescriptor]


def _library_threads() -> Iterator[threading.Thread]:
    for thread in threading.enumerate():
        name = thread.name
        if name.startswith("wssync-") and not name.startswith(_RESOLVERS) and name != _shared_name():
            yield thread


def _connections() -> Dict[Optional[threading.Thread], Connection]:
    """The connections that have a thread, by that."""
    return {connection.thread: connection for connection in list(goodbye._connections) if connection.thread}


def _join_until(end: float, thread: threading.Thread) -> None:
    while True:
        try:
            thread.join(max(0.0, end - time.monotonic()))
        except RuntimeError:  # it is only being started
            if time.monotonic() < end:
                time.sleep(PAUSE)
                continue
        return


def _tell(thread: threading.Thread) -> str:
    """What the thread is, and why it may still be there."""
    name = f"the thread {thread.name}"
    if thread.name.startswith("wssync-testing-connection-"):
        return f"{name}, a handler that is still busy"
    owners = [thing for thing in list(goodbye._forkable) if isinstance(thing, Session)]
    owners = [session for session in owners if getattr(session.executor, "_name", None) == thread.name]
    if not owners:
        return name
    if any(not session._invalid for session in owners):
        return f"{name} of a Session that was never invalidated"
    return f"{name} of a Session, with a handler that is still busy"


def _shared_name() -> object:
    """The name of the shared session's thread, which ends with the process; `None` if nobody has used the session."""
    return getattr(Session.shared().executor, "_name", None) if _shared_session.cache_info().currsize else None


def _socket_descriptors() -> Optional[Dict[int, Identity]]:
    """The process's sockets by the numbers of their descriptors, `None` where they cannot be listed."""
    try:
        numbers = list(map(int, os.listdir(_DESCRIPTORS)))
    except OSError:
        return None
    found = ((number, _identity(number)) for number in numbers)
    return {number: identity for number, identity in found if identity is not None}


def _identity(number: int) -> Optional[Identity]:
    """What tells a socket, or the eventfd of a waker, from the next one with its number (where the system says so);
    `None` if it is neither.
    """
    try:
        status = os.fstat(number)
    except OSError:
        return None  # it was closed just now
    if stat.S_ISSOCK(status.st_mode):
        return status.st_dev, status.st_ino
    return None if stat.S_IFMT(status.st_mode) else _event_identity(number)


def _event_identity(number: int) -> Optional[Identity]:
    """All eventfds are one file; Linux numbers them beside that (from 5.2)."""
    try:
        with open(f"/proc/self/fdinfo/{number}", encoding="ascii") as file:
            facts = dict(line.split(":", 1) for line in file if ":" in line)
    except OSError:
        return None
    return (-1, int(facts.get("eventfd-id", "-1"))) if "eventfd-count" in facts else None


def _library_objects() -> List[object]:
    """Every object whose class is defined in the library (a user's class that is derived from one is the user's)."""
    objects = gc.get_objects()
    kinds = {kind for kind in set(map(type, objects)) if _is_ours(kind)}
    return [thing for thing in objects if type(thing) in kinds]


def _is_ours(kind: type) -> bool:
    module: object = getattr(kind, "__module__", None)
    return isinstance(module, str) and module.startswith(f"{__name__.split('.')[0]}.")


def _attributes(thing: object) -> List[Any]:
    slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    return [*getattr(thing, "__dict__", {}).values(), *(getattr(thing, name, None) for name in slots)]


def _held_sockets(objects: Iterable[object]) -> List[_Held]:
    """The open sockets and eventfds among these objects' attributes.

    But for those of a `Watch`, which has borrowed its own, and of what `WebSocketTask.fileno()` told: that is closed
    with the task, which may be kept when it has ended.
    """
    return [
        _Held(thing, value)
        for thing in objects
        if type(thing) not in (Watch, Readiness)
        for value in _attributes(thing)
        if isinstance(value, (socket.socket, EventDescriptor)) and value.fileno() >= 0
    ]


def _describe(leaked: List[_Held], objects: List[object]) -> Iterator[str]:
    """A line for each socket. A waker is part of something; it has a line only if that has none by its own socket."""
    urls = {id(thing._waker): thing._connection.url for thing in objects if type(thing) is Engine}
    told: Set[int] = set()
    for holder, sock in leaked:
        if isinstance(sock, socket.socket) and type(holder) is not Waker:
            waker = id(getattr(holder, "_waker", None))
            told.add(waker)
            yield f"the socket of a {type(holder).__name__}, {_addresses(sock)}{_to(urls.get(waker))}"
    for number in {id(held.holder) for held in leaked if type(held.holder) is Waker} - told:
        yield f"the sockets of a Waker{_to(urls.get(number))}"


def _to(url: Optional[str]) -> str:
    return "" if url is None else f", of the task to {url}"


def _addresses(sock: socket.socket) -> str:
    try:
        local = _address(sock.getsockname())
    except OSError:
        return "closed meanwhile"
    try:
        return f"from {local} to {_address(sock.getpeername())}"
    except OSError:
        return f"at {local}"


def _address(name: object) -> str:
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else repr(name)
