"""The descriptor that shows what the inbox holds: each step that changes it, and each pair of steps in both orders."""

from __future__ import annotations

import functools
import select
import socket
import sys
import threading
import unittest
from typing import Any, Callable, List, Optional, Tuple, Type, TypeVar
from unittest import mock

from wssync.engine.completions import Message
from wssync.engine.readiness import Readiness
from wssync.engine.state import Phase
from wssync.errors import Cancelled, ConnectionClosed, ProtocolError, WebSocketError
from wssync.protocol.frames import Opcode
from wssync.transport import waiting

from ..protocol.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame
from .borrowing import SocketRig, in_each_form
from .support import EPSILON, PATIENCE, Rig, Running, accepting, close_body
from .test_schedules import Point, ScheduleTestCase, after, before

BAD = frame(TEXT, rsv=7)

BACKENDS = {"eventfd": waiting._new_eventfd, "sockets": None}
if waiting._new_eventfd is None:
    del BACKENDS["eventfd"]

Case = TypeVar("Case", bound=unittest.TestCase)


def on_both(test: Callable[[Case], None]) -> Callable[[Case], None]:
    """Run a test with each kind of descriptor there is here."""

    @functools.wraps(test)
    def run(case: Case) -> None:
        for name, new in BACKENDS.items():
            with case.subTest(name), mock.patch.object(waiting, "_new_eventfd", new):
                test(case)

    return run


def is_readable(number: int, patience: float = 0.0) -> bool:
    """What a loop of one's own sees, by each of the calls that it may use."""
    seen = bool(select.select([number], [], [], patience)[0])
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(number, select.POLLIN)
        flags = dict(poll.poll(0)).get(number, 0)
        assert bool(flags & select.POLLIN) is seen, "poll and select do not agree"
    return seen


def all_free(rig: Rig) -> None:
    """Nobody has the mutex, or will keep it."""
    assert not rig.connection.mutex._is_owned()
    with rig.connection.mutex:
        pass


class ReadinessTests(unittest.TestCase):
    """The descriptor by itself."""

    @on_both
    def test_it_shows_what_it_is_told(self) -> None:
        """However often, and whatever it was."""
        readiness = Readiness()
        for ready in (False, True, True, False, False, True, False, True):
            readiness.show(ready)
            self.assertIs(is_readable(readiness.fileno()), ready)

    def test_it_asks_the_system_only_for_news(self) -> None:
        """A thousand messages published or taken one after the other are one call each."""
        readiness = Readiness()
        with mock.patch.object(readiness, "wake") as wake, mock.patch.object(readiness, "clear") as clear:
            for ready in (True, False):
                for _ in range(1000):
                    readiness.show(ready)
        self.assertEqual((wake.call_count, clear.call_count), (1, 1))

    @on_both
    def test_an_interrupt_of_it(self) -> None:
        """Struck before or after the descriptor has changed: the next call makes it right, whichever that is."""
        for name, ready in (("wake", True), ("clear", False)):
            for late in (False, True):
                for then in (False, True):
                    readiness = Readiness()
                    readiness.show(not ready)
                    step = getattr(Readiness, name)

                    def strike(step: Any = step, late: bool = late, readiness: Readiness = readiness) -> None:
                        if late:
                            step(readiness)
                        raise KeyboardInterrupt

                    with mock.patch.object(readiness, name, strike), self.assertRaises(KeyboardInterrupt):
                        readiness.show(ready)
                    readiness.show(then)
                    self.assertIs(is_readable(readiness.fileno()), then, (name, late, then))

    @on_both
    def test_in_a_child_process_it_is_closed(self) -> None:
        """Without a word: what is written to an eventfd here is read there."""
        readiness = Readiness()
        readiness.abandon()
        self.assertEqual(readiness.fileno(), -1)
        readiness.show(True)
        readiness.show(False)
        readiness.abandon()


class WatchingTestCase(ScheduleTestCase):
    """What a descriptor shows is compared with what `receive(timeout=0)` does."""

    def watching(self, rig: Rig) -> int:
        """The number that a task would tell."""
        return rig.connection.watch().fileno()

    def assertReadable(self, rig: Rig) -> None:
        self.assertTrue(is_readable(self.watching(rig)), "it is not readable")
        self.assertTrue(rig.connection.inbox.has_answer)

    def assertUnreadable(self, rig: Rig) -> None:
        """Nor is there anything to be had."""
        self.assertFalse(is_readable(self.watching(rig)), "it is readable")
        self.assertFalse(rig.connection.inbox.has_answer)
        with self.assertRaises(TimeoutError):
            rig.connection.receive_now()

    def assertGives(self, rig: Rig, *messages: Message) -> None:
        """It is readable up to the last of them, and then no more."""
        for message in messages:
            self.assertReadable(rig)
            self.assertEqual(rig.connection.receive_now(), message)
        self.assertUnreadable(rig)

    def assertEndsWith(self, rig: Rig, kind: Type[WebSocketError]) -> None:
        """It is readable for ever, and each receive raises the final error."""
        for _ in range(3):
            self.assertReadable(rig)
            with self.assertRaises(kind) as caught:
                rig.connection.receive_now()
            self.assertIs(caught.exception, rig.verdict)


