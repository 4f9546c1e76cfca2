"""How the state of a connection is changed, and what that means for a signal handler.

The second chapter of a connection (see `connection`). Python runs signal handlers in the main thread between any two
steps of what that does, and finalizers in any thread: so perhaps in the middle of a send or receive, with a role held
(see `roles`), or of a change, with the mutex held. What they call on the same task there must neither wait for what it
has interrupted nor rely on what it finds half done.

- A change waits until the engine thread makes it: `change`.
- A send is not waited for, and neither is the end after a `close`; both come about once the interrupted call goes on.
- What has an answer to give that only others could bring, or could not be taken now, is a RuntimeError.
"""

from __future__ import annotations

from ..hints import Callable, Optional, TypeVar
from .state import Phase, State

__all__ = ["Changes"]

T = TypeVar("T")


class Changes(State):
    """Changing what is here, and telling who is in the middle of that."""

    __slots__ = ()

    def change(self, change: Callable[[], T]) -> Optional[T]:
        """Make a change of what is here, with the mutex held; what that returns. Any thread.

        A signal handler (or a finalizer) may run in the middle of a change that its own thread is making. It could
        neither wait for the end of that, nor rely on what it finds. So the engine thread makes its change soon, before
        any later one; then, `None`. Before there is such a thread, or when nothing is left for it to do, it is made at
        once: nothing here is ever in a state that an exception must not leave behind.
        """
        if self.mutex._is_owned() and self.waker is not None and self.phase < Phase.ENDED:
            self.outbox.express = None  # what is sent next must not go past it
            self.__dict__.setdefault("late", []).append(change)
            self.wake()
            return None
        with self.mutex:
            self.catch_up()
            return change()

    def catch_up(self) -> bool:
        """Make the changes that had to wait; whether there were any. Mutex."""
        were_any = bool(self.late)
        while self.late:
            self.late.pop(0)()
        return were_any

    def make_late_changes(self) -> None:
        """Where the engine thread waits and has no look at all the facts: make what had to wait. No lock held."""
        if self.late:
            with self.mutex:
                self.catch_up()
            self.strand.kick()

    @property
    def is_within(self) -> bool:
        """Whether this very thread is in the middle of a change, of a send or receive, or of handing over callbacks:
        in a signal handler that interrupted it, or in a trace hook. What needs that to go on cannot be waited for.
        """
        return self.mutex._is_owned() or self._holds_role or self.strand.is_held

    @property
    def _holds_role(self) -> bool:
        return self.outbox.role.is_mine or (self.reader is not None and self.reader.role.is_mine)

    def refuse_inside(self, call: str) -> None:
        """RuntimeError in a signal handler that struck while its thread held the mutex: see `change`."""
        if self.mutex._is_owned():
            raise RuntimeError(f"{call}() in a signal handler that interrupted a call of this task")

    def refuse_within(self, call: str) -> None:
        """RuntimeError where a blocking `call` would wait for itself."""
        if self.is_within:
            raise RuntimeError(f"{call}() in a signal handler that interrupted a call of this task")
