"""Tests of `wssync.cli.conversation`."""

from __future__ import annotations

import threading
from typing import Any, Callable, List, Optional, Union
from unittest import mock

import wssync
from wssync.cli import conversation as module
from wssync.cli.conversation import Conversation, Problem, Status
from wssync.executors import SerialExecutor
from wssync.testing import ServerConnection, WebSocketTestCase, drop, raw, script

Shown = List[Union[str, bytes]]


class Script(Conversation):
    """Sends what it was told to, and notes when it was woken."""

    def __init__(self, task: wssync.WebSocketTask, show: Callable[[Any], None], *lines: str, wait: float = 0.0) -> None:
        super().__init__(task, show, wait=wait)
        self.lines = lines
        self.until: Optional[threading.Event] = None
        self.woken = 0

    def converse(self) -> None:
        for line in self.lines:
            if not self.send(line):
                return
        if self.until is not None:
            self.until.wait(10)

    def wake(self) -> None:
        self.woken += 1


class ConversationCase(WebSocketTestCase):
    def setUp(self) -> None:
        self.shown: Shown = []
        self.executor = SerialExecutor()
        self.addCleanup(self.executor.shutdown)

    def connect(self, *arguments: Any, **options: Any) -> wssync.WebSocketTask:
        return super().connect(*arguments, executor=self.executor, **options)


class OrderTests(ConversationCase):
    def test_every_answer_is_shown_before_the_end(self) -> None:
        """All messages come, in order, though the input ends at once; the Close is 1000."""
        lines = [str(number) for number in range(500)]
        task = self.connect()
        talk = Script(task, self.shown.append, *lines)
        talk.run()
        self.assertEqual(self.shown, lines)
        self.assertEqual((task.close_code, task.error, talk.problem), (1000, None, None))
        self.assertEqual(self.server.connections[0].close_code, 1000)
        self.assertEqual(talk.woken, 1)

    def test_a_ping_goes_out_behind_the_messages(self) -> None:
        """Its pong says that everything before it has come; without messages there is nothing to ask."""
        Script(self.connect(), self.shown.append, "a").run()
        self.assertEqual(len(self.server.connections[0].pings), 1)
        Script(self.connect(), self.shown.append).run()
        self.assertEqual(len(self.server.connections[1].pings), 0)

    def test_an_answer_before_the_reply_to_our_close(self) -> None:
        """What the server says last of all is shown too."""
        # The client's Close is read as bytes, so that a message can go out before the reply to it.
        self.serve(
            script([lambda connection: connection.receive_raw(2 + 4 + 2), "late", raw(b"\x88\x02\x03\xe8"), drop])
        )
        Script(self.connect(), self.shown.append).run()
        self.assertEqual(self.shown, ["late"])

    def test_messages_of_a_server_that_closes_at_once(self) -> None:
        """They are shown though the connection has ended before anybody asked for them."""
        self.serve(script(["hello", b"\x00"]))
        task = self.connect()
        self.assertClosed(task)
        Script(task, self.shown.append).run()
        self.assertEqual(self.shown, ["hello", b"\x00"])


class WaitTests(ConversationCase):
    def test_listening(self) -> None:
        """With `wait` the connection stays until the server ends it, or the time is over."""
        go_on = threading.Event()
        self.serve(script([lambda connection: go_on.wait(10), "news"]))
        talk = Script(self.connect(), self.shown.append, wait=60)
        with mock.patch.object(module, "wait_for", side_effect=self.let_go(go_on)) as waits:
            talk.run()
        self.assertEqual(self.shown, ["news"])
        self.assertEqual(waits.call_args_list[0], mock.call(talk.over, 60))

    def let_go(self, event: threading.Event) -> Callable[..., bool]:
        def wait_for(other: threading.Event, seconds: Optional[float] = None) -> bool:
            event.set()
            return other.wait(10)

        return wait_for


class PingTests(ConversationCase):
    def setUp(self) -> None:
        super().setUp()
        patch = mock.patch.object(module, "STALL", 0.005)
        patch.start()
        self.addCleanup(patch.stop)

    def test_a_server_that_answers_no_ping(self) -> None:
        """When nothing moves the pong is not waited for any longer."""
        read = threading.Event()

        def handler(connection: ServerConnection) -> None:
            connection.receive()
            read.set()
            closing.wait(10)

        closing = threading.Event()
        self.serve(handler)
        task = self.connect()
        talk = Script(task, self.shown.append, "a")
        with mock.patch.object(task, "close", side_effect=self.closing(task, closing)):
            talk.run()
        self.assertTrue(read.is_set())
        self.assertEqual(task.close_code, 1000)

    def closing(self, task: wssync.WebSocketTask, begun: threading.Event) -> Callable[..., None]:
        close = task.close

        def closed(*arguments: Any, **options: Any) -> None:
            begun.set()
            close(*arguments, **options)

        return closed

    def test_a_slow_reader_is_waited_for(self) -> None:
        """As long as a message is being shown, nothing is closed."""
        begun, patience = threading.Event(), threading.Event()
        waits = []

        def wait_for(event: threading.Event, seconds: Optional[float] = None) -> bool:
            begun.wait(10)
            waits.append(task.state)
            if len(waits) == 5:
                patience.set()
            return event.wait(seconds)

        def show(message: str) -> None:
            begun.set()
            patience.wait(10)
            self.shown.append(message)

        task = self.connect()
        with mock.patch.object(module, "wait_for", wait_for):
            Script(task, show, "a").run()
        self.assertEqual(self.shown, ["a"])
        self.assertEqual(waits[:5], [wssync.TaskState.RUNNING] * 5)


class EndTests(ConversationCase):
    def test_an_output_that_fails(self) -> None:
        """The conversation is over, quickly, and nothing more is shown."""

        def show(message: str) -> None:
            self.shown.append(message)
            raise BrokenPipeError

        task = self.connect()
        talk = Script(task, show, "a", "b", "c", wait=60)
        talk.until = talk.over
        with mock.patch.object(task, "close", wraps=task.close) as close:
            talk.run()
        self.assertEqual(close.call_args_list[0], mock.call(timeout=module.HASTE))
        self.assertEqual(self.shown, ["a"])
        self.assertIsInstance(talk.output_error, BrokenPipeError)
        self.assertEqual((task.error, talk.woken), (None, 2))

    def test_a_send_after_the_end(self) -> None:
        """What could not be sent is a problem."""
        self.serve(script([]))
        task = self.connect()
        self.assertClosed(task)
        talk = Script(task, self.shown.append, "a")
        talk.run()
        expected = Problem(Status.FAILED, "the connection was closed before everything was sent")
        self.assertEqual(talk.problem, expected)

    def test_an_interrupt(self) -> None:
        """Ctrl-C closes with 1001 and is passed on."""
        task = self.connect()
        talk = Script(task, self.shown.append)
        with mock.patch.object(talk, "converse", side_effect=KeyboardInterrupt), self.assertRaises(KeyboardInterrupt):
            talk.run()
        self.assertEqual(self.server.connections[0].close_code, 1001)

    def test_the_forms_are_elsewhere(self) -> None:
        """The base class has no input."""
        talk = Conversation(self.connect(), self.shown.append)
        self.assertRaises(NotImplementedError, talk.converse)
        self.assertRaises(NotImplementedError, talk.wake)