class MessageTests(WatchingTestCase):
    @on_both
    def test_messages_come_and_go(self) -> None:
        """Readable from the first that is here to the last that was taken, one by one or all at once."""
        rig = Rig(self)
        self.assertUnreadable(rig)
        rig.give(frame(TEXT, b"a"))
        self.assertGives(rig, "a")
        rig.give(frame(TEXT, b"b") + frame(BINARY, b"c"), frame(TEXT, b""))
        self.assertGives(rig, "b", b"c", "")

    def test_asked_for_when_messages_are_here(self) -> None:
        """What was read before is shown: the socket has nothing to say of it."""
        rig = Rig(self)
        rig.give(frame(TEXT, b"a") + frame(TEXT, b"b"))
        self.assertGives(rig, "a", "b")

    def test_it_is_always_the_same(self) -> None:
        """A number that was given to a loop must not change."""
        rig = Rig(self)
        first = rig.connection.watch()
        rig.give(frame(TEXT, b"a"))
        self.assertIs(rig.connection.watch(), first)
        rig.connection.cancel()
        rig.finish()
        self.assertIs(rig.connection.watch(), first)
        self.assertTrue(is_readable(first.fileno()))

    def test_what_is_no_whole_message(self) -> None:
        """The bytes of half a frame, a message's first fragments, an empty one between them."""
        rig = Rig(self)
        self.assertUnreadable(rig)
        whole = frame(TEXT, b"hello")
        for byte in range(len(whole)):
            self.assertUnreadable(rig)
            rig.give(whole[byte : byte + 1])
        self.assertGives(rig, "hello")
        for piece in (frame(TEXT, b"a", fin=False), frame(CONTINUATION, b"", fin=False), frame(PING)):
            rig.give(piece)
            self.assertUnreadable(rig)
        rig.give(frame(CONTINUATION, b"b"))
        self.assertGives(rig, "ab")

    def test_control_frames(self) -> None:
        """A ping is answered and a pong noted, and nobody is told."""
        rig = Rig(self)
        self.assertUnreadable(rig)
        ping, _ = rig.ping()
        assert ping is not None
        rig.give(frame(PING, b"x"), frame(PONG, ping.payload), frame(PONG))
        self.assertUnreadable(rig)
        self.assertIn((Opcode.PONG, b"x"), rig.sent())

    def test_messages_for_those_who_wait_are_not_shown(self) -> None:
        """Handed on in the step in which they came: a receive in the row, a handler, `receive_each`."""
        for kind in ("blocking", "handler", "each"):
            with self.subTest(kind):
                rig = Rig(self)
                readiness = rig.connection.watch()
                if kind == "each":
                    rig.connection.receive_each(rig.results.append)
                else:
                    rig.receive(blocking=kind == "blocking")
                with mock.patch.object(readiness, "wake") as wake:
                    rig.give(frame(TEXT, b"a"))
                    wake.assert_not_called()
                self.assertFalse(is_readable(readiness.fileno()))
                rig.run_callbacks()
                if kind != "each":
                    rig.give(frame(TEXT, b"b") + frame(TEXT, b"c"))
                    self.assertGives(rig, "b", "c")

    def test_taken_in_other_ways(self) -> None:
        """By a receive that blocks, by a handler, by `receive_each`."""
        takers: List[Callable[[Rig], object]] = [
            lambda rig: rig.receive(blocking=True),
            lambda rig: rig.receive(),
            lambda rig: rig.connection.receive_within(PATIENCE),
            lambda rig: rig.connection.receive_in_turn(None, None, None),
            lambda rig: rig.connection.receive_each(rig.results.append),
        ]
        for take in takers:
            rig = Rig(self)
            number = self.watching(rig)
            rig.give(frame(TEXT, b"a"))
            self.assertReadable(rig)
            take(rig)
            self.assertFalse(is_readable(number))

    def test_put_back(self) -> None:
        """An interrupted call's message is here again; or somebody waits for it."""
        rig = Rig(self)
        rig.give(frame(TEXT, b"a"))
        self.assertGives(rig, "a")
        rig.connection.put_back("a")
        self.assertGives(rig, "a")
        waiter = rig.receive(blocking=True)
        rig.connection.put_back("a")
        self.assertUnreadable(rig)
        self.assertEqual(waiter.value, "a")

    def test_a_receive_that_gave_up(self) -> None:
        """Rule 133: it was withdrawn, so the next message is shown."""
        rig = Rig(self)
        self.assertUnreadable(rig)
        self.assertTrue(rig.connection.withdraw_receive(rig.receive(blocking=True)))
        rig.give(frame(TEXT, b"a"))
        self.assertGives(rig, "a")

    def test_the_short_way_is_closed(self) -> None:
        """Who takes a message without the mutex could not show that it is gone."""
        rig = Rig(self)
        rig.give(frame(TEXT, b"a") + frame(TEXT, b"b"))
        way = rig.connection.inbox.express
        assert way is not None
        self.assertReadable(rig)
        self.assertIsNone(rig.connection.inbox.express)
        self.assertFalse(way, "one who is on the way finds nothing")
        self.assertIsNone(rig.connection.receive_at_once(None))
        self.assertGives(rig, "a", "b")
        self.assertIsNone(rig.connection.inbox.express)

    @on_both
    def test_reading_stops_and_goes_on(self) -> None:
        """Rules 123 and 143: at `max_queue` no byte is read, but the descriptor is readable until they are taken."""
        rig = Rig(self, max_queue=(2, None))
        self.watching(rig)
        rig.give(*(frame(TEXT, b"%d" % number) for number in range(7)))
        self.assertTrue(rig.connection.inbox.paused)
        self.assertEqual(rig.stream.unread, 5)
        got: List[Message] = []
        while is_readable(self.watching(rig)):
            got.append(rig.connection.receive_now())
            rig.settle()
        self.assertEqual(got, [str(number) for number in range(7)])
        self.assertUnreadable(rig)

    def test_suspended(self) -> None:
        """Rule 25: nothing is received, so nothing is shown, neither what was here nor what comes."""
        rig = Rig(self)
        rig.give(frame(TEXT, b"a"))
        self.assertReadable(rig)
        rig.connection.suspend()
        rig.connection.suspend()
        rig.give(frame(TEXT, b"b"))
        self.assertUnreadable(rig)
        rig.connection.resume()
        self.assertUnreadable(rig)
        rig.connection.resume()
        rig.settle()
        self.assertGives(rig, "a", "b")

    def test_resumed_for_one_who_waits(self) -> None:
        """What a receive in the row gets is not shown before it has it."""
        rig = Rig(self)
        readiness = rig.connection.watch()
        rig.give(frame(TEXT, b"a"))
        rig.connection.suspend()
        waiter = rig.receive(blocking=True)
        with mock.patch.object(readiness, "wake") as wake:
            rig.connection.resume()
            wake.assert_not_called()
        self.assertEqual(waiter.value, "a")
        self.assertUnreadable(rig)

    def test_no_descriptor_is_left(self) -> None:
        """OSError for the caller, and all else goes on."""
        rig = Rig(self)
        with mock.patch("wssync.engine.readiness.Readiness", side_effect=OSError(24, "too many open files")):
            self.assertRaises(OSError, rig.connection.watch)
        self.assertIsNone(rig.connection.inbox.readiness)
        self.assertIsNotNone(rig.connection.inbox.express)
        rig.give(frame(TEXT, b"a"))
        self.assertGives(rig, "a")


