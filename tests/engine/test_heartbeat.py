"""Pings and pongs, and the silence that ends a connection."""

from __future__ import annotations

import unittest
from typing import List, Optional, Tuple
from unittest import mock

from wssync.engine.completions import Completion, Waiter
from wssync.engine.heartbeat import Heartbeat, Ping, Verdict
from wssync.executors import QueueExecutor
from wssync.strand import Strand

from .support import EPSILON


class HeartbeatTestCase(unittest.TestCase):
    def setUp(self) -> None:
        self.strand = Strand(QueueExecutor(), lambda error: None)
        self.heartbeat = Heartbeat(20.0, 10.0)

    def ping(self, payload: Optional[bytes] = None, sent_at: Optional[float] = 5.0) -> Tuple[Ping, Completion[float]]:
        completion: Completion[float] = Waiter()
        ping = self.heartbeat.ping(payload, completion)
        ping.sent_at = sent_at
        return ping, completion


class PongTests(HeartbeatTestCase):
    def test_every_ping_has_a_payload_of_its_own(self) -> None:
        """Rule 139: eight bytes that no other ping has, unless one is given."""
        payloads = [self.ping()[0].payload for _ in range(300)]
        self.assertEqual(len(set(payloads)), 300)
        self.assertEqual({len(payload) for payload in payloads}, {8})
        self.assertEqual(self.ping(b"mine")[0].payload, b"mine")

    def test_a_pong_answers_its_ping_with_the_round_trip(self) -> None:
        """The completion gets the seconds between sending and the pong, which are the latency then."""
        self.assertIsNone(self.heartbeat.latency)
        _ping, completion = self.ping(b"a", sent_at=5.0)
        self.heartbeat.pong(b"a", 5.25, self.strand)
        self.assertEqual((completion.done, completion.value, self.heartbeat.latency), (True, 0.25, 0.25))

    def test_who_is_answered_finds_the_latency(self) -> None:
        """It is there before the completion is."""
        self.ping(b"a", sent_at=5.0)
        found: List[Optional[float]] = []
        with mock.patch.object(Waiter, "resolve", lambda *_: found.append(self.heartbeat.latency)):
            self.heartbeat.pong(b"a", 5.25, self.strand)
        self.assertEqual(found, [0.25])

    def test_a_pong_answers_the_earlier_pings_too(self) -> None:
        """Rules 138, 139: the pong for a later ping completes all before it, in order, but none behind it."""
        completions = [self.ping(name, sent_at)[1] for name, sent_at in ((b"a", 1.0), (b"b", 2.0), (b"c", 3.0))]
        self.heartbeat.pong(b"b", 4.0, self.strand)
        self.assertEqual([completion.value for completion in completions], [3.0, 2.0, None])
        self.assertEqual(self.heartbeat.latency, 2.0)
        self.heartbeat.pong(b"c", 4.0, self.strand)
        self.assertEqual(completions[2].value, 1.0)

    def test_an_unsolicited_pong_is_ignored(self) -> None:
        """Rule 140: one that no ping asked for answers nothing, nor one for a ping that has not left yet."""
        self.heartbeat.pong(b"x", 1.0, self.strand)
        _, sent = self.ping(b"a")
        _, unsent = self.ping(b"b", sent_at=None)
        self.heartbeat.pong(b"x", 6.0, self.strand)
        self.heartbeat.pong(b"b", 6.0, self.strand)
        self.assertEqual((sent.done, unsent.done, self.heartbeat.latency), (False, False, None))

    def test_a_ping_without_a_completion_is_measured_too(self) -> None:
        """The pings that keep the connection alive tell the latency."""
        self.heartbeat.ping(b"own").sent_at = 7.0
        self.heartbeat.pong(b"own", 7.5, self.strand)
        self.assertEqual(self.heartbeat.latency, 0.5)

    def test_a_ping_that_never_left_counts_as_now(self) -> None:
        """An earlier one that is answered along though its time is unknown took no time."""
        _, earlier = self.ping(b"a", sent_at=None)
        self.ping(b"b", sent_at=5.0)
        self.heartbeat.pong(b"b", 6.0, self.strand)
        self.assertEqual(earlier.value, 0.0)

    def test_a_withdrawn_ping_is_not_answered(self) -> None:
        """Who gave up is not answered; the pong still tells the latency; a second withdrawal does nothing."""
        ping, completion = self.ping(b"a", sent_at=1.0)
        self.assertTrue(self.heartbeat.withdraw(ping))
        self.assertFalse(self.heartbeat.withdraw(ping))
        self.heartbeat.pong(b"a", 3.0, self.strand)
        self.assertEqual((completion.value, self.heartbeat.latency), (None, 2.0))
        self.assertFalse(self.heartbeat.withdraw(self.heartbeat.ping(None)))

    def test_at_the_end_the_unanswered_ones_are_left(self) -> None:
        """Rules 141, 142: in order, without those that are done, or that nobody asked for; and only once."""
        completions = [self.ping(name)[1] for name in (b"a", b"b", b"c")]
        self.heartbeat.ping(None)
        last = self.ping(b"d")[0]
        self.heartbeat.withdraw(last)
        self.heartbeat.pong(b"a", 6.0, self.strand)
        left: List[Completion[float]] = self.heartbeat.fail()
        self.assertEqual(left, completions[1:])
        self.assertEqual(self.heartbeat.fail(), [])


class SilenceTests(HeartbeatTestCase):
    def test_after_the_interval_it_asks(self) -> None:
        """Rule 145: nothing a moment before, a ping at the moment itself, and only one."""
        self.heartbeat.heard(100.0)
        self.assertEqual(self.heartbeat.due(), 120.0)
        self.assertIs(self.heartbeat.check(120.0 - EPSILON), Verdict.FINE)
        self.assertIs(self.heartbeat.check(120.0), Verdict.ASK)
        self.assertIs(self.heartbeat.check(120.0), Verdict.FINE)

    def test_after_the_timeout_it_is_dead(self) -> None:
        """Rule 145: counted from the ping, alive a moment before."""
        self.heartbeat.heard(100.0)
        self.heartbeat.check(121.0)
        self.assertEqual(self.heartbeat.due(), 131.0)
        self.assertIs(self.heartbeat.check(131.0 - EPSILON), Verdict.FINE)
        self.assertIs(self.heartbeat.check(131.0), Verdict.DEAD)

    def test_any_byte_is_life(self) -> None:
        """Whatever is heard after the ping begins another interval."""
        self.heartbeat.heard(100.0)
        self.heartbeat.check(120.0)
        self.heartbeat.heard(129.0)
        self.assertIs(self.heartbeat.check(131.0), Verdict.FINE)
        self.assertEqual(self.heartbeat.due(), 149.0)
        self.assertIs(self.heartbeat.check(149.0), Verdict.ASK)

    def test_without_an_interval_nothing_is_due(self) -> None:
        """`ping_interval=None` switches it off."""
        self.heartbeat = Heartbeat(None, 10.0)
        self.assertIsNone(self.heartbeat.due())
        self.assertIs(self.heartbeat.check(1e9), Verdict.FINE)

    def test_without_a_timeout_it_asks_once_and_goes_on(self) -> None:
        """`ping_timeout=None`: silence after the ping ends nothing."""
        self.heartbeat = Heartbeat(20.0, None)
        self.heartbeat.heard(0.0)
        self.assertIs(self.heartbeat.check(20.0), Verdict.ASK)
        self.assertIsNone(self.heartbeat.due())
        self.assertIs(self.heartbeat.check(1e9), Verdict.FINE)
