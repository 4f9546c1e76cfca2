"""Calls in a signal handler that struck while its own thread was in the middle of a change, with the mutex held.

Nothing waits for what it interrupted, and nothing comes out of its place: see `State.change`.
"""

from __future__ import annotations

import threading
import unittest
from typing import Any, Callable, List, Tuple

import wssync
from tests.protocol.wire import PING, TEXT, frame
from tests.threads import Running
from wssync.engine.completions import Handler
from wssync.engine.connection import Connection
from wssync.engine.state import Phase
from wssync.protocol.frames import Opcode

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
        """Make these calls in the middle of a change. None of them has an effect at once, and the engine is woken."""
        with self.connection.mutex:
            for call in calls:
                call()
            self.assertEqual(self.called, [])
        self.assertEqual(self.rig.sent(), [])
        self.assertTrue(self.rig.woken())

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
        """It gets everything from then on. Beside it, receiving is refused in there as anywhere."""
        self.within(lambda: self.connection.receive_each(lambda result: self.called.append(str(result.message))))
        self.settle()
        self.rig.give(frame(TEXT, b"a"))
        self.rig.run_callbacks()
        self.assertEqual(self.called, ["a"])
        with self.connection.mutex, self.assertRaisesRegex(RuntimeError, "receive_each"):
            self.rig.receive()
        self.assertFalse(self.connection.late)

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
        """It is there at once, and soon shows what there is. The one that there is already is the one."""
        self.rig.give(frame(TEXT, b"a"))
        watched: List[Any] = []
        self.within(lambda: watched.append(self.connection.watch()))
        self.settle()
        self.assertIs(self.connection.inbox.readiness, watched[0])
        self.assertTrue(watched[0]._shown)
        self.assertIs(self.connection.watch(), watched[0])

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

    def test_after_the_end(self) -> None:
        """No engine is there to do it: everything is answered at once."""
        self.connection.cancel()
        self.rig.finish()
        with self.connection.mutex:
            self.send("a")
            self.rig.receive()
        self.connection.strand.kick()
        self.rig.run_callbacks()
        self.assertEqual((self.called, len(self.rig.results)), (["Cancelled"], 1))

    def test_an_error_of_another_thread(self) -> None:
        """`end` is no different."""
        self.within(lambda: self.connection.end(wssync.Cancelled("enough")))
        self.rig.engine._turn()
        self.assertIsInstance(self.connection.cause, wssync.Cancelled)


class EarlyChangeTests(unittest.TestCase):
    """Before the connection is open."""

    def test_before_the_start_it_is_made_at_once(self) -> None:
        """There is no engine that could do it."""
        rig = Rig(self, opened=False)
        with rig.connection.mutex:
            send = rig.send("a")
            self.assertEqual(rig.connection.late, ())
        rig.open()
        rig.settle()
        self.assertTrue(send.completion.done)
        self.assertEqual(rig.texts(), ["a"])

    def test_a_task_that_was_never_started_is_cancelled_at_once(self) -> None:
        """And closed."""
        for end in ("cancel", "close"):
            rig = Rig(self, opened=False)
            with rig.connection.mutex:
                _end(rig.connection, end)
            self.assertIs(rig.connection.phase, Phase.ENDED)

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
            connection.suspend()
        with connection.mutex:
            send = rig.send("a")
            _end(connection, end)
            self.assertIsNone(connection.cause)
        rig.wait(connection.gone)
        self.assertIsInstance(send.completion.error, wssync.Cancelled)


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
