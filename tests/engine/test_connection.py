"""What may be done with a connection from any thread, before it is open, while it is, and after."""

from __future__ import annotations

import contextlib
import functools
import gc
import logging
import sys
import threading
import unittest
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Deque, List, Optional, Tuple
from unittest import mock

from tests.threads import is_held
from wssync.engine.calls import PROMPT
from wssync.engine.changes import CALLER_BUDGET
from wssync.engine.completions import Handler, Result, Waiter
from wssync.engine.connection import Connection
from wssync.engine.inbox import Inbox
from wssync.engine.loop import LINGER
from wssync.engine.queues import EMPTY, EMPTY_LIST
from wssync.engine.state import Phase, State
from wssync.errors import Cancelled, ConnectionClosed, ProtocolError, SendQueueFull, WebSocketError
from wssync.protocol.frames import Opcode

from ..interrupts import Interrupt
from ..protocol.wire import CLOSE, PONG, TEXT, frame
from .support import EPSILON, PATIENCE, Rig, Running, close_body

BYE = frame(CLOSE, close_body(1000))


def _append(order: List[int], number: int, completion: object) -> None:
    order.append(number)


def interrupt() -> None:
    raise KeyboardInterrupt


class SendTests(unittest.TestCase):
    def test_a_caller_writes_itself(self) -> None:
        """What the kernel takes at once leaves in the call; the engine is not needed, nor woken."""
        rig = Rig(self)
        rig.settle()
        send = rig.send("hello")
        self.assertTrue(send.completion.done)
        self.assertEqual(rig.texts(), ["hello"])
        rig.stream.idle = lambda timeout: None
        self.assertEqual(rig.connection.outbox.counts.sent, 5)

    def test_what_is_left_over_wakes_the_engine(self) -> None:
        """A full kernel: the engine thread waits for it in the caller's place."""
        rig = Rig(self)
        woken: List[int] = []
        rig.connection.wake = lambda: woken.append(1)  # type: ignore[method-assign]
        rig.send("a")
        self.assertEqual(woken, [])
        rig.stream.takes = 0
        rig.send("b")
        self.assertEqual(woken, [1])

    def behind(self, count: int) -> Rig:
        """An open connection in which so many messages of others are queued, and nobody has begun to write."""
        rig = Rig(self)
        rig.connection.suspend()
        for _ in range(count):
            rig.send(b"x" * 60_000)
        rig.connection.outbox.held = False
        return rig

    def test_a_caller_that_waits_writes_more_at_a_time(self) -> None:
        """It would come back anyway, until its own message has left."""
        rig = self.behind(10)
        with mock.patch.object(rig.connection.outbox, "pump", side_effect=rig.connection.outbox.pump) as pump:
            rig.send(b"mine", blocking=True)
        self.assertEqual((pump.call_count, rig.connection.outbox.has_rest), (1, False))

    def test_a_caller_that_waits_comes_back(self) -> None:
        """As often as it takes until its own message has left."""
        rig = self.behind(3)
        pump = mock.patch.object(rig.connection.outbox, "pump", side_effect=rig.connection.outbox.pump)
        with mock.patch("wssync.engine.changes.WAITING_BUDGET", 1), pump as pumps:
            message = rig.send(b"mine", blocking=True)
        self.assertEqual((pumps.call_count > 1, message.completion.done), (True, True))

    def test_a_caller_writes_only_so_much_for_others(self) -> None:
        """256 KiB: then the rest is the engine's, and it is woken."""
        rig = self.behind(10)
        woken: List[int] = []
        rig.connection.wake = lambda: woken.append(1)  # type: ignore[method-assign]
        rig.connection.flush()
        self.assertTrue(CALLER_BUDGET <= rig.stream.total < 2 * CALLER_BUDGET + 70_000, rig.stream.total)
        self.assertTrue(rig.connection.outbox.has_work)
        self.assertEqual(woken, [1])

    def test_a_long_message_with_a_handler_is_the_engines(self) -> None:
        """A GUI thread compresses and writes no megabytes; one of up to 64 KiB it does; a blocked caller all."""
        rig = Rig(self)
        rig.settle()
        short, long = rig.send(b"x" * PROMPT), rig.send(b"x" * (PROMPT + 1))
        self.assertEqual((short.completion.done, long.completion.done), (True, False))
        rig.settle()
        self.assertTrue(long.completion.done)
        self.assertTrue(rig.send(b"x" * (PROMPT + 1), blocking=True).completion.done)

    def test_an_interrupted_write_breaks_the_connection(self) -> None:
        """Ctrl-C in the thread that writes: it goes through, the engine is woken and ends it, all are answered."""
        rig = Rig(self)
        rig.settle()
        waiting = rig.receive(blocking=True)
        rig.stream.after_send = interrupt
        with self.assertRaises(KeyboardInterrupt):
            rig.send("a", blocking=True)
        rig.stream.after_send = lambda: None
        woken: List[bool] = []
        rig.stream.before_wait = lambda: woken.append(rig.engine._waker._reader is not None)
        rig.settle()
        self.assertEqual(rig.stream.waits[-1], (True, False, 1.0))
        rig.advance(1.0)
        rig.finish()
        assert waiting.error is not None
        self.assertIsInstance(waiting.error.__cause__, KeyboardInterrupt)

    def test_an_interrupted_write_wakes_the_engine(self) -> None:
        """With its thread: nobody else would notice."""
        rig = Rig(self, threaded=True)
        waiter: Waiter[Any] = Waiter()
        rig.connection.receive(waiter)
        rig.stream.after_send = interrupt
        with self.assertRaises(KeyboardInterrupt):
            rig.send("a", blocking=True)
        rig.stream.wait_until(lambda: rig.stream.waits[-1][2] == 1.0, "the engine noticed")
        rig.clock.advance(1.0)
        waiter.wait(PATIENCE)
        self.assertIn("interrupted", str(waiter.error))

    def test_whoever_leaves_something_wakes_the_engine(self) -> None:
        """An interrupted write, a failed one, a long message left to it; a message that has left does not."""
        rig = Rig(self)
        rig.settle()
        rig.send("a")
        self.assertFalse(rig.woken())
        rig.send(b"x" * (PROMPT + 1))
        self.assertTrue(rig.woken())
        rig.settle()
        self.assertFalse(rig.woken())
        rig.stream.after_send = interrupt
        with self.assertRaises(KeyboardInterrupt):
            rig.send("a")
        rig.stream.after_send = lambda: None
        self.assertTrue(rig.woken())
        rig = Rig(self)
        rig.settle()
        rig.stream.fails_at = 0
        rig.send("a")
        self.assertTrue(rig.woken())

    def test_every_call_starts_the_handlers_it_completed(self) -> None:
        """They wait for no turn of the engine."""
        rig = Rig(self)

        def submitted() -> int:
            rig.run_callbacks()
            return len(rig.callbacks)

        self.assertEqual(submitted(), 0)
        rig.send("a")
        self.assertEqual(len(rig.callbacks), 1)
        self.assertEqual(submitted(), 0)
        rig.give(frame(TEXT, b"a") + frame(TEXT, b"b"))
        rig.receive()
        self.assertEqual(len(rig.callbacks), 1)
        self.assertEqual(submitted(), 0)
        rig.connection.receive_each(rig.results.append)
        self.assertEqual(len(rig.callbacks), 1)
        self.assertEqual(submitted(), 0)
        rig.connection.put_back("c")
        self.assertEqual(len(rig.callbacks), 1)

    def test_write_limit(self) -> None:
        """A message is accepted whenever less is queued, whatever its own size; a handler gets `SendQueueFull`."""
        rig = Rig(self, write_limit=10)
        rig.stream.takes = 0
        first, second, third = rig.send("x" * 9), rig.send("x" * 100), rig.send("x")
        self.assertEqual([send.completion.done for send in (first, second, third)], [False, False, True])
        error = third.completion.error
        self.assertIsInstance(error, SendQueueFull)
        blocked = rig.send("x", blocking=True)
        self.assertFalse(blocked.completion.done)
        rig.stream.take()
        rig.settle()
        self.assertEqual([len(text) for text in rig.texts()], [9, 100, 1])
        self.assertIsNone(rig.connection.cause)
        self.assertIsNone(rig.send("fits again").completion.error)

    def test_withdrawing(self) -> None:
        """What has not begun can be taken back, what has begun cannot."""
        rig = Rig(self)
        rig.stream.room = 3
        first, second = rig.send("first"), rig.send("second")
        self.assertEqual([rig.connection.withdraw_send(send) for send in (first, second)], [False, True])
        rig.stream.take()
        rig.settle()
        self.assertEqual(rig.texts(), ["first"])

    def test_handlers_come_in_order_and_once(self) -> None:
        """Promises 1 to 3: on the executor, in the order of the sends, never inside the call."""
        rig = Rig(self)
        order: List[int] = []
        for number in range(5):
            handler: Handler[None] = Handler(functools.partial(_append, order, number))
            rig.connection.send(Opcode.TEXT, b"x", handler)
        self.assertEqual(order, [])
        rig.run_callbacks()
        self.assertEqual(order, [0, 1, 2, 3, 4])


