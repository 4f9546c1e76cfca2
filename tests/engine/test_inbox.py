"""Messages nobody has taken yet, and receives nobody has answered yet."""

from __future__ import annotations

import random
import sys
import unittest
from collections import deque
from typing import Any, Callable, Deque, Iterable, List, Optional, Tuple
from unittest import mock

from wssync.engine.completions import Completion, Handler, Message, Result, Waiter
from wssync.engine.inbox import Inbox
from wssync.engine.queues import EMPTY
from wssync.errors import Cancelled, ConnectionClosed
from wssync.executors import QueueExecutor
from wssync.protocol.messages import Event
from wssync.strand import Series, Strand


class InboxTestCase(unittest.TestCase):
    def setUp(self) -> None:
        self.executor = QueueExecutor()
        self.strand = Strand(self.executor, lambda error: None)
        self.make()

    def make(self, most_messages: Optional[int] = None, most_bytes: Optional[int] = None) -> Inbox:
        self.inbox = Inbox((most_messages, most_bytes))
        return self.inbox

    def publish(self, *messages: Message) -> None:
        for message in messages:
            self.inbox.publish([message], 1)
        self.inbox.match(self.strand)

    def waiter(self) -> Completion[Message]:
        return self.receive(Waiter())

    def handler(self) -> Completion[Message]:
        return self.receive(Handler(lambda completion: None))

    def receive(self, completion: Completion[Message]) -> Completion[Message]:
        self.inbox.receive(completion, self.strand)
        return completion

    def each(self) -> List[Tuple[Optional[Message], Optional[str]]]:
        got: List[Tuple[Optional[Message], Optional[str]]] = []

        def keep(result: Result) -> None:
            got.append((result.message, None if result.error is None else str(result.error)))

        self.inbox.receive_each(keep, lambda: None, self.strand)
        return got

    def run_handlers(self) -> None:
        self.strand.kick()
        while self.executor.run_pending():
            pass


class ExpressTests(InboxTestCase):
    """Rules 122, 124 and 135: the short way is open as long as nobody would be passed on it."""

    def setUp(self) -> None:
        super().setUp()
        self.inbox.match(self.strand)

    def assertOpen(self) -> None:
        """It leads to the messages themselves, without the mutex."""
        self.assertIs(self.inbox.express, self.inbox._ready)

    def test_it_leads_to_the_messages(self) -> None:
        """The oldest first, whether there are any or not."""
        self.assertOpen()
        self.publish("one", "two")
        self.assertOpen()
        assert self.inbox.express is not None
        self.assertEqual(self.inbox.express.popleft(), "one")
        self.assertEqual(self.inbox.take(), "two")
        self.assertOpen()

    def test_a_batch_that_nobody_waits_for(self) -> None:
        """It leads to where they will be before they are there: nobody finds it empty, and reads what comes behind."""
        inbox, open_before = self.inbox, []

        class Watched(List[Event]):
            def __getitem__(self, index: Any) -> Any:
                open_before.append(inbox.express is inbox._ready is not EMPTY)
                return super().__getitem__(index)

        messages = Watched(["one", b"two"])
        inbox.publish(messages, 2)
        self.assertEqual((open_before, messages), ([True], []))
        self.assertOpen()
        self.assertEqual([self.inbox.take(), self.inbox.take()], ["one", b"two"])

    def test_an_earlier_receive_closes_it(self) -> None:
        """Until it is answered or withdrawn; also one that its caller has read for."""
        first, second = self.waiter(), self.waiter()
        self.assertIsNone(self.inbox.express)
        self.publish("one")
        self.assertIsNone(self.inbox.express)
        self.inbox.withdraw(second)
        self.assertOpen()
        self.assertEqual(first.value, "one")
        slot: Waiter[Message] = Waiter()
        self.inbox.receive_first(slot)
        self.assertIsNone(self.inbox.express)
        self.publish("two")
        self.assertEqual(slot.value, "two")
        self.assertOpen()

    def test_a_caller_who_is_still_on_it_when_it_closes(self) -> None:
        """No message is given twice: what was there is the handler's, and the caller finds nothing at any time."""
        self.publish("one", "two")
        way, count = self.inbox.express, self.inbox._handed.counting_series
        assert way is not None

        def count_meanwhile(series: Series) -> Iterable[None]:
            self.assertRaises(IndexError, way.popleft)
            return count(series)

        with mock.patch.object(self.inbox._handed, "counting_series", count_meanwhile):
            got = self.each()
        self.run_handlers()
        self.assertEqual([message for message, _ in got], ["one", "two"])

    def test_receive_each_closes_it(self) -> None:
        """For good: every message is its handler's."""
        self.each()
        self.publish("one")
        self.assertIsNone(self.inbox.express)

    def test_a_suspended_task_closes_it(self) -> None:
        """As long as that lasts, messages are kept."""
        self.publish("one")
        self.inbox.held = True
        self.assertTrue(self.inbox.held)
        self.assertIsNone(self.inbox.express)
        self.inbox.held = False
        self.inbox.match(self.strand)
        self.assertOpen()

    def test_reading_that_waits_for_room_closes_it(self) -> None:
        """Every message taken may make room, and somebody has to look."""
        for paused in (True, True, False, False):
            self.inbox.paused = paused
            self.assertIs(self.inbox.paused, paused)
            if paused:
                self.assertIsNone(self.inbox.express)
            else:
                self.assertOpen()

    def test_a_fault_behind_the_messages_closes_it(self) -> None:
        """Whoever comes to it has to bring it into effect."""
        self.publish("one")
        self.inbox.defer(ConnectionClosed("x"))
        self.assertIsNone(self.inbox.express)
        self.assertEqual(self.inbox.take(), "one")

    def test_an_end_that_is_near_closes_it(self) -> None:
        """For good, whatever comes and goes."""
        self.inbox.bar()
        self.publish("one")
        self.waiter()
        self.inbox.end(Cancelled("x"), self.strand, drop=True)
        self.assertIsNone(self.inbox.express)


