"""The four functions that have a compiled form, in the form to use: `from wssync.protocol.speed import mask`; and rows.

Compiled, where `wssync._speedups` was built (it is optional) and the environment does not say `WSSYNC_PURE_PYTHON=1`;
otherwise those of `frames`, which do the same. What they do is said there.
"""

from __future__ import annotations

import os

from wssync.hints import Any, Callable, Iterable, Iterator, Optional, Protocol, Union

__all__ = ["ACCELERATED", "ROW", "Row", "cut_messages", "encode_frame", "mask", "mask_into"]


class Row(Protocol):
    """Messages in a row, as a deque has them. Those that were cut into it become objects when they are taken."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Any: ...

    def __delitem__(self, index: int) -> None: ...

    def __iter__(self) -> Iterator[Any]: ...

    def append(self, message: Any, /) -> None:
        """Put it behind all others."""

    def appendleft(self, message: Any, /) -> None:
        """Put it before all others."""

    def clear(self) -> None:
        """Forget all."""

    def extend(self, messages: Iterable[Any], /) -> None:
        """Put them behind all others, each as soon as the iterator gives it."""

    def popleft(self) -> Union[str, bytes]:
        """Take the first. IndexError if there is none."""

    def take(self, row: Any, count: int, /) -> None:
        """Put the first `count` of another row, or all, behind those of this one; in one step."""


ACCELERATED = os.environ.get("WSSYNC_PURE_PYTHON") != "1"
"""Whether it is the compiled form."""

ROW: Optional[Callable[[], Row]] = None
"""What many messages are cut into in the compiled form: a queue in which they become objects when they are taken."""

if ACCELERATED:
    try:
        from wssync._speedups import Row as ROW
        from wssync._speedups import cut_messages, encode_frame, mask, mask_into
    except ImportError:  # not built, or not for this interpreter
        ACCELERATED = False

if not ACCELERATED:
    from wssync.protocol.frames import (  # type: ignore[assignment] # of rows it needs to know nothing
        cut_messages,
        encode_frame,
        mask,
        mask_into,
    )