class RefusalTests(unittest.TestCase):
    def tries(self, rig: Rig) -> List[Any]:
        """The errors of a send, a ping and a pong now."""
        with self.assertRaises(WebSocketError) as caught:
            rig.connection.pong(b"")
        return [rig.send("x").completion.error, rig.ping()[1].error, caught.exception]

    def test_after_our_close_nothing_is_sent(self) -> None:
        """Rule 116: sends, pings and pongs fail at once with `ConnectionClosed`; the task is not ended by it."""
        rig = Rig(self)
        rig.connection.close(1000, "bye", None)
        for error in self.tries(rig):
            self.assertIsInstance(error, ConnectionClosed)
            self.assertEqual((error.url_error_code, error.sent_close), (-1005, (1000, "bye")))
        self.assertEqual(rig.sent(), [(Opcode.CLOSE, close_body(1000) + b"bye")])
        self.assertIsNone(rig.connection.cause)

    def test_after_the_end_all_get_its_error(self) -> None:
        """Rules 144, 174: the very object; receives too, and a withdrawal has nothing to withdraw."""
        rig = Rig(self)
        rig.give(BYE)
        rig.finish()
        self.assertTrue(all(error is rig.verdict for error in self.tries(rig)))
        self.assertIs(rig.receive().error, rig.verdict)
        self.assertEqual(rig.take_all_before_the_end(), [])

    def test_between_the_cause_and_the_end_they_wait(self) -> None:
        """Rules 161 (c), 175: whoever gets the error finds `close_code` set, and the order is kept."""
        rig = Rig(self, write_limit=1)
        rig.stream.takes = 0
        first = rig.send("first")
        rig.give(BYE)
        rig.stream.take()
        late, (_, ping) = rig.send("late"), rig.ping()
        with self.assertRaises(ConnectionClosed):
            rig.connection.pong(b"")
        withdrawn = rig.send("withdrawn", blocking=True)
        self.assertTrue(rig.connection.withdraw_send(withdrawn))
        self.assertEqual((first.completion.done, late.completion.done, ping.done), (False, False, False))
        rig.finish(rig.stream.give_end)
        self.assertEqual((late.completion.error, ping.error), (rig.verdict, rig.verdict))
        self.assertIsNone(withdrawn.completion.error)
        self.assertNotIn("late", rig.texts())

    def test_nothing_is_sent_between_the_cause_and_the_end(self) -> None:
        """The stream has ended; a message now would be told as sent, into nothing."""
        rig = Rig(self)
        rig.connection.end(ConnectionClosed("lost"))
        late, (_, ping) = rig.send("late"), rig.ping()
        with rig.connection.mutex:
            rig.connection.fail(ConnectionClosed("a fault", code=1002))
        rig.finish()
        self.assertEqual((late.completion.error, ping.error), (rig.verdict, rig.verdict))
        self.assertEqual(str(rig.verdict), "lost")
        self.assertEqual(rig.sent(), [])

    def test_after_our_close_and_its_answer_they_get_the_outcome(self) -> None:
        """Not that it is closing, but how it was closed."""
        rig = Rig(self)
        rig.connection.close(1000, None, None)
        rig.give(BYE)
        late = rig.send("late")
        self.assertFalse(late.completion.done)
        rig.finish(rig.stream.give_end)
        self.assertIs(late.completion.error, rig.verdict)


