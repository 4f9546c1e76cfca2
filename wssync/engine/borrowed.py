"""What is done with the read role by a caller who has borrowed it: read until there is a message for it.

The first of the messages is the borrower's; what else was read is published. There are three ways, all with the same
outcome: nearly every message comes alone and whole, or is a long one, and those two are seen before anything is made
for them; everything else goes through `_decode_next`.
"""

from __future__ import annotations

from ..errors import ConnectionClosed
from ..hints import TYPE_CHECKING, List, Optional, Union, cast
from ..protocol.memory import expect_blocks
from ..protocol.messages import Decoded, begun
from ..protocol.unfinished import ROOM_FROM
from ..transport.clock import real_now
from .completions import Message, Waiter
from .connection import Connection
from .receiver import READ, Box, Fetch, Receiver

if TYPE_CHECKING:
    from .._speedups import Borrower
    from ..protocol.messages import Decoder
    from ..protocol.speed import Row
    from ..protocol.unfinished import UnfinishedMessage
    from ..transport.stream import Stream

__all__ = ["BorrowedReader"]


class BorrowedReader(Receiver):
    """The reads of a borrower."""

    __slots__ = ("_borrower", "_slot", "_unsettled")

    def __init__(self, connection: Connection, stream: Stream, decoder: Decoder) -> None:
        super().__init__(connection, stream, decoder)
        self._borrower: Optional[Borrower] = None  # the compiled form, where it can be used
        self._unsettled = False
        self._slot: Union[Message, Waiter[Message], None] = None

    _expect_blocks = staticmethod(expect_blocks)  # for the compiled form

    def _read_one(self) -> Optional[Message]:
        """Nearly every message comes alone and whole: it is seen here, before anything is made for it. Read role.

        Unless something has come in its way meanwhile: while the task is suspended, no receive is answered.
        """
        connection, box = self._connection, self._box
        assert self._patient is not None
        try:
            box.extend(map(self._patient, self._most))
        except (ConnectionClosed, OSError) as error:
            self._lost(error)
            return None
        data = box[0]
        if not isinstance(data, bytes) or len(data) < 2 or len(data) - 2 != data[1] or data[1] > connection.short_limit:
            self._ask_by(data)
            return self._read_long()
        if self._inbox.express is None:
            return None
        message: Message = data[2:]
        if data[0] == 0x81:
            try:
                message = data[2:].decode()
            except UnicodeDecodeError:
                return None
        elif data[0] != 0x82:
            return None
        self._heartbeat.heard_at = self._now()
        size, tally = data[1], connection.tally
        tally.received += size
        tally.wire += size + 2
        tally.messages += 1
        self._inbox.has_had_messages = True
        self._most = self._little
        self._box = []  # no call from here to the caller, for after one an interrupt could take the message with it
        return message

    def _read_long(self) -> Optional[Message]:
        """The same for a long binary message, the start of which is all that has come: it is read to its end.

        The box has how many bytes each read has brought, so that the next who has the role goes on from there if
        something comes in the way of this one.
        """
        connection, tally, before = self._connection, self._connection.tally, self._decoded[0]
        message = self._accept_long(before)
        if message is None:
            return None
        stored, left = message.stored, message.left
        box: Box = []
        self._box = box
        arrived = 0
        try:
            while arrived < left:
                self._heartbeat.heard_at = self._now()
                connection.unfinished = stored + arrived
                if not self._is_alone:
                    return None
                with message.room(arrived) as room:
                    self._fill(box, room, True)
                count = box[-1]
                if not isinstance(count, int) or not count:
                    return None
                arrived += count
        except (ConnectionClosed, OSError) as error:
            self._lost(error)
            return None
        got = message.complete(b"")
        if not self._is_alone:
            return None
        self._decoded = before, box
        self._slot = got  # no call from the line before to the caller: it is the one or the other's
        tally.wire += left
        connection.unfinished = 0
        tally.received += stored + left
        tally.messages += 1
        self._inbox.has_had_messages = True
        self._most = self._little if left > READ else self._much  # of the next one the start will do
        self._box = []
        self._is_fresh = True
        return got

    def _accept_long(self, before: Decoded) -> Optional[UnfinishedMessage]:
        """Take what has come as decoded, the start of a long binary message. `None`: it is something else, or who is
        before this borrower is to be looked at first.
        """
        data = self._box[0]
        if not isinstance(data, bytes) or data[:1] != b"\x82" or not (self._direct or self._recv_into):
            return None
        message = begun(data, 0, self._limit)
        if message is None or not self._is_alone:
            return None
        self._is_fresh = False
        self._decoded = before._replace(message=message), self._box
        self._is_admitted = False
        self._connection.tally.wire += len(data)
        return message

    def _read_for_caller(self, seconds: Optional[float]) -> Union[Message, Waiter[Message], None]:
        """One read after the other until there is a message. Read role."""
        until = None if seconds is None else real_now() + seconds
        got: Union[Message, Waiter[Message], None] = None
        try:
            if self._has_left:
                self.interrupted = False
                got = self._share(self._stream.recv)
            while got is None and self._is_alone:
                self._call_for_help()
                if self._patient is not None and until is None:
                    self._aim()
                    got = self._share(self._patient)
                elif self._await_bytes(until):
                    got = self._share(self._stream.recv)
                elif until is not None and real_now() >= until:
                    break
        except (ConnectionClosed, OSError) as error:
            self._lost(error)
        return got

    def _aim(self) -> None:
        """To the end of the message that was begun, if that is near: from there on the compiled form goes on."""
        if self._borrower is not None and self._direct is not None and 0 < self._decoded[0].lacking < ROOM_FROM:
            self._most = (self._decoded[0].lacking,)

    @property
    def _has_left(self) -> bool:
        """Whether there may be something of which the socket knows nothing."""
        return bool(self.interrupted or self._box)

    def _call_for_help(self) -> None:
        """What was read has to be answered, by a pong as a rule: not by who holds this role, and not later."""
        if self._unsettled:
            self._unsettled = False
            self._connection.wake()

    @property
    def _is_alone(self) -> bool:
        """Whether a borrower may wait: there is no message, and nothing in its way."""
        express = self._inbox.express
        return express is not None and not express

    def _await_bytes(self, until: Optional[float]) -> bool:
        left = None if until is None else max(0.0, until - real_now())
        return self._stream.wait(True, False, left, owner=False)[0]

    def _share(self, fetch: Fetch) -> Union[Message, Waiter[Message], None]:
        """Decode one read, keep the first message for the borrower and publish the rest. Read role."""
        self._connection.refuse_inside("receive")
        decoded = None if self._connection.suspended else self._decode_next(fetch)
        if decoded is None:
            return self._stand_by() if self._connection.suspended else None
        if not decoded.events:
            self._settle()
            return None
        with self._connection.mutex:
            self._unsettled = not decoded.is_plain or self._inbox.express is None or self._unsettled
            return self._publish_for_caller(decoded)

    def _stand_by(self) -> Waiter[Message]:
        """The task was suspended while the borrower waited: nothing comes of what was read before it is resumed."""
        slot: Waiter[Message] = Waiter()
        self._slot = slot
        with self._connection.mutex:
            self._inbox.receive_first(slot)
        self.interrupted, self._is_fresh = True, False
        return slot

    def _publish_behind_first(self, decoded: Decoded) -> Message:
        """Publish a batch of messages while nobody else waits: all but the first, which is the borrower's. Mutex."""
        inbox, messages = self._inbox, cast("Union[List[Message], Row]", decoded.events)
        self._slot = first = messages[0]
        del messages[0]  # no call from the line before to here
        inbox.publish(decoded.events, len(messages))
        self._settle()
        return first

    def _publish_for_caller(self, decoded: Decoded) -> Union[Message, Waiter[Message], None]:
        """Publish, the first message to the borrower, which stands before all that came after it. Mutex."""
        if decoded.is_plain and self._is_alone and not self._connection.closing_asked:
            return self._publish_behind_first(decoded)
        slot: Waiter[Message] = Waiter()
        self._slot = slot
        self._inbox.receive_first(slot)
        self._publish(decoded)
        if slot.done:
            return slot.value
        if self._inbox.held:
            return slot
        self._inbox.withdraw(slot)
        return None
