"""What a test leaves behind of this library: threads that still run, and sockets that are still open.

Production code keeps no list of its sockets for the sake of tests. The interpreter has one: the garbage collector knows
every object, and a socket is the library's when an object of a class of the library has it as an attribute. So the
user's own sockets are never meant, however many there are.

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
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from ..engine.loop import Engine
from ..session import Session, _shared_session
from ..transport.waiting import Waker, Watch

__all__ = ["Snapshot"]

_DESCRIPTORS = "/dev/fd"

Identity = Tuple[int, int]


class Snapshot:
    """The library's threads and sockets at the moment when this is made, to be compared with a later one."""

    def __init__(self) -> None:
        self._threads = set(_library_threads())
        self._descriptors = _socket_descriptors()
        found = () if self._descriptors is not None else (held.sock for held in _held_sockets(_library_objects()))
        self._sockets = weakref.WeakSet(found)

    def leaks(self, timeout: float) -> List[str]:
        """What was not there before and is there now, one line for each thread and each socket; no line is good.

        Threads that are about to end are waited for, `timeout` seconds all together. A look-up of a name counts as
        nothing: the operating system does not let it be ended, and nobody waits for it.
        """
        threads = self._join(timeout)
        return [*(f"the thread {thread.name}" for thread in threads), *self._new_sockets()]

    def _join(self, timeout: float) -> List[threading.Thread]:
        end = time.monotonic() + timeout
        late = [thread for thread in _library_threads() if thread not in self._threads]
        for thread in late:
            if thread is not threading.current_thread():
                thread.join(max(0.0, end - time.monotonic()))
        return [thread for thread in late if thread.is_alive()]

    def _new_sockets(self) -> List[str]:
        descriptors = _socket_descriptors()
        if descriptors is not None and all(map(self._knows, descriptors.items())):
            return []
        objects = _library_objects()
        held = [held for held in _held_sockets(objects) if self._is_new(held.sock)]
        return list(_describe(held, objects))

    def _knows(self, item: Tuple[int, Identity]) -> bool:
        number, identity = item
        return self._descriptors is not None and self._descriptors.get(number) == identity

    def _is_new(self, sock: socket.socket) -> bool:
        if self._descriptors is None:
            return sock not in self._sockets
        number = sock.fileno()
        identity = _identity(number)
        return identity is not None and not self._knows((number, identity))


class _Held(NamedTuple):
    holder: object
    sock: socket.socket


def _library_threads() -> Iterator[threading.Thread]:
    for thread in threading.enumerate():
        name = thread.name
        if name.startswith("wssync-") and not name.startswith("wssync-resolver-") and name != _shared_name():
            yield thread


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
    """What tells a socket from the next one with its number (where the system says so); `None` if it is no socket."""
    try:
        status = os.fstat(number)
    except OSError:
        return None  # it was closed just now
    return (status.st_dev, status.st_ino) if stat.S_ISSOCK(status.st_mode) else None


def _library_objects() -> List[object]:
    """Every object whose class is defined in the library (a user's class that is derived from one is the user's)."""
    objects = gc.get_objects()
    kinds = {kind for kind in set(map(type, objects)) if _is_ours(kind)}
    return [thing for thing in objects if type(thing) in kinds]


def _is_ours(kind: type) -> bool:
    module: object = getattr(kind, "__module__", None)
    return isinstance(module, str) and module.startswith(f"{__name__.split('.')[0]}.")


def _attributes(thing: object) -> List[Any]:
    return list(getattr(thing, "__dict__", {}).values())


def _held_sockets(objects: Iterable[object]) -> List[_Held]:
    """The open sockets among these objects' attributes (a `Watch` has borrowed its own)."""
    return [
        _Held(thing, value)
        for thing in objects
        if type(thing) is not Watch
        for value in _attributes(thing)
        if isinstance(value, socket.socket) and value.fileno() >= 0
    ]


def _describe(leaked: List[_Held], objects: List[object]) -> Iterator[str]:
    """A line for each socket. A waker is part of something; it has a line only if that has none by its own socket."""
    urls = {id(thing._waker): thing._connection.url for thing in objects if type(thing) is Engine}
    told: Set[int] = set()
    for holder, sock in leaked:
        if type(holder) is not Waker:
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
