"""What is counted of what comes, in one object of a connection: the short way of a receive adds to it where it lies."""

from __future__ import annotations

__all__ = ["Tally"]


class Tally:
    """Counts of one connection. For the holder of the read role; others may look."""

    __slots__ = ("messages", "received", "turns", "wire")

    def __init__(self) -> None:
        self.received = 0
        """Bytes of messages, after decompression."""
        self.wire = 0
        """Bytes on the wire."""
        self.messages = 0
        self.turns = 0
        """How often a caller has borrowed the role."""
