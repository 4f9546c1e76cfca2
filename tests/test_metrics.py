"""Metrics, trace and progress of real tasks: when they come, and that what they tell is what happened."""

from __future__ import annotations

import datetime
import unittest
from typing import Any, List, Optional, Tuple
from unittest import mock

import wssync
from tests.tasks import OnlineTestCase, needs_trustme
from wssync.executors import QueueExecutor
from wssync.metrics.values import TaskMetrics
from wssync.testing import Server


class Delegate(wssync.WebSocketDelegate):
    """Keeps what it is called with, in order."""

    def __init__(self) -> None:
        self.calls: List[Tuple[Any, ...]] = []

    def did_open(self, session: Any, task: Any, protocol: Optional[str]) -> None:
        self.calls.append(("did_open",))

    def did_close(self, session: Any, task: Any, close_code: int, reason: Optional[str]) -> None:
        self.calls.append(("did_close",))

    def did_finish_collecting_metrics(self, session: Any, task: Any, metrics: TaskMetrics) -> None:
        self.calls.append(("did_finish_collecting_metrics", metrics))

    def did_complete(self, session: Any, task: Any, error: Optional[wssync.WebSocketError]) -> None:
        self.calls.append(("did_complete",))

    @property
    def names(self) -> List[str]:
        return [call[0] for call in self.calls]

    @property
    def metrics(self) -> TaskMetrics:
        (metrics,) = [call[1] for call in self.calls if len(call) > 1]
        assert isinstance(metrics, TaskMetrics)
        return metrics


def drain(executor: QueueExecutor) -> None:
    """Run everything that the tasks have left there; their threads are gone."""
    while executor.run_pending():
        pass


