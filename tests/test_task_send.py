"""Sending: what a message may be, in which order messages leave, and what a sender is told."""

from __future__ import annotations

import array
import inspect
import sys
import threading
import unittest
import unittest.mock
from typing import Any, Callable, List, Union, cast
from unittest.mock import ANY

import wssync
from tests.support import cases, with_cases
from tests.tasks import (
    PATIENCE,
    OnlineTestCase,
    Running,
    as_written,
    needs_shortening,
    needs_trustme,
    times_begun,
)
from wssync.testing import Recorder, ServerConnection, expect, script, stop_reading

PEER_BUFFERS = 32 * 2**20
"""Bytes that the kernels of both ends take at the very most before a peer that never reads stalls a sender."""


@with_cases
class MessageTests(OnlineTestCase):
    @cases(
        text=("h\u00e9llo", "h\u00e9llo"),
        empty_text=("", ""),
        binary=(b"\x00\xff", b"\x00\xff"),
        empty_binary=(b"", b""),
        a_bytearray=(bytearray(b"abc"), b"abc"),
        a_memoryview=(memoryview(b"abc")[1:], b"bc"),
        another_buffer=(array.array("B", [1, 2, 3]), b"\x01\x02\x03"),
        long_text=("x" * 200_000, "x" * 200_000),
    )
    def test_what_can_be_sent(self, message: object, expected: Union[str, bytes]) -> None:
        """Rule 114: text as `str`, everything that is bytes as binary, also nothing at all."""
        task = self.connect()
        task.send(message)  # type: ignore[call-overload]
        self.assertReceives(task, expected)

    @cases(a_number=5, nothing=None, a_list=[b"x"], a_dict={})
    def test_what_cannot(self, message: object) -> None:
        """TypeError at once, nothing is sent, no handler is taken."""
        task, told = self.connect(), Recorder()
        calls: List[Callable[[], object]] = [
            lambda: task.send(message),  # type: ignore[call-overload]
            lambda: task.send(message, told.handler("sent")),  # type: ignore[call-overload]
        ]
        for call in calls:
            with self.assertRaises(TypeError):
                call()
        task.send("only this")
        self.assertReceives(task, "only this")
        told.assert_exhausted()

    def test_lone_surrogates_are_refused(self) -> None:
        """Rule 113: ValueError before anything is queued."""
        task = self.connect()
        with self.assertRaises(ValueError):
            task.send("a\ud800b")
        task.send("only this")
        self.assertReceives(task, "only this")

    def test_buffers_may_be_changed_afterwards(self) -> None:
        """A queued message is a copy."""
        task = self.session().websocket_task(self.server.url)
        one, two = bytearray(b"first"), bytearray(b"second")
        task.send(one, lambda error: None)
        task.send(memoryview(two), lambda error: None)
        one[:], two[:] = b"xxxxx", b"yyyyyy"
        task.resume()
        self.assertReceives(task, b"first")
        self.assertReceives(task, b"second")

    def test_maximum_message_size_does_not_limit_sending(self) -> None:
        """Rule 115: it is about what is received."""
        self.serve(expect(b"x" * 100_000))
        task = self.connect(maximum_message_size=1)
        task.send(b"x" * 100_000)
        self.assertClosed(task, 1000)

    @cases(handler_is_no_function=("x", 5, None), timeout_with_a_handler=("x", print, 1))
    def test_wrong_arguments(self, message: str, handler: object, timeout: object) -> None:
        """TypeError at once."""
        task, _ = self.pair()
        with self.assertRaises(TypeError):
            task.send(message, handler, timeout=timeout)  # type: ignore[call-overload]

    @cases(text=("1", TypeError), a_bool=(True, TypeError), negative=(-1, ValueError), nan=(float("nan"), ValueError))
    def test_wrong_timeouts(self, timeout: object, error: type) -> None:
        """TypeError for what is no number, ValueError for less than nothing, at every call that takes one."""
        task, _ = self.pair()
        for call in (lambda t: task.send("x", timeout=t), lambda t: task.receive(timeout=t)):
            with self.assertRaises(error):
                call(timeout)
        for method in (task.send_ping, task.close):
            with self.assertRaises(error):
                method(timeout=timeout)  # type: ignore[arg-type]
        for wait in (task.wait_until_open, task.wait_until_closed):
            with self.assertRaises(error):
                wait(timeout)  # type: ignore[arg-type]
        self.assertIs(task.state, wssync.TaskState.RUNNING)


