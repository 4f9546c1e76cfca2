"""The two short ways in their compiled form: encoding and sending, receiving and decoding, in one call each.

They are `None` where there is no accelerator (see `protocol.speed`), and on Windows, where a socket is no file; then
`shorten` does nothing, nor does it before Python 3.12.
"""

from __future__ import annotations

from ..hints import TYPE_CHECKING, Any, Callable, List, Optional, Tuple
from ..protocol.speed import ACCELERATED

if TYPE_CHECKING:
    from .._speedups import Express

__all__ = ["CompiledExpress", "ReceiveMessages", "receive_messages", "shorten"]

Send = Callable[..., None]
Receive = Callable[..., Any]
Slots = Tuple[Any, ...]

ReceiveMessages = Callable[[int, int, Optional[int], List[Any], List[Any]], Tuple[int, int]]


def _nothing(send: Send, outbox: Slots, receive: Receive, inbox: Slots) -> None:
    """Leave them as they are."""


receive_messages: Optional[ReceiveMessages] = None
CompiledExpress: Optional[Callable[..., Express]] = None
shorten: Callable[[Send, Slots, Receive, Slots], None] = _nothing
"""Let a task's `send` and `receive` go the short ways by themselves when that is all there is to do. They stay
functions in all else. The slots lead from a task to what `Outbox.express` and `Inbox.express` are."""

if ACCELERATED:
    try:
        from .._speedups import Express as CompiledExpress
        from .._speedups import receive_messages, shorten
    except ImportError:
        pass