class PingTests(unittest.TestCase):
    def test_ping_and_pong(self) -> None:
        """A ping leaves at once and is answered; one that was given up is not, but leaves too."""
        rig = Rig(self)
        _ping, completion = rig.ping(b"p")
        other, _ = rig.ping(b"q")
        self.assertTrue(rig.connection.withdraw_ping(other))
        self.assertFalse(rig.connection.withdraw_ping(other))
        self.assertEqual(rig.sent(), [(Opcode.PING, b"p"), (Opcode.PING, b"q")])
        rig.give(frame(PONG, b"q"))
        self.assertEqual(completion.value, 0.0)

    def test_an_unsolicited_pong(self) -> None:
        """`send_pong`: it leaves at once, or after the opening."""
        rig = Rig(self, opened=False)
        rig.connection.pong(b"early")
        rig.open()
        rig.connection.pong(b"now")
        self.assertEqual(rig.sent(), [(Opcode.PONG, b"early"), (Opcode.PONG, b"now")])


class ReceiveTests(unittest.TestCase):
    def test_receives_and_messages_meet(self) -> None:
        """Rules 124, 135: blocking ones and handlers in one row; the handler's `Result` comes on the executor."""
        rig = Rig(self)
        blocked, handled = rig.receive(blocking=True), rig.receive()
        rig.give(frame(TEXT, b"a") + frame(TEXT, b"b"))
        self.assertEqual((blocked.value, handled.value, rig.results), ("a", "b", []))
        rig.run_callbacks()
        self.assertEqual([result.get() for result in rig.results], ["b"])

    def test_an_unread_message_is_given_at_once(self) -> None:
        """To a handler it comes on the executor all the same."""
        rig = Rig(self)
        rig.give(frame(TEXT, b"a") + frame(TEXT, b"b"))
        self.assertEqual(rig.receive(blocking=True).value, "a")
        rig.receive()
        rig.run_callbacks()
        self.assertEqual([result.message for result in rig.results], ["b"])

    def test_a_receive_re_armed_in_its_handler(self) -> None:
        """Rule 136: for as many messages as come, without growing depth."""
        rig = Rig(self, max_queue=None)
        got: List[Any] = []

        def receive(result: Result) -> None:
            got.append(result.message)
            if result.error is None:
                rig.connection.receive(Handler(rig.connection.deliver(receive)))

        rig.connection.receive(Handler(rig.connection.deliver(receive)))
        rig.give(b"".join(frame(TEXT, b"%d" % number) for number in range(3000)) + BYE)
        rig.run_callbacks()
        rig.finish(rig.stream.give_end)
        rig.run_callbacks()
        self.assertEqual(got, [str(number) for number in range(3000)] + [None])

    def test_each_gets_all(self) -> None:
        """`receive_each`: every message and one last error; others are refused while it stands."""
        rig = Rig(self)
        rig.give(frame(TEXT, b"a"))
        rig.connection.receive_each(rig.results.append)
        for call in (rig.receive, rig.connection.take):
            with self.assertRaisesRegex(RuntimeError, "receive_each"):
                call()
        rig.give(frame(TEXT, b"b") + BYE)
        rig.finish(rig.stream.give_end)
        rig.run_callbacks()
        self.assertEqual([result.message for result in rig.results], ["a", "b", None])
        self.assertIs(rig.results[-1].error, rig.verdict)

    def test_a_handler_that_raises_is_logged(self) -> None:
        """Promise 6: and counts as returned; the next one is called."""
        rig = Rig(self, max_queue=(1, None))

        def fail(result: Result) -> None:
            raise ValueError("mine")

        rig.connection.receive(Handler(rig.connection.deliver(fail)))
        rig.give(frame(TEXT, b"a"), frame(TEXT, b"b"))
        self.assertEqual(rig.stream.unread, 1)
        with self.assertLogs("wssync", logging.ERROR):
            rig.run_callbacks()
        rig.settle()
        self.assertEqual(rig.connection.take(), "b")

    def test_a_handler_that_stops_its_thread_has_returned_too(self) -> None:
        """SystemExit is its own affair; the buffer has room again."""
        rig = Rig(self, max_queue=(1, None))
        rig.run_callbacks()

        def stop(result: Result) -> None:
            raise SystemExit

        rig.connection.receive(Handler(rig.connection.deliver(stop)))
        rig.give(frame(TEXT, b"a"))
        self.assertTrue(rig.connection.inbox.is_full())
        with self.assertRaises(SystemExit):
            rig.run_callbacks()
        self.assertFalse(rig.connection.inbox.is_full())

    def test_an_error_is_no_message_that_returns(self) -> None:
        """A handler that got the error gives nothing back, and nothing is logged."""
        rig = Rig(self)
        rig.receive()
        rig.connection.receive_each(rig.results.append)
        rig.connection.cancel()
        rig.finish()
        with self.assertRaises(AssertionError), self.assertLogs("wssync"):
            rig.run_callbacks()
        self.assertEqual(len(rig.results), 2)

    def test_withdrawing_and_putting_back(self) -> None:
        """Rule 133: who gives up consumes nothing; a message that came to an interrupted caller is the next again."""
        rig = Rig(self)
        waiting = rig.receive(blocking=True)
        self.assertTrue(rig.connection.withdraw_receive(waiting))
        waiting = rig.receive(blocking=True)
        rig.give(frame(TEXT, b"a") + frame(TEXT, b"b"))
        self.assertFalse(rig.connection.withdraw_receive(waiting))
        rig.connection.put_back("a")
        self.assertEqual(rig.take_all(), ["a", "b"])
        rig.receive()
        rig.connection.put_back("again")
        rig.run_callbacks()
        self.assertEqual([result.message for result in rig.results], ["again"])

    def test_taking_makes_room(self) -> None:
        """Whoever goes below the limit wakes the engine: a taker, a receive, a handler that returns; no one else."""
        takes: List[Callable[[Rig], object]] = [
            lambda rig: rig.connection.take(),
            lambda rig: rig.receive(blocking=True),
            lambda rig: (rig.receive(), rig.run_callbacks()),  # type: ignore[func-returns-value]
            lambda rig: (rig.connection.receive_each(rig.results.append), rig.run_callbacks()),  # type: ignore[func-returns-value]
        ]
        for take in takes:
            rig = Rig(self, max_queue=(2, None))
            rig.give(frame(TEXT, b"a") + frame(TEXT, b"b") + frame(TEXT, b"c"))
            rig.settle()
            woken: List[int] = []
            rig.connection.wake = functools.partial(woken.append, 1)  # type: ignore[method-assign]
            rig.connection.take()
            self.assertEqual(woken, [], "two are still there")
            take(rig)
            self.assertEqual(woken, [1])


