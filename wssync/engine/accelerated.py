"""The two short ways in their compiled form: encoding and sending, receiving and decoding, in one call each.

They are `None` where there is no accelerator (see `protocol.speed`), and on Windows, where a socket is no file.
"""

from __future__ import annotations

from ..hints import TYPE_CHECKING, Any, Callable, List, Optional, Tuple
from ..protocol.speed import ACCELERATED

if TYPE_CHECKING:
    from .._speedups import Express

__all__ = ["CompiledExpress", "ReceiveMessages", "receive_messages"]

ReceiveMessages = Callable[[int, int, Optional[int], List[Any], List[Any]], Tuple[int, int]]

receive_messages: Optional[ReceiveMessages] = None
CompiledExpress: Optional[Callable[..., Express]] = None

if ACCELERATED:
    try:
        from .._speedups import Express as CompiledExpress
        from .._speedups import receive_messages
    except ImportError:  # on Windows
        pass
