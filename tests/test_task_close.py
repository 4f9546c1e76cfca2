"""How a task ends: every row of the table in the documentation, the ways to bring it about, and what is left then."""

from __future__ import annotations

import gc
import threading
import unittest
import weakref
from typing import Any, Callable, Dict, List, Optional, Tuple
from unittest import mock
from unittest.mock import ANY

import wssync
from tests.protocol.wire import CLOSE, frame
from tests.support import cases, with_cases
from tests.tasks import BAD_FRAME, PATIENCE, InlineExecutor, OnlineTestCase, Running, texts
from wssync import CloseCode, TaskState
from wssync.testing import Recorder, ServerConnection, drop, expect, raw, refuse, script, stop_reading


class Witness:
    """All that a task's end is told to: pending and later calls, blocking and with handlers, and the delegate."""

    def __init__(self, case: OnlineTestCase, **changes: Any) -> None:
        self.told = Recorder()
        self.task, self.peer = case.pair(delegate=self.told, **changes)
        self.told.assert_next("did_create_task")
        self.told.assert_next("did_open", None)
        task = self.task
        task.receive(lambda result: self._note("received", result.error))
        task.send_ping(lambda error: self._note("ponged", error))
        self.blocked = Running(task.receive)
        self.pinging = Running(lambda: task.send_ping(timeout=1e6))  # longer than any clock here goes on
        inbox, heartbeat = task._connection.inbox, task._connection.heartbeat
        self.blocked.until(lambda: len(inbox._waiters) == 2)
        self.pinging.until(lambda: len(heartbeat._outstanding) == 2)

    def _note(self, name: str, error: object) -> None:
        self.told.handler(name)(error, self.task.close_code)

    def later(self) -> List[object]:
        """What calls that are made after the end get."""
        task, told = self.task, Recorder()
        task.send("x", told.handler("sent"))
        task.receive(told.handler("received"))
        task.send_ping(told.handler("ponged"))
        calls: Tuple[Callable[[], object], ...] = (
            lambda: task.send("x"),
            task.receive,
            task.send_ping,
            task.send_pong,
            lambda: task.receive(timeout=0),
        )
        heard = [told.assert_next(name, ANY).arguments[0] for name in ("sent", "received", "ponged")]
        return [*heard, *(Running(call).error() for call in calls)]


