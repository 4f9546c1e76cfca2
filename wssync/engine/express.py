"""The two short ways: a send that writes at once, and a receive that reads by itself. A connection's third chapter.

Nearly every send finds nothing queued, and nearly every receive finds nobody before it. Going through the queues, the
mutex and another thread would then cost several times what the network costs. So the caller does the work itself, in
the role of the one who writes or reads, and asks for no mutex:

| who        | first                                   | then                                                     |
| ---------- | --------------------------------------- | -------------------------------------------------------- |
| the caller | wins the role, looks whether `express`  | lets the role go, looks at `express` again: if it is     |
|            | is still open, does the work            | closed, does what others have left, like anybody         |
| another    | closes `express` and leaves its work,   | tries the role; who does not get it knows that the       |
|            | under the mutex                         | holder looks again                                       |

Taking and letting go of a role is an operation of a lock, so that each of the two sees what the other did first, on
interpreters without a global lock too.
"""

from __future__ import annotations

from ..hints import TYPE_CHECKING, Optional, Union
from .calls import Calls
from .completions import Message, Waiter

if TYPE_CHECKING:
    from .outgoing import Message as Outgoing

__all__ = ["Express"]

SHORT = 65_536
"""Bytes of a message that is sent at once: what one system call is likely to take."""


class Express(Calls):
    """Sending and receiving in the caller's own thread."""

    __slots__ = ()

    def send_at_once(self, first: int, payload: bytes) -> Union[bool, Outgoing]:
        """Send a message, whose frame begins with the byte `first`, if nothing is before it.

        True: it was handed to the operating system. False: nothing happened. A message: part of it was handed over; the
        rest goes before all others, and its completion says when.
        """
        outbox = self.outbox
        lock = outbox.role.lock
        size = len(payload)
        if outbox.express is None or size > SHORT or lock._is_owned():  # type: ignore[attr-defined] # see `Role`
            return False
        way = None
        sent: Union[bool, Outgoing] = False
        try:
            if lock.acquire(False):
                way = outbox.express
                if way is not None:
                    on_wire = way.send(first, payload)
                    if on_wire:
                        sent = True
                        outbox.sent += size
                        outbox.wire_sent += on_wire
                        outbox.messages_sent += 1
                    else:
                        sent = outbox.keep_rest(way, first, payload)
        except BaseException as error:
            if way is None or not outbox.broke(way, error):
                raise
        finally:
            try:
                lock.release()
            except RuntimeError:
                pass  # another thread's: see `Role.attempt`
            finally:  # an interrupt of the release too must leave nothing behind
                if outbox.express is None:
                    self.flush()
        return sent

    def receive_at_once(self, seconds: Optional[float]) -> Union[Message, Waiter[Message], None]:
        """Take the next message, or wait for it here, `seconds` at most, if no receive is before it.

        `None`, or a `Waiter` that stands in the row already: there is no message by then, and the caller queues up.
        """
        express = self.inbox.express
        if express:
            try:
                return express.popleft()
            except IndexError:
                pass  # another caller was quicker
        reader = self.reader
        return None if express is None or reader is None else reader.borrow(seconds)
