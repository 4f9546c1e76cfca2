"""Receiving: one message a call, first come first served, blocking, with handlers, one after the other and all at once;
and the pings.
"""

from __future__ import annotations

import ctypes
import functools
import threading
import unittest
import unittest.mock
from typing import Any, Callable, Deque, List, Tuple
from unittest.mock import ANY

import wssync
import wssync.engine.completions
from tests.support import cases, with_cases
from tests.tasks import (
    BAD_FRAME,
    PATIENCE,
    InlineExecutor,
    OnlineTestCase,
    Running,
    as_written,
    needs_shortening,
    texts,
    times_begun,
)
from tests.threads import is_held
from wssync.executors import QueueExecutor
from wssync.testing import Recorder, ServerConnection, drop, script


class ReceiveTests(OnlineTestCase):
    def test_one_message_a_call(self) -> None:
        """Rules 122 and 123: in order, kept until somebody asks, text as `str` and binary as `bytes`."""
        task, peer = self.pair()
        peer.send("one")
        peer.send(b"two")
        peer.send_fragments(["thr", "", "ee"])
        self.assertEqual([task.receive(timeout=PATIENCE) for _ in range(3)], ["one", b"two", "three"])

    def test_first_come_first_served(self) -> None:
        """Rules 124 and 135, promise 4: blocking receives and handlers share one row."""
        task, peer = self.pair()
        told = Recorder()
        task.receive(told.handler("first"))
        blocked = Running(task.receive)
        self._wait_for_waiters(task, 2)
        task.receive(told.handler("third"))
        peer.send_raw(texts(b"1", b"2", b"3"))
        told.assert_next("first", "1")
        self.assertEqual(blocked.result(), "2")
        told.assert_next("third", "3")

    def _wait_for_waiters(self, task: wssync.WebSocketTask, count: int) -> None:
        inbox = task._connection.inbox
        changed = threading.Event()
        while len(inbox._waiters) < count:
            changed.wait(0.001)

    def test_a_timeout_consumes_nothing(self) -> None:
        """Rule 133: TimeoutError, and the next receive gets the message."""
        task, peer = self.pair()
        for timeout in (0, 0.001, 0.01):
            with self.assertRaises(TimeoutError) as caught:
                task.receive(timeout=timeout)
            self.assertNotIsInstance(caught.exception, wssync.WebSocketError)
        peer.send("kept")
        self.assertReceives(task, "kept")
        self.assertIs(task.state, wssync.TaskState.RUNNING)

    def test_a_timeout_of_nothing_takes_what_is_there(self) -> None:
        """timeout=0: an unread message, else what one non-blocking read brings, else TimeoutError."""
        task, peer = self.pair()
        peer.send_raw(texts(b"1", b"2"))
        self.assertReceives(task, "1")
        self.assertEqual(task.receive(timeout=0), "2")
        with self.assertRaises(TimeoutError):
            task.receive(timeout=0)
        peer.drop()
        self.assertClosed(task)
        with self.assertRaises(wssync.ConnectionClosed):
            task.receive(timeout=0)

    def test_a_timeout_of_nothing_while_it_opens(self) -> None:
        """There is nothing to read yet: TimeoutError."""
        asked, answer = threading.Event(), threading.Event()

        def opening(connection: ServerConnection) -> None:
            asked.set()
            answer.wait(PATIENCE)

        task = self.session().websocket_task(self.serve(opening=opening).url)
        task.resume()
        self.assertTrue(asked.wait(PATIENCE))
        with self.assertRaises(TimeoutError):
            task.receive(timeout=0)
        answer.set()
        task.wait_until_open(PATIENCE)

    def test_a_timeout_of_nothing_reads_by_itself(self) -> None:
        """It does not wait for the connection's thread: what the kernel has is received."""
        task, peer = self.pair()
        with unittest.mock.patch.object(task._connection.reader, "may_read", return_value=False):
            task._connection.wake()  # from its next turn on, the thread reads nothing
            self.assertTrue(self._stands_still(task))
            peer.send("by myself")
            with unittest.mock.patch.object(task._connection.reader, "may_read", return_value=True):
                stream = task._connection.stream
                assert stream is not None
                stream.wait(True, False, PATIENCE, owner=False)
                self.assertEqual(task.receive(timeout=0), "by myself")

    def _stands_still(self, task: wssync.WebSocketTask) -> bool:
        """Wait until the connection's thread is in its next wait."""
        waker = task._connection.waker
        assert waker is not None and waker._reader is not None
        stream = task._connection.stream
        assert stream is not None
        woken = threading.Event()
        with unittest.mock.patch.object(type(stream), "wait", self._noting(type(stream).wait, woken)):
            waker.wake()
            return woken.wait(PATIENCE)

    @staticmethod
    def _noting(wait: Any, woken: threading.Event) -> Any:
        def noting(self: Any, read: bool, write: bool, timeout: Any, *, owner: bool = True) -> Any:
            woken.set()
            return wait(self, read, write, timeout, owner=owner)

        return noting

    def test_another_thread_ends_the_task(self) -> None:
        """Rule 134: a blocked receive wakes with the closing error, whoever ends it and how."""
        for end in ("cancel", "close"):
            with self.subTest(end):
                task = self.connect()
                blocked = Running(task.receive)
                getattr(task, end)()
                self.assertIsInstance(blocked.error(), wssync.Cancelled if end == "cancel" else wssync.ConnectionClosed)

    def test_handlers_ask_again_and_again(self) -> None:
        """Rule 136: 5,000 messages through one handler that re-arms itself, on any executor, without recursion."""
        for executor in (None, InlineExecutor()):
            with self.subTest(executor):
                task, peer = self.pair(executor=executor, max_queue=None)
                got: List[object] = []
                done = threading.Event()

                def handle(result: wssync.Result, task: Any = task, got: Any = got, done: Any = done) -> None:
                    got.append(result.get())
                    if len(got) == 5000:
                        done.set()
                    else:
                        task.receive(handle)

                task.receive(handle)
                peer.send_raw(texts(*(b"%d" % number for number in range(5000))))
                self.assertTrue(done.wait(PATIENCE))
                self.assertEqual(got, [str(number) for number in range(5000)])

    def test_another_caller_is_quicker(self) -> None:
        """Whoever saw a message on the short way, and finds it gone, waits like anybody."""
        task, peer = self.pair()
        inbox = task._connection.inbox

        class Gone(Deque[object]):
            """There was something in it when that was asked."""

            def __bool__(self) -> bool:
                inbox.express = inbox._ready
                peer.send("next")
                return True

            def __len__(self) -> int:  # which the accelerator asks
                return int(bool(self))

        inbox.express = Gone()  # type: ignore[assignment] # it holds nothing at all
        self.assertEqual(task.receive(), "next")

    @needs_shortening
    def test_the_plainest_calls_go_past_the_function(self) -> None:
        """With a message there; all else is begun in Python. Nobody can tell but by a profile."""
        task, peer = self.pair()
        peer.send_raw(texts(*(b"%d" % number for number in range(6))))
        self.assertReceives(task, "0")
        got: List[object] = []
        receive = wssync.WebSocketTask.receive
        for expected, call in (
            (0, lambda: got.append(task.receive())),
            (0, lambda: got.append(receive(task))),
            (1, lambda: got.append(task.receive(timeout=PATIENCE))),
            (1, lambda: got.append(task.receive(None))),
            (0, lambda: got.append(next(iter(task)))),
        ):
            self.assertEqual(times_begun(receive, call), expected)
        self.assertEqual(got, ["1", "2", "3", "4", "5"])
        task.cancel()
        self.assertEqual(times_begun(receive, lambda: self.assertRaises(wssync.Cancelled, task.receive)), 1)

    @needs_shortening
    def test_waiting_goes_past_the_function(self) -> None:
        """A message that comes alone is read by the receive that waits for it, and nothing of it is begun in Python."""
        task, peer = self.pair()
        reader = task._connection.reader
        assert reader is not None
        functions: List[Any] = [wssync.WebSocketTask.receive, type(reader).borrow, type(task._connection).take]

        def wait() -> None:
            receiving = self.waiting(task)
            peer.send("late")
            self.assertEqual(receiving.result(), "late")

        self.assertEqual([times_begun(function, wait) for function in functions], [0, 0, 0])
        self.assertEqual(task._connection.tally.turns, 3)

    def test_suspended_while_it_waits(self) -> None:
        """What it has read by then is kept until the task is resumed, and is its message, before those of others."""
        task, peer = self.pair()
        receiving = self.waiting(task)
        task.suspend()
        peer.send("one")
        peer.send("two")
        receiving.until(lambda: task._connection.inbox.has_demand)
        task.resume()
        self.assertEqual(receiving.result(), "one")
        self.assertReceives(task, "two")

    def waiting(self, task: wssync.WebSocketTask) -> Running[Any]:
        """A receive that waits for the network, in another thread."""
        reader = task._connection.reader
        assert reader is not None
        self.await_role(reader)
        receiving = Running(task.receive)
        receiving.until(lambda: reader.lent)
        return receiving

    def await_role(self, reader: Any) -> None:
        """The engine thread lets go of it when the opening is over; who comes before that waits in a queue."""
        while is_held(reader.role.lock):
            pass

    def test_as_it_is_written(self) -> None:
        """Gone past or not, it gives the same."""
        task, peer = self.pair()
        peer.send_raw(texts(b"one", b"two", b"three", b"four"))
        receive = as_written(wssync.WebSocketTask.receive)
        self.assertEqual(
            [task.receive(), receive(task), receive(task), task.receive()], ["one", "two", "three", "four"]
        )

    def _let_the_thread_read(self, task: wssync.WebSocketTask) -> None:
        """Let receives find that another caller has borrowed the reader's role, and wait in the row."""
        reader = task._connection.reader
        for borrowed in (
            unittest.mock.patch.object(reader, "borrow", return_value=None),
            unittest.mock.patch.object(reader, "_borrower", None),
        ):
            borrowed.start()
            self.addCleanup(borrowed.stop)

    def test_what_an_interrupted_receive_was_given(self) -> None:
        """An exception from outside, after the message had come, puts it back: the next receive gets it."""
        task, peer = self.pair()
        self._let_the_thread_read(task)
        wait = wssync.engine.completions.Waiter.wait

        def interrupted(waiter: Any, timeout: Any) -> None:
            peer.send("kept")
            wait(waiter, timeout)
            raise KeyboardInterrupt

        with (
            unittest.mock.patch("wssync.engine.completions.Waiter.wait", interrupted),
            self.assertRaises(KeyboardInterrupt),
        ):
            task.receive()
        self.assertReceives(task, "kept")

    def test_a_receive_that_is_struck_while_it_waits(self) -> None:
        """The exception comes when the message does, which is kept, however the call is written."""

        class Hit(Exception):
            pass

        calls: List[Callable[[wssync.WebSocketTask], object]] = [lambda task: task.receive(timeout=None)]
        calls.append(wssync.WebSocketTask.receive)
        for call in calls:
            for number in range(5):
                task, peer = self.pair()
                reader = task._connection.reader
                assert reader is not None
                self.await_role(reader)
                receiving = Running(functools.partial(call, task))
                receiving.until(lambda reader=reader: reader.lent)  # type: ignore[misc] # mypy has no type for it
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(receiving.thread.ident or 0), ctypes.py_object(Hit)
                )
                peer.send(f"kept {number}")
                with self.assertRaises(Hit):
                    receiving.result()
                self.assertReceives(task, f"kept {number}")

    def test_one_that_was_given_nothing(self) -> None:
        """It leaves the row, and the message goes to the next."""
        task, peer = self.pair()
        self._let_the_thread_read(task)
        with (
            unittest.mock.patch("wssync.engine.completions.Waiter.wait", side_effect=KeyboardInterrupt),
            self.assertRaises(KeyboardInterrupt),
        ):
            task.receive()
        peer.send("next")
        self.assertReceives(task, "next")

    def test_a_handler_must_be_callable(self) -> None:
        """TypeError, for the handler and for a timeout beside it."""
        task, _ = self.pair()
        for call in (lambda: task.receive(5), lambda: task.receive(print, timeout=1), lambda: task.receive_each(None)):  # type: ignore[call-overload, arg-type]
            with self.assertRaises(TypeError):
                call()