class TakingTests(unittest.TestCase):
    """`take_first`: a slow consumer, whose messages wait while reading waits for room."""

    def paused(self, limits: Tuple[Optional[int], Optional[int]] = (2, None)) -> Rig:
        """Four messages came at once."""
        rig = Rig(self, max_queue=limits)
        rig.give(b"".join(frame(TEXT, text) for text in (b"a", b"b", b"c", b"d")))
        self.assertTrue(rig.connection.inbox.paused)
        self.assertEqual(rig.stream.waits[-1][:2], (False, False))
        return rig

    def test_reading_goes_on_when_there_is_room(self) -> None:
        """Rule 123: no sooner, though nobody receives any more; of messages and of bytes."""
        size = sys.getsizeof("a")
        for limits in ((2, None), (None, size), (4, size), (2, 100 * size)):
            rig = self.paused(limits)
            for message in ("a", "b"):
                self.assertEqual(rig.connection.take_first(), message)
                self.assertEqual((rig.connection.inbox.paused, rig.woken()), (True, False))
            rig.stream.give(frame(TEXT, b"e"))
            rig.engine._waker.clear()
            self.assertEqual(rig.connection.take_first(), "c")
            self.assertEqual((rig.connection.inbox.paused, rig.woken()), (False, True))
            self.assertIsNone(rig.connection.take_first(), "the short way is open")
            rig.settle()
            self.assertEqual(rig.take_all(), ["d", "e"])

    def test_nothing_else_is_done(self) -> None:
        """As long as plenty is left; that is what it is for."""
        rig = self.paused()
        with contextlib.ExitStack() as nothing:
            for owner, names in (
                (Connection, ("after_demand", "wake", "receive")),
                (Inbox, ("match", "receive", "_review", "is_full")),
            ):
                for name in names:
                    nothing.enter_context(mock.patch.object(owner, name, side_effect=AssertionError(name)))
            self.assertEqual([rig.connection.take_first(), rig.connection.take_first()], ["a", "b"])

    def test_thousands_of_messages_above_a_limit_of_bytes(self) -> None:
        """Each is looked at once when it is taken, and not once for each that is before it."""
        rig = Rig(self, max_queue=(None, 200))
        rig.give(b"".join([frame(TEXT, b"x")] * 1000))
        with mock.patch("wssync.engine.inbox.sys.getsizeof", side_effect=sys.getsizeof) as asked:
            while rig.connection.inbox.paused:
                self.assertEqual(rig.connection.take_first(), "x")
        self.assertLess(rig.connection.inbox.unread, 10)
        self.assertLess(asked.call_count, 1100)

    def test_who_waits_for_the_peer_is_not_forgotten(self) -> None:
        """The engine thread stands aside, and reading is awaited: it is woken, as by any receive."""
        rig = self.paused()
        rig.ping(b"p")
        rig.connection.stands_aside = True
        rig.engine._waker.clear()
        self.assertEqual(rig.connection.take_first(), "a")
        self.assertTrue(rig.woken())

    def test_a_suspended_task_gives_nothing(self) -> None:
        """Rule 24: nor is a message taken out of its place; those who asked meanwhile are first."""
        rig = self.paused()
        rig.connection.suspend()
        self.assertIsNone(rig.connection.take_first())
        waiting = rig.receive(blocking=True)
        rig.connection.resume()
        self.assertEqual((waiting.value, rig.connection.take_first()), ("a", "b"))

    def test_a_receive_that_is_before(self) -> None:
        """Rules 124 and 135: in the row, or all of them by `receive_each`; then there is none for who comes now."""
        rig = self.paused()
        rig.connection.watch()  # so that the short way stays closed
        for message in "abcd":
            self.assertEqual(rig.connection.take_first(), message)
        first = rig.receive(blocking=True)
        self.assertIsNone(rig.connection.take_first())
        rig.connection.put_back("e")
        self.assertEqual((first.value, rig.connection.take_first()), ("e", None))
        rig = self.paused()
        rig.connection.receive_each(rig.results.append)
        self.assertIsNone(rig.connection.take_first())
        with self.assertRaisesRegex(RuntimeError, "receive_each"):
            rig.connection.take()

    def test_what_comes_behind_the_messages(self) -> None:
        """Rules 131 and 132: a fault and the end come in their turn, when each message was taken."""
        for behind, code in ((frame(3), 1002), (BYE, 1000)):
            rig = Rig(self, max_queue=(2, None))
            rig.give(frame(TEXT, b"a") + frame(TEXT, b"b") + frame(TEXT, b"c") + behind)
            if code == 1000:
                rig.finish(rig.stream.give_end)
            self.assertEqual([rig.connection.take_first() for _ in range(4)], ["a", "b", "c", None])
            if code == 1002:
                self.assertIsNone(rig.connection.cause, "nobody has come to it")
                rig.receive(blocking=True)
                rig.finish()
            self.assertEqual(rig.connection.close_code, code)

    def test_a_descriptor_tells_of_it(self) -> None:
        """It is readable up to the last message, and not after it."""
        rig = self.paused()
        readiness = rig.connection.watch()
        for message in "abcd":
            self.assertTrue(readiness._shown)
            self.assertEqual(rig.connection.take_first(), message)
        self.assertFalse(readiness._shown)

    def test_an_interrupt_behind_it(self) -> None:
        """The message is the next one again."""
        rig = self.paused()
        self.assertEqual([rig.connection.take_first(), rig.connection.take_first()], ["a", "b"])
        with mock.patch.object(State, "after_demand", side_effect=Interrupt), self.assertRaises(Interrupt):
            rig.connection.take_first()
        self.assertFalse(is_held(rig.connection.mutex))
        self.assertEqual([rig.connection.take(), rig.connection.take()], ["c", "d"])

    def test_no_memory_for_it(self) -> None:
        """A message that cannot be made stays where it is."""
        rig = self.paused()

        class Short(Deque[Any]):
            def __getitem__(self, index: Any) -> Any:
                raise MemoryError

        rig.connection.inbox.guarded = short = Short(["a"])
        self.assertRaises(MemoryError, rig.connection.take_first)
        self.assertEqual(len(short), 1)


