"""Messages that nobody has taken yet, and receives that nobody has answered yet.

Two queues, `ready` and `waiters`, of which at most one holds anything once `match` has run: the oldest receive gets the
oldest message, blocking receives and handlers alike. Behind the messages there may be a fault (the peer broke the
protocol after it had sent good messages); it waits for its turn as if it were the next message. Behind everything
comes, one day, the error that every receive gets once the connection has ended.

Every method is called with the connection's mutex held, and makes no call out.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import Callable, Deque, Optional, Tuple

from ..errors import ConnectionClosed, WebSocketError
from ..strand import Strand
from .completions import Completion, Message, Result

__all__ = ["Inbox"]

Each = Callable[[Result], object]


class Inbox:
    """The receiving side of one connection."""

    def __init__(self, limits: Tuple[Optional[int], Optional[int]]) -> None:
        self._most_messages, self._most_bytes = limits
        self._ready: Deque[Message] = deque()
        self._waiters: Deque[Completion[Message]] = deque()
        self._each: Optional[Each] = None
        self._handed: Deque[int] = deque()
        self._handed_bytes = 0
        self.fault: Optional[ConnectionClosed] = None
        self.has_had_messages = False
        self.held = False
        self._over: Optional[WebSocketError] = None

    # -- receives ------------------------------------------------------------------------------------------------------

    def receive(self, completion: Completion[Message], strand: Strand) -> None:
        """Queue a receive behind the earlier ones; `RuntimeError` while `receive_each` stands."""
        self.refuse_beside_each()
        self._waiters.append(completion)
        self.match(strand)

    def receive_each(self, handler: Each, strand: Strand) -> None:
        """Give every message to `handler`, behind the receives asked for earlier, and one last error."""
        self.refuse_beside_each()
        self._each = handler
        self.match(strand)

    def refuse_beside_each(self) -> None:
        """While `receive_each` stands nobody else may receive: whose message would it be?"""
        if self._each is not None:
            raise RuntimeError("receive_each() stands: its handler gets every message")

    def take(self) -> Optional[Message]:
        """The next message, if there is one and nobody waits for it."""
        if self.held or not self._ready:
            return None
        return self._ready.popleft()

    def withdraw(self, completion: Completion[Message]) -> bool:
        """Forget a receive whose caller gave up; `False` if its message has come meanwhile."""
        if completion.done:
            return False
        if completion in self._waiters:  # or an interrupt came before it was in the row
            self._waiters.remove(completion)
        completion.done = True
        return True

    def put_back(self, message: Message, strand: Strand) -> None:
        """The caller it was meant for was interrupted: it is the next one again."""
        self._ready.appendleft(message)
        self.match(strand)

    # -- messages ------------------------------------------------------------------------------------------------------

    def publish(self, message: Message) -> None:
        """A whole message has arrived; `match` follows once for a batch."""
        self._ready.append(message)
        self.has_had_messages = True

    def match(self, strand: Strand) -> None:
        """Bring messages and receives together."""
        if self.held and self._over is None:
            return
        ready, waiters = self._ready, self._waiters
        while ready and waiters:
            message = ready.popleft()
            waiter = waiters.popleft()
            if not waiter.blocking:
                self._hand(message)
            waiter.resolve(strand, message)
        if self._each is not None:
            while ready:
                message = ready.popleft()
                self._hand(message)
                strand.put(self._each, Result(message))
        if self._over is not None:
            self._fail_waiters(strand, self._over)

    def _fail_waiters(self, strand: Strand, error: WebSocketError) -> None:
        while self._waiters:
            self._waiters.popleft().resolve(strand, error=error)
        each, self._each = self._each, None
        if each is not None:
            strand.put(each, Result(error=error))

    def end(self, error: WebSocketError, strand: Strand, *, drop: bool) -> None:
        """No message comes any more: what is left can still be received (unless `drop`), then comes `error`."""
        if drop:
            self._ready.clear()
        self._over = error
        self.match(strand)

    # -- back-pressure -------------------------------------------------------------------------------------------------

    def _hand(self, message: Message) -> None:
        size = sys.getsizeof(message)
        self._handed.append(size)
        self._handed_bytes += size

    def returned(self) -> None:
        """A handler has returned: the one whose message was handed out first, as they never overlap.

        Its size is the one from then: a `str` may have grown meanwhile, by a UTF-8 form that it keeps.
        """
        self._handed_bytes -= self._handed.popleft()

    def is_full(self) -> bool:
        """Whether reading has to stop: unread messages, and those whose handlers have not returned, pass a limit."""
        messages = len(self._ready) + len(self._handed)
        if self._most_messages is not None and messages >= self._most_messages:
            return True
        if self._most_bytes is None or not messages:
            return False
        held = self._handed_bytes + sum(map(sys.getsizeof, self._ready))  # few, or the test above had ended it
        return held > self._most_bytes

    @property
    def has_demand(self) -> bool:
        """Whether somebody waits for a message."""
        return bool(self._waiters) or self._each is not None

    @property
    def fault_is_next(self) -> bool:
        """Every message before the fault was taken, and the handlers that took them have returned."""
        return self.fault is not None and not self._ready and not self._handed

    @property
    def unread(self) -> int:
        """How many messages nobody has taken yet."""
        return len(self._ready)