class SizeTests(OnlineTestCase):
    def test_the_limit_is_settable_at_any_time(self) -> None:
        """Rules 128 and 129: exactly the limit passes, one byte more ends the task with MessageTooBig and 1009."""
        task, peer = self.pair()
        self.assertEqual(task.maximum_message_size, 1_048_576)
        task.maximum_message_size = 5
        self.assertEqual(task.maximum_message_size, 5)
        peer.send("12345")
        self.assertReceives(task, "12345")
        peer.send("123456")
        with self.assertRaises(wssync.MessageTooBig) as caught:
            task.receive(timeout=PATIENCE)
        self.assertEqual((caught.exception.size, caught.exception.limit), (6, 5))
        with self.assertRaises(wssync.ConnectionClosed) as seen:
            peer.receive(PATIENCE)
        self.assertEqual(seen.exception.code, 1009)

    def test_no_limit(self) -> None:
        """None: any size passes."""
        task, peer = self.pair(maximum_message_size=3)
        task.maximum_message_size = None
        sending = Running(lambda: peer.send(bytes(2**21)))
        self.assertEqual(len(task.receive(timeout=PATIENCE)), 2**21)
        sending.result()

    def test_wrong_limits(self) -> None:
        """TypeError and ValueError, and the old one stays."""
        task, _ = self.pair()
        for size, error in (("5", TypeError), (True, TypeError), (-1, ValueError)):
            with self.subTest(size), self.assertRaises(error):
                task.maximum_message_size = size  # type: ignore[assignment]
        self.assertEqual(task.maximum_message_size, 1_048_576)