class EndTests(OnlineTestCase):
    """Rules 132, 161, 162, 170 to 175 and 184: the table of ends."""

    def assertEnds(
        self, witness: Witness, error: Optional[BaseException], code: int, reason: Optional[str] = None
    ) -> Any:
        """Everybody hears the same error, in order, with the code set; return that error."""
        task, told = witness.task, witness.told
        self.assertClosed(task, code, reason)
        self.assertIs(task.state, TaskState.COMPLETED)
        self.assertIs(task.error, error)
        errors = [told.assert_next(name, ANY, code).arguments[0] for name in ("received", "ponged")]
        errors += [witness.blocked.error(), witness.pinging.error(), *witness.later()]
        for found in errors:
            self.assertIs(found, errors[0])
        if error is None:
            told.assert_next("did_close", code, reason)
        self.assertIs(told.assert_next("did_complete", error).task, task)
        told.assert_next("session_did_become_invalid", None)
        told.assert_exhausted()
        return errors[0]

    def test_the_peer_closes(self) -> None:
        """Rules 161 to 165 and 170: the peer's code and reason, clean, no error, whatever the code."""
        for code, reason in ((1000, None), (1001, "away"), (1011, "\u20ac"), (4321, "mine"), (3000, None)):
            with self.subTest(code):
                witness = Witness(self)
                Running(lambda peer=witness.peer, code=code, reason=reason: peer.close(code, reason)).result()  # type: ignore[misc]
                error = self.assertEnds(witness, None, code, reason)
                self.assertIsInstance(error, wssync.ConnectionClosed)
                self.assertEqual((error.clean, error.code, error.reason), (True, code, reason))
                self.assertEqual(error.received_close, (code, reason))
                self.assertEqual(error.sent_close, (code, None))
                self.assertEqual(error.url, str(witness.task._plan.url))

    def test_the_peer_closes_without_a_code(self) -> None:
        """Rule 163: 1005 and None; the answer has no body either."""
        witness = Witness(self)
        Running(lambda: witness.peer.close(None)).result()
        error = self.assertEnds(witness, None, CloseCode.NO_STATUS_RECEIVED)
        self.assertEqual((error.clean, error.code, error.sent_close), (True, 1005, (1005, None)))
        self.assertEqual(witness.peer.close_code, 1005)

    def test_known_codes_are_members(self) -> None:
        """Rule 165: others keep their integer value."""
        for code, kind in ((1012, CloseCode), (4999, int)):
            witness = Witness(self)
            Running(lambda peer=witness.peer, code=code: peer.close(code)).result()  # type: ignore[misc]
            self.assertEnds(witness, None, code)
            self.assertIs(type(witness.task.close_code), kind)

    def test_we_close(self) -> None:
        """Rules 147, 150 to 152: clean; the code is the peer's, even if it differs from ours."""
        close = frame(CLOSE, (4000).to_bytes(2, "big") + b"no")
        self.serve(script([lambda connection: connection.receive_raw(6 + 2 + 3), raw(close), drop]))
        task = self.connect()
        task.close(1001, "bye")
        self.assertClosed(task, 4000, "no")
        self.assertIsNone(task.error)
        with self.assertRaises(wssync.ConnectionClosed) as caught:
            task.receive()
        self.assertEqual((caught.exception.sent_close, caught.exception.clean), ((1001, "bye"), True))

    def test_cancelled(self) -> None:
        """Rule 151: `Cancelled` everywhere, 1006, no `did_close`, though an empty Close was sent."""
        witness = Witness(self)
        witness.task.cancel()
        self.assertClosed(witness.task)
        self.assertEnds(witness, witness.task.error, CloseCode.ABNORMAL_CLOSURE)
        self.assertIsInstance(witness.task.error, wssync.Cancelled)
        with self.assertRaises(wssync.ConnectionClosed) as seen:
            witness.peer.receive(PATIENCE)
        self.assertEqual(seen.exception.received_close, (1005, None))

    def test_lost(self) -> None:
        """Rules 172 and 177: EOF and RST are 1006 and -1005, not clean, no `did_close`, the cause is kept."""
        for how in ("drop", "abort"):
            with self.subTest(how):
                witness = Witness(self)
                witness.peer.receive_raw(2 * 14)  # both pings: else it may be a write that learns of the end
                getattr(witness.peer, how)()
                self.assertClosed(witness.task)
                error = self.assertEnds(witness, witness.task.error, CloseCode.ABNORMAL_CLOSURE)
                self.assertIs(type(error), wssync.ConnectionClosed)
                self.assertEqual((error.code, error.clean, error.url_error_code), (1006, False, -1005))
                self.assertIsNone(error.received_close)
                if how == "abort":
                    self.assertIsInstance(error.__cause__, OSError)

    def test_a_task_does_not_connect_again(self) -> None:
        """Rule 211: a task is one connection; when that is lost it is over."""
        server = self.serve(lambda connection: connection.drop())
        task = self.connect(server.url)
        task.wait_until_closed(PATIENCE)
        task.close()  # its thread is gone
        self.assertEqual(len(server.requests), 1)

    def test_no_answer_to_a_ping(self) -> None:
        """Rule 145: 1006, -1001, and the peer was told so with 1011."""
        clock = self.use_fake_clock()
        witness = Witness(self, ping_interval=20.0, ping_timeout=20.0)
        self._until_heard(witness)
        clock.advance(20)
        clock.advance(20)
        self.assertClosed(witness.task)
        error = self.assertEnds(witness, witness.task.error, CloseCode.ABNORMAL_CLOSURE)
        self.assertEqual((error.code, error.url_error_code, error.clean), (1006, -1001, False))
        self.assertNotIsInstance(error, TimeoutError)
        with self.assertRaises(wssync.ConnectionClosed):
            witness.peer.receive(PATIENCE)
        self.assertEqual(witness.peer.close_code, 1011)

    def _until_heard(self, witness: Witness) -> None:
        """Wait until the engine has seen to the pings, so that only the clock is left."""
        while len(witness.task._connection.heartbeat._outstanding) < 2:
            witness.task._connection.gone.wait(0.001)

    def test_the_resource_timeout_when_set_explicitly(self) -> None:
        """Rule 207: Close 1001, then 1006 and -1001; not by default."""
        clock = self.use_fake_clock()
        witness = Witness(self, timeout_interval_for_resource=100.0, ping_interval=None)
        other, _ = self.pair(ping_interval=None)
        clock.advance(700_000)
        self.assertClosed(witness.task)
        error = self.assertEnds(witness, witness.task.error, CloseCode.ABNORMAL_CLOSURE)
        self.assertIs(other.state, TaskState.RUNNING)
        self.assertEqual((error.code, error.url_error_code), (1006, -1001))
        with self.assertRaises(wssync.ConnectionClosed):
            witness.peer.receive(PATIENCE)
        self.assertEqual(witness.peer.close_code, 1001)

    def test_no_answer_to_our_close(self) -> None:
        """Rule 210: after `close_timeout` the connection is cut: 1006, -1001."""
        clock = self.use_fake_clock()
        witness = Witness(self, close_timeout=10.0, ping_interval=None)
        witness.task.cancel(1000)
        with self.assertRaises(TimeoutError):
            witness.task.wait_until_closed(0)
        clock.advance(10)
        self.assertClosed(witness.task)
        error = self.assertEnds(witness, witness.task.error, CloseCode.ABNORMAL_CLOSURE)
        self.assertEqual((error.code, error.url_error_code, error.sent_close), (1006, -1001, (1000, None)))

    def test_we_failed_it(self) -> None:
        """ProtocolError or MessageTooBig with the code we sent; no `did_close`."""
        for data, kind, code in (
            (BAD_FRAME, wssync.ProtocolError, 1002),
            (b"\x81\x01\xff", wssync.ProtocolError, 1007),
            (b"\x82\x7f" + (2**40).to_bytes(8, "big"), wssync.MessageTooBig, 1009),
            (frame(CLOSE, b"\x03"), wssync.ProtocolError, 1002),
        ):
            with self.subTest(data):
                witness = Witness(self)
                witness.peer.send_raw(data)
                seen = Running(lambda peer=witness.peer: peer.receive(PATIENCE)).error()  # type: ignore[misc]
                self.assertClosed(witness.task)
                error = self.assertEnds(witness, witness.task.error, code)
                self.assertIs(type(error), kind)
                self.assertEqual((error.code, error.clean, error.sent_close), (code, False, (code, None)))
                self.assertEqual(getattr(seen, "code", None), code)

    def test_cancelled_while_opening(self) -> None:
        """Rule 155: `cancel`, `cancel(code)` and `close` abort the attempt: `Cancelled`, INVALID, no Close frame."""
        ends: List[Callable[[wssync.WebSocketTask], None]] = [
            lambda task: task.cancel(),
            lambda task: task.cancel(1000),
            lambda task: task.close(),
        ]
        for end in ends:
            asked, heard, told = threading.Event(), Recorder(), Recorder()

            def opening(connection: ServerConnection, asked: Any = asked, heard: Any = heard) -> None:
                asked.set()
                heard.handler("heard")(connection.receive_raw(1))

            task = self.session(delegate=told).websocket_task(self.serve(opening=opening).url)
            task.send("x", told.handler("sent"))
            task.resume()
            self.assertTrue(asked.wait(PATIENCE))
            opener = Running(task.wait_until_open)
            end(task)
            self.assertClosed(task, CloseCode.INVALID)
            self.assertIsInstance(task.error, wssync.Cancelled)
            self.assertIs(opener.error(), task.error)
            told.assert_next("did_create_task")
            told.assert_next("sent", task.error)
            told.assert_next("did_complete", task.error)
            told.assert_exhausted()
            heard.assert_next("heard", b"")