class MetricsTests(OnlineTestCase):
    def run_task(self, *, url: Optional[str] = None, compression: Any = None, **settings: Any) -> Delegate:
        """Echo some messages, and close."""
        delegate, executor = Delegate(), QueueExecutor()
        configuration = wssync.SessionConfiguration.ephemeral().replace(compression=compression, **settings)
        task = self.session(configuration, delegate=delegate, executor=executor).websocket_task(url or self.server.url)
        task.resume()
        with task:
            for message in ("short", "x" * 126, "y" * 100_000):
                task.send(message)
                self.assertEqual(task.receive(timeout=20), message)
            task.send_ping(timeout=20)
            task.close(reason="bye")
        drain(executor)
        return delegate

    def test_the_order(self) -> None:
        """Rules 182, 184: metrics come once, behind `did_close` and before `did_complete`, and handlers before."""
        executor = QueueExecutor()
        delegate = Delegate()
        session = self.session(delegate=delegate, executor=executor)
        task = session.websocket_task(self.server.url)
        task.resume()
        task.wait_until_open(20)
        task.receive(lambda result: delegate.calls.append(("handler",)))
        task.close()
        drain(executor)
        self.assertEqual(
            delegate.names, ["did_open", "handler", "did_close", "did_finish_collecting_metrics", "did_complete"]
        )

    def test_a_failed_opening(self) -> None:
        """Rule 185: pending handlers fail, then metrics, then the end with its error."""
        executor = QueueExecutor()
        delegate = Delegate()
        task = self.session(delegate=delegate, executor=executor).websocket_task("ws://127.0.0.1:1/")
        task.receive(lambda result: delegate.calls.append(("handler",)))
        task.resume()
        task.wait_until_closed(20)
        task.close()  # which waits for its thread
        drain(executor)
        self.assertEqual(delegate.names, ["handler", "did_finish_collecting_metrics", "did_complete"])
        self.assertEqual(delegate.metrics.count_of_messages_sent, 0)

    def test_a_task_that_was_never_resumed(self) -> None:
        """Rule 186: one that was cancelled has its metrics too, without a transaction, once."""
        executor = QueueExecutor()
        delegate = Delegate()
        task = self.session(delegate=delegate, executor=executor).websocket_task(self.server.url)
        task.cancel()
        task.cancel()
        drain(executor)
        self.assertEqual(delegate.names, ["did_finish_collecting_metrics", "did_complete"])
        self.assertEqual(delegate.metrics.transaction_metrics, ())

    def test_they_are_made_where_they_are_given(self) -> None:
        """Rule 187: no lock is held, no thread of the connection makes a date, and any call is allowed."""
        executor = QueueExecutor()
        delegate = Delegate()
        task = self.session(delegate=delegate, executor=executor).websocket_task(self.server.url)
        with mock.patch("wssync.metrics.collector.Collector.metrics", side_effect=task.close) as made:
            task.cancel()
            made.assert_not_called()
            drain(executor)
            made.assert_called_once_with()

    def test_the_interval(self) -> None:
        """Section 1.6: from the creation of the task to its completion, in aware dates."""
        before = datetime.datetime.now(datetime.timezone.utc)
        executor = QueueExecutor()
        delegate = Delegate()
        with wssync.testing.FakeClock() as clock:
            task = self.session(delegate=delegate, executor=executor).websocket_task(self.server.url)
            clock.advance(100)
            task.resume()
            task.wait_until_open()
            clock.advance(5)
            task.cancel()
            task.close()  # which waits for its thread
        drain(executor)
        self.assertAlmostEqual(delegate.metrics.task_interval.duration, 105, delta=0.001)
        ended = (delegate.metrics.task_interval.end - before).total_seconds()
        self.assertTrue(4.9 < ended < 30, ended)

    def check_counts(self, metrics: TaskMetrics) -> None:
        payload = 5 + 126 + 100_000
        self.assertEqual((metrics.count_of_messages_sent, metrics.count_of_messages_received), (3, 3))
        self.assertEqual((metrics.count_of_frames_sent, metrics.count_of_frames_received), (5, 5))
        self.assertEqual(metrics.count_of_payload_bytes_sent, payload)
        self.assertEqual(metrics.count_of_payload_bytes_received, payload)
        assert metrics.latency is not None
        self.assertGreater(metrics.latency, 0)
        self.assertEqual((metrics.sent_close, metrics.received_close), ((1000, "bye"), (1000, None)))

    def check_wire(self, metrics: TaskMetrics) -> None:
        """Three messages, a ping of 8 bytes and its pong, and a Close each way (RFC 6455 section 5.2)."""
        wire = (2 + 5) + (4 + 126) + (10 + 100_000) + (2 + 8) + (2 + 2)
        self.assertEqual(metrics.count_of_wire_bytes_received, wire)
        self.assertEqual(metrics.count_of_wire_bytes_sent, wire + len("bye") + 5 * 4)

    def test_counts(self) -> None:
        """Section 1.6: what went over the open connection, frame by frame."""
        metrics = self.run_task().metrics
        self.check_counts(metrics)
        self.check_wire(metrics)

    def test_counts_of_a_traced_connection(self) -> None:
        """They are the same when each frame is looked at."""
        heard: List[str] = []
        with mock.patch("wssync.session_task.make_tracer", _with_hook(lambda event, task, fields: heard.append(event))):
            metrics = self.run_task().metrics
        self.check_counts(metrics)
        self.check_wire(metrics)
        self.assertEqual((heard.count("frame_sent"), heard.count("frame_received")), (5, 5))
        self.assertEqual(heard[-1], "end")

    def test_counts_with_compression(self) -> None:
        """Section 1.6: payload against wire is the compression."""
        metrics = self.run_task(compression="deflate").metrics
        self.check_counts(metrics)
        for ratio in (metrics.compression_ratio_sent, metrics.compression_ratio_received):
            assert ratio is not None
            self.assertGreater(ratio, 50)

    @needs_trustme
    def test_counts_with_tls(self) -> None:
        """Section 1.6: the wire is that of WebSocket, before TLS encrypts it."""
        with Server(tls=True) as server:
            metrics = self.run_task(url=server.url, ssl_context=server.client_ssl_context).metrics
        self.check_counts(metrics)
        self.check_wire(metrics)

    def test_nobody_asked_for_them(self) -> None:
        """Nothing is collected for a delegate without that method."""
        task = self.connect()
        self.assertIsNone(task._connection.tracer.collector)


def _with_hook(hook: Any) -> Any:
    """`make_tracer` as it is called for a configuration with a hook."""
    from wssync.engine.tracing import make_tracer

    def make(task: object, clock: Any, **settings: Any) -> Any:
        return make_tracer(task, clock, **{**settings, "hook": hook})

    return make


class ProgressTests(OnlineTestCase):
    def test_of_a_long_message(self) -> None:
        """It moves while the message comes, and the message counts once."""
        task, peer = self.pair()
        peer.send_raw(b"\x82\x7f" + (200_000).to_bytes(8, "big") + bytes(100_000))
        self.assertRaises(TimeoutError, task.receive, timeout=0.2)
        self.assertEqual(task.progress.completed_unit_count, 100_000)
        self.assertEqual(task.count_of_bytes_received, 0)
        peer.send_raw(bytes(100_000))
        task.receive(timeout=20)
        self.assertEqual((task.progress.completed_unit_count, task.count_of_bytes_received), (200_000, 200_000))


if __name__ == "__main__":
    unittest.main()
