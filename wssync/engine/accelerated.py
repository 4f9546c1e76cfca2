"""The two short ways in their compiled form: encoding and sending, receiving and decoding, in one call each.

They are `None` where there is no accelerator (see `protocol.speed`), and on Windows, where a socket is no file; then
`shorten` does nothing, nor does it before Python 3.12, and `RoleLock` is an `RLock`. Without a global lock there is no
`Borrower`: it reads attributes where they lie.
"""

from __future__ import annotations

import threading

from ..hints import TYPE_CHECKING, Any, Callable, Optional, Protocol, Tuple
from ..protocol.speed import ACCELERATED
from .tally import Tally

if TYPE_CHECKING:
    from .._speedups import Borrower, Express

    class Lock(Protocol):
        """What there is of an `RLock`."""

        def acquire(self, blocking: bool = True, timeout: float = -1) -> bool: ...

        def release(self) -> None: ...

        def _is_owned(self) -> bool: ...

        def __enter__(self) -> bool: ...

        def __exit__(self, *error: object) -> None: ...


__all__ = ["CompiledBorrower", "CompiledExpress", "Mutex", "RoleLock", "make_tally", "shorten"]

Send = Callable[..., None]
Receive = Callable[..., Any]
Slots = Tuple[Any, ...]


def _nothing(send: Send, outbox: Slots, receive: Receive, inbox: Slots, borrower: Slots) -> None:
    """Leave them as they are."""


CompiledBorrower: Optional[Callable[..., Borrower]] = None
make_tally: Callable[[], Tally] = Tally
CompiledExpress: Optional[Callable[..., Express]] = None
Mutex: Callable[[], Lock] = threading.RLock  # type: ignore[assignment] # which does not tell of `_is_owned`
"""The lock of a connection's state. It tells whether this thread has it: see `changes`."""
RoleLock: Callable[[], Lock] = Mutex
"""The lock of a role. The short ways in their compiled form take a compiled one without calling its methods."""
shorten: Callable[[Send, Slots, Receive, Slots, Slots], None] = _nothing
"""Let a task's `send` and `receive` go the short ways by themselves when that is all there is to do. They stay
functions in all else. The slots lead from a task to what `Outbox.express` and `Inbox.express` are, and to its reader's
`borrower`."""

if ACCELERATED:
    try:
        from .._speedups import Express as CompiledExpress
        from .._speedups import RoleLock
    except ImportError:
        pass
    try:
        from .._speedups import Borrower as CompiledBorrower
        from .._speedups import Tally as make_tally  # type: ignore[assignment] # its twin
        from .._speedups import shorten
    except ImportError:
        pass