class EachTests(OnlineTestCase):
    def test_every_message_and_one_error(self) -> None:
        """In order until the end; exactly one last call carries the error."""
        task, peer = self.pair()
        told = Recorder()
        task.receive_each(told.handler("each"))
        peer.send_raw(texts(*(b"%d" % number for number in range(50))))
        Running(lambda: peer.close(1001)).result()
        for number in range(50):
            told.assert_next("each", str(number))
        [error] = told.assert_next("each", ANY).arguments
        self.assertIsInstance(error, wssync.ConnectionClosed)
        task._join()
        told.assert_exhausted()

    def test_receives_asked_for_earlier_are_served_first(self) -> None:
        """And while it stands, other receiving raises RuntimeError and takes no handler."""
        task, peer = self.pair()
        told = Recorder()
        task.receive(told.handler("first"))
        task.receive_each(told.handler("each"))
        other = told.handler("other")
        calls = (
            lambda: task.receive(),
            lambda: task.receive(timeout=0),
            lambda: task.receive(other),
            lambda: task.receive_each(other),
            lambda: next(iter(task)),
        )
        for call in calls:
            with self.assertRaisesRegex(RuntimeError, "receive_each"):
                call()
        peer.send_raw(texts(b"1", b"2", b"3"))
        told.assert_next("first", "1")
        told.assert_next("each", "2")
        told.assert_next("each", "3")
        task.cancel()
        self.assertIsInstance(told.assert_next("each", ANY).arguments[0], wssync.Cancelled)
        told.assert_exhausted()

    def test_asked_for_before_the_opening_and_after_the_end(self) -> None:
        """Queued before `resume`; after the end what is unread, then the error."""
        task, told = self.session().websocket_task(self.serve(script(["hello"])).url), Recorder()
        task.receive_each(told.handler("early"))
        task.resume()
        told.assert_next("early", "hello")
        told.assert_next("early", ANY)
        task.receive_each(told.handler("late"))
        self.assertIsInstance(told.assert_next("late", ANY).arguments[0], wssync.ConnectionClosed)


