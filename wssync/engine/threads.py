"""The thread of a connection, as light as a thread can be: an idle connection has nothing that is as heavy."""

from __future__ import annotations

import itertools
import sys
import threading

from ..hints import TYPE_CHECKING, Any, Dict, Optional, Protocol

__all__ = ["make_thread"]

if TYPE_CHECKING:

    class Runner(Protocol):
        """Who runs in a thread."""

        def run(self) -> None: ...


_UNREAD = (3, 14)
_numbers = itertools.count(1)
_NO_ARGUMENTS: Dict[str, Any] = {}
_shared: Dict[str, Any] = {}


class _Beginning:
    """That a thread has begun; in the place of the `Event` that every thread keeps, with a lock and two queues in it.

    `Thread.start` waits for that. Here it does not: who has made the connection waits for the opening, if for anything,
    and would only be switched to twice. Until the thread has begun it is not alive and cannot be joined.
    """

    __slots__ = ("_has_begun",)

    def __init__(self) -> None:
        self._has_begun = False

    def is_set(self) -> bool:
        """Whether the thread runs, or ran."""
        return self._has_begun

    def set(self) -> None:
        """It runs; said by itself."""
        self._has_begun = True

    def wait(self, timeout: Optional[float] = None) -> bool:
        """Return at once: the thread is there, and will run."""
        return self._has_begun

    def _at_fork_reinit(self) -> None:
        """There is no lock."""


class _Thread(threading.Thread):
    """It has no target with arguments, which would stay with it, but who runs in it.

    `_started` and `_invoke_excepthook` are names of `threading` that have no promise: see `make_thread`.
    """

    def __init__(self, runner: Runner) -> None:
        super().__init__(name=_next_name(), kwargs=_NO_ARGUMENTS, daemon=True)
        self._runner: Optional[Runner] = runner
        self._started = _Beginning()
        # Each thread has a closure of its own for what nobody catches; they all do the same.
        own = getattr(self, "_invoke_excepthook", None)
        self._invoke_excepthook = _shared.setdefault("hook", own)

    def run(self) -> None:
        """The runner knows the thread, so the thread lets go of it, as `Thread.run` does of its target."""
        runner, self._runner = self._runner, None
        if runner is not None:  # pragma: no branch - it runs once
            runner.run()


def make_thread(runner: Runner) -> threading.Thread:
    """A thread that is not started yet.

    A light one in the versions whose `threading` was read for it; in later ones one like any other.
    """
    if sys.version_info < _UNREAD:
        return _Thread(runner)
    return threading.Thread(target=runner.run, name=_next_name(), daemon=True)


def _next_name() -> str:
    return f"wssync-read-{next(_numbers)}"