class UnreadTests(OnlineTestCase):
    def _with_unread(self) -> Tuple[wssync.WebSocketTask, ServerConnection]:
        task, peer = self.pair()
        peer.send_raw(texts(b"one", b"two", b"three"))
        self.assertReceives(task, "one")
        return task, peer

    def test_messages_before_a_close_come_before_the_error(self) -> None:
        """Rules 131 and 132, promise 8: what was complete is received, then every receive fails."""
        for end in ("close", "drop"):
            with self.subTest(end):
                task, peer = self._with_unread()
                Running(getattr(peer, end)).result()
                self.assertClosed(task)
                told = Recorder()
                task.receive(told.handler("received"))
                told.assert_next("received", "two")
                self.assertEqual(task.receive(timeout=0), "three")
                for timeout in (None, 0, 1):
                    with self.assertRaises(wssync.ConnectionClosed):
                        task.receive(timeout=timeout)

    def test_cancel_drops_them(self) -> None:
        """Promise 8: `cancel()` alone does."""
        task, _ = self._with_unread()
        task.cancel()
        self.assertClosed(task)
        with self.assertRaises(wssync.Cancelled):
            task.receive(timeout=0)

    def test_messages_in_flight_are_received_after_our_close(self) -> None:
        """Rules 149 and 160: pending receives stay until the peer's Close."""
        task, peer = self.pair()
        told = Recorder()
        task.receive(told.handler("received"))
        task.cancel(1000)
        peer.send("in flight")
        told.assert_next("received", "in flight")
        with self.assertRaises(wssync.ConnectionClosed):
            peer.receive(PATIENCE)
        self.assertClosed(task, 1000)
        self.assertIsNone(task.error)

    def test_once_our_close_is_sent_a_full_buffer_does_not_stop_reading(self) -> None:
        """The peer's Close is found behind what is discarded."""
        task, peer = self.pair(max_queue=(1, None))
        sending = Running(lambda: script([bytes(1000)] * 2000)(peer))
        closing = Running(lambda: task.close(1000))
        sending.result()
        with self.assertRaises(wssync.ConnectionClosed):
            peer.receive(PATIENCE)
        closing.result()
        self.assertClosed(task, 1000)
        self.assertIsNone(task.error)