class IterationTests(OnlineTestCase):
    def test_it_ends_quietly(self) -> None:
        """At 1000, 1001 and 1005: after the last message it just stops."""
        for code in (1000, 1001, None):
            with self.subTest(code):
                close = functools.partial(ServerConnection.close, code=code)
                self.assertEqual(list(self.connect(self.serve(script(["one", "two", close])).url)), ["one", "two"])

    def test_other_codes_raise(self) -> None:
        """Any other code, a lost connection and a cancelled task."""
        for code in (1011, 4000):
            with self.subTest(code):
                server = self.serve(functools.partial(ServerConnection.close, code=code, reason="why"))
                task = self.connect(server.url)
                with self.assertRaises(wssync.ConnectionClosed) as caught:
                    list(task)
                self.assertEqual((caught.exception.code, caught.exception.reason), (code, "why"))
        task = self.connect(self.serve(drop).url)
        with self.assertRaises(wssync.ConnectionClosed):
            list(task)
        task, _ = self.pair()
        task.cancel()
        with self.assertRaises(wssync.Cancelled):
            list(task)


class ResultTests(unittest.TestCase):
    def test_a_message(self) -> None:
        """`get` gives it, `error` is None."""
        result = wssync.Result("abc")
        self.assertEqual((result.get(), result.message, result.error), ("abc", "abc", None))

    def test_an_error(self) -> None:
        """`get` raises it, `message` is None."""
        error = wssync.Cancelled("x")
        result = wssync.Result(error=error)
        self.assertIsNone(result.message)
        with self.assertRaises(wssync.Cancelled) as caught:
            result.get()
        self.assertIs(caught.exception, error)


