"""A WebSocket task before it is open: what is asked for early, and openings that fail."""

from __future__ import annotations

import socket
import threading
from typing import Callable, Dict

import wssync
from tests.tasks import PATIENCE, Box, OnlineTestCase, Recorder, Running, frame
from wssync.testing import ServerConnection


class QueueBeforeOpeningTests(OnlineTestCase):
    def test_sends_and_receives_made_early_run_in_order_after_the_opening(self) -> None:
        """Rules 37 and 38: handlers are queued before `resume`, pings too."""
        task = self.session().websocket_task(self.serve().url)
        boxes = [Box() for _ in range(4)]
        pong = Box()
        task.receive(boxes[0])
        task.receive(boxes[1])
        task.send("one", boxes[2])
        task.send(b"two", boxes[3])
        task.send_ping(pong)
        task.send_pong()
        task.resume()
        self.assertEqual([box.one().get() for box in boxes[:2]], ["one", b"two"])
        self.assertEqual([box.one() for box in (*boxes[2:], pong)], [None, None, None])

    def test_blocking_calls_wait_for_the_opening(self) -> None:
        """Rule 37: made while it opens, they go on when it is open."""
        asked, answer = threading.Event(), threading.Event()

        def opening(connection: ServerConnection) -> None:
            asked.set()
            answer.wait(PATIENCE)
            connection.accept()

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
        self.assertEnded(task, close_code=wssync.CloseCode.INVALID)
        self.assertIsInstance(task.error, wssync.Cancelled)


class OpeningErrorTests(OnlineTestCase):
    def test_a_refused_upgrade(self) -> None:
        """HandshakeError with the response, the same object everywhere; `close_code` stays INVALID."""
        delegate, box = Recorder(), Box()
        server = self.serve(opening=lambda connection: connection.respond(403, body=b"no"))
        task = self.session(delegate=delegate).websocket_task(server.url)
        task.receive(box)
        task.resume()
        with self.assertRaises(wssync.HandshakeError) as caught:
            task.wait_until_open(PATIENCE)
        error = caught.exception
        self.assertIs(task.error, error)
        assert error.response is not None and task.response is not None
        self.assertEqual((error.response.status_code, error.response.body), (403, b"no"))  # type: ignore[attr-defined]
        self.assertEqual(task.response.status_code, 403)
        self.assertIs(box.one().error, error)
        self.assertEqual(delegate.wait_for("did_complete"), [(task, error)])
        self.assertEqual(delegate.names, ["did_complete"])
        with self.assertRaises(wssync.HandshakeError):
            task.send("x")
        self.assertEnded(task, close_code=wssync.CloseCode.INVALID, close_reason=None)

    def test_nobody_listens(self) -> None:
        """Rule 185: ConnectionRefused (-1004), handlers first, then `did_complete`."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            delegate = Recorder()
            task = self.session(delegate=delegate).websocket_task(f"ws://127.0.0.1:{listener.getsockname()[1]}/")
            task.send("x", lambda error: delegate._note("handler", error))
            task.resume()
            delegate.wait_for("did_complete")
        self.assertIsInstance(task.error, wssync.ConnectionRefused)
        self.assertEqual(delegate.calls, [("handler", task.error), ("did_complete", task, task.error)])

    def test_an_informational_response_is_reported(self) -> None:
        """Rule 39: the delegate hears of each 1xx before `did_open`."""

        def opening(connection: ServerConnection) -> None:
            connection.respond(103, headers={"Link": "</a>"})
            connection.accept()

        delegate = Recorder()
        task = self.connect(self.serve(opening=opening), delegate=delegate)
        [(told, response)] = delegate.wait_for("did_receive_informational_response")
        delegate.wait_for("did_open")
        self.assertEqual((told, response.status_code, response.headers["link"]), (task, 103, "</a>"))
        self.assertEqual(delegate.names[0], "did_receive_informational_response")

    def test_frames_behind_the_response_are_messages(self) -> None:
        """Rules 47 and 48: a message in the packet of the 101 is received, and `did_open` comes before its handler."""

        def opening(connection: ServerConnection) -> None:
            connection._flush, flush = (lambda: None), connection._flush  # type: ignore[method-assign]
            connection.accept()
            connection._wire.queue(frame(b"early"))
            flush()

        delegate = Recorder()
        server = self.hold(opening=opening)
        task = self.session(delegate=delegate).websocket_task(server.url)
        task.receive(lambda result: delegate._note("message", result.get()))
        task.resume()
        delegate.wait_for("message")
        self.assertEqual(delegate.calls, [("did_open", task, None), ("message", "early")])


class NegotiationTests(OnlineTestCase):
    def test_what_was_negotiated(self) -> None:
        """Protocol, extensions and addresses are there once it is open, and stay afterwards."""
        server = self.serve(protocols=("chat",))
        task = self.connect(server, ["soap", "chat"])
        self.assertEqual((task.protocol, task.extensions), ("chat", ("permessage-deflate",)))
        assert task.local_address is not None and task.remote_address is not None and task.response is not None
        self.assertEqual(task.remote_address, ("127.0.0.1", int(server.url.split(":")[-1][:-1])))
        self.assertEqual(task.local_address[0], "127.0.0.1")
        self.assertEqual(task.response.status_code, 101)
        task.close()
        self.assertEqual((task.protocol, task.remote_address[0]), ("chat", "127.0.0.1"))
