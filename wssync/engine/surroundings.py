"""What a connection finds around it: time and the network, unless a test has put something else in their place.

`wssync.testing` puts a clock that stands still, or recorded conversations, where these are, for a while and for the
whole process: the code under test may open its connections on any thread. A task keeps the clock with which it was
made; the network is asked when it dials.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Any, Callable, Iterator, NamedTuple

from ..transport import dial as dialling
from ..transport.clock import Clock
from ..transport.stream import Stream

__all__ = ["Surroundings", "current", "dial", "replaced"]


class Surroundings(NamedTuple):
    """`clock` keeps a connection's deadlines; `dial` is called like `wssync.transport.dial.dial`."""

    clock: Clock
    dial: Callable[..., Stream]


_lock = threading.Lock()
_current = Surroundings(Clock(), dialling.dial)


def current() -> Surroundings:
    """What tasks find now. Any thread."""
    return _current


def dial(*arguments: Any, **keywords: Any) -> Stream:
    """Dial as is done now: see `wssync.transport.dial.dial`."""
    return _current.dial(*arguments, **keywords)


@contextlib.contextmanager
def replaced(**changes: Any) -> Iterator[None]:
    """Put these `changes` in the place of what is there, until the end of the block. Any thread.

    Blocks that replace different things may overlap as they like; those that replace the same thing must be nested.
    """
    global _current
    with _lock:
        before = _current
        _current = before._replace(**changes)
    try:
        yield
    finally:
        with _lock:
            _current = _current._replace(**{name: getattr(before, name) for name in changes})
