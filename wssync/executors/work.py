"""One piece of work, as every executor keeps it."""

from __future__ import annotations

from concurrent.futures import Future

from ..hints import Any, Callable, Optional, Tuple

__all__ = ["Work", "run_work"]

Work = Tuple["Future[Any]", Callable[..., Any], Tuple[Any, ...], Any]
"""The future of the result, the function, its arguments and its keyword arguments."""


def run_work(entry: Work) -> Optional[BaseException]:
    """Run it, unless its future was cancelled; what it raises is kept for whoever holds the future, and returned."""
    future, fn, args, kwargs = entry
    if not future.set_running_or_notify_cancel():
        return None
    try:
        result = fn(*args, **kwargs)
    except BaseException as error:  # as every executor does
        future.set_exception(error)
        return error
    future.set_result(result)
    return None
