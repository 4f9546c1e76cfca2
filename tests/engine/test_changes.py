"""Calls in a signal handler that struck while its own thread was in the middle of a change, with the mutex held.

Nothing waits for what it interrupted, and nothing comes out of its place: see `State.change`.
"""

from __future__ import annotations

import contextlib
import threading
import unittest
from typing import Any, Callable, Iterator, List, Optional, Tuple
from unittest import mock

import wssync
from tests.protocol.wire import PING, TEXT, frame
from tests.threads import Running
from wssync.engine.completions import Handler, Message
from wssync.engine.connection import Connection
from wssync.engine.heartbeat import Heartbeat
from wssync.engine.outbox import Outbox
from wssync.engine.state import Phase, State
from wssync.protocol.frames import Opcode
from wssync.transport.waiting import wait_for

from .support import Rig

WITHIN = "in a signal handler that interrupted a call of this task"


def _end(connection: Connection, how: str) -> None:
    if how == "cancel":
        connection.cancel()
    else:
        connection.close(1000, None, None)


class ChangeTests(unittest.TestCase):
    """Each call, in the middle of a change on an open connection; then the engine thread's turn."""

    def setUp(self) -> None:
        self.rig = Rig(self)
        self.connection = self.rig.connection
        self.rig.settle()
        self.called: List[str] = []

    def within(self, *calls: Callable[[], object]) -> None:
        """Make these calls while the mutex is held by what makes no changes: a read, say. None of them has an effect at
        once, and the engine is woken.
        """
        with self.connection.mutex:
            for call in calls:
                call()
            self.assertEqual(self.called, [])
        self.assertEqual(self.rig.sent(), [])
        self.assertTrue(self.rig.woken())

    def within_change(self, *calls: Callable[[], object]) -> None:
        """Make them in the middle of a change. They have an effect when that is made, and before it returns."""

        def change() -> None:
            for call in calls:
                call()
            self.assertEqual((self.called, self.rig.sent()), ([], []))

        self.connection.change(change)
        self.assertFalse(self.connection.late)

    def send(self, text: str) -> None:
        """A message, whose handler notes what came of it."""
        self.connection.send(Opcode.TEXT, text.encode(), Handler(lambda completion: self.note(completion.error)))

    def note(self, answer: object) -> None:
        self.called.append(answer if isinstance(answer, str) else type(answer).__name__)

    def settle(self) -> None:
        """Let the engine do what it finds, and run the handlers."""
        self.rig.settle()
        self.rig.run_callbacks()

    def test_messages_go_out_in_the_order_of_the_calls(self) -> None:
        """And what is sent afterwards does not go past them, though it comes before the engine's turn."""
        self.within(lambda: self.send("a"), lambda: self.send("b"))
        self.assertFalse(self.rig.send_at_once(0x81, b"c"))
        self.send("c")
        self.assertEqual(self.rig.texts(), ["a", "b", "c"])
        self.settle()
        self.assertEqual((self.rig.texts(), self.called), ([], ["NoneType"] * 3))
        self.assertIs(self.rig.send_at_once(0x81, b"d"), True)

    def test_the_engine_sends_what_nobody_else_does(self) -> None:
        """It is woken for that."""
        self.within(lambda: self.send("a"), lambda: self.connection.pong(b"p"))
        self.settle()
        self.assertEqual(sorted(self.rig.sent()), [(Opcode.TEXT, b"a"), (Opcode.PONG, b"p")])
        self.assertEqual(self.called, ["NoneType"])

    def test_who_was_interrupted_makes_the_change(self) -> None:
        """It sends, and starts the handlers, before it returns; so what its thread sends next comes behind."""
        self.within_change(lambda: self.send("a"), lambda: self.send("b"))
        self.assertEqual(self.rig.texts(), ["a", "b"])
        self.rig.run_callbacks()
        self.assertEqual(self.called, ["NoneType"] * 2)

    def test_the_short_way_stays_closed_until_then(self) -> None:
        """Though the interrupted call itself has written all that it knows of."""

        def write() -> None:
            self.connection.outbox.role.attempt(lambda: self.connection.outbox._write(1000))
            self.assertIsNone(self.connection.outbox.express)

        self.within(lambda: self.send("a"), write)
        self.connection.flush()
        self.assertEqual(self.rig.texts(), ["a"])
        self.assertIs(self.rig.send_at_once(0x81, b"b"), True)

    def test_a_message_for_the_engine_thread_to_write(self) -> None:
        """One that is too long for a caller with a handler: no executor is called in the middle of a change."""
        with mock.patch.object(self.connection.strand, "kick") as kick:
            self.within(lambda: self.send("a" * 100_000))
            kick.assert_not_called()
        self.settle()
        self.assertEqual((self.called, len(self.rig.texts()[0])), (["NoneType"], 100_000))

    def test_a_ping(self) -> None:
        """Its handler hears of the pong."""
        answer: Handler[float] = Handler(lambda completion: self.note(completion.value))
        self.within(lambda: self.assertIsNone(self.connection.ping(b"p", answer)))
        self.settle()
        self.assertEqual(self.rig.sent(), [(Opcode.PING, b"p")])
        self.rig.give(frame(10, b"p"))
        self.rig.run_callbacks()
        self.assertEqual(self.called, ["float"])

    def test_receives(self) -> None:
        """They stand in the row once the engine has come by."""
        self.rig.give(frame(TEXT, b"a") + frame(TEXT, b"b"))
        self.within(self.rig.receive, self.rig.receive)
        self.settle()
        self.assertEqual([result.get() for result in self.rig.results], ["a", "b"])

    def test_receive_each(self) -> None:
        """It gets everything from then on. What is refused beside it can be told to nobody, and is logged."""
        self.within(lambda: self.connection.receive_each(lambda result: self.called.append(str(result.message))))
        self.settle()
        self.rig.give(frame(TEXT, b"a"))
        self.rig.run_callbacks()
        self.assertEqual(self.called, ["a"])
        self.called.clear()
        self.within_change(self.rig.receive, lambda: self.send("a"))
        self.assertEqual(self.rig.texts(), ["a"])
        with self.assertLogs("wssync", "ERROR") as logged:
            self.rig.run_callbacks()
        self.assertIn("receive_each() stands", logged.output[0])

    def test_receiving_at_once_is_refused(self) -> None:
        """It could not rely on what it finds; nothing is lost. But what is there to be taken without the mutex, is."""
        connection = self.connection
        self.rig.give(frame(TEXT, b"a"))
        with connection.mutex:
            self.assertEqual(connection.take(), "a")
        self.rig.give(frame(TEXT, b"b"))
        connection.inbox.bar()
        with connection.mutex:
            for receive in (connection.take, connection.take_first, self.rig.engine.reader.read_now):
                with self.assertRaisesRegex(RuntimeError, rf"receive\(\) {WITHIN}"):
                    receive()
            with self.assertRaisesRegex(RuntimeError, rf"receive\(\) {WITHIN}"):
                connection.receive_in_turn(None, None, None)
        self.assertEqual(connection.take(), "b")

    def test_reading_is_refused(self) -> None:
        """By a borrower, who has won the role all the same; what was there is read by the next."""
        self.rig.stream.give(frame(TEXT, b"a"))
        reader = self.rig.engine.reader
        with self.connection.mutex, self.assertRaisesRegex(RuntimeError, WITHIN):
            reader.borrow(0.0)
        with self.connection.mutex, self.assertRaisesRegex(RuntimeError, WITHIN):
            reader.role.attempt(reader.read)
        self.assertFalse(reader.role.is_mine)
        self.assertEqual(self.connection.receive_at_once(1.0), "a")

    def test_suspend_and_resume(self) -> None:
        """Each counts."""
        self.within(self.connection.suspend, self.connection.suspend)
        self.rig.engine._turn()
        self.assertEqual(self.connection.suspensions, 2)
        with self.connection.mutex:
            self.assertFalse(self.connection.resume())
        self.rig.engine._turn()
        self.assertEqual(self.connection.suspensions, 1)
        self.assertFalse(self.connection.resume())
        self.assertFalse(self.connection.suspended)

    def test_a_descriptor_to_watch(self) -> None:
        """Which one it is cannot be told."""
        with self.connection.mutex, self.assertRaisesRegex(RuntimeError, rf"fileno\(\) {WITHIN}"):
            self.connection.watch()

    def test_closing(self) -> None:
        """Behind what was sent before, and nothing is sent behind it."""
        self.within(lambda: self.send("a"), lambda: self.connection.close(1001, "bye", None), lambda: self.send("b"))
        self.assertFalse(self.rig.send_at_once(0x81, b"c"))
        self.settle()
        self.assertEqual(self.rig.sent(), [(Opcode.TEXT, b"a"), (Opcode.CLOSE, b"\x03\xe9bye")])
        self.assertEqual(sorted(self.called), ["ConnectionClosed", "NoneType"])

    def test_cancelling(self) -> None:
        """The engine thread ends it; what was asked for behind that is answered too."""
        self.within(self.connection.cancel, lambda: self.send("a"), self.rig.receive)
        self.rig.engine._turn()
        self.rig.finish()
        self.rig.run_callbacks()
        self.assertIsInstance(self.connection.error, wssync.Cancelled)
        self.assertEqual(self.called, ["Cancelled"])
        self.assertIsInstance(self.rig.results[0].error, wssync.Cancelled)

    def test_just_before_the_end(self) -> None:
        """What the engine has no turn for any more is answered with the end."""
        self.connection.cancel()
        self.within(lambda: self.send("a"), self.rig.receive)
        self.rig.finish()
        self.rig.run_callbacks()
        self.assertEqual(self.called, ["Cancelled"])
        self.assertEqual((len(self.rig.results), self.connection.late), (1, []))

    def test_in_the_middle_of_the_end(self) -> None:
        """When all others have got their answers: it gets one behind them."""

        def strike(heartbeat: Heartbeat) -> List[Any]:
            self.send("a")
            return []

        self.connection.cancel()
        with mock.patch.object(Heartbeat, "fail", strike):
            self.rig.finish()
        self.assertFalse(self.connection.late)
        self.rig.run_callbacks()
        self.assertEqual(self.called, ["Cancelled"])

    def test_after_the_end(self) -> None:
        """No engine is there to do it, but those who were interrupted: in a change, or as they took a message."""
        connection = self.connection
        self.rig.give(frame(TEXT, b"a") + frame(TEXT, b"b"))
        connection.end(wssync.ConnectionClosed("enough"))
        self.rig.finish()
        self.within_change(lambda: self.send("a"), self.rig.receive)
        self.rig.run_callbacks()
        self.assertEqual((self.called, len(self.rig.results)), (["ConnectionClosed"], 1))
        with self.striking():
            self.assertEqual(connection.take(), "b")
            self.rig.run_callbacks()
            self.assertEqual(self.called, ["ConnectionClosed"] * 2)
            with self.assertRaises(wssync.ConnectionClosed):
                connection.take()
        self.rig.run_callbacks()
        self.assertEqual(self.called, ["ConnectionClosed"] * 3)

    @contextlib.contextmanager
    def striking(self) -> Iterator[None]:
        """Somebody sends in the middle of each look at what has been taken."""
        after_demand = self.connection.after_demand

        def strike(connection: State, taken: Optional[Message] = None) -> None:
            self.send("struck")
            after_demand(taken)

        with mock.patch.object(State, "after_demand", strike):
            yield

    def test_while_a_message_is_taken(self) -> None:
        """By a slow consumer, with reading waiting for room."""
        self.rig = Rig(self, max_queue=(2, None))
        self.connection = self.rig.connection
        self.rig.give(b"".join(frame(TEXT, text) for text in (b"a", b"b", b"c", b"d")))
        with self.striking():
            self.assertEqual([self.connection.take_first() for _ in range(3)], ["a", "b", "c"])
        self.assertFalse(self.connection.late)
        self.assertIn("struck", self.rig.texts())

    def test_an_error_of_another_thread(self) -> None:
        """`end` is no different."""
        self.within(lambda: self.connection.end(wssync.Cancelled("enough")))
        self.rig.engine._turn()
        self.assertIsInstance(self.connection.cause, wssync.Cancelled)