class OrderTests(OnlineTestCase):
    def test_messages_leave_in_the_order_of_the_calls(self) -> None:
        """Rules 108, 109 and 110: long and short, blocking and not; handlers run in that order, once each."""
        messages = [f"{number} " + "x" * (number % 7) ** 6 for number in range(60)]
        self.serve(script(map(expect, messages)))
        task, told = self.connect(), Recorder()
        for number, message in enumerate(messages):
            if number % 5:
                task.send(message, told.handler(f"sent {number}"))
            else:
                task.send(message)
        for number in range(60):
            if number % 5:
                told.assert_next(f"sent {number}", None)
        self.assertClosed(task, 1000)
        told.assert_exhausted()

    def test_many_senders(self) -> None:
        """Rule 108: from several threads, each thread's in its own order, none torn."""
        messages: List[Union[str, bytes]] = []

        def listen(connection: ServerConnection) -> None:
            while True:
                messages.append(connection.receive())

        self.serve(listen)
        task = self.connect()

        def send(name: str) -> None:
            for number in range(40):  # each may cost a switch between threads, which a busy machine makes long
                task.send(f"{name} {number} " + name * (number * 125))

        senders = [Running(lambda name=name: send(name)) for name in "abcd"]  # type: ignore[misc]
        for sender in senders:
            sender.result()
        task.close()
        self.assertEqual(len(messages), 160)
        for name in "abcd":
            own = [message for message in messages if message[0] == name]
            self.assertEqual(own, [f"{name} {number} " + name * (number * 125) for number in range(40)])

    def test_a_send_inside_a_handler(self) -> None:
        """Rules 121 and 187: any call is allowed there, the blocking ones too."""
        task, told = self.connect(), Recorder()

        def answer(result: wssync.Result) -> None:
            task.send("from the handler")
            told.handler("answered")(task.receive(timeout=PATIENCE))

        task.receive(answer)
        task.send("first")
        told.assert_next("answered", "from the handler")