class GuardedTests(InboxTestCase):
    """Rules 122, 124 and 135: what closes the short way, and is no receive, leaves one for who holds the mutex."""

    def setUp(self) -> None:
        super().setUp()
        self.inbox.match(self.strand)

    def assertClaimed(self) -> None:
        """Whoever comes now is not the next: there is no way but the row."""
        self.assertEqual((self.inbox.express, self.inbox.guarded), (None, None))

    def test_it_is_there_where_the_short_way_is_not(self) -> None:
        """Else one would look at a message there, and another take it without the mutex: never are there both."""
        self.publish("one", "two")
        self.assertIs(self.inbox.express, self.inbox._ready)
        self.assertIsNone(self.inbox.guarded)
        for paused in (True, False, True):
            self.inbox.paused = paused
            ways = self.inbox.express, self.inbox.guarded
            self.assertIsNone(ways[paused is False])
            self.assertIs(ways[paused], self.inbox._ready)
        self.assertEqual(list(self.inbox._ready), ["one", "two"])

    def test_whatever_closes_the_short_way(self) -> None:
        """A pause, a fault behind the messages, a descriptor, an end that is near, and the end."""
        closers: List[Callable[[Inbox], object]] = [
            lambda inbox: setattr(inbox, "paused", True),
            lambda inbox: inbox.defer(ConnectionClosed("x")),
            lambda inbox: setattr(inbox, "readiness", mock.Mock()),
            lambda inbox: inbox.bar(),
            lambda inbox: inbox.end(ConnectionClosed("x"), self.strand, drop=False),
        ]
        for close in closers:
            self.make()
            self.publish("one")
            close(self.inbox)
            self.publish("two")
            self.assertEqual((self.inbox.express, list(self.inbox.guarded or ())), (None, ["one", "two"]))

    def test_a_receive_that_is_before(self) -> None:
        """In the row, or every one by `receive_each`; it is there again when the row is empty."""
        self.inbox.paused = True
        self.assertIs(self.inbox.guarded, self.inbox._ready)
        waiter, other = self.waiter(), self.waiter()
        self.assertClaimed()
        self.publish("one")
        self.assertClaimed()
        self.inbox.withdraw(other)
        self.publish("two")
        self.assertEqual((waiter.value, list(self.inbox.guarded or ())), ("one", ["two"]))
        self.each()
        self.publish("three")
        self.assertClaimed()

    def test_a_borrower_that_is_before(self) -> None:
        """Its slot is the first of all."""
        self.inbox.paused = True
        self.inbox.receive_first(Waiter())
        self.assertClaimed()

    def test_a_suspended_task(self) -> None:
        """It keeps its messages."""
        self.inbox.paused = True
        self.publish("one")
        self.inbox.held = True
        self.assertClaimed()
        self.inbox.held = False
        self.assertClaimed()
        self.inbox.match(self.strand)
        self.assertEqual(list(self.inbox.guarded or ()), ["one"])

    def test_an_interrupt_when_messages_go_over(self) -> None:
        """What is left of the short way comes first: nobody takes what is behind it."""

        class Left(Deque[Message]):
            struck = False

            def popleft(self) -> Message:
                if len(self) == 1 and not self.struck:
                    self.struck = True
                    raise KeyboardInterrupt
                return super().popleft()

        self.inbox.paused = True
        self.inbox._left = Left(["one", "two"])
        self.assertRaises(KeyboardInterrupt, self.inbox.match, self.strand)
        self.assertClaimed()
        self.inbox.match(self.strand)
        self.assertEqual(list(self.inbox.guarded or ()), ["one", "two"])

    def test_an_interrupt_when_reading_begins_to_wait(self) -> None:
        """The pause was noted, and the short way not closed: the next who notes it closes that."""
        self.publish("one")
        with mock.patch.object(Inbox, "_review", side_effect=KeyboardInterrupt), self.assertRaises(KeyboardInterrupt):
            self.inbox.paused = True
        self.inbox.paused = True
        self.assertEqual((self.inbox.express, list(self.inbox.guarded or ())), (None, ["one"]))


