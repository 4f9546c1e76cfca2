"""A WebSocket task before it is open: what is asked for early, and openings that fail."""

from __future__ import annotations

import threading
from typing import Callable, Dict

import wssync
from tests.tasks import PATIENCE, OnlineTestCase, Running, texts
from wssync.protocol.urls import parse_url
from wssync.testing import Recorder, ServerConnection, inform, refuse, stop_reading


class QueueBeforeOpeningTests(OnlineTestCase):
    def test_sends_and_receives_made_early_run_in_order_after_the_opening(self) -> None:
        """Rules 37 and 38: handlers are queued before `resume`, pings too."""
        task, received, sent = self.session().websocket_task(self.server.url), Recorder(), Recorder()
        task.receive(received.handler("first"))
        task.receive(received.handler("second"))
        task.send("one", sent.handler("first"))
        task.send(b"two", sent.handler("second"))
        task.send_ping(sent.handler("ponged"))
        task.send_pong()
        task.resume()
        received.assert_next("first", "one")
        received.assert_next("second", b"two")
        for name in ("first", "second", "ponged"):
            sent.assert_next(name, None)

    def test_blocking_calls_wait_for_the_opening(self) -> None:
        """Rule 37: made while it opens, they go on when it is open."""
        asked, answer = threading.Event(), threading.Event()

        def opening(connection: ServerConnection) -> None:
            asked.set()
            answer.wait(PATIENCE)

        task = self.session().websocket_task(self.serve(opening=opening).url)
        task.resume()
        self.assertTrue(asked.wait(PATIENCE))
        ping = Running(task.send_ping)
        receive = Running(task.receive)
        send = Running(lambda: task.send("x", timeout=PATIENCE))
        with self.assertRaises(TimeoutError):
            task.wait_until_open(0.001)
        answer.set()
        send.result()
        self.assertEqual(receive.result(), "x")
        self.assertGreaterEqual(ping.result() or 0.0, 0.0)
        self.assertEqual(task.latency, ping.result())

    def test_blocking_calls_on_a_never_resumed_task_raise(self) -> None:
        """They would wait for ever, so they say so: RuntimeError."""
        task = self.session().websocket_task("ws://127.0.0.1:9/")
        calls: Dict[str, Callable[[], object]] = {
            "send": lambda: task.send("x"),
            "receive": task.receive,
            "send_ping": task.send_ping,
            "wait_until_open": task.wait_until_open,
            "wait_until_closed": task.wait_until_closed,
            "iteration": lambda: next(iter(task)),
            "receive now": lambda: task.receive(timeout=0),
        }
        for name, call in calls.items():
            with self.subTest(name), self.assertRaisesRegex(RuntimeError, "never resumed"):
                call()

    def test_closing_a_never_resumed_task_returns_at_once(self) -> None:
        """It is cancelled, and the end is there when `close` returns."""
        task = self.session().websocket_task("ws://127.0.0.1:9/")
        task.close()
        self.assertIs(task.state, wssync.TaskState.COMPLETED)
        self.assertEqual(task.close_code, wssync.CloseCode.INVALID)
        self.assertIsInstance(task.error, wssync.Cancelled)


class OpeningErrorTests(OnlineTestCase):
    def test_a_refused_upgrade(self) -> None:
        """HandshakeError with the response, the same object everywhere; `close_code` stays INVALID."""
        told = Recorder()
        self.serve(opening=refuse(403, body=b"no"))
        task = self.session(delegate=told).websocket_task(self.server.url)
        task.receive(told.handler("received"))
        task.resume()
        with self.assertRaises(wssync.HandshakeError) as caught:
            task.wait_until_open(PATIENCE)
        error = caught.exception
        self.assertIs(task.error, error)
        assert error.response is not None and task.response is not None
        self.assertEqual((error.response.status_code, error.response.body), (403, b"no"))  # type: ignore[attr-defined]
        self.assertEqual(task.response.status_code, 403)
        told.assert_next("did_create_task")
        told.assert_next("received", error)
        self.assertIs(told.assert_next("did_complete", error).task, task)
        told.assert_exhausted()
        with self.assertRaises(wssync.HandshakeError):
            task.send("x")
        self.assertClosed(task, wssync.CloseCode.INVALID, None)

    def test_nobody_listens(self) -> None:
        """Rule 185: ConnectionRefused (-1004), handlers first, then `did_complete`."""
        self.server.refuse_connections()
        told = Recorder()
        task = self.session(delegate=told).websocket_task(self.server.url)
        task.send("x", told.handler("sent"))
        task.resume()
        self.assertClosed(task)
        self.assertIsInstance(task.error, wssync.ConnectionRefused)
        told.assert_next("did_create_task")
        told.assert_next("sent", task.error)
        told.assert_next("did_complete", task.error)
        told.assert_exhausted()

    def test_an_informational_response_is_reported(self) -> None:
        """Rule 39: the delegate hears of each 1xx before `did_open`."""
        told = Recorder()
        self.serve(opening=inform(103, {"Link": "</a>"}))
        task = self.connect(delegate=told)
        told.assert_next("did_create_task")
        event = told.next()
        self.assertEqual((event.name, event.task), ("did_receive_informational_response", task))
        [response] = event.arguments
        self.assertEqual((response.status_code, response.headers["link"]), (103, "</a>"))
        told.assert_next("did_open", None)

    def test_frames_behind_the_response_are_messages(self) -> None:
        """Rules 47 and 48: a message in the packet of the 101 is received, and `did_open` comes before its handler."""

        def opening(connection: ServerConnection) -> None:
            connection._flush, flush = (lambda: None), connection._flush  # type: ignore[method-assign]
            connection.accept()
            connection._wire.queue(texts(b"early"))
            flush()

        told = Recorder()
        server = self.serve(stop_reading, opening=opening)
        task = self.session(delegate=told).websocket_task(server.url)
        task.receive(told.handler("received"))
        task.resume()
        told.assert_next("did_create_task")
        told.assert_next("did_open", None)
        told.assert_next("received", "early")


class NegotiationTests(OnlineTestCase):
    def test_what_was_negotiated(self) -> None:
        """Protocol, extensions and addresses are there once it is open, and stay afterwards."""
        self.serve(protocols=("chat",))
        task = self.connect(protocols=["soap", "chat"])
        self.assertEqual((task.protocol, task.extensions), ("chat", ("permessage-deflate",)))
        assert task.local_address is not None and task.remote_address is not None and task.response is not None
        self.assertEqual(task.remote_address, ("127.0.0.1", parse_url(self.server.url).port))
        self.assertEqual(task.local_address[0], "127.0.0.1")
        self.assertEqual(task.response.status_code, 101)
        task.close()
        self.assertEqual((task.protocol, task.remote_address[0]), ("chat", "127.0.0.1"))