@with_cases
class CloseTests(OnlineTestCase):
    def test_queued_messages_go_out_first(self) -> None:
        """Rule 148: everything, then the Close."""
        messages = [bytes([number]) * 50_000 for number in range(20)]
        server = self.serve(script([*map(expect, messages), ServerConnection.receive]))
        task, told = self.connect(), Recorder()
        for number, message in enumerate(messages):
            task.send(message, told.handler(f"sent {number}"))
        task.close(1000, "done")
        for number in range(20):
            told.assert_next(f"sent {number}", None)
        self.assertEqual((server.connections[0].close_code, server.connections[0].close_reason), (1000, "done"))

    @cases(
        a_word=("1000", TypeError),
        a_bool=(True, TypeError),
        zero=(0, ValueError),
        too_low=(999, ValueError),
        reserved=(1004, ValueError),
        no_status=(1005, ValueError),
        abnormal=(1006, ValueError),
        tls=(1015, ValueError),
        unassigned=(1016, ValueError),
        low=(2999, ValueError),
        high=(5000, ValueError),
    )
    def test_codes_that_must_not_be_sent(self, code: object, error: type) -> None:
        """Rule 153: ValueError or TypeError at once, and nothing happens."""
        task, _ = self.pair()
        for method in (task.close, task.cancel):
            with self.assertRaises(error):
                method(code)  # type: ignore[arg-type]
        self.assertIs(task.state, TaskState.RUNNING)

    @cases(
        without_a_code=(None, "x", ValueError),
        too_long=(1000, "\u20ac" * 42, ValueError),
        no_utf8=(1000, b"\xff", ValueError),
        a_number=(1000, 5, TypeError),
    )
    def test_reasons_that_cannot_be_sent(self, code: Optional[int], reason: Any, error: type) -> None:
        """Rule 154: ValueError or TypeError at once, and nothing happens."""
        task, _ = self.pair()
        for method in (task.close, task.cancel):
            with self.assertRaises(error):
                method(code, reason)
        self.assertIs(task.state, TaskState.RUNNING)

    @cases(
        text=("\u20ac" * 41, "\u20ac" * 41),
        binary=("\u20ac".encode(), "\u20ac"),
        empty=("", None),
        nothing=(None, None),
    )
    def test_reasons(self, reason: Any, expected: Optional[str]) -> None:
        """Rule 154: `str` or UTF-8 bytes of up to 123 bytes, read as `str` or None."""
        task = self.connect()
        task.close(3000, reason)
        peer = self.server.connections[0]
        self.assertEqual((peer.close_code, peer.close_reason), (3000, expected))
        with self.assertRaises(wssync.ConnectionClosed) as caught:
            task.receive()
        self.assertEqual(caught.exception.sent_close, (3000, expected))

    def test_close_without_a_code(self) -> None:
        """None: a Close without body, answered by one."""
        task = self.connect()
        task.close(None)
        self.assertEqual(self.server.connections[0].close_code, 1005)
        self.assertClosed(task, CloseCode.NO_STATUS_RECEIVED, None)
        self.assertIsNone(task.error)

    def test_close_waits_for_the_thread(self) -> None:
        """When it returns, the task is COMPLETED and its thread is gone."""
        task = self.connect()
        thread = task._connection.thread
        task.close()
        self.assertIs(task.state, TaskState.COMPLETED)
        assert thread is not None
        self.assertFalse(thread.is_alive())

    def test_the_first_code_stands(self) -> None:
        """Rules 157 and 158: a second call changes no code; after the end there is no effect at all."""
        task, peer = self.pair()
        task.cancel(4001, "first")
        task.cancel(4002, "second")
        second = Running(lambda: task.close(4003))
        with self.assertRaises(wssync.ConnectionClosed) as seen:
            peer.receive(PATIENCE)
        second.result()
        self.assertEqual(seen.exception.received_close, (4001, "first"))
        task.close(4004)
        task.cancel()
        self.assertClosed(task, 4001)
        self.assertIsNone(task.error)

    def test_cancel_cuts_a_close_short(self) -> None:
        """Rule 157: the waiting `close` returns at once."""
        task, _ = self.pair()
        closing = Running(lambda: task.close(timeout=1000))
        while task.state is TaskState.RUNNING:
            task._connection.gone.wait(0.001)
        task.cancel()
        closing.result()
        self.assertIs(task.state, TaskState.COMPLETED)
        self.assertIsInstance(task.error, wssync.Cancelled)

    def test_the_timeout_of_close_replaces_close_timeout(self) -> None:
        """After it the connection is cut and the call returns; it never raises because of the peer."""
        task, _ = self.pair(close_timeout=1000.0)
        Running(lambda: task.close(timeout=0.01)).result()
        self.assertClosed(task, CloseCode.ABNORMAL_CLOSURE)
        self.assertIsInstance(task.error, wssync.ConnectionClosed)

    def test_after_its_timeout_there_is_no_lingering(self) -> None:
        """The clock stands still after the timeout, and yet it is over."""
        clock = self.use_fake_clock()
        task, _ = self.pair(ping_interval=None)
        closing = Running(lambda: task.close(timeout=5))
        clock.wait_for_sleepers()
        clock.advance(5)
        closing.result()
        self.assertIs(task.state, TaskState.COMPLETED)

    def test_the_peer_goes_while_we_close(self) -> None:
        """Rule 152: -1005 and 1006; `close` returns without an error."""
        task, peer = self.pair()
        closing = Running(task.close)
        peer.receive_raw(6)
        peer.drop()
        closing.result()
        self.assertClosed(task, CloseCode.ABNORMAL_CLOSURE)
        self.assertIsInstance(task.error, wssync.ConnectionClosed)

    def test_close_inside_a_handler(self) -> None:
        """On the session's executor it closes and waits like everywhere; promise 7."""
        task, told = self.connect(), Recorder()

        def handle(result: wssync.Result) -> None:
            task.close(3001)
            told.handler("closed")(task.state)

        task.receive(handle)
        task.send("x")
        told.assert_next("closed", TaskState.COMPLETED)
        self.assertEqual(self.server.connections[0].close_code, 3001)

    def test_close_while_the_thread_is_being_started(self) -> None:
        """Another thread's `resume()` has made the connection's thread, which is not running yet: it is waited for."""
        start = threading.Thread.start

        def slow_start(thread: threading.Thread) -> None:
            if thread.name.startswith("wssync-read"):
                self._hold()
            start(thread)

        with mock.patch.object(threading.Thread, "start", slow_start):
            self._close_while_it_is_held()

    @unittest.skipUnless(hasattr(threading.Thread, "_set_ident"), "a thread of this interpreter begins in another way")
    def test_close_while_the_thread_begins(self) -> None:
        """It is known already, but does not count as started: `join` would refuse to wait for it."""
        identify: Callable[[threading.Thread], None] = threading.Thread._set_ident  # type: ignore[attr-defined]

        def slow_identity(thread: threading.Thread) -> None:
            identify(thread)
            if thread.name.startswith("wssync-read"):
                self._hold()

        with mock.patch.object(threading.Thread, "_set_ident", slow_identity):
            self._close_while_it_is_held()

    def test_close_while_the_thread_cannot_be_started(self) -> None:
        """The process has no threads to give: `resume()` says so, and there is nothing to wait for."""
        self.held, self.go_on = threading.Event(), threading.Event()
        start = threading.Thread.start

        def refuse_start(thread: threading.Thread) -> None:
            if thread.name.startswith("wssync-read"):
                self._hold()
                raise RuntimeError("can't start new thread")
            start(thread)

        task = self.session().websocket_task(self.server.url)
        with mock.patch.object(threading.Thread, "start", refuse_start):
            resuming, closing = self._close_meanwhile(task)
            self.assertIsInstance(resuming.error(), RuntimeError)
            closing.result()
        self.assertIs(task.state, TaskState.COMPLETED)

    def _hold(self) -> None:
        self.held.set()
        self.go_on.wait(PATIENCE)

    def _close_while_it_is_held(self) -> None:
        self.held, self.go_on = threading.Event(), threading.Event()
        task = self.session().websocket_task(self.server.url)
        for running in self._close_meanwhile(task):
            running.result()
        thread = task._connection.thread
        assert thread is not None
        self.assertEqual((task.state, thread.is_alive()), (TaskState.COMPLETED, False))

    def _close_meanwhile(self, task: wssync.WebSocketTask) -> Tuple[Running[Any], Running[Any]]:
        """Two threads, one in `resume` where it is held, one in `close`; then it goes on."""
        connection = task._connection
        resuming = Running(task.resume)
        self.assertTrue(self.held.wait(PATIENCE))
        closing = Running(task.close)
        for _ in range(5000):
            if not connection.gone._row:
                connection.opened.wait(0.001)
        self.go_on.set()
        return resuming, closing

    def test_close_on_the_connections_own_thread(self) -> None:
        """An inline executor runs handlers there: `close` begins the end and does not wait for itself."""
        task, told = self.connect(executor=InlineExecutor()), Recorder()

        def handle(result: wssync.Result) -> None:
            task.close(3001)
            told.handler("closed")(threading.current_thread() is task._connection.thread)

        task.receive(handle)
        task.send("x", lambda error: None)
        told.assert_next("closed", True)
        self.assertClosed(task, 3001)

    def test_a_stuck_executor_stalls_no_blocking_call(self) -> None:
        """Promise 7: send, receive, ping and close go on while a handler never returns."""
        stuck, release = threading.Event(), threading.Event()
        self.addCleanup(release.set)
        task = self.connect()

        def handle(error: object) -> None:
            stuck.set()
            release.wait(PATIENCE)

        task.send("one", handle)
        self.assertTrue(stuck.wait(PATIENCE))
        self.assertReceives(task, "one")
        task.send("two")
        self.assertReceives(task, "two")
        task.send_ping(timeout=PATIENCE)
        Running(task.close).result()
        self.assertIs(task.state, TaskState.COMPLETED)

    def test_wait_until_closed(self) -> None:
        """It waits for the end without bringing it about."""
        task, peer = self.pair()
        with self.assertRaises(TimeoutError):
            task.wait_until_closed(0.001)
        self.assertIs(task.state, TaskState.RUNNING)
        waiting = Running(task.wait_until_closed)
        peer.drop()
        self.assertIsNone(waiting.result())
        task.wait_until_closed()
        task.wait_until_open()