class DemandTests(WatchingTestCase):
    """Somebody has to read, or nothing is ever shown."""

    @in_each_form
    def test_it_is_a_demand(self, form: str) -> None:
        """The engine thread has just stood aside, for `GRACE`: it is woken, and reads."""
        rig = SocketRig(self, form, threaded=True, grace=100 * PATIENCE)
        receiving = rig.receiving()
        rig.say(frame(TEXT, b"mine"))
        self.assertEqual(receiving.result(), "mine")
        rig.connection.wake()
        rig.stream.wait_until(lambda: rig.stream.waits[-1][0] is False, "it stood aside")
        number = self.watching(rig)
        rig.say(frame(TEXT, b"shown"))
        self.assertTrue(is_readable(number, PATIENCE))
        self.assertGives(rig, "shown")

    @in_each_form
    def test_behind_a_borrower(self, form: str) -> None:
        """Who reads already gets the next message, and the one behind it is shown, in the same read or in another."""
        for together in (False, True):
            rig = SocketRig(self, form, threaded=True)
            receiving = rig.receiving()
            rig.put_to_sleep()
            number = self.watching(rig)
            pieces = frame(TEXT, b"mine"), frame(TEXT, b"shown")
            rig.say(*(pieces if together else pieces[:1]))
            self.assertEqual(receiving.result(), "mine")
            if not together:
                rig.say(pieces[1])
            self.assertTrue(is_readable(number, PATIENCE))
            self.assertGives(rig, "shown")
            rig.free()

    @in_each_form
    def test_behind_a_borrower_whose_time_is_over(self, form: str) -> None:
        """It leaves without a message, and the engine thread reads in its place."""
        rig = SocketRig(self, form, threaded=True)
        with self.assertRaises(TimeoutError):
            rig.receive_blocking(0.01)
        number = self.watching(rig)
        rig.say(frame(TEXT, b"shown"))
        self.assertTrue(is_readable(number, PATIENCE))
        self.assertGives(rig, "shown")

    @in_each_form
    def test_while_it_stands_nobody_borrows(self, form: str) -> None:
        """A receive that blocks is handed its message."""
        rig = SocketRig(self, form, threaded=True)
        self.watching(rig)
        receiving = Running(rig.receive_blocking)
        rig.say(frame(TEXT, b"a"))
        self.assertEqual(receiving.result(), "a")
        self.assertFalse(rig.borrowed.acquire(blocking=False))
        self.assertUnreadable(rig)

    def test_without_it_nobody_is_asked(self) -> None:
        """No demand, and the short way open."""
        rig = Rig(self)
        self.assertFalse(rig.connection.awaits_reading)
        self.assertIsNotNone(rig.connection.inbox.express)
        self.watching(rig)
        self.assertTrue(rig.connection.awaits_reading)
        self.assertFalse(rig.connection.inbox.has_demand, "which would bring a fault into effect before its time")


