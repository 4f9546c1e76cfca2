"""The two short ways in their compiled form: encoding and sending, receiving and decoding, in one call each.

They are `None` where there is no accelerator (see `protocol.speed`), and on Windows, where a socket is no file.
"""

from __future__ import annotations

from ..hints import Any, Callable, List, Optional, Tuple
from ..protocol.speed import ACCELERATED

__all__ = ["ReceiveMessages", "SendFrame", "receive_messages", "send_frame"]

ReceiveMessages = Callable[[int, int, Optional[int], List[Any], List[Any]], Tuple[int, int]]
SendFrame = Callable[[int, int, int, bytes, bytes, List[Tuple[int, bytes]]], int]

receive_messages: Optional[ReceiveMessages] = None
send_frame: Optional[SendFrame] = None

if ACCELERATED:
    try:
        from .._speedups import receive_messages, send_frame
    except ImportError:  # on Windows
        pass