class MatchingTests(InboxTestCase):
    def test_the_oldest_receive_gets_the_oldest_message(self) -> None:
        """Rules 122, 124, 135: first come, first served, blocking ones and handlers in one row."""
        receives = [self.waiter(), self.handler(), self.waiter()]
        self.publish("one", "two")
        self.assertEqual([receive.value for receive in receives], ["one", "two", None])
        self.publish("three", "four")
        self.assertEqual(receives[2].value, "three")
        self.assertEqual(self.inbox.unread, 1)

    def test_messages_wait_for_receives(self) -> None:
        """Rule 123: without a receive they are kept, in order; each is given once, an empty one too."""
        self.publish("", "b", b"c")
        self.assertEqual(self.inbox.unread, 3)
        self.assertEqual((self.waiter().value, self.inbox.take(), self.handler().value), ("", "b", b"c"))
        self.assertIsNone(self.inbox.take())

    def test_messages_from_a_queue(self) -> None:
        """As many as are said leave it, in order; the others stay."""
        left: Deque[Event] = deque(["one", "two", "three"])
        self.inbox.publish(left, 2)
        self.assertEqual(
            (self.inbox.take(), self.inbox.take(), self.inbox.take(), list(left)), ("one", "two", None, ["three"])
        )

    def test_demand_is_seen(self) -> None:
        """A waiter or `receive_each` is demand; a message unread is none."""
        self.assertFalse(self.inbox.has_demand)
        self.publish("a")
        self.assertFalse(self.inbox.has_demand)
        self.inbox.take()
        waiter = self.waiter()
        self.assertTrue(self.inbox.has_demand)
        self.inbox.withdraw(waiter)
        self.assertFalse(self.inbox.has_demand)
        self.each()
        self.assertTrue(self.inbox.has_demand)

    def test_a_withdrawn_receive_gets_nothing(self) -> None:
        """Rule 133: the message stays for the next one; withdrawing once more says False."""
        waiter = self.waiter()
        self.assertTrue(self.inbox.withdraw(waiter))
        self.assertFalse(self.inbox.withdraw(waiter))
        self.publish("a")
        self.assertEqual((waiter.value, self.inbox.take()), (None, "a"))

    def test_a_receive_that_was_answered_cannot_be_withdrawn(self) -> None:
        """Rule 133: the message has won."""
        waiter = self.waiter()
        self.publish("a")
        self.assertFalse(self.inbox.withdraw(waiter))
        self.assertEqual(waiter.value, "a")

    def test_a_message_put_back_is_the_next(self) -> None:
        """Before all that wait, and for a receive that waits already."""
        self.publish("a", "b")
        self.inbox.put_back("first", self.strand)
        self.assertEqual([self.inbox.take() for _ in range(3)], ["first", "a", "b"])
        waiter = self.waiter()
        self.inbox.put_back("again", self.strand)
        self.assertEqual(waiter.value, "again")

    def test_while_held_nothing_is_given(self) -> None:
        """`suspend()`: receives and messages gather, and meet afterwards in order."""
        self.inbox.held = True
        receives = [self.waiter(), self.handler()]
        self.publish("a", "b", "c")
        self.assertEqual([receive.done for receive in receives], [False, False])
        self.assertIsNone(self.inbox.take())
        self.inbox.held = False
        self.inbox.match(self.strand)
        self.assertEqual([receive.value for receive in receives], ["a", "b"])
        self.assertEqual(self.inbox.take(), "c")