@with_cases
class BufferTests(OnlineTestCase):
    @cases(messages=((3, None),), bytes=((None, 100),), both=((16, 100),))
    def test_reading_stops_above_max_queue_and_nothing_is_lost(self, limits: Any) -> None:
        """Rule 123: what does not fit waits with the peer, and comes when there is room."""
        task, peer = self.pair(max_queue=limits)
        messages = [f"{number} " + "x" * 100_000 for number in range(200)]
        sending = Running(lambda: script(messages)(peer))
        for message in messages:
            self.assertReceives(task, message)
        sending.result()

    def paused(self, count: int) -> Tuple[wssync.WebSocketTask, ServerConnection]:
        """So many messages are here, more than there is room for."""
        task, peer = self.pair(max_queue=(2, None))
        peer.send_raw(texts(*(b"%d" % number for number in range(count))))
        inbox = task._connection.inbox
        while not inbox.paused:
            self.assertIsNone(task._connection.cause)
        return task, peer

    def test_a_slow_consumer(self) -> None:
        """It gets them one after the other, however it asks, and does not stand in the row for any."""
        task, peer = self.paused(60)
        messages = iter(task)
        calls: List[Callable[[], object]] = [task.receive, lambda: task.receive(timeout=PATIENCE)]
        calls += [lambda: next(messages), lambda: task.receive(timeout=0)]
        row = unittest.mock.patch.object(type(task._connection.inbox), "receive", side_effect=AssertionError)
        with row:
            self.assertEqual([calls[number % 4]() for number in range(60)], [str(number) for number in range(60)])
        peer.send("after")
        self.assertReceives(task, "after")

    def test_messages_handed_to_a_handler_count_until_it_returns(self) -> None:
        """A stuck executor holds at most the limit, however many handlers wait."""
        executor = QueueExecutor()
        task, peer = self.pair(max_queue=(2, None), executor=executor)
        told = Recorder()
        for _ in range(5):
            task.receive(told.handler("received"))
        for number in range(5):
            peer.send(str(number))
        while len(told.events) < 5:
            executor.run_pending(PATIENCE)
        for number in range(5):
            told.assert_next("received", str(number))


class PingTests(OnlineTestCase):
    def test_a_blocking_ping_returns_the_round_trip(self) -> None:
        """In seconds, which `latency` then tells as well."""
        task = self.connect()
        elapsed = task.send_ping(timeout=PATIENCE)
        assert elapsed is not None
        self.assertTrue(0 <= elapsed < PATIENCE)
        self.assertEqual(task.latency, elapsed)

    def test_its_payload(self) -> None:
        """Rules 139 and 146: as given, up to 125 bytes, else one of its own; more or a `str` raise."""
        task = self.connect()
        task.send_ping(payload=b"x" * 125)
        task.send_ping()
        task.send_ping()
        first, second, third = self.server.connections[0].pings
        self.assertEqual(first, b"x" * 125)
        self.assertNotEqual(second, third)
        for method in (lambda payload: task.send_ping(payload=payload), task.send_pong):
            with self.assertRaises(ValueError):
                method(b"x" * 126)
            for wrong in ("text", 5):
                with self.assertRaises(TypeError):
                    method(wrong)  # type: ignore[arg-type]

    def test_handlers_in_the_order_of_the_pings(self) -> None:
        """Rules 138 and 141: a pong answers its ping and all before it, each handler once."""
        task, peer = self.pair()
        told = Recorder()
        for number in range(3):
            task.send_ping(told.handler(f"ponged {number}"), payload=b"%d" % number)
        peer.pong(b"nobody asked")
        peer.pong(b"1")
        told.assert_next("ponged 0", None)
        told.assert_next("ponged 1", None)
        told.assert_exhausted()
        peer.pong(b"2")
        told.assert_next("ponged 2", None)

    def test_a_ping_without_an_answer(self) -> None:
        """TimeoutError after `timeout`, or after `ping_timeout`; the task goes on."""
        task, _ = self.pair(ping_timeout=0.01)
        for options in ({"timeout": 0.01}, {"timeout": 0}, {}):
            with self.assertRaises(TimeoutError):
                task.send_ping(**options)
        self.assertIsNone(task.error)
        self.assertIsNone(task.latency)

    def test_pending_pings_fail_with_the_task(self) -> None:
        """Rule 142: in order, with the error."""
        task, peer = self.pair()
        told = Recorder()
        for number in range(3):
            task.send_ping(told.handler(f"ponged {number}"))
        blocked = Running(task.send_ping)
        peer.drop()
        self.assertClosed(task)
        for number in range(3):
            told.assert_next(f"ponged {number}", task.error)
        self.assertIs(blocked.error(), task.error)

    def test_pongs_are_handled_without_a_receive(self) -> None:
        """Rules 137 and 143: pings are answered and pongs noticed though nobody receives and unread messages wait."""
        _, peer = self.pair()
        peer.send("unread")
        peer.ping(b"there?")
        with self.assertRaises(TimeoutError):
            peer.receive(0.05)
        while not peer.pongs:
            with self.assertRaises(TimeoutError):
                peer.receive(0.05)
        self.assertEqual(peer.pongs, [b"there?"])

    def test_an_unsolicited_pong(self) -> None:
        """Rule 140: `send_pong` sends one at once, and one that comes is ignored."""
        task = self.connect()
        task.send_pong(b"hello")
        task.send_ping(timeout=PATIENCE)
        self.assertEqual(self.server.connections[0].pongs, [b"hello"])

    def test_an_interrupted_ping(self) -> None:
        """The exception passes, the task goes on."""
        task = self.connect()
        with (
            unittest.mock.patch("wssync.engine.completions.Waiter.wait", side_effect=KeyboardInterrupt),
            self.assertRaises(KeyboardInterrupt),
        ):
            task.send_ping()
        task.send_ping(timeout=PATIENCE)