class DeafPeerTests(OnlineTestCase):
    """A peer that never reads."""

    def _fill(self, task: wssync.WebSocketTask) -> None:
        """Send more than the kernels take."""
        task.send(bytes(PEER_BUFFERS), lambda error: None)

    def test_a_handler_send_returns_at_once(self) -> None:
        """Rules 118 and 120: what is not taken is counted, and the other direction goes on."""
        task, peer = self.pair(write_limit=2**30)
        self._fill(task)
        peer.send("still here")
        self.assertReceives(task, "still here")
        task.send(b"more", lambda error: None)
        self.assertGreater(task.buffered_amount, 4)

    def test_no_other_task_suffers(self) -> None:
        """Another task of the same session goes on, both ways."""
        deaf, echo = self.serve(stop_reading, compression=None), self.serve()
        session = self.session(write_limit=2**30)
        tasks = [session.websocket_task(server.url) for server in (deaf, echo)]
        for task in tasks:
            task.resume()
            task.wait_until_open(PATIENCE)
        self._fill(tasks[0])
        blocked = Running(lambda: tasks[0].send(bytes(2**20)))
        tasks[1].send("x")
        self.assertReceives(tasks[1], "x")
        tasks[0].cancel()
        self.assertIsInstance(blocked.error(), wssync.Cancelled)

    def test_a_message_that_has_not_begun_is_withdrawn(self) -> None:
        """After its timeout TimeoutError, which says so, and the message is never sent."""
        task, peer = self.pair(write_limit=2**30)
        self._fill(task)
        with self.assertRaisesRegex(TimeoutError, "withdrawn"):
            task.send("never", timeout=0.01)
        task.send("last", lambda error: None)
        self.assertEqual(len(peer.receive(PATIENCE)), PEER_BUFFERS)
        self.assertEqual(peer.receive(PATIENCE), "last")

    def test_what_is_withdrawn_is_not_buffered(self) -> None:
        """Rule 120: `buffered_amount` is as before."""
        task, _ = self.pair()
        task.suspend()
        task.send("queued", lambda error: None)
        with self.assertRaisesRegex(TimeoutError, "withdrawn"):
            task.send("never", timeout=0.01)
        self.assertEqual(task.buffered_amount, 6)

    def test_one_that_has_begun_still_goes_out_whole(self) -> None:
        """TimeoutError says so, and the peer gets all of it."""
        task, peer = self.pair()
        with self.assertRaisesRegex(TimeoutError, "still goes out"):
            task.send(b"x" * PEER_BUFFERS, timeout=0.2)
        message = peer.receive(PATIENCE)
        self.assertEqual(len(message), PEER_BUFFERS)
        task.send("next")
        self.assertEqual(peer.receive(PATIENCE), "next")

    def test_a_timeout_of_nothing(self) -> None:
        """timeout=0: sent if the kernel takes it at once, else withdrawn."""
        task, peer = self.pair(write_limit=2**30)
        task.send("now", timeout=0)
        self._fill(task)
        with self.assertRaises(TimeoutError):
            task.send("never", timeout=0)
        self.assertEqual(peer.receive(PATIENCE), "now")

    def test_write_limit(self) -> None:
        """Rules 117 and 120: below it any size is taken; above it a handler gets SendQueueFull and the task goes on."""
        task, told = self.session(write_limit=10).websocket_task(self.server.url), Recorder()
        for name, message in (("below", b"x" * 9), ("across", b"x" * 5000), ("above", b"y"), ("above too", b"z")):
            task.send(message, told.handler(name))
        for name in ("above", "above too"):
            event = told.assert_next(name, ANY)
            self.assertIsInstance(event.arguments[0], wssync.SendQueueFull)
        self.assertEqual(task.buffered_amount, 5009)
        task.resume()
        told.assert_next("below", None)
        told.assert_next("across", None)
        self.assertIsNone(task.error)
        task.send("blocking sends wait instead")
        for expected in (b"x" * 9, b"x" * 5000, "blocking sends wait instead"):
            self.assertReceives(task, expected)
        self.assertEqual(task.buffered_amount, 0)

    def test_an_interrupt_withdraws(self) -> None:
        """An exception in the waiting thread leaves nothing behind."""
        task, _ = self.pair()
        task.suspend()
        with (
            unittest.mock.patch("wssync.engine.completions.Waiter.wait", side_effect=KeyboardInterrupt),
            self.assertRaises(KeyboardInterrupt),
        ):
            task.send("never")
        self.assertEqual(task.buffered_amount, 0)


class FloodTests(OnlineTestCase):
    def flood(self, size: int, *, tls: bool) -> None:
        """Both ends send `size` bytes before they read the first one, and both get all of it."""
        block = bytes(range(256)) * 1024
        count = size // len(block)

        def pour(connection: ServerConnection) -> None:
            for _ in range(count):
                connection.send(block)

        def serve(connection: ServerConnection) -> None:
            pouring = Running(lambda: pour(connection))
            for _ in range(count):
                if connection.receive() != block:
                    raise AssertionError("a message is not what was sent")
            pouring.result()
            connection.send("all here")
            connection.receive()

        self.serve(serve, tls=tls, compression=None)
        task = self.connect()
        sender = Running(lambda: [task.send(block) for _ in range(count)])
        for _ in range(count):
            self.assertReceives(task, block)
        sender.result()
        self.assertReceives(task, "all here")
        task.close()

    def test_both_send_at_once(self) -> None:
        """Rule 118: two well-behaved peers do not block each other, over ws."""
        self.flood(8 * 2**20, tls=False)

    @needs_trustme
    def test_both_send_at_once_over_tls(self) -> None:
        """Rule 118: nor over wss."""
        self.flood(8 * 2**20, tls=True)


