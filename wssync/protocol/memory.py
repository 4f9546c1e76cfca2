"""Memory for long messages, one after the other: what the C library is told of it.

To get memory from the system, which clears it page by page when it is touched, takes as long as to fill it, and longer
on a virtual machine. The C library keeps what it is given back, but not much: glibc decides by the largest block that
was ever given back whole (mallopt(3), "dynamic mmap threshold"). A message that is filled while the last one is still
in use, with something small between the two, is more than that: it was fetched from the system anew, for every second
or third message.
"""

from __future__ import annotations

__all__ = ["MOST", "expect_blocks"]

MOST = 8 * 1024 * 1024
"""Bytes of the largest block that the C library is shown. It may keep twice as many from then on."""

_shown = 0


def expect_blocks(size: int) -> None:
    """Say that blocks of so many bytes will be asked for again and again.

    It shows the C library a block of four times the size, which nobody touches, so that it is not there: once, until
    there is another twice as long. Other C libraries than glibc do not care.
    """
    global _shown
    if 2 * size > _shown < MOST:
        _shown = min(4 * size, MOST)
        try:
            bytes(_shown)
        except MemoryError:
            pass  # then there is nothing to keep either