class EarlyChangeTests(unittest.TestCase):
    """Before the connection is open."""

    def test_before_the_start(self) -> None:
        """There is no engine that could do it: who was interrupted does, behind what it does itself."""
        rig = Rig(self, opened=False)
        append = rig.connection.outbox.append
        sends: List[Any] = []

        def strike(message: Any) -> None:
            if not sends:
                sends.append(rig.send("b"))
            append(message)

        with mock.patch.object(Outbox, "append", lambda outbox, message: strike(message)):
            sends.append(rig.send("a"))
        rig.open()
        rig.settle()
        self.assertTrue(sends[0].completion.done and sends[1].completion.done)
        self.assertEqual(rig.texts(), ["a", "b"])

    def test_a_task_that_was_never_started_is_ended(self) -> None:
        """Behind what was interrupted, which is answered too."""
        for end in ("cancel", "close"):
            rig = Rig(self, opened=False)
            append = rig.connection.outbox.append

            def strike(message: Any, rig: Rig = rig, end: str = end, append: Any = append) -> None:
                _end(rig.connection, end)
                append(message)

            with mock.patch.object(Outbox, "append", lambda outbox, message, strike=strike: strike(message)):
                send = rig.send("a")
            self.assertIs(rig.connection.phase, Phase.ENDED)
            self.assertIsInstance(send.completion.error, wssync.Cancelled)

    def test_no_start_comes_of_a_resume_in_there(self) -> None:
        """Who has to start the thread is the one who is told to."""
        rig = Rig(self, opened=False)
        with rig.connection.mutex, self.assertRaisesRegex(RuntimeError, rf"resume\(\) {WITHIN}"):
            rig.connection.resume()

    def test_while_the_thread_is_about_to_start(self) -> None:
        """Its starter cannot wait for what that will do; others can."""
        rig = Rig(self, opened=False)
        connection = rig.connection
        self.assertTrue(connection.resume())
        self.assertTrue(connection.is_within)
        self.assertFalse(Running(lambda: connection.is_within).result())
        self.assertTrue(connection.unstart())
        self.assertFalse(connection.is_within)

    def test_the_opening_does_it_where_it_waits(self) -> None:
        """A message is there to be sent, and a cancel ends the opening; suspended or not."""
        for suspended in (False, True):
            for end in ("cancel", "close"):
                with self.subTest(suspended=suspended, end=end):
                    self.opening(end, suspended)

    def opening(self, end: str, suspended: bool) -> None:
        asked = threading.Event()

        def answer(request: bytes) -> Tuple[bytes, ...]:
            asked.set()
            return ()

        rig = Rig(self, opened=False, threaded=True, answer=answer)
        connection = rig.connection
        self.assertTrue(connection.resume())
        rig.engine.start()
        rig.wait(asked)
        if suspended:
            self.suspend(rig)
        with connection.mutex:
            send = rig.send("a")
            _end(connection, end)
            self.assertIsNone(connection.cause)
        rig.wait(connection.gone)
        self.assertIsInstance(send.completion.error, wssync.Cancelled)

    def suspend(self, rig: Rig) -> None:
        """Suspend it, and wait until the opening waits for it to be resumed."""
        waiting = threading.Event()

        def wait(*arguments: Any) -> Any:
            waiting.set()
            return wait_for(*arguments)

        with mock.patch("wssync.engine.loop.wait_for", wait):
            rig.connection.suspend()
            rig.wait(waiting)


