"""Messages that nobody has taken yet, and receives that nobody has answered yet.

Two queues, `ready` and `waiters`, of which at most one holds anything once `match` has run: the oldest receive gets the
oldest message, blocking receives and handlers alike. Behind the messages there may be a fault (the peer broke the
protocol after it had sent good messages); it waits for its turn as if it were the next message. Behind everything
comes, one day, the error that every receive gets once the connection has ended.

`express` is the short way past all that, for a caller who finds no receive before its own: the queue of messages, to
pop the first without the mutex, and leave to read the next from the network by oneself if there is none. It is `None`
as soon as anything stands in the way, which `_review` says whenever that may have changed.

`guarded` is the way beside it, for who holds the mutex: the same queue while the short way is closed, though no receive
is before the caller's. A slow consumer takes thousands of messages by it, one read after the other, for reading that
waits for room closes the short way. At any time one of the two is `None` at least, so that whoever looks at the first
message by this way finds it there when it takes it.

`readiness` is what a loop of one's own watches for messages, once one has asked for it; whatever changes `has_answer`
shows it there.

Every method is called with the connection's mutex held, and makes no call out.
"""

from __future__ import annotations

import sys
from collections import deque
from itertools import chain, islice
from operator import delitem

from ..errors import ConnectionClosed, WebSocketError
from ..hints import TYPE_CHECKING, Any, Callable, Deque, Iterable, List, Optional, Tuple, Union, cast
from ..protocol import messages
from ..protocol.messages import Event
from ..protocol.speed import Row
from ..strand import Strand
from .completions import Completion, Handler, Message, Result
from .handed import Handed, series_of
from .queues import EMPTY, Ready, own, own_row

if TYPE_CHECKING:
    from .readiness import Readiness

__all__ = ["Events", "Inbox"]

Each = Callable[[Result], object]

Events = Union[messages.Events, Deque[Event]]
"""A list or a row where all are messages, which go at once; else a deque, to take them one by one."""

_delete: Any = delitem  # of several queues in one call of `map`

_NOTHING: Any = object()
"""What no queue holds: an iterator over `popleft` ends with the queue, and not before."""