class EachTests(InboxTestCase):
    def test_it_gets_every_message(self) -> None:
        """Those that are there and those that come, in order."""
        self.publish("a")
        got = self.each()
        self.publish("b", b"c")
        self.run_handlers()
        self.assertEqual(got, [("a", None), ("b", None), (b"c", None)])

    def test_earlier_receives_come_first(self) -> None:
        """Receives asked for before it are served before it."""
        waiter = self.waiter()
        got = self.each()
        self.publish("a", "b")
        self.run_handlers()
        self.assertEqual((waiter.value, got), ("a", [("b", None)]))

    def test_nobody_receives_beside_it(self) -> None:
        """RuntimeError, and the handler was not taken."""
        self.each()
        with self.assertRaisesRegex(RuntimeError, "receive_each"):
            self.waiter()
        with self.assertRaisesRegex(RuntimeError, "receive_each"):
            self.each()
        self.publish("a")
        self.assertEqual(self.inbox.unread, 0)

    def test_its_last_call_is_the_error(self) -> None:
        """Once; afterwards others may receive again, and get the error."""
        got = self.each()
        self.publish("a")
        self.inbox.end(ConnectionClosed("over"), self.strand, drop=False)
        self.inbox.match(self.strand)
        self.run_handlers()
        self.assertEqual(got, [("a", None), (None, "over")])
        self.assertEqual(str(self.waiter().error), "over")


class EndTests(InboxTestCase):
    def test_waiting_receives_fail_in_order(self) -> None:
        """Rules 132, 173: all with the same object."""
        order: List[Completion[Message]] = []
        receives: List[Completion[Message]] = [Handler(order.append) for _ in range(3)]
        for receive in receives:
            self.receive(receive)
        error = ConnectionClosed("over")
        self.inbox.end(error, self.strand, drop=False)
        self.run_handlers()
        self.assertEqual(order, receives)
        self.assertTrue(all(receive.error is error for receive in receives))

    def test_whole_messages_can_still_be_received(self) -> None:
        """Rule 131, promise 8: first the unread messages, then the error, every time."""
        self.publish("a", "b")
        self.inbox.end(ConnectionClosed("over"), self.strand, drop=False)
        self.assertEqual((self.waiter().value, self.inbox.take()), ("a", "b"))
        self.assertEqual([str(self.waiter().error), str(self.handler().error)], ["over", "over"])

    def test_a_cancel_drops_them(self) -> None:
        """`cancel()`: what nobody has taken is gone."""
        self.publish("a")
        self.inbox.end(Cancelled("x"), self.strand, drop=True)
        self.assertIsInstance(self.waiter().error, Cancelled)

    def test_the_end_is_given_though_held(self) -> None:
        """A suspended task ends like any other."""
        self.inbox.held = True
        waiter = self.waiter()
        self.inbox.end(ConnectionClosed("over"), self.strand, drop=False)
        self.assertEqual(str(waiter.error), "over")


class Struck(Waiter[Message]):
    """Ctrl-C strikes before its answer is given, the first time."""

    strikes = 1

    def resolve(self, *arguments: Any, **keywords: Any) -> None:
        self.strikes -= 1
        if self.strikes >= 0:
            raise KeyboardInterrupt
        super().resolve(*arguments, **keywords)


class StruckTests(InboxTestCase):
    def test_an_answer_that_was_not_given(self) -> None:
        """The message and the receive stay in their queues, and the next who looks brings them together."""
        waiter = self.waiter_of(Struck())
        with self.assertRaises(KeyboardInterrupt):
            self.publish("a")
        self.assertFalse(waiter.done)
        self.inbox.match(self.strand)
        self.assertEqual(waiter.value, "a")

    def test_an_error_that_was_not_given(self) -> None:
        """So do they at the end."""
        waiter = self.waiter_of(Struck())
        error = ConnectionClosed("over")
        with self.assertRaises(KeyboardInterrupt):
            self.inbox.end(error, self.strand, drop=False)
        self.assertFalse(waiter.done)
        self.inbox.match(self.strand)
        self.assertIs(waiter.error, error)

    def waiter_of(self, waiter: Waiter[Message]) -> Waiter[Message]:
        self.receive(waiter)
        return waiter