class FaultTests(unittest.TestCase):
    def faulty(self) -> Rig:
        rig = Rig(self)
        rig.give(frame(TEXT, b"a") + frame(3))
        self.assertIsNone(rig.connection.cause)
        return rig

    def failed(self, rig: Rig) -> None:
        rig.finish()
        self.assertEqual((rig.connection.close_code, rig.sent()), (1002, [(Opcode.CLOSE, close_body(1002))]))

    def test_a_take_behind_the_last_message_comes_to_it(self) -> None:
        """Not the one that takes that message."""
        rig = self.faulty()
        self.assertEqual(rig.connection.take(), "a")
        self.assertIsNone(rig.connection.cause)
        self.assertIsNone(rig.connection.take())
        self.failed(rig)

    def test_a_receive_behind_the_last_message_comes_to_it(self) -> None:
        """Blocking or with a handler."""
        rig = self.faulty()
        rig.receive(blocking=True)
        self.assertIsNone(rig.connection.cause)
        waiting = rig.receive(blocking=True)
        self.failed(rig)
        self.assertIs(waiting.error, rig.verdict)

    def test_each_comes_to_it_when_the_messages_are_over(self) -> None:
        """Asked for when they were taken."""
        rig = self.faulty()
        rig.connection.take()
        rig.connection.receive_each(rig.results.append)
        self.failed(rig)

    def test_receives_before_a_handler_has_returned_do_not(self) -> None:
        """It may still answer its message; when it returns with a receive waiting, the fault comes."""
        rig = self.faulty()
        rig.receive()
        rig.receive(blocking=True)
        self.assertIsNone(rig.connection.cause)
        rig.run_callbacks()
        self.failed(rig)

    def test_a_suspended_task_comes_to_it_when_resumed(self) -> None:
        """A receive that waited through the suspension."""
        rig = self.faulty()
        rig.connection.suspend()
        rig.receive(blocking=True)
        rig.receive(blocking=True)
        self.assertIsNone(rig.connection.cause)
        rig.connection.resume()
        self.failed(rig)

    def test_a_close_before_it_was_received_ends_with_it(self) -> None:
        """What is queued goes out, then a Close with the fault's code; the unread message can still be received."""
        rig = self.faulty()
        rig.connection.suspend()
        rig.send("queued")
        rig.connection.close(1000, "bye", None)
        began = rig.clock.now()
        rig.settle()
        rig.finish()
        self.assertEqual(rig.sent(), [(Opcode.TEXT, b"queued"), (Opcode.CLOSE, close_body(1002))])
        self.assertEqual((rig.connection.close_code, rig.connection.closing.sent), (1002, (1002, None)))
        self.assertEqual(rig.clock.now() - began, LINGER, "no more waiting than after any fault")
        self.assertEqual(rig.connection.take(), "a")

    def test_one_that_comes_after_a_close_is_now(self) -> None:
        """Nobody is waited for who might still take the messages before it."""
        rig = Rig(self)
        rig.connection.close(1000, None, None)
        rig.give(frame(TEXT, b"a") + frame(3))
        rig.finish()
        self.assertIsInstance(rig.verdict, ProtocolError)
        self.assertEqual(rig.connection.take(), "a")


