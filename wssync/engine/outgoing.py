"""What is to be sent: the queue of an outbox, and the way past it. Every method needs the connection's mutex.

Order on the wire: an urgent Close (a reply, a failure), the pong, pings, messages in the order of the calls, and the
Close of a graceful end behind them. Of pongs only the newest is kept (RFC 6455 section 5.5.3), or a peer that pings and
does not read would fill the memory.

`express` is the short way past all that for a caller who finds nothing before its message: encode it and write it at
once, with no item made and no mutex taken. It is `None` as soon as anything stands in the way. Whoever puts something
there says so under the mutex; only the holder of the write role, who sees that all is gone, opens it again.
"""

from __future__ import annotations

from ..hints import Callable, Deque, List, Optional, Protocol, Tuple, Union
from ..protocol.closing import ClosingHandshake
from ..protocol.frames import Opcode
from .completions import Completion
from .heartbeat import Ping
from .queues import EMPTY, EMPTY_LIST, own, own_list

__all__ = ["Message", "Outgoing", "ShortWay", "Unit"]

MOST_PONGS = 16
"""One would be enough for the RFC, but a peer that sends ten pings at once likes to have ten answers."""


class Message:
    """A message on its way out."""

    __slots__ = ("begun", "completion", "opcode", "payload", "size")

    def __init__(self, opcode: Opcode, payload: bytes, completion: Completion[None]) -> None:
        self.opcode = opcode
        self.payload = payload
        self.size = len(payload)
        self.completion = completion
        self.begun = False


Farewell = Tuple[Optional[int], Optional[str]]
Unit = Union[Message, Tuple[Opcode, bytes]]


class ShortWay(Protocol):
    """See `express`. It counts as `Outbox.counts` does; who has the write role may add to that."""

    sent: int
    messages_sent: int
    wire_sent: int

    def send_at_once(self, first: int, payload: bytes) -> Union[bool, Message]:
        """See `Express.send_at_once`."""

    def close(self) -> None:
        """See `Express.close`."""


class Outgoing:
    """Messages, pings, pongs and at last a Close, none of which has begun to leave."""

    __slots__ = (
        "__dict__",
        "_barred",
        "_begun",
        "_close",
        "_close_is_urgent",
        "_closed",
        "_closing",
        "_held",
        "_messages",
        "_now",
        "_pings",
        "_pongs",
        "_too_late",
        "express",
        "queued",
    )

    def __init__(self, now: Callable[[], float], closing: ClosingHandshake) -> None:
        self._now = now
        self._closing = closing
        self._messages: Deque[Message] = EMPTY
        self._too_late: List[Message] = EMPTY_LIST
        self._pings: List[Ping] = EMPTY_LIST
        self._pongs: List[bytes] = EMPTY_LIST
        self._close: Optional[Farewell] = None
        self._close_is_urgent = False
        self._closed = False
        self._held = False
        self._barred = False
        self._begun: Optional[Message] = None
        self.queued = 0
        self.express: Optional[ShortWay] = None

    @property
    def held(self) -> bool:
        """Whether nothing is sent: the task is suspended."""
        return self._held

    @held.setter
    def held(self, held: bool) -> None:
        self._held = held
        if held:
            self.express = None

    def bar(self) -> None:
        """The connection is about to end: from now on every message is queued."""
        self._barred = True
        self.express = None

    @property
    def is_barred(self) -> bool:
        """Whether the short way stays closed, whatever is written."""
        return self._barred or self._held or self._close is not None

    # -- appending: mutex ----------------------------------------------------------------------------------------------

    def append(self, message: Message) -> None:
        """Queue a message behind the earlier ones."""
        self.express = None
        self._messages = own(self._messages)
        self._messages.append(message)
        self.queued += message.size

    def append_too_late(self, message: Message) -> None:
        """The connection is about to end: this message is never sent and fails with the others, as the last."""
        self._too_late = own_list(self._too_late)
        self._too_late.append(message)

    def withdraw(self, message: Message) -> bool:
        """Take a message back whose sender gave up; `False` if its first byte has left, or its outcome is known."""
        if message.begun or message.completion.done:
            return False
        if message in self._too_late:
            self._too_late.remove(message)
        else:
            self._messages.remove(message)
            self.queued -= message.size
        message.completion.done = True
        return True

    def ping(self, ping: Ping) -> None:
        """Queue a ping before the messages."""
        self.express = None
        self._pings = own_list(self._pings)
        self._pings.append(ping)

    def pong(self, payload: bytes) -> None:
        """Answer a ping; when too many answers wait, the oldest is given up for it."""
        self.express = None
        self._pongs = own_list(self._pongs)
        self._pongs.append(payload)
        del self._pongs[:-MOST_PONGS]

    def close(self, code: Optional[int], reason: Optional[str], *, urgent: bool) -> None:
        """Send a Close: behind what is queued, or (`urgent`) before everything but a frame that was begun."""
        if self._closed:
            return
        self.express = None
        if self._close is None or urgent:
            self._close, self._close_is_urgent = (code, reason), urgent

    def take(self) -> Optional[Unit]:
        """The next unit by its rank. Mutex and write role."""
        if self._closed or self._held:
            return None
        if self._close is not None and (self._close_is_urgent or self._nothing_else):
            self._closed = True
            return Opcode.CLOSE, self._closing.send(*self._close)
        if self._pongs:
            return Opcode.PONG, self._pongs.pop(0)
        if self._pings:
            ping = self._pings.pop(0)
            ping.sent_at = self._now()
            return Opcode.PING, ping.payload
        if self._messages:
            message = self._messages.popleft()
            message.begun = True
            self._begun = message
            return message
        return None

    @property
    def has_next(self) -> bool:
        """Whether `take` would give something, if nothing is held."""
        return not self._closed and (self._close is not None or not self._nothing_else)

    def give_up(self) -> List[Message]:
        """Forget everything but a Close; the messages, in order."""
        messages = [*self._messages, *self._too_late]
        for queue in (self._messages, self._too_late, self._pings, self._pongs):
            queue.clear()
        self.queued = 0
        return messages

    @property
    def _nothing_else(self) -> bool:
        return not (self._messages or self._pings or self._pongs)