class EmptyTests(InboxTestCase):
    def test_what_all_have_in_common(self) -> None:
        """The queues of a connection in which nothing was yet: nothing is ever put in them."""
        other = Inbox((None, None))
        for inbox in (self.inbox, other):
            inbox.match(self.strand)
        self.assertIs(other.express, self.inbox.express)
        self.publish("a")
        waiter = self.waiter()
        self.inbox.put_back("b", self.strand)
        self.assertEqual((waiter.value, self.inbox.take()), ("a", "b"))
        slot: Waiter[Message] = Waiter()
        self.inbox.receive_first(slot)
        self.assertEqual((other.unread, other.has_demand, len(other.express or ())), (0, False, 0))
        self.assertTrue(other.withdraw(slot))

    def test_a_message_that_is_put_back_first_of_all(self) -> None:
        """Callers find the way to it."""
        self.inbox.match(self.strand)
        self.inbox.put_back("a", self.strand)
        assert self.inbox.express is not None
        self.assertEqual(self.inbox.express.popleft(), "a")


class GatherTests(InboxTestCase):
    def test_a_caller_who_was_on_the_way(self) -> None:
        """It has one of the messages that go over; the others are all there, in order."""

        class Raced(Deque[Message]):
            """Somebody pops while its length is asked."""

            def __len__(self) -> int:
                size = super().__len__()
                self.popleft()
                return size

        self.inbox._left = Raced(["a", "b", "c"])
        self.inbox.held = True
        self.assertEqual(list(self.inbox._ready), ["b", "c"])
        self.assertIsNone(self.inbox._left)


class LimitTests(InboxTestCase):
    def test_the_number_of_messages(self) -> None:
        """Full with 16 unread ones, not with 15; taking one makes room."""
        self.make(most_messages=16)
        self.publish(*["x"] * 15)
        self.assertFalse(self.inbox.is_full())
        self.publish("x")
        self.assertTrue(self.inbox.is_full())
        self.inbox.take()
        self.assertFalse(self.inbox.is_full())

    def test_the_number_of_bytes(self) -> None:
        """Full above the limit, measured as Python holds the messages, not at it."""
        message = b"x" * 1000
        self.make(most_bytes=2 * sys.getsizeof(message))
        self.assertFalse(self.inbox.is_full())
        self.publish(message, message)
        self.assertFalse(self.inbox.is_full())
        self.publish(b"")
        self.assertTrue(self.inbox.is_full())
        self.inbox.take()
        self.assertFalse(self.inbox.is_full())

    def test_both_limits_and_none(self) -> None:
        """Either of two limits suffices; without one nothing is ever too much."""
        self.make(most_messages=2, most_bytes=10_000)
        self.publish(b"x" * 20_000)
        self.assertTrue(self.inbox.is_full())
        self.make(most_messages=2, most_bytes=10_000)
        self.publish("a", "b")
        self.assertTrue(self.inbox.is_full())
        self.make()
        self.publish(*["x"] * 1000)
        self.assertFalse(self.inbox.is_full())

    def test_a_message_counts_until_its_handler_has_returned(self) -> None:
        """Handed to a handler it is still held; to a blocked caller it is not."""
        self.make(most_messages=1)
        self.handler()
        self.publish("a")
        self.assertTrue(self.inbox.is_full())
        self.inbox.returned()
        self.assertFalse(self.inbox.is_full())
        self.waiter()
        self.publish("b")
        self.assertFalse(self.inbox.is_full())

    def test_the_bytes_of_handed_messages_count(self) -> None:
        """With `receive_each` too, and they stop counting one by one."""
        message = b"x" * 1000
        self.make(most_bytes=sys.getsizeof(message))
        self.each()
        self.publish(message)
        self.assertFalse(self.inbox.is_full())
        self.publish(message)
        self.assertTrue(self.inbox.is_full())
        self.run_handlers()
        self.assertFalse(self.inbox.is_full())
        self.publish(message)
        self.assertFalse(self.inbox.is_full())

    def test_a_message_that_grows_counts_as_it_was(self) -> None:
        """A `str` may keep its UTF-8 form beside it; the accounts are even all the same."""
        message = "x" * 1000
        size = sys.getsizeof(message)
        self.make(most_bytes=size)
        self.handler()
        self.publish(message)
        with mock.patch.object(sys, "getsizeof", return_value=2 * size):
            self.inbox.returned()
        self.handler()
        self.publish(message, "")
        self.assertTrue(self.inbox.is_full())


