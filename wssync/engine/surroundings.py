"""What a connection finds around it: time and the network, unless a test has put something else in their place.

`wssync.testing` puts a clock that stands still, or recorded conversations, where these are, for a while and for the
whole process: the code under test may open its connections on any thread. A task keeps the clock with which it was
made; the network is asked when it dials.
"""

from __future__ import annotations

import threading

from ..frozen import Frozen, replace
from ..hints import TYPE_CHECKING, Any, Callable, Dict, List
from ..transport.clock import Clock
from ..transport.stream import Stream

if TYPE_CHECKING:
    from ..transport.waiting import Attempt

__all__ = ["Surroundings", "current", "dial", "replaced"]


class Surroundings(Frozen):
    """`clock` keeps a connection's deadlines; `dial` is called like `reach_it`, and may do something else instead."""

    clock: Clock
    dial: Callable[..., Stream]


def reach_it(host: str, port: int, attempt: Attempt, *, url: str, reach: Callable[[], Stream]) -> Stream:
    """A stream to the server of `url`, at `host` and `port`, TLS and proxies included: what `reach` comes to.

    The stream must have the waker of `attempt`.
    """
    return reach()


_REAL = Surroundings(Clock(), reach_it)
_lock = threading.Lock()
_layers: List[Dict[str, Any]] = []
_current = _REAL


def current() -> Surroundings:
    """What tasks find now. Any thread."""
    return _current


def dial(*arguments: Any, **keywords: Any) -> Stream:
    """Dial as is done now: see `reach_it`."""
    return _current.dial(*arguments, **keywords)


def replaced(**changes: Any) -> Layer:
    """Put these `changes` in the place of what is there, until the end of the `with` block. Any thread.

    Blocks may overlap as they like; of those that replace the same thing, the one that began last counts. TypeError
    or ValueError for a name that is none of the surroundings'.
    """
    replace(_REAL, **changes)
    return Layer(changes)


class Layer:
    """The `with` block of `replaced`."""

    def __init__(self, changes: Dict[str, Any]) -> None:
        self._changes = changes

    def __enter__(self) -> None:
        with _lock:
            _layers.append(self._changes)
            _pile_up()

    def __exit__(self, *_: object) -> None:
        with _lock:
            _layers[:] = [layer for layer in _layers if layer is not self._changes]
            _pile_up()


def _pile_up() -> None:
    global _current
    found = _REAL
    for layer in _layers:
        found = replace(found, **layer)
    _current = found