class SuspensionTests(unittest.TestCase):
    def test_nothing_moves_while_suspended(self) -> None:
        """Rule 24: no reading, no writing, and no receive is answered; afterwards all goes on, in order."""
        rig = Rig(self)
        rig.give(frame(TEXT, b"unread"))
        rig.connection.suspend()
        rig.send("held")
        waiting = rig.receive()
        rig.stream.give(frame(TEXT, b"later"))
        rig.settle()
        self.assertEqual((rig.sent(), waiting.done, rig.stream.unread), ([], False, 1))
        self.assertIsNone(rig.connection.take())
        self.assertEqual(rig.stream.waits[-1], (False, False, None))
        self.assertFalse(rig.connection.resume())
        rig.settle()
        self.assertEqual((rig.texts(), waiting.value), (["held"], "unread"))
        self.assertEqual(rig.take_all(), ["later"])

    def test_a_resume_writes_at_once(self) -> None:
        """What was held leaves in the call, and a handler whose message is there is started."""
        rig = Rig(self)
        rig.run_callbacks()
        rig.connection.suspend()
        rig.send("held")
        rig.connection.resume()
        self.assertEqual(rig.texts(), ["held"])
        self.assertEqual(len(rig.callbacks), 1)

    def test_the_end_of_a_suspended_task_leaves_its_messages(self) -> None:
        """Promise 8: what arrived whole can be received after the end, though it was suspended."""
        rig = Rig(self)
        rig.give(frame(TEXT, b"a"))
        rig.connection.suspend()
        rig.connection.end(ConnectionClosed("lost"))
        rig.finish()
        self.assertEqual(rig.take_all_before_the_end(), ["a"])

    def test_suspensions_are_counted(self) -> None:
        """As many resumes as suspends; more do nothing."""
        rig = Rig(self)
        rig.connection.suspend()
        rig.connection.suspend()
        rig.connection.resume()
        self.assertTrue(rig.connection.suspended)
        rig.connection.resume()
        self.assertFalse(rig.connection.suspended)
        self.assertFalse(rig.connection.resume())
        self.assertEqual(rig.connection.suspensions, 0)

    def test_before_the_start_they_are_counted_too(self) -> None:
        """A new task is suspended once; the last resume starts it."""
        rig = Rig(self, opened=False)
        rig.connection.suspend()
        self.assertFalse(rig.connection.resume())
        self.assertIs(rig.connection.phase, Phase.NEW)
        self.assertTrue(rig.connection.resume())
        self.assertIs(rig.connection.phase, Phase.OPENING)

    def test_resuming_and_suspending_wake_the_engine(self) -> None:
        """It may be asleep over what is allowed no longer, or again."""
        rig = Rig(self)
        woken: List[str] = []
        rig.connection.wake = lambda: woken.append("wake")  # type: ignore[method-assign]
        rig.connection.suspend()
        self.assertEqual(woken, ["wake"])
        rig.connection.resume()
        self.assertEqual(woken, ["wake"] * 2)

    def test_a_close_moves_a_suspended_task(self) -> None:
        """`close()` ends the suspension: what was held goes out, then the Close; suspending again does nothing."""
        rig = Rig(self)
        rig.connection.suspend()
        rig.send("held")
        rig.connection.close(1000, None, None)
        rig.connection.suspend()
        self.assertFalse(rig.connection.suspended)
        self.assertEqual(rig.texts(), ["held", "CLOSE"])

    def test_an_ended_task_is_not_suspended(self) -> None:
        """Neither after the end, nor between its cause and it."""
        rig = Rig(self)
        rig.connection.end(Cancelled("x"))
        rig.connection.suspend()
        self.assertFalse(rig.connection.suspended)
        rig.finish()
        rig.connection.suspend()
        self.assertFalse(rig.connection.suspended)
        self.assertFalse(rig.connection.resume())