class TakingTests(InboxTestCase):
    """Whether there is room again is known of each message that is taken, without another look at all others."""

    SIZE = sys.getsizeof(b"x")

    def fill(self, count: int, most_bytes: int, most_messages: Optional[int] = None) -> Any:
        """So many messages of one byte; how many sizes are asked from now on is counted."""
        self.make(most_messages, most_bytes)
        self.publish(*[b"x"] * count)
        self.inbox.paused = True
        self.assertTrue(self.inbox.is_full())
        asked = mock.Mock(side_effect=sys.getsizeof)
        patch = mock.patch("wssync.engine.inbox.sys.getsizeof", asked)
        patch.start()
        self.addCleanup(patch.stop)
        return asked

    def take(self) -> bool:
        """Take one; whether it is full all the same."""
        ready = self.inbox.guarded
        assert ready is not None
        message = ready[0]
        del ready[0]
        return self.inbox.is_full(message)

    def assertExact(self, full: bool) -> None:
        """It is what a look at each message says."""
        sizes = sum(map(sys.getsizeof, tuple(self.inbox._ready)))
        self.assertEqual(full, sizes > (self.inbox._most_bytes or 0))

    def test_each_is_looked_at_once(self) -> None:
        """And not those behind it, but for one last look at them: the cost of thousands is not a square."""
        asked = self.fill(1000, 10 * self.SIZE)
        taken = 1
        while self.take():
            taken += 1
        self.assertEqual((taken, self.inbox.unread), (990, 10))
        self.assertLess(asked.call_count, 1100)

    def test_it_is_never_wrong(self) -> None:
        """Whatever sizes they have, and whatever else happens between."""
        draw = random.Random(7)
        others: List[Callable[[], object]] = [
            lambda: self.publish(bytes(draw.choice((0, 0, 50, 700)))),
            lambda: self.inbox.put_back(bytes(draw.choice((0, 50, 700))), self.strand),
            lambda: self.inbox.unread and self.waiter(),
            lambda: self.inbox.take(),
            lambda: self.inbox.is_full(),
            lambda: setattr(self.inbox, "paused", not self.inbox.paused),
        ]
        self.make(most_bytes=5000)
        said = []
        for _ in range(3000):
            self.inbox.paused = True
            if not self.inbox.unread:
                self.publish(*[bytes(draw.choice((0, 1, 500))) for _ in range(draw.randrange(1, 60))])
                self.inbox.is_full()
            said.append(self.take())
            self.assertExact(said[-1])
            if draw.random() < 0.3:
                draw.choice(others)()
        self.assertEqual(set(said), {True, False})

    def test_with_handlers_under_way(self) -> None:
        """Theirs count, and stop counting when they return, which nobody tells of who takes a message."""
        self.make(most_bytes=2000)
        self.handler()
        self.publish(bytes(1500), bytes(50), bytes(600))
        self.inbox.paused = True
        self.assertTrue(self.inbox.is_full())
        self.inbox.returned()
        self.assertFalse(self.take())

    def test_both_limits(self) -> None:
        """Plenty is enough; below it the bytes decide."""
        asked = self.fill(5, 2 * self.SIZE, 4)
        self.assertTrue(self.take())
        self.assertEqual(asked.call_count, 0)
        self.assertEqual([self.take(), self.take()], [True, False])


class FaultTests(InboxTestCase):
    def test_it_is_next_when_every_message_was_taken(self) -> None:
        """Unread messages, and those whose handlers have not returned, come before it."""
        self.assertFalse(self.inbox.has_had_messages)
        self.publish("a", "b")
        self.assertTrue(self.inbox.has_had_messages)
        self.assertFalse(self.inbox.fault_is_next)
        self.inbox.fault = ConnectionClosed("bad")
        self.assertFalse(self.inbox.fault_is_next)
        self.inbox.take()
        self.handler()
        self.assertFalse(self.inbox.fault_is_next)
        self.inbox.returned()
        self.assertTrue(self.inbox.fault_is_next)

    def test_a_result_is_what_each_gets(self) -> None:
        """`receive_each` hands out `Result` objects."""
        got: List[Result] = []
        self.inbox.receive_each(got.append, lambda: None, self.strand)
        self.publish("a")
        self.run_handlers()
        self.assertEqual([type(result) for result in got], [Result])