class ContextManagerTests(OnlineTestCase):
    def _leave(self, error: Optional[BaseException]) -> int:
        task = self.connect()
        if error is None:
            with task as entered:
                self.assertIs(entered, task)
        else:
            with self.assertRaises(type(error)) as caught, task:
                raise error
            self.assertIs(caught.exception, error)
        self.assertIs(task.state, TaskState.COMPLETED)
        code = self.server.connections[-1].close_code
        assert code is not None
        return code

    def test_codes(self) -> None:
        """1000 at the end of the block, 1011 by an exception, 1001 when the program is being stopped."""
        self.assertEqual(self._leave(None), 1000)
        self.assertEqual(self._leave(ValueError("x")), 1011)
        for stop in (KeyboardInterrupt(), SystemExit(3), GeneratorExit()):
            self.assertEqual(self._leave(stop), 1001)

    def test_an_interrupt_waits_one_second_at_most(self) -> None:
        """With a peer that never answers: by the clock, a second is enough."""
        clock = self.use_fake_clock()
        task, _ = self.pair(ping_interval=None, close_timeout=1000.0)

        def leave() -> None:
            with task:
                raise KeyboardInterrupt

        leaving = Running(leave)
        clock.wait_for_sleepers()
        clock.advance(1)
        self.assertIsInstance(leaving.error(), KeyboardInterrupt)
        self.assertIs(task.state, TaskState.COMPLETED)

    def test_an_ended_task_is_left_quietly(self) -> None:
        """Whatever ended it."""
        task, peer = self.pair()
        with task:
            peer.drop()
            self.assertClosed(task)