class EndTests(unittest.TestCase):
    def test_a_close_goes_behind_what_is_queued(self) -> None:
        """Rule 148: everything queued, then the Close; the answer ends it cleanly (rules 150, 170)."""
        rig = Rig(self)
        rig.stream.takes = 0
        send = rig.send("a")
        rig.connection.close(1001, "bye", None)
        rig.stream.take()
        rig.settle()
        self.assertTrue(send.completion.done)
        self.assertEqual(rig.sent(), [(Opcode.TEXT, b"a"), (Opcode.CLOSE, close_body(1001) + b"bye")])
        self.assertEqual(rig.connection.close_code, 0)
        rig.give(frame(CLOSE, close_body(1000) + b"ok"))
        rig.finish(rig.stream.give_end)
        verdict = rig.verdict
        assert isinstance(verdict, ConnectionClosed)
        self.assertEqual((verdict.sent_close, verdict.received_close), ((1001, "bye"), (1000, "ok")))
        self.assertEqual((rig.connection.close_code, rig.connection.error), (1000, None))
        self.assertEqual(rig.sent(), [])
        rig.run_callbacks()
        self.assertEqual(rig.listener.heard[1:], [("did_close", 1000, "ok"), ("did_complete", None)])

    def test_the_first_code_stands_and_the_earlier_time(self) -> None:
        """Rule 157: a second close changes no code; it can only make the waiting shorter."""
        rig = Rig(self)
        rig.stream.takes = 0
        rig.connection.close(1000, None, 5.0)
        rig.connection.close(1001, None, 50.0)
        self.assertEqual(rig.connection.close_due, rig.clock.now() + 5)
        rig.settle()
        rig.connection.close(1001, None, 1.0)
        self.assertTrue(rig.woken(), "it would sleep too long")
        self.assertEqual(rig.connection.close_due, rig.clock.now() + 1)
        rig.stream.take()
        rig.settle()
        self.assertEqual(rig.sent(), [(Opcode.CLOSE, close_body(1000))])

    def test_a_shorter_time_wakes_the_engine(self) -> None:
        """Our Close has left, so nothing else would."""
        rig = Rig(self)
        rig.connection.close(1000, None, 10.0)
        rig.settle()
        rig.connection.close(1000, None, 1.0)
        self.assertTrue(rig.woken())

    def test_a_close_with_a_full_kernel_keeps_its_time(self) -> None:
        """It is cut at `close_timeout` though our Close could not even leave."""
        rig = Rig(self, close_timeout=3)
        rig.stream.takes = 0
        send = rig.send("stuck")
        rig.connection.close(1000, None, None)
        rig.settle()
        rig.advance(3 - EPSILON)
        self.assertIsNone(rig.connection.cause)
        rig.advance(EPSILON)
        rig.finish()
        self.assertIs(send.completion.error, rig.verdict)
        self.assertEqual(rig.connection.close_code, 1006)

    def test_a_close_before_it_is_open_is_a_cancel(self) -> None:
        """`INVALID`; nothing is sent."""
        rig = Rig(self, opened=False)
        rig.connection.resume()
        rig.connection.close(1000, None, None)
        self.assertIsInstance(rig.connection.cause, Cancelled)
        rig.finish()
        self.assertEqual((rig.connection.close_code, bytes(rig.stream.outgoing)), (0, b""))

    def test_a_task_that_was_never_resumed_ends_where_it_is_cancelled(self) -> None:
        """Rule 18: without a thread everything is answered at once, and it cannot be started any more."""
        ends: List[Callable[[Rig], None]] = [
            lambda rig: rig.connection.cancel(),
            lambda rig: rig.connection.close(1000, None, None),
        ]
        for end in ends:
            rig = Rig(self, opened=False)
            waiting, send = rig.receive(blocking=True), rig.send("a")
            end(rig)
            self.assertIs(rig.connection.phase, Phase.ENDED)
            self.assertEqual((waiting.error, send.completion.error), (rig.verdict, rig.verdict))
            self.assertTrue(rig.connection.ended.is_set() and rig.connection.opened.is_set())
            rig.run_callbacks()
            self.assertEqual(rig.listener.names, ["did_complete"])
            self.assertTrue(rig.listener.is_finished.is_set())
            self.assertFalse(rig.connection.resume())
            end(rig)
            rig.run_callbacks()
            self.assertEqual(rig.listener.names, ["did_complete"])

    def test_a_cancelled_task_is_not_started(self) -> None:
        """A resume between a cancel's cause and its end."""
        rig = Rig(self, opened=False)
        rig.connection.end(Cancelled("x"))
        self.assertFalse(rig.connection.resume())
        self.assertIs(rig.connection.phase, Phase.NEW)

    def test_the_first_cause_stands(self) -> None:
        """A fault after a cancel changes nothing, nor an end after the end."""
        rig = Rig(self)
        rig.connection.cancel()
        with rig.connection.mutex:
            rig.connection.fail(ConnectionClosed("x", code=1002))
        rig.connection.end(ConnectionClosed("y"))
        rig.finish()
        rig.connection.cancel()
        rig.connection.close(1000, None, None)
        self.assertIsInstance(rig.verdict, Cancelled)
        self.assertEqual(rig.sent(), [(Opcode.CLOSE, b"")])

    def test_a_cancel_drops_what_was_not_read(self) -> None:
        """Promise 8's exception: `cancel()` alone."""
        rig = Rig(self)
        rig.give(frame(TEXT, b"a"))
        rig.connection.cancel()
        rig.finish()
        self.assertEqual(rig.take_all_before_the_end(), [])

    def test_completing_twice_does_nothing(self) -> None:
        """Promise 1: every answer once, `did_complete` once."""
        rig = Rig(self)
        rig.connection.cancel()
        rig.finish()
        rig.connection.complete()
        rig.run_callbacks()
        self.assertEqual(rig.listener.names, ["did_open", "did_complete"])
        self.assertIs(rig.connection.phase, Phase.GONE)

    def test_handlers_are_started_though_nobody_listens(self) -> None:
        """A connection without a task."""
        rig = Rig(self)
        rig.run_callbacks()
        rig.connection.listener = None
        rig.receive()
        rig.connection.cancel()
        rig.finish()
        self.assertEqual(len(rig.callbacks), 1)

    def test_the_url_of_the_error(self) -> None:
        """Every error tells where it happened; one that knows better keeps its own."""
        rig = Rig(self)
        rig.connection.cancel()
        rig.finish()
        self.assertEqual(rig.verdict.url, rig.connection.url)
        rig = Rig(self)
        rig.connection.end(Cancelled("x", url="ws://other/"))
        rig.finish()
        self.assertEqual(rig.verdict.url, "ws://other/")

    def test_waits_end_though_something_fails(self) -> None:
        """Invariant 12: an error while answering does not leave `wait_until_closed` waiting."""
        rig = Rig(self)
        rig.connection.cancel()
        rig.connection.inbox.end = interrupt  # type: ignore[method-assign, assignment]
        with self.assertLogs("wssync", logging.ERROR):
            rig.finish()
        self.assertTrue(rig.connection.ended.is_set() and rig.connection.gone.is_set())

    def test_a_delegate_method_that_is_not_there(self) -> None:
        """Nothing is told, nothing is queued; a connection without a listener neither."""
        rig = Rig(self)
        rig.run_callbacks()
        rig.listener.callback = lambda name: None  # type: ignore[method-assign]
        rig.connection.tell("did_open", None)
        rig.connection.listener = None
        rig.connection.tell("did_open", None)
        self.assertEqual(rig.listener.names, ["did_open"])
        rig.connection.cancel()
        rig.finish()


class RefusingExecutor:
    """An executor that was shut down."""

    def __init__(self) -> None:
        self.submits = 0

    def submit(self, fn: Callable[..., object], /, *args: Any) -> object:
        self.submits += 1
        raise RuntimeError("no more work")