class Inbox:
    """The receiving side of one connection."""

    __slots__ = (
        "__dict__",
        "_barred",
        "_each",
        "_handed",
        "_held",
        "_left",
        "_most_bytes",
        "_most_messages",
        "_over",
        "_paused",
        "_ran_low",
        "_ready",
        "_surplus",
        "_waiters",
        "express",
        "fault",
        "guarded",
        "has_had_messages",
        "plenty",
        "readiness",
    )

    def __init__(self, limits: Tuple[Optional[int], Optional[int]]) -> None:
        self._most_messages, self._most_bytes = limits
        self.plenty = sys.maxsize if self._most_messages is None else self._most_messages
        """With so many messages unread reading has to stop, whatever else is there."""
        self._surplus = 0
        """By how many bytes at least the messages pass their limit, as long as they are taken by `guarded` alone."""
        self._ready: Ready = EMPTY
        self._waiters: Deque[Completion[Message]] = EMPTY
        self._each: Optional[Each] = None
        self._ran_low: Callable[[], None] = _ignore
        self._handed = Handed()
        self._paused = False
        self._barred = False
        self.fault: Optional[ConnectionClosed] = None
        self.has_had_messages = False
        self._held = False
        self._over: Optional[WebSocketError] = None
        self.express: Optional[Ready] = None
        self.guarded: Optional[Ready] = None
        self._left: Optional[Ready] = None
        self.readiness: Optional[Readiness] = None

    def _review(self) -> None:
        """Whether a caller may take a message without the mutex, or by nothing but it, now that something has changed.

        When the way is closed, the messages go over to another queue. A caller who is on it still has the old one, and
        has been the first there or finds nothing: from here on nobody else takes what the mutex guards.
        """
        self.guarded, self._surplus = None, 0  # first of all: an interrupt in here must leave none that is wrong
        claimed = self._held or self._waiters or self._each
        blocked = claimed or self._paused or self._barred or self.fault or self.readiness is not None
        if blocked and self.express is not None:
            self._left, self._ready, self.express = self._ready, EMPTY, None
        if self._left is not None:
            self._gather(self._left)
        if not blocked:
            self.express = self._ready
        elif not claimed:
            self.guarded = self._ready

    def _gather(self, left: Ready) -> None:
        """Each goes over within one call, so that an interrupt finds it here or there."""
        try:
            count = len(left)
            if count:
                self._ready = own_row(self._ready)
                self._ready.extend(islice(iter(left.popleft, _NOTHING), count))
        except IndexError:
            pass  # a caller who was on the way has had one of them
        self._left = None

    def bar(self) -> None:
        """The connection is about to end: from now on every receive comes the long way."""
        self._barred = True
        self._review()
        if self.readiness is not None:
            self.readiness.show(self.has_answer)

    @property
    def paused(self) -> bool:
        """Whether reading waits until there is room: with every message taken, that has to be looked at."""
        return self._paused

    @paused.setter
    def paused(self, paused: bool) -> None:
        if paused is not self._paused or (paused and self.express is not None):  # the latter if an interrupt came here
            self._paused = paused
            self._review()

    @property
    def held(self) -> bool:
        """Whether all messages are kept and no receive is answered: the task is suspended."""
        return self._held

    @held.setter
    def held(self, held: bool) -> None:
        self._held = held
        if held:  # else `match` follows: what others wait for is not to be seen before
            self._review()
            if self.readiness is not None:
                self.readiness.show(self.has_answer)

    def defer(self, fault: ConnectionClosed) -> None:
        """The peer broke the protocol behind the messages that are here."""
        self.fault = fault
        self._review()

    # -- receives ------------------------------------------------------------------------------------------------------

    def receive(self, completion: Completion[Message], strand: Strand) -> None:
        """Queue a receive behind the earlier ones; `RuntimeError` while `receive_each` stands."""
        self.refuse_beside_each()
        self._waiters = own(self._waiters)
        self._waiters.append(completion)
        self.match(strand)

    def receive_first(self, completion: Completion[Message]) -> None:
        """Queue a receive before all others: its caller has read for it, and others have come meanwhile."""
        self._waiters = own(self._waiters)
        self._waiters.appendleft(completion)
        self._review()

    def receive_each(self, handler: Each, ran_low: Callable[[], None], strand: Strand) -> None:
        """Give every message to `handler`, behind the receives asked for earlier, and one last error.

        `ran_low` is called on the executor when few of them are left there.
        """
        self.refuse_beside_each()
        self._each, self._ran_low = handler, ran_low
        self.match(strand)

    def refuse_beside_each(self) -> None:
        """While `receive_each` stands nobody else may receive: whose message would it be?"""
        if self._each is not None:
            raise RuntimeError("receive_each() stands: its handler gets every message")

    def take(self) -> Optional[Message]:
        """The next message, if there is one and nobody waits for it."""
        self._surplus = 0  # for by what it passes the limit is not known now
        try:
            return None if self._held else self._ready.popleft()
        except IndexError:
            return None
        finally:
            if self.readiness is not None:
                self.readiness.show(self.has_answer)

    def withdraw(self, completion: Completion[Message]) -> bool:
        """Forget a receive whose caller gave up; `False` if its message has come meanwhile."""
        if completion.done:
            return False
        if completion in self._waiters:  # or an interrupt came before it was in the row
            self._waiters.remove(completion)
            self._review()
        completion.done = True
        return True

    def put_back(self, message: Message, strand: Strand) -> None:
        """The caller it was meant for was interrupted: it is the next one again."""
        self._ready = own_row(self._ready)
        self._ready.appendleft(message)
        self.match(strand)

    # -- messages ------------------------------------------------------------------------------------------------------

    def publish(self, events: Events, count: int) -> None:
        """The first `count` of these are messages that have arrived; they leave it. `match` follows for all.

        An interrupt may come after any call, but not within one: so they are added here and deleted there in the same
        call, one by one or by the last step of the iterator that gives them. Whoever is interrupted finds them in one
        place.
        """
        self._ready = ready = own_row(self._ready)
        if self.express is not None:
            self.express = ready  # before the messages: nobody is to find it empty, and read what comes behind them
        if isinstance(events, deque):
            ready.extend(islice(iter(cast("Deque[Message]", events).popleft, _NOTHING), count))
        elif not isinstance(events, list):
            cast("Row", ready).take(events, count)  # where events are in one, so is what is ready
        else:
            nothing: Iterable[Any] = filter(None, map(events.__delitem__, (slice(0, count),)))
            ready.extend(chain(cast("List[Message]", events[:count]), nothing))
        self.has_had_messages = True

    def match(self, strand: Strand) -> None:
        """Bring messages and receives together."""
        self._review()
        if self._over is not None:
            self._match(strand)
        elif (self._waiters or self._each) and not self._held:
            self._match(strand)
            self._review()
        if self.readiness is not None:
            self.readiness.show(self.has_answer)

    def _match(self, strand: Strand) -> None:
        """The same, with the short way closed: nobody else takes messages meanwhile.

        What goes to a handler runs as soon as it is on the strand, whatever strikes here. So it gets there in the same
        call that takes it out of the queues: else it would still be here, for the next who comes, and be given twice.
        """
        ready, waiters = self._ready, self._waiters
        while ready and waiters:
            message, waiter = ready[0], waiters[0]
            if isinstance(waiter, Handler):
                counted = self._handed.counting(message)
                waiter.resolve(strand, message, then=chain(counted, map(_delete, (ready, waiters), (0, 0))))
                continue
            try:
                waiter.resolve(strand, message)
            finally:
                # No call from here on: an interrupt finds both in their queues, or neither.
                if waiter.done:  # pragma: no branch - it is, unless the call raised
                    del ready[0]
                    del waiters[0]
        if self._each is not None and ready:
            series = series_of(ready, self._each, self.plenty, self._ran_low)
            strand.put_entry(series, chain(self._handed.counting_series(series), iter(ready.clear, None)))
        if self._over is not None:
            self._fail_waiters(strand, self._over)

    def _fail_waiters(self, strand: Strand, error: WebSocketError) -> None:
        waiters = self._waiters
        while waiters:
            waiter = waiters[0]
            try:
                waiter.resolve(strand, error=error)
            finally:
                if waiter.done:  # pragma: no branch - it is, unless the call raised
                    del waiters[0]
        each, self._each = self._each, None
        if each is not None:
            strand.put(each, Result(error=error))

    def end(self, error: WebSocketError, strand: Strand, *, drop: bool) -> None:
        """No message comes any more: what is left can still be received (unless `drop`), then comes `error`."""
        self._over, self._barred = error, True
        if drop:
            self._review()
            self._ready.clear()
        self.match(strand)

    # -- back-pressure -------------------------------------------------------------------------------------------------

    def returned(self) -> None:
        """A handler has returned from a message."""
        self._handed.returned()
        if self.readiness is not None:
            self.readiness.show(self.has_answer)

    def is_full(self, taken: Optional[Message] = None) -> bool:
        """Whether reading has to stop: unread messages, and those whose handlers have not returned, pass a limit.

        Of bytes that is known without another look at each message, where one was `taken` by `guarded` since the last
        look, and what is left still passes it: else who takes thousands would look at thousands, each time.
        """
        handed = len(self._handed)
        messages = len(self._ready) + handed
        if messages >= self.plenty:
            return True
        if self._most_bytes is None or not messages:
            return False
        if taken is not None and self._surplus > 0:
            self._surplus -= sys.getsizeof(taken)
            if self._surplus > 0:
                return True
        ready = tuple(self._ready)  # a copy, made in one call: who takes the short way asks for no mutex
        surplus = self._handed.size + sum(map(sys.getsizeof, ready)) - self._most_bytes
        self._surplus = 0 if handed else surplus  # they return without a word to who takes
        return surplus > 0

    @property
    def has_demand(self) -> bool:
        """Whether somebody waits for a message."""
        return bool(self._waiters) or self._each is not None

    @property
    def has_answer(self) -> bool:
        """Whether a receive that waits for nothing would get a message, or the error behind the messages."""
        if self._held:
            return False
        return bool(self._ready) or self._over is not None or (self.fault_is_next and not self._barred)

    @property
    def fault_is_next(self) -> bool:
        """Every message before the fault was taken, and the handlers that took them have returned.

        It waits as they do while the task is suspended: no receive comes to it then.
        """
        return self.fault is not None and not (self._held or self._ready or len(self._handed))

    @property
    def unread(self) -> int:
        """How many messages nobody has taken yet."""
        return len(self._ready)


def _ignore() -> None:
    """In the place of `ran_low`, while nobody has given one."""