class ReferenceTests(OnlineTestCase):
    def setUp(self) -> None:
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)

    def _freed(self, make: Callable[[], wssync.WebSocketTask]) -> Tuple[bool, bool]:
        """Whether the task and its connection are freed without the collector once nobody holds the task."""
        task = make()
        thread = task._connection.thread
        task_gone, connection_gone = threading.Event(), threading.Event()
        weakref.finalize(task, task_gone.set)
        weakref.finalize(task._connection, connection_gone.set)
        del task
        if thread is not None:
            thread.join(PATIENCE)
        return task_gone.wait(1), connection_gone.wait(1)

    def _finished(self, end: Callable[[wssync.WebSocketTask, ServerConnection], object]) -> wssync.WebSocketTask:
        server = self.serve(stop_reading, compression=None)
        completed = threading.Event()

        class Delegate(wssync.WebSocketDelegate):
            def did_complete(self, session: object, task: object, error: object) -> None:
                completed.set()

        task = wssync.connect(server.url, delegate=Delegate(), timeout=PATIENCE)
        end(task, server.wait_for_connection(PATIENCE))
        self.assertTrue(completed.wait(PATIENCE))
        return task

    def test_finished_tasks_are_freed_at_once(self) -> None:
        """By reference counting alone, however they ended."""

        def closed(task: wssync.WebSocketTask, peer: ServerConnection) -> None:
            Running(lambda: peer.close(1000)).result()

        def iterated(task: wssync.WebSocketTask, peer: ServerConnection) -> None:
            peer.send("x")
            closing = Running(lambda: peer.close(1000))
            self.assertEqual(list(task), ["x"])
            closing.result()

        def failed(task: wssync.WebSocketTask, peer: ServerConnection) -> None:
            peer.send_raw(BAD_FRAME)
            Running(lambda: peer.receive(PATIENCE)).thread.join(PATIENCE)

        ends: Dict[str, Callable[[wssync.WebSocketTask, ServerConnection], object]] = {
            "closed": closed,
            "iterated": iterated,
            "cancelled": lambda task, peer: task.cancel(),
            "dropped": lambda task, peer: peer.drop(),
            "aborted": lambda task, peer: peer.abort(),
            "failed": failed,
        }
        for name, end in ends.items():
            with self.subTest(name):
                self.assertEqual(self._freed(lambda end=end: self._finished(end)), (True, True))  # type: ignore[misc]

    def test_a_refused_opening(self) -> None:
        """`connect` raises, and nothing is left, though somebody keeps the error."""
        server = self.serve(opening=refuse(404))
        created = []

        class Delegate(wssync.WebSocketDelegate):
            def did_create_task(self, session: object, task: wssync.WebSocketTask) -> None:
                created.append(weakref.ref(task))

        kept = []
        try:
            wssync.connect(server.url, delegate=Delegate(), timeout=PATIENCE)
        except wssync.HandshakeError as error:
            kept.append(error)
        for thread in threading.enumerate():
            if thread.name.startswith(("wssync-read", "wssync-session")):
                thread.join(PATIENCE)
        self.assertIsNone(created[0]())
        self.assertEqual(len(kept), 1)

    def test_an_open_task_is_held_by_its_session(self) -> None:
        """Dropping the last reference to an open task does not close it."""
        server, told = self.serve(stop_reading), Recorder()
        task: Optional[wssync.WebSocketTask] = wssync.connect(server.url, timeout=PATIENCE)
        assert task is not None
        task.receive(told.handler("received"))
        alive = weakref.ref(task)
        del task
        peer = server.wait_for_connection(PATIENCE)
        peer.send("still there")
        told.assert_next("received", "still there")
        found = alive()
        assert found is not None
        found.cancel()

    def test_a_never_resumed_one_is_not(self) -> None:
        """It is freed at once, and the session forgets it."""
        session = self.session()
        task: Optional[wssync.WebSocketTask] = session.websocket_task("ws://h/")
        self.assertEqual(session.tasks, [task])
        alive = weakref.ref(task)
        del task
        self.assertIsNone(alive())
        self.assertEqual(session.tasks, [])
