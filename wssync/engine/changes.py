"""How the state of a connection is changed, and what that means for a signal handler.

The second chapter of a connection (see `connection`). Python runs signal handlers in the main thread between any two
steps of what that does, and finalizers in any thread: so perhaps in the middle of a send or receive, with a role held
(see `roles`), or of a change, with the mutex held. What they call on the same task there must neither wait for what it
has interrupted nor rely on what it finds half done.

- A change waits until the one that was interrupted is made: `change`.
- A send is not waited for, and neither is the end after a `close`; both come about once the interrupted call goes on.
- What has an answer to give that only others could bring, or could not be taken now, is a RuntimeError.
"""

from __future__ import annotations

import threading

from ..hints import TYPE_CHECKING, Callable, Optional, TypeVar
from .state import Phase, State

if TYPE_CHECKING:
    from .completions import Completion

__all__ = ["Changes"]

T = TypeVar("T")

CALLER_BUDGET = 262_144
"""Bytes a caller writes before it leaves the rest to the engine thread: a GUI thread must not serve others for ever."""

WAITING_BUDGET = 4 * 1_048_576
"""Bytes that one writes at a time who waits for its message anyway."""


class Changes(State):
    """Changing what is here, and telling who is in the middle of that."""

    __slots__ = ()

    if TYPE_CHECKING:

        def complete(self) -> None:
            """See `Connection.complete`."""

    def change(self, change: Callable[[], T]) -> Optional[T]:
        """Make a change of what is here, with the mutex held; what that returns. Any thread.

        A signal handler (or a finalizer) may run in the middle of a change that its own thread is making. It could
        neither wait for the end of that, nor rely on what it finds. So its change has to wait, and `None` comes back:
        it is made by whoever has made the other one, before that returns; or by the engine thread, where it struck one
        that reads.
        """
        if self.mutex._is_owned():
            self.outbox.is_awaited, self.outbox.express = True, None
            self.__dict__.setdefault("late", []).append(change)
            self.wake()
            return None
        with self.mutex:
            were_late = bool(self.late) and self.catch_up()
            result = change()
        if self.late or were_late:
            self.make_late_changes()
        return result

    def catch_up(self) -> bool:
        """Make the changes that had to wait; whether there were any. Mutex."""
        were_any = False
        while self.late:
            were_any, self.outbox.is_awaited = True, False
            try:
                self.late.pop(0)()
            except RuntimeError as error:  # such as a receive beside `receive_each`: it cannot be told to the caller
                self.strand.put(_raise, error)
        return were_any

    def make_late_changes(self) -> None:
        """Make what had to wait, and see to what follows from that. No lock held."""
        with self.mutex:
            self.catch_up()
            unstarted = self.phase is Phase.NEW and self.cause is not None
        if unstarted:
            self.complete()
        self.flush()

    def flush(self, awaited: Optional[Completion[None]] = None) -> None:
        """Write what can be written now, leave the rest to the engine thread, start the handlers. No lock held.

        A caller that waits for a message anyway goes on as long as that is not sent.
        """
        budget = CALLER_BUDGET if awaited is None else WAITING_BUDGET
        try:
            if self.mutex._is_owned():  # by what a signal handler has interrupted
                self.wake()
                return
            while self.outbox.pump(budget) and awaited is not None and not awaited.done:
                pass
            with self.mutex:
                left = self.outbox.has_rest or self.outbox.broken is not None
            if left:
                self.wake()
            self.strand.kick()
            if self.late:
                self.make_late_changes()
        except BaseException:  # an interrupt: the engine thread does the rest, and ends the connection if that broke it
            self.wake()
            raise

    def kick(self) -> None:
        """Start the handlers; not in the middle of a change, after which that is done anyway."""
        if not self.mutex._is_owned():
            self.strand.kick()

    @property
    def is_within(self) -> bool:
        """Whether this very thread is in the middle of a change, of a send or receive, of handing over callbacks or of
        starting the connection: in a signal handler that interrupted it, or in a trace hook. What needs that to go on
        cannot be waited for.
        """
        return self.mutex._is_owned() or self._holds_role or self.strand.is_held or self._is_starting

    @property
    def _holds_role(self) -> bool:
        reader = self.reader  # which the engine thread takes away at the end
        return self.outbox.role.is_mine or (reader is not None and reader.role.is_mine)

    @property
    def _is_starting(self) -> bool:
        return self.phase is Phase.OPENING and self.starter == threading.get_ident()

    def refuse_inside(self, call: str) -> None:
        """RuntimeError in a signal handler that struck while its thread held the mutex: see `change`."""
        if self.mutex._is_owned():
            raise _refusal_of(call)

    def refuse_within(self, call: str) -> None:
        """RuntimeError where a blocking `call` would wait for itself."""
        if self.is_within:
            raise _refusal_of(call)


def _refusal_of(call: str) -> RuntimeError:
    return RuntimeError(f"{call}() in a signal handler that interrupted a call of this task")


def _raise(error: RuntimeError) -> None:
    """On the executor, where it is logged."""
    raise error
