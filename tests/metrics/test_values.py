"""Metrics as values."""

from __future__ import annotations

import datetime
import pickle
import unittest

from wssync.metrics.values import Interval, ResourceFetchType, TaskMetrics, TaskTransactionMetrics
from wssync.protocol.headers import Headers
from wssync.protocol.http1 import Request, Response

START = datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)
INTERVAL = Interval(START, START + datetime.timedelta(seconds=2.5))


class ValueTests(unittest.TestCase):
    def setUp(self) -> None:
        transaction = TaskTransactionMetrics(
            request=Request("ws://u:secret@example.test/"),
            response=Response("ws://example.test/", 101, "", Headers()),
            fetch_start_date=START,
        )
        self.metrics = TaskMetrics(INTERVAL, 1, (transaction,), sent_close=(1000, None))

    def test_they_are_frozen(self) -> None:
        """Nobody changes them."""
        with self.assertRaises(AttributeError):
            self.metrics.redirect_count = 2  # type: ignore[misc]
        self.assertEqual(hash(self.metrics), hash(pickle.loads(pickle.dumps(self.metrics))))

    def test_pickling(self) -> None:
        """They go to another process as they are."""
        self.assertEqual(pickle.loads(pickle.dumps(self.metrics)), self.metrics)

    def test_the_representation(self) -> None:
        """Section 1.6: it shows no secrets."""
        self.assertNotIn("secret", repr(self.metrics))
        self.assertIn("sent_close=(1000, None)", repr(self.metrics))

    def test_an_interval(self) -> None:
        """Its duration is in seconds."""
        self.assertEqual(INTERVAL.duration, 2.5)

    def test_compression_ratios(self) -> None:
        """Bytes of payload for each on the wire, `None` without any."""
        self.assertIsNone(self.metrics.compression_ratio_sent)
        self.assertIsNone(self.metrics.compression_ratio_received)
        counted = TaskMetrics(
            INTERVAL,
            0,
            (),
            count_of_payload_bytes_sent=300,
            count_of_wire_bytes_sent=100,
            count_of_payload_bytes_received=1,
            count_of_wire_bytes_received=4,
        )
        self.assertEqual((counted.compression_ratio_sent, counted.compression_ratio_received), (3.0, 0.25))

    def test_where_it_came_from(self) -> None:
        """Section 1.6: a WebSocket is always loaded from the network, and never reused by another task."""
        self.assertIs(TaskTransactionMetrics().resource_fetch_type, ResourceFetchType.NETWORK_LOAD)
        self.assertEqual([kind.value for kind in ResourceFetchType], [0, 1, 2, 3])
