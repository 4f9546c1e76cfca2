"""What concerns all connections of a process at once: its end, and a fork.

At exit every open connection gets a Close 1001 and one second, together, by the threads that run already: none can be
started any more then. After a fork the child owns nothing: its copies of the descriptors are closed without a word (a
shutdown would cut the parent's connection), and its locks, which threads that no longer exist may hold, are replaced.
"""

from __future__ import annotations

import atexit
import os
from _weakrefset import WeakSet  # what `weakref` has it from, without the classes of that

from ..hints import TYPE_CHECKING, Protocol, Set
from ..transport.clock import Clock, Deadline
from .connection import Connection

if TYPE_CHECKING:

    class Forkable(Protocol):
        """What has locks or descriptors that a child process must not inherit."""

        def abandon(self) -> None: ...


__all__ = ["forget_connection", "remember_connection", "remember_fork"]

PATIENCE = 1.0
"""Seconds for all goodbyes together: a program that ends must end."""

_connections: Set[Connection] = set()  # none is lost in it: each thread has an end, where it is forgotten
_forkable: WeakSet[Forkable] = WeakSet()


def remember_connection(connection: Connection) -> None:
    """From now on the connection is said goodbye to at exit, and abandoned in a child process."""
    _connections.add(connection)


def forget_connection(connection: Connection) -> None:
    """It is gone."""
    _connections.discard(connection)


def remember_fork(thing: Forkable) -> None:
    """From now on `thing.abandon()` is called in every child process."""
    _forkable.add(thing)


def say_goodbye() -> None:
    """Close what is open with 1001, within one second for all."""
    connections = [connection for connection in list(_connections) if not connection.gone.is_set()]
    for connection in connections:
        connection.close(1001, None, PATIENCE)
    deadline = Deadline(Clock(), PATIENCE)
    for connection in connections:
        connection.gone.wait(deadline.remaining())
        connection.cancel()


def _after_fork() -> None:
    for thing in [*_connections, *_forkable]:
        thing.abandon()
    _connections.clear()


atexit.register(say_goodbye)
if hasattr(os, "register_at_fork"):  # pragma: no branch (Windows does not fork)
    os.register_at_fork(after_in_child=_after_fork)