class ExecutorTests(unittest.TestCase):
    def test_one_that_refuses_work_cancels_the_task(self) -> None:
        """Blocked callers are released; what could not be delivered is logged once with its number."""
        with self.assertLogs("wssync", logging.ERROR):
            rig = Rig(self, threaded=True, executor=RefusingExecutor())
            rig.wait(rig.connection.gone)
            rig.wait(rig.listener.is_finished)
        self.assertIsInstance(rig.verdict, Cancelled)
        self.assertIn("no more work", str(rig.verdict))
        self.assertIsInstance(rig.verdict.__cause__, RuntimeError)

    def test_what_is_lost_is_logged_once(self) -> None:
        """With the number of callbacks: two receives, `did_open` and `did_complete`."""
        executor = RefusingExecutor()
        with self.assertLogs("wssync", logging.ERROR) as logged:
            rig = Rig(self, executor=executor)
            rig.receive()
            blocked = rig.receive(blocking=True)
            rig.finish()
        self.assertEqual(len(logged.records), 1)
        self.assertIn("3 callbacks could not be delivered", logged.output[0])
        self.assertIs(blocked.error, rig.verdict)
        self.assertTrue(rig.listener.is_finished.is_set())
        self.assertEqual(executor.submits, 1)

    def test_a_refusal_after_the_connection_is_gone_harms_nobody(self) -> None:
        """The strand does not keep the connection alive."""
        connection = Rig(self, opened=False).connection
        other = Connection(connection.url, connection.configuration, RefusingExecutor(), connection.clock)
        refused = other.strand._refused
        assert refused is not None
        gone = weakref.ref(other)
        del other
        gc.collect()
        self.assertIsNone(gone())
        refused(RuntimeError("late"))

    def test_no_lock_is_held_when_work_is_submitted(self) -> None:
        """Invariant 9: an executor that runs at once may call anything."""
        rig: Rig
        states: List[Tuple[bool, ...]] = []

        class Inline:
            def submit(self, fn: Callable[..., object], /, *args: Any) -> object:
                connection = rig.connection
                states.append(
                    (
                        is_held(connection.mutex),
                        connection.outbox.role.is_mine,
                        rig.engine.reader.role.is_mine,
                    )
                )
                return fn(*args)

        rig = Rig(self, executor=Inline(), opened=False)
        echoed: List[Any] = []
        rig.send("early")
        rig.open()
        rig.connection.receive_each(lambda result: echoed.append((result.message, result.error and rig.send("x"))))
        rig.give(frame(TEXT, b"a") + BYE)
        rig.finish(rig.stream.give_end)
        self.assertEqual(len(echoed), 2)
        self.assertTrue(states)
        self.assertEqual(set(states), {(False, False, False)})

    def test_many_threads_of_a_pool(self) -> None:
        """Promise 3: handlers of one task never overlap and come in order, on 8 threads too."""
        with ThreadPoolExecutor(8) as pool:
            rig = Rig(self, threaded=True, executor=pool, max_queue=None)
            got: List[Any] = []
            inside = threading.Lock()
            done = threading.Event()

            def handle(result: Result) -> None:
                if not inside.acquire(False):
                    got.append("overlap")
                    return
                got.append(result.message)
                inside.release()
                if result.error is not None:
                    done.set()

            rig.connection.receive_each(handle)
            for start in range(0, 1000, 50):
                rig.stream.give(b"".join(frame(TEXT, b"%d" % number) for number in range(start, start + 50)))
            rig.stream.give(BYE)
            rig.stream.give_end()
            rig.wait(done)
        self.assertEqual(got, [str(number) for number in range(1000)] + [None])


class ForkTests(unittest.TestCase):
    def test_a_child_has_nothing_of_it(self) -> None:
        """The descriptor is closed without a word; all calls say whose the connection is; none waits."""
        rig = Rig(self)
        connection = rig.connection
        rig.receive(blocking=True)
        rig.give(frame(TEXT, b"for the first"), frame(TEXT, b"unread"))
        rig.clock.wakers.clear()
        connection.mutex.acquire()  # by a thread that the child does not have
        connection.abandon()
        self.assertEqual(rig.stream.calls[-1], "abandon")
        self.assertIs(connection.phase, Phase.GONE)
        for event in (connection.opened, connection.ended, connection.gone):
            self.assertTrue(event.is_set())
        error = rig.verdict
        self.assertIn("parent process", str(error))
        self.assertIs(connection.error, error)
        self.assertEqual((rig.send("x", blocking=True).completion.error, rig.ping()[1].error), (error, error))
        waiting = rig.receive(blocking=True)
        self.assertIs(waiting.error, error)
        self.assertEqual(rig.take_all_before_the_end(), [])
        connection.suspend()
        self.assertFalse(connection.resume())
        connection.close(1000, None, None)
        connection.cancel()
        self.assertIsNone(connection.thread)
        self.assertEqual(rig.stream.calls[-1], "abandon")

    def test_handlers_given_in_a_child_are_not_run(self) -> None:
        """The executor is the parent's: nothing is submitted to it."""
        rig = Rig(self)
        rig.run_callbacks()
        rig.connection.abandon()
        rig.receive()
        rig.send("x")
        self.assertEqual(len(rig.callbacks), 0)

    def test_a_connection_that_is_not_open_yet(self) -> None:
        """There is no stream to close."""
        rig = Rig(self, opened=False)
        rig.connection.abandon()
        self.assertEqual(rig.stream.calls, [])


class WeightTests(unittest.TestCase):
    def test_an_instance_has_no_dictionary_of_its_own(self) -> None:
        """A new name in the state is one more slot."""
        rig = Rig(self)
        for one in (rig.connection, rig.connection.outbox, rig.connection.inbox, rig.connection.reader):
            self.assertEqual(vars(one), {})

    def test_what_an_idle_connection_keeps(self) -> None:
        """A queue that nothing was put in is the common one."""
        connection = Rig(self).connection
        queues = connection.outbox._messages, connection.outbox._in_flight, connection.inbox._waiters
        self.assertEqual([queue is EMPTY for queue in queues], [True] * 3)
        outbox = connection.outbox
        lists = outbox._pings, outbox._pongs, outbox._too_late, connection.heartbeat._outstanding
        self.assertEqual([items is EMPTY_LIST for items in lists], [True] * 4)


class LockTests(unittest.TestCase):
    def test_nothing_is_left_locked(self) -> None:
        """After all of it another thread gets the mutex and both roles."""
        rig = Rig(self)
        rig.receive()
        rig.give(frame(TEXT, b"a"))
        rig.connection.cancel()
        rig.finish()

        def take() -> bool:
            free = rig.connection.mutex.acquire(False)
            rig.connection.mutex.release()
            return (
                free
                and rig.connection.outbox.role.attempt(lambda: None)
                and rig.engine.reader.role.attempt(lambda: None)
            )

        self.assertTrue(Running(take).result())