class OpeningTests(WatchingTestCase):
    def test_before_it_is_open(self) -> None:
        """Never resumed, it is not readable: the RuntimeError there is a caller's mistake, not news. Then it opens."""
        rig = Rig(self, opened=False)
        number = self.watching(rig)
        self.assertFalse(is_readable(number))
        rig.open()
        self.assertUnreadable(rig)
        rig.give(frame(TEXT, b"a"))
        self.assertGives(rig, "a")
        self.assertEqual(self.watching(rig), number)

    def test_messages_that_come_with_the_response(self) -> None:
        """In the same bytes."""
        rig = Rig(self, opened=False, answer=accepting(frame(TEXT, b"a") + frame(TEXT, b"b")))
        self.assertUnreadable(rig)
        rig.open()
        self.assertGives(rig, "a", "b")

    def test_cancelled_before_it_was_resumed(self) -> None:
        """No thread will ever come: who cancels shows it."""
        rig = Rig(self, opened=False)
        self.assertUnreadable(rig)
        rig.connection.cancel()
        self.assertEndsWith(rig, Cancelled)

    def test_the_opening_fails(self) -> None:
        """Readable with the error; not before."""
        rig = Rig(
            self, opened=False, threaded=True, answer=lambda head: [b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"]
        )
        number = self.watching(rig)
        self.assertFalse(is_readable(number))
        rig.connection.resume()
        rig.engine.start()
        self.assertTrue(is_readable(number, PATIENCE))
        rig.wait(rig.connection.gone)
        self.assertEndsWith(rig, WebSocketError)


class EndTests(WatchingTestCase):
    @on_both
    def test_each_end(self) -> None:
        """What was received first, then the error, for ever: a Close, EOF, a reset, our own Close, a cancel."""
        ends: List[Tuple[Callable[[Rig], object], Type[WebSocketError]]] = [
            (lambda rig: rig.stream.give(frame(CLOSE, close_body(1000))), ConnectionClosed),
            (lambda rig: rig.stream.give_end(), ConnectionClosed),
            (lambda rig: rig.stream.give_error(), ConnectionClosed),
            (lambda rig: rig.connection.end(ConnectionClosed("x")), ConnectionClosed),
            (lambda rig: rig.connection.cancel(), Cancelled),
        ]
        for end, kind in ends:
            rig = Rig(self)
            self.watching(rig)
            rig.give(frame(TEXT, b"a"))
            end(rig)
            rig.settle()
            self.assertIsNotNone(rig.connection.cause)
            rig.finish()
            self.assertReadable(rig)
            if kind is not Cancelled:
                self.assertEqual(rig.connection.receive_now(), "a")
            self.assertEndsWith(rig, kind)
            self.assertIs(rig.connection.phase, Phase.GONE)

    def test_between_its_cause_and_the_end(self) -> None:
        """There is no answer yet, so it is not readable: the end shows it."""
        rig = Rig(self)
        self.watching(rig)
        rig.give(frame(CLOSE, close_body(1000)))
        self.assertUnreadable(rig)
        rig.finish()
        self.assertEndsWith(rig, ConnectionClosed)

    def test_asked_for_after_the_end(self) -> None:
        """With messages left, and with none."""
        rig = Rig(self)
        rig.give(frame(TEXT, b"a") + frame(CLOSE, close_body(1000)))
        rig.finish()
        self.assertReadable(rig)
        self.assertEqual(rig.connection.receive_now(), "a")
        self.assertEndsWith(rig, ConnectionClosed)

    def test_messages_in_flight_while_it_closes(self) -> None:
        """Promise 8: they are received, so they are shown."""
        rig = Rig(self)
        self.watching(rig)
        rig.connection.close(1000, None, None)
        rig.give(frame(TEXT, b"a"))
        self.assertGives(rig, "a")

    def test_suspended_at_the_end(self) -> None:
        """A suspended task that is cancelled moves again: it is readable."""
        rig = Rig(self)
        rig.give(frame(TEXT, b"a"))
        rig.connection.suspend()
        self.assertUnreadable(rig)
        rig.connection.cancel()
        self.assertUnreadable(rig)
        rig.finish()
        self.assertEndsWith(rig, Cancelled)

    def test_receive_each_stands(self) -> None:
        """Its handler gets everything, so nothing is shown but that it has ended, when others may receive again."""
        rig = Rig(self)
        number = self.watching(rig)
        rig.connection.receive_each(rig.results.append)
        rig.give(frame(TEXT, b"a"))
        self.assertFalse(is_readable(number))
        self.assertRaises(RuntimeError, rig.connection.receive_now)
        rig.give(frame(CLOSE, close_body(1000)))
        self.assertFalse(is_readable(number))
        rig.finish()
        rig.run_callbacks()
        self.assertEqual([result.message for result in rig.results], ["a", None])
        self.assertEndsWith(rig, ConnectionClosed)

    @on_both
    def test_a_fault_behind_messages(self) -> None:
        """Readable when the last of them was taken: the receive that comes to the fault brings it into effect."""
        rig = Rig(self)
        self.watching(rig)
        rig.give(frame(TEXT, b"a") + BAD)
        self.assertReadable(rig)
        self.assertEqual(rig.connection.receive_now(), "a")
        rig.send("echo")
        self.assertEqual(rig.texts(), ["echo"])
        self.assertReadable(rig)
        self.assertIsNone(rig.connection.cause)
        self.assertIsNone(rig.connection.take())
        self.assertIsInstance(rig.connection.cause, ProtocolError)
        self.assertUnreadable(rig)
        rig.finish()
        self.assertEndsWith(rig, ProtocolError)

    def test_a_fault_that_comes_by_itself(self) -> None:
        """All messages before it were taken already."""
        rig = Rig(self)
        rig.give(frame(TEXT, b"a"))
        self.assertGives(rig, "a")
        rig.give(BAD)
        self.assertReadable(rig)

    def test_a_fault_behind_messages_whose_handlers_run(self) -> None:
        """A receive does not come to it before they have returned, so it is not shown before."""
        rig = Rig(self)
        number = self.watching(rig)
        shown: List[bool] = []
        rig.connection.receive(_handler(rig, lambda: shown.append(is_readable(number))))
        rig.give(frame(TEXT, b"a") + BAD)
        self.assertUnreadable(rig)
        rig.run_callbacks()
        self.assertEqual(shown, [False])
        self.assertReadable(rig)

    def test_a_fault_while_suspended(self) -> None:
        """Nothing is shown before it is resumed."""
        rig = Rig(self)
        rig.give(frame(TEXT, b"a"))
        self.assertGives(rig, "a")
        rig.give(BAD)
        rig.connection.suspend()
        self.assertUnreadable(rig)
        rig.connection.resume()
        self.assertReadable(rig)

    def test_a_fault_that_nobody_comes_to(self) -> None:
        """It takes effect by itself, and is then the final error."""
        rig = Rig(self, close_timeout=10)
        self.watching(rig)
        rig.give(frame(TEXT, b"a") + BAD)
        rig.advance(10 + EPSILON)
        rig.finish()
        self.assertReadable(rig)
        self.assertEqual(rig.connection.receive_now(), "a")
        self.assertEndsWith(rig, ProtocolError)

    def test_the_receive_that_comes_to_a_fault_raises_it(self) -> None:
        """With a thread that ends the connection, `receive(timeout=0)` waits for that: what is readable is no lie."""
        rig = Rig(self, threaded=True)
        number = self.watching(rig)
        rig.stream.give(frame(TEXT, b"a") + BAD)
        self.assertTrue(is_readable(number, PATIENCE))
        self.assertEqual(rig.connection.receive_now(), "a")
        self.assertReadable(rig)
        with self.assertRaises(ProtocolError) as caught:
            rig.connection.receive_now()
        self.assertIs(caught.exception, rig.verdict)
        self.assertEqual(rig.connection.close_code, caught.exception.code)
        self.assertEndsWith(rig, ProtocolError)

    def test_who_is_in_the_way_of_the_end_does_not_wait_for_it(self) -> None:
        """A signal handler inside a send or a receive, a hook on the engine's own thread: TimeoutError at once."""
        for place in ("outbox", "reader", "thread", "nothing"):
            with self.subTest(place):
                rig = Rig(self, opened=place != "nothing")
                connection = rig.connection
                connection.end(ConnectionClosed("x"))
                ended = mock.Mock(**{"wait.return_value": False})
                ask = functools.partial(self.assertRaises, TimeoutError, connection.receive_now)
                thread = threading.current_thread() if place == "thread" else threading.Thread()
                with mock.patch.object(connection, "ended", ended), mock.patch.object(connection, "thread", thread):
                    if place in ("outbox", "reader"):
                        role = connection.outbox.role if place == "outbox" else rig.engine.reader.role
                        role.occupy(ask)
                    else:
                        ask()
                self.assertEqual(ended.wait.call_count, 1 if place == "nothing" else 0)

    def test_a_fork(self) -> None:
        """The child gives its copy back unwritten, and one that it asks for then is its own."""
        rig = Rig(self)
        readiness = rig.connection.watch()
        with mock.patch.object(readiness, "wake") as wake:
            rig.connection.abandon()
            wake.assert_not_called()
        self.assertIsNot(rig.connection.watch(), readiness)
        self.assertEndsWith(rig, ConnectionClosed)

    def test_a_fork_before_it_was_resumed(self) -> None:
        """The connection knows nothing of the fork; the descriptor is closed, and the next is another."""
        rig = Rig(self, opened=False)
        readiness = rig.connection.watch()
        readiness.abandon()
        self.assertIsNot(rig.connection.watch(), readiness)
        rig.open()
        rig.give(frame(TEXT, b"a"))
        self.assertGives(rig, "a")


def _handler(rig: Rig, inside: Callable[[], object]) -> Any:
    from wssync.engine.completions import Handler

    return Handler(rig.connection.deliver(lambda result: inside()))


class OrderTests(WatchingTestCase):
    """Two threads, one of them parked where it could be overtaken: afterwards the descriptor shows what is here."""

    def check(self, rig: Rig) -> None:
        all_free(rig)
        self.assertIs(is_readable(self.watching(rig)), rig.connection.inbox.has_answer)

    def test_a_take_while_a_message_is_published(self) -> None:
        """Parked before it is set, and after: the take waits for both, so that it cannot clear what is not yet set."""
        for park in (before, after):
            rig, point = Rig(self), Point()
            readiness = rig.connection.watch()
            rig.stream.give(frame(TEXT, b"a"))
            park(readiness, "wake", point)
            publishing = Running(rig.settle)
            point.wait()
            taking = Running(rig.connection.take)
            self.is_waiting(taking)
            point.go()
            publishing.result()
            self.assertEqual(taking.result(), "a")
            self.assertUnreadable(rig)

    def test_a_message_is_published_while_the_last_is_taken(self) -> None:
        """Parked before it is cleared, and after: the next message is not overlooked by it."""
        for park in (before, after):
            rig, point = Rig(self), Point()
            readiness = rig.connection.watch()
            rig.give(frame(TEXT, b"a"))
            park(readiness, "clear", point)
            taking = Running(rig.connection.take)
            point.wait()
            rig.stream.give(frame(TEXT, b"b"))
            publishing = Running(rig.settle)
            self.is_waiting(publishing)
            point.go()
            self.assertEqual(taking.result(), "a")
            publishing.result()
            self.assertGives(rig, "b")

    def test_two_takes(self) -> None:
        """The slower of two finds nothing, and clears nothing that is not cleared."""
        rig, point = Rig(self), Point()
        readiness = rig.connection.watch()
        rig.give(frame(TEXT, b"a"))
        before(readiness, "clear", point)
        first = Running(rig.connection.take)
        point.wait()
        second = Running(rig.connection.take)
        self.is_waiting(second)
        point.go()
        self.assertEqual([first.result(), second.result()], ["a", None])
        self.assertUnreadable(rig)

    def test_the_end_while_the_last_message_is_taken(self) -> None:
        """The error is shown behind it."""
        rig, point = Rig(self, threaded=True), Point()
        readiness = rig.connection.watch()
        rig.stream.give(frame(TEXT, b"a"))
        self.assertTrue(is_readable(readiness.fileno(), PATIENCE))
        before(readiness, "clear", point)
        taking = Running(rig.connection.take)
        point.wait()
        rig.stream.give(frame(CLOSE, close_body(1000)))
        rig.stream.give_end()
        point.go()
        self.assertEqual(taking.result(), "a")
        self.assertTrue(is_readable(readiness.fileno(), PATIENCE))
        rig.wait(rig.connection.gone)
        self.assertEndsWith(rig, ConnectionClosed)

    def test_a_take_against_the_end(self) -> None:
        """The end is parked before it shows itself: who comes meanwhile waits for it, and gets the error."""
        rig, point = Rig(self, threaded=True), Point()
        readiness = rig.connection.watch()
        before(readiness, "wake", point)
        rig.connection.cancel()
        point.wait()
        taking = Running(rig.connection.take)
        self.is_waiting(taking)
        point.go()
        self.assertIsInstance(taking.error(), Cancelled)
        self.assertTrue(is_readable(readiness.fileno()))

    def test_it_is_asked_for_while_a_message_is_published(self) -> None:
        """Before and after the message is in the inbox: it is shown."""
        for park in (before, after):
            rig, point = Rig(self), Point()
            rig.stream.give(frame(TEXT, b"a"))
            park(rig.connection.inbox, "publish", point)
            publishing = Running(rig.settle)
            point.wait()
            asking = Running(rig.connection.watch)
            self.is_waiting(asking)
            point.go()
            publishing.result()
            asking.result()
            self.assertGives(rig, "a")

    def test_a_message_is_published_while_it_is_asked_for(self) -> None:
        """Before and after it is in the inbox's hands."""
        for park in (before, after):
            rig, point = Rig(self), Point()
            park(rig.connection.inbox, "match", point)
            asking = Running(rig.connection.watch)
            point.wait()
            rig.stream.give(frame(TEXT, b"a"))
            publishing = Running(rig.settle)
            self.is_waiting(publishing)
            point.go()
            publishing.result()
            asking.result()
            self.assertGives(rig, "a")

    def test_two_ask_for_it(self) -> None:
        """Both get the same."""
        rig, point = Rig(self), Point()
        before(rig.connection.inbox, "match", point)
        asking = Running(rig.connection.watch)
        point.wait()
        another = Running(rig.connection.watch)
        point.go()
        self.assertIs(asking.result(), another.result())

    def test_a_receive_on_the_short_way(self) -> None:
        """It has looked, and is about to take: whether it is quicker or slower, what is shown is what is left."""
        for quicker in (False, True):
            rig = Rig(self)
            rig.give(frame(TEXT, b"a"))
            way = rig.connection.inbox.express
            assert way is not None
            if quicker:
                self.assertEqual(way.popleft(), "a")
                self.assertUnreadable(rig)
            else:
                self.watching(rig)
                self.assertRaises(IndexError, way.popleft)
                self.assertGives(rig, "a")

    @in_each_form
    def test_a_borrower_has_read_and_not_published(self, form: str) -> None:
        """It is asked for while the message is between the socket and the inbox: it goes to its reader."""
        rig = SocketRig(self, form, threaded=True)
        point = Point()
        after(rig.connection.inbox, "receive_first", point)
        rig.before_read = lambda: None
        receiving = rig.receiving()
        number = self.watching(rig)
        rig.say(frame(TEXT, b"mine") + frame(TEXT, b"shown"))
        point.wait()
        self.assertFalse(is_readable(number))
        point.go()
        self.assertEqual(receiving.result(), "mine")
        self.assertTrue(is_readable(number, PATIENCE))
        self.assertGives(rig, "shown")

    @in_each_form
    def test_a_suspension_of_a_borrower(self, form: str) -> None:
        """What it has read is kept for it, and shown to nobody."""
        rig = SocketRig(self, form, threaded=True)
        receiving = rig.receiving()
        number = self.watching(rig)
        rig.connection.suspend()
        rig.say(frame(TEXT, b"mine"))
        self.is_waiting(receiving)
        self.assertFalse(is_readable(number))
        rig.connection.resume()
        self.assertEqual(receiving.result(), "mine")
        self.check(rig)

    def test_an_interrupt_before_a_message_is_shown(self) -> None:
        """A caller's own read was struck when it had published: the engine thread shows it."""
        rig = Rig(self)
        readiness = rig.connection.watch()
        rig.stream.give(frame(TEXT, b"a"))
        with mock.patch.object(readiness, "wake", side_effect=KeyboardInterrupt):
            self.assertRaises(KeyboardInterrupt, rig.connection.receive_now)
        self.assertFalse(is_readable(readiness.fileno()))
        self.assertTrue(rig.woken())
        rig.settle()
        self.assertGives(rig, "a")


class StressTests(WatchingTestCase):
    """The descriptor is the only way to learn of messages, and threads change at every step."""

    MESSAGES = 1500

    def setUp(self) -> None:
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(1e-6)

    def speak(self, rig: SocketRig, count: int) -> None:
        """Numbered messages: whole, in fragments, between pings, several together, cut in two."""
        for number in range(count):
            text = b"%d" % number
            kind = number % 7
            if kind == 0:
                rig.say(frame(TEXT, text[:1], fin=False), frame(PING), frame(CONTINUATION, text[1:]))
            elif kind == 1:
                rig.say(frame(PING, b"x"))
                rig.say(frame(TEXT, text))
            elif kind == 2:
                whole = frame(TEXT, text)
                rig.say(whole[:2])
                rig.say(whole[2:])
            else:
                rig.say(frame(TEXT, text))
        rig.say(frame(CLOSE, close_body(1000)))
        rig.peer.shutdown(socket.SHUT_WR)

    def hear(self, rig: SocketRig) -> None:
        """What comes back, so that nobody is kept waiting."""
        while rig.peer.recv(65_536):
            pass

    def read(self, rig: SocketRig, number: int, got: List[Message], *, alone: bool) -> int:
        """A loop as a program has it; how often it was woken for nothing."""
        nothing = 0
        while True:
            self.assertTrue(is_readable_within(number), f"a wake was lost after {len(got)} messages")
            try:
                got.append(rig.connection.receive_now())
            except TimeoutError:
                nothing += 1
                self.assertFalse(alone, "it was readable, and nobody else has taken anything")
            except ConnectionClosed:
                return nothing

    @in_each_form
    def test_one_loop(self, form: str) -> None:
        """Every message arrives, in order, and each time that it was readable there was something."""
        rig = SocketRig(self, form, threaded=True, max_queue=(5, None))
        number = self.watching(rig)
        hearing = Running(lambda: self.hear(rig))
        speaking = Running(lambda: self.speak(rig, self.MESSAGES))
        got: List[Message] = []
        self.read(rig, number, got, alone=True)
        speaking.result()
        hearing.result()
        self.assertEqual(got, [str(number) for number in range(self.MESSAGES)])

    @in_each_form
    def test_three_loops(self, form: str) -> None:
        """Each message arrives once, and every loop hears of the end."""
        rig = SocketRig(self, form, threaded=True)
        number = self.watching(rig)
        hearing = Running(lambda: self.hear(rig))
        got: List[List[Message]] = [[], [], []]
        loops = [Running(functools.partial(self.read, rig, number, mine, alone=False)) for mine in got]
        self.speak(rig, self.MESSAGES)
        for loop in loops:
            loop.result()
        hearing.result()
        self.assertEqual(
            sorted(int(message) for mine in got for message in mine), list(range(self.MESSAGES)), "lost or doubled"
        )

    @in_each_form
    def test_beside_all_else(self, form: str) -> None:
        """Blocking receives, handlers, suspensions and sends meanwhile, and it is asked for in the middle of it."""
        rig = SocketRig(self, form, threaded=True, max_queue=(3, None))
        hearing = Running(lambda: self.hear(rig))
        over = threading.Event()
        handled: List[Message] = []
        blocked: List[Message] = []

        def receive_and_handle() -> None:
            try:
                while not over.is_set():
                    try:
                        blocked.append(rig.receive_blocking(0.001))
                    except TimeoutError:
                        pass
                    rig.receive()
                    rig.run_callbacks()
            except ConnectionClosed:
                pass

        def suspend_and_send() -> None:
            while not over.is_set():
                rig.connection.suspend()
                rig.send("x")
                rig.connection.resume()
                over.wait(0.0005)

        others = [Running(receive_and_handle), Running(suspend_and_send)]
        speaking = Running(lambda: self.speak(rig, self.MESSAGES))
        got: List[Message] = []
        self.read(rig, self.watching(rig), got, alone=False)
        over.set()
        for other in (*others, speaking, hearing):
            other.result()
        rig.wait(rig.connection.gone)
        rig.run_callbacks()
        handled = [result.message for result in rig.results if result.message is not None]
        self.assertEqual(sorted(map(int, [*got, *blocked, *handled])), list(range(self.MESSAGES)), "lost or doubled")
        self.assertEndsWith(rig, ConnectionClosed)


def is_readable_within(number: int, patience: Optional[float] = PATIENCE) -> bool:
    """Wait for it, as a loop does."""
    return bool(select.select([number], [], [], patience)[0])