class WithinTests(unittest.TestCase):
    """Calls in a signal handler that struck while its own thread held a role."""

    def setUp(self) -> None:
        self.rig = Rig(self)
        self.connection = self.rig.connection
        self.rig.settle()

    def test_who_is_within(self) -> None:
        """The thread that holds the mutex or a role, and no other."""
        connection = self.connection
        self.assertFalse(connection.is_within)
        for hold in (connection.outbox.role.attempt, self.rig.engine.reader.role.attempt, connection.change):
            seen: List[bool] = []
            hold(lambda seen=seen: seen.extend([connection.is_within, Running(lambda: connection.is_within).result()]))  # type: ignore[misc]
            self.assertEqual(seen, [True, False])
        self.assertFalse(Rig(self, opened=False).connection.is_within)

    def test_the_reader_goes_meanwhile(self) -> None:
        """The end takes it away between any two looks of another thread: each call looks once."""
        connection = self.rig.connection
        for call in (lambda: connection.is_within, connection.receive_now):
            looks = mock.PropertyMock(side_effect=[connection.reader, None, None])
            with self.subTest(call), mock.patch.object(State, "reader", looks), contextlib.suppress(TimeoutError):
                call()

    def test_a_send_is_not_waited_for(self) -> None:
        """It leaves when the call that was interrupted goes on."""

        def handler() -> None:
            connection.wait_until_sent(self.rig.send("a", blocking=True), None)
            self.assertEqual(self.rig.sent(), [])

        connection = self.connection
        connection.outbox.role.attempt(handler)
        self.rig.settle()
        self.assertEqual(self.rig.texts(), ["a"])

    def test_one_that_is_refused_raises(self) -> None:
        """As anywhere."""

        def handler() -> None:
            with self.assertRaises(wssync.ConnectionClosed):
                connection.wait_until_sent(self.rig.send("a", blocking=True), None)

        connection = self.connection
        connection.close(1000, None, None)
        connection.outbox.role.attempt(handler)

    def test_write_limit(self) -> None:
        """Nobody waits for it, so it counts: memory stays bounded. A caller who waits is his own bound."""

        def handler() -> None:
            connection.wait_until_sent(self.rig.send(b"x" * limit, blocking=True), None)
            with self.assertRaises(wssync.SendQueueFull):
                connection.wait_until_sent(self.rig.send("a", blocking=True), None)

        connection = self.connection
        limit = connection.configuration.write_limit
        connection.outbox.role.attempt(handler)
        self.rig.stream.takes = 0
        self.assertIsNone(self.rig.send("b", blocking=True).completion.error)

    def test_what_would_wait_for_itself_is_refused(self) -> None:
        """With the name of the call."""
        connection = self.connection
        connection.refuse_within("send_ping")

        def handler() -> None:
            with self.assertRaisesRegex(RuntimeError, rf"^send_ping\(\) {WITHIN}$"):
                connection.refuse_within("send_ping")
            with self.assertRaisesRegex(RuntimeError, rf"^receive\(\) {WITHIN}$"):
                connection.receive_in_turn(None, None, None)

        self.rig.engine.reader.role.attempt(handler)
        self.rig.give(frame(PING))


if __name__ == "__main__":
    unittest.main()