class FaultBehindMessagesTests(OnlineTestCase):
    def test_it_takes_effect_when_a_receive_reaches_it(self) -> None:
        """Until then sends go out and the messages before it are received; then ProtocolError, Close 1002."""
        task, peer = self.pair()
        peer.send_raw(texts(b"1", b"2") + BAD_FRAME)
        self.assertReceives(task, "1")
        task.send("still open")
        self.assertEqual(peer.receive(PATIENCE), "still open")
        self.assertIsNone(task.error)
        self.assertReceives(task, "2")
        task.send("and still")
        self.assertEqual(peer.receive(PATIENCE), "and still")
        failing = Running(task.receive)
        with self.assertRaises(wssync.ConnectionClosed) as seen:
            peer.receive(PATIENCE)
        self.assertEqual(seen.exception.code, 1002)
        error = failing.error()
        self.assertIsInstance(error, wssync.ProtocolError)
        self.assertClosed(task, 1002)
        self.assertIs(task.error, error)

    def test_a_non_blocking_receive_reaches_it_too(self) -> None:
        """timeout=0 raises the error once it has taken effect."""
        task, peer = self.pair()
        peer.send_raw(texts(b"1") + BAD_FRAME)
        self.assertReceives(task, "1")
        while True:
            try:
                task.receive(timeout=0)
            except TimeoutError:
                continue
            except wssync.ProtocolError:
                break
        self.assertClosed(task, 1002)

    def test_after_close_timeout_at_the_latest(self) -> None:
        """Nobody receives: it takes effect all the same, and the messages can still be received."""
        clock = self.use_fake_clock()
        task, peer = self.pair(close_timeout=10.0)
        peer.send_raw(texts(b"1") + BAD_FRAME)
        while task._connection.inbox.fault is None:
            task._connection.gone.wait(0.001)
        clock.advance(10)
        with self.assertRaises(wssync.ConnectionClosed) as seen:
            peer.receive(PATIENCE)
        self.assertEqual(seen.exception.code, 1002)
        self.assertClosed(task)
        self.assertReceives(task, "1")
        with self.assertRaises(wssync.ProtocolError):
            task.receive(timeout=PATIENCE)

    def test_in_the_middle_of_a_message_it_is_now(self) -> None:
        """A fault inside an unfinished message takes effect at once, though an unread message is there."""
        task, peer = self.pair()
        peer.send_raw(texts(b"1") + b"\x01\x01a" + BAD_FRAME)
        with self.assertRaises(wssync.ConnectionClosed) as seen:
            peer.receive(PATIENCE)
        self.assertEqual(seen.exception.code, 1002)
        self.assertReceives(task, "1")