@with_cases
class ShortenedTests(OnlineTestCase):
    """Where there is an accelerator, the function may be gone past; nobody can tell but by a profile."""

    @needs_shortening
    def test_the_plainest_calls_go_past_it(self) -> None:
        """Text or bytes, and nothing else, on an open connection; all else is begun in Python."""

        class Text(str):
            pass

        task = self.connect(ping_interval=None)
        handler = Recorder().handler("sent")
        for expected, call in (
            (0, lambda: task.send("text")),
            (0, lambda: task.send(b"bytes")),
            (0, lambda: wssync.WebSocketTask.send(task, "text")),
            (1, lambda: task.send(Text("text"))),
            (1, lambda: task.send(bytearray(b"bytes"))),
            (1, lambda: task.send(message="text")),
            (1, lambda: task.send("text", timeout=PATIENCE)),
            (1, lambda: task.send("text", handler)),
            (1, lambda: task.send("x" * 70_000)),
        ):
            self.assertEqual(times_begun(wssync.WebSocketTask.send, call), expected)
        sys.setprofile(lambda *event: None)
        try:
            begun = times_begun(wssync.WebSocketTask.send, lambda: task.send("seen by who traces"))
        finally:
            sys.setprofile(None)
        self.assertEqual(begun, 1)
        task.close()
        late = times_begun(
            wssync.WebSocketTask.send, lambda: self.assertRaises(wssync.ConnectionClosed, task.send, "late")
        )
        self.assertEqual(late, 1)

    @cases(
        text="h\u00e9llo",
        binary=b"\x00\xff",
        surrogates="a\ud800b",
        number=5,
        long="x" * 70_000,
    )
    def test_like_the_function(self, message: Any) -> None:
        """What it sends and what it raises are the same, whether it is gone past or not."""
        task, other = self.connect(), self.connect()
        outcomes = []
        for call in (lambda: task.send(message), lambda: as_written(wssync.WebSocketTask.send)(other, message)):
            try:
                outcomes.append(call())
            except Exception as error:
                outcomes.append((type(error), str(error)))
        self.assertEqual(outcomes[0], outcomes[1])
        for one in (task, other):
            one.send("after it")
            if outcomes[0] is None:
                self.assertReceives(one, message)
            self.assertReceives(one, "after it")

    def test_before_and_after(self) -> None:
        """Never resumed, on its way, ended: the function says what is to be said."""
        task = self.session().websocket_task(self.server.url)
        with self.assertRaisesRegex(RuntimeError, "never resumed"):
            task.send("x")
        task.resume()
        task.send("x")
        self.assertReceives(task, "x")
        task.cancel()
        with self.assertRaises(wssync.Cancelled):
            while True:
                task.send("x")

    def test_one_that_has_begun_blocks_until_it_has_left(self) -> None:
        """Rule 109: the kernel took a part; the caller waits for the rest, and an end meanwhile is raised."""
        self.serve(stop_reading, compression=None)
        task = self.connect(compression=None)
        connection: Any = task._connection
        wait, waits = connection.wait_until_sent, threading.Event()

        def wait_until_sent(message: object, timeout: object) -> None:
            self.assertIsNone(timeout)
            waits.set()
            wait(message, timeout)

        block = b"x" * 60_000
        with unittest.mock.patch.object(connection, "wait_until_sent", wait_until_sent):
            sending = Running(lambda: [task.send(block) for _ in range(PEER_BUFFERS // len(block) + 10)])
            self.assertTrue(waits.wait(PATIENCE))
            self.assertGreater(task.buffered_amount, 0)
            task.cancel()
            with self.assertRaises(wssync.Cancelled):
                sending.result()

    def test_it_stays_a_function(self) -> None:
        """For `inspect`, for subclasses, and for mocks that are made after it."""
        self.assertTrue(inspect.isfunction(wssync.WebSocketTask.send))
        self.assertEqual([*inspect.signature(wssync.WebSocketTask.send).parameters][:2], ["self", "message"])
        double = unittest.mock.create_autospec(wssync.WebSocketTask, instance=True)
        double.send("x")
        with self.assertRaises(TypeError):
            double.send()
        with self.assertRaises(AttributeError):
            wssync.WebSocketTask.send(cast("Any", object()), "x")

    def test_a_subclass_and_a_patch(self) -> None:
        """Whoever replaces the method is the one who is called."""
        task = self.connect()
        with unittest.mock.patch.object(wssync.WebSocketTask, "send", return_value="patched"):
            self.assertEqual(task.send("x"), "patched")
        task.send("not patched")
        self.assertReceives(task, "not patched")


class SendAfterTheEndTests(OnlineTestCase):
    def test_a_send_after_close_has_begun_fails_at_once(self) -> None:
        """Rule 116: ConnectionClosed, raised or given to the handler, while the closing handshake goes on."""
        task, peer = self.pair()
        task.cancel(4000, "enough")
        told = Recorder()
        task.send("late", told.handler("sent"))
        [error] = told.assert_next("sent", ANY).arguments
        self.assertIsInstance(error, wssync.ConnectionClosed)
        self.assertEqual(
            (error.sent_close, error.url_error_code, error.url), ((4000, "enough"), -1005, task._plan.request.url)
        )
        with self.assertRaises(wssync.ConnectionClosed):
            task.send("late")
        with self.assertRaises(wssync.ConnectionClosed):
            task.send_pong()
        with self.assertRaises(wssync.ConnectionClosed):
            task.send_ping()
        task.send_ping(told.handler("ponged"))
        self.assertIsInstance(told.assert_next("ponged", ANY).arguments[0], wssync.ConnectionClosed)
        with self.assertRaises(wssync.ConnectionClosed) as caught:
            peer.receive(PATIENCE)
        self.assertEqual(caught.exception.code, 4000)

    def test_a_send_after_the_end_fails_with_its_error(self) -> None:
        """Rules 144 and 174: the very error that ended the task, for each kind of call."""
        task, peer = self.pair()
        peer.drop()
        self.assertClosed(task)
        told = Recorder()
        task.send("x", told.handler("sent"))
        task.send_ping(told.handler("ponged"))
        task.receive(told.handler("received"))
        calls = (lambda: task.send("x"), task.send_ping, task.send_pong, task.receive)
        for call in calls:
            with self.assertRaises(wssync.ConnectionClosed) as caught:
                call()
            self.assertIs(caught.exception, task.error)
        for name in ("sent", "ponged", "received"):
            told.assert_next(name, task.error)

    def test_between_a_cancel_and_the_end(self) -> None:
        """A send that comes too late to be sent fails in its turn, behind those that were queued before."""
        release = threading.Event()
        self.addCleanup(release.set)
        task, _ = self.pair(write_limit=2**30)
        task.suspend()
        told = Recorder()

        def handler(name: str) -> Callable[[object], None]:
            return lambda error: told.handler(name)(error, task.close_code)

        task.send("queued", handler("queued"))
        connection = task._connection
        with connection.outbox.role.lock:  # nobody can finish the connection meanwhile
            task.cancel()
            late = threading.Thread(target=lambda: task.send("late", handler("late")))
            late.start()
            late.join(PATIENCE)
            with self.assertRaises(TimeoutError):
                Running(lambda: task.send("later", timeout=0.01)).result()
            task.send_ping(handler("ping"))
            told.assert_exhausted()
        self.assertClosed(task)
        for name in ("queued", "late", "ping"):
            told.assert_next(name, task.error, wssync.CloseCode.ABNORMAL_CLOSURE)
