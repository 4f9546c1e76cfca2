"""What an error that is kept must not keep: the frames that it passed through, which know whoever keeps it."""

from __future__ import annotations

from ..hints import List, Optional, Set

__all__ = ["drop_frames"]


def drop_frames(error: BaseException) -> None:
    """Take the tracebacks from an error and from all behind it, its causes and what was handled when it was raised."""
    error.__traceback__ = None
    if error.__cause__ is None and error.__context__ is None:
        return
    left: List[Optional[BaseException]] = [error]
    seen: Set[int] = set()
    while left:
        one = left.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            one.__traceback__ = None
            left += (one.__cause__, one.__context__)
