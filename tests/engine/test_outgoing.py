"""What is to be sent: its order, what may be taken back, and when the short way past it is open."""

from __future__ import annotations

import unittest
from typing import Any, Callable, List, Union
from unittest import mock

from tests.support import cases, with_cases
from wssync.engine.completions import Waiter
from wssync.engine.heartbeat import Ping
from wssync.engine.outgoing import MOST_PONGS, Message, Outgoing
from wssync.protocol.closing import ClosingHandshake
from wssync.protocol.frames import Opcode

BARRIERS: dict[str, Callable[[Outgoing], object]] = {
    "a message": lambda outgoing: outgoing.append(message(b"a")),
    "a ping": lambda outgoing: outgoing.ping(Ping(b"a", None)),
    "a pong": lambda outgoing: outgoing.pong(b"a"),
    "a close": lambda outgoing: outgoing.close(1000, None, urgent=False),
    "an urgent close": lambda outgoing: outgoing.close(1002, None, urgent=True),
    "a suspended task": lambda outgoing: setattr(outgoing, "held", True),
    "an end that is near": lambda outgoing: outgoing.bar(),
}
"""What stands in the short way."""


def message(payload: bytes) -> Message:
    return Message(Opcode.BINARY, payload, Waiter())


@with_cases
class OutgoingTests(unittest.TestCase):
    def setUp(self) -> None:
        self.closing = ClosingHandshake()
        self.time = 7.0
        self.outgoing = Outgoing(lambda: self.time, self.closing)

    def take_all(self) -> List[Union[bytes, str]]:
        """The payloads of messages, and of control frames with their names."""
        units: List[Union[bytes, str]] = []
        while True:
            unit = self.outgoing.take()
            if unit is None:
                return units
            units.append(unit.payload if isinstance(unit, Message) else f"{unit[0].name} {unit[1].decode('latin-1')}")

    def test_the_order(self) -> None:
        """Rules 108, 119 and 147: pongs, pings, messages as they were asked for, and a graceful Close behind them."""
        self.outgoing.close(None, None, urgent=False)
        self.outgoing.append(message(b"1"))
        self.outgoing.append(message(b"2"))
        ping = Ping(b"ping", None)
        self.outgoing.ping(ping)
        self.outgoing.pong(b"pong")
        self.assertTrue(self.outgoing.has_next)
        self.assertIsNone(ping.sent_at)
        self.assertEqual(self.take_all(), ["PONG pong", "PING ping", b"1", b"2", "CLOSE "])
        self.assertEqual(ping.sent_at, 7.0)
        self.assertFalse(self.outgoing.has_next)

    def test_an_urgent_close(self) -> None:
        """Rule 161 and RFC 6455 section 5.5.1: before all others, and behind a Close nothing is taken."""
        self.outgoing.append(message(b"1"))
        self.outgoing.pong(b"pong")
        self.outgoing.close(1002, None, urgent=True)
        self.assertEqual(self.take_all(), ["CLOSE \x03\xea"])
        self.outgoing.close(1000, None, urgent=True)
        self.assertFalse(self.outgoing.has_next)
        self.assertEqual(self.closing.sent, (1002, None))

    def test_the_first_close_stands(self) -> None:
        """Rule 157: unless a later one is urgent."""
        self.outgoing.close(1000, "first", urgent=False)
        self.outgoing.close(1001, "second", urgent=False)
        self.assertEqual(self.take_all(), ["CLOSE \x03\xe8first"])

    def test_only_the_newest_pongs(self) -> None:
        """Rule 137."""
        for number in range(MOST_PONGS + 3):
            self.outgoing.pong(b"%d" % number)
        self.assertEqual(self.take_all(), [f"PONG {number}" for number in range(3, MOST_PONGS + 3)])

    def test_while_held_nothing_is_taken(self) -> None:
        """`suspend()`: it all stays as it is."""
        self.outgoing.append(message(b"1"))
        self.outgoing.held = True
        self.assertTrue(self.outgoing.held and self.outgoing.has_next)
        self.assertEqual(self.take_all(), [])
        self.outgoing.held = False
        self.assertEqual(self.take_all(), [b"1"])

    def test_what_is_counted(self) -> None:
        """Rule 120: the bytes of messages, until somebody has seen them leave, or nobody will."""
        one, other = message(b"12345"), message(b"123")
        self.outgoing.append(one)
        self.outgoing.append(other)
        self.outgoing.ping(Ping(b"ping", None))
        self.assertEqual(self.outgoing.queued, 8)
        self.assertTrue(self.outgoing.withdraw(one))
        self.assertEqual(self.outgoing.queued, 3)
        self.take_all()
        self.assertEqual(self.outgoing.queued, 3)
        self.outgoing.give_up()
        self.assertEqual(self.outgoing.queued, 0)

    def test_what_may_be_withdrawn(self) -> None:
        """What has not begun and has no outcome: queued in time or too late."""
        queued, late, begun, answered = message(b"q"), message(b"l"), message(b"b"), message(b"a")
        self.outgoing.append(queued)
        self.outgoing.append_too_late(late)
        begun.begun = answered.completion.done = True
        outcomes = [self.outgoing.withdraw(each) for each in (queued, late, begun, answered)]
        self.assertEqual(outcomes, [True, True, False, False])
        self.assertTrue(queued.completion.done and late.completion.done)
        self.assertFalse(self.outgoing.withdraw(queued))
        self.assertEqual(self.outgoing.give_up(), [])

    def test_what_has_begun(self) -> None:
        """A message that was taken cannot be taken back."""
        one = message(b"1")
        self.outgoing.append(one)
        self.take_all()
        self.assertTrue(one.begun)
        self.assertFalse(self.outgoing.withdraw(one))

    def test_what_is_given_up(self) -> None:
        """Rule 175: the messages, those that came too late as the last; a Close stays."""
        late, one, two = message(b"l"), message(b"1"), message(b"2")
        self.outgoing.append_too_late(late)
        self.outgoing.append(one)
        self.outgoing.append(two)
        self.outgoing.ping(Ping(b"ping", None))
        self.outgoing.pong(b"pong")
        self.outgoing.close(None, None, urgent=False)
        self.assertEqual(self.outgoing.give_up(), [one, two, late])
        self.assertEqual(self.take_all(), ["CLOSE "])

    @cases(BARRIERS)
    def test_it_closes_the_short_way(self, stand_in_the_way: Callable[[Outgoing], object]) -> None:
        """Rules 108, 116, 119 and 175: nobody passes what is queued, or what has changed."""
        way: Any = mock.Mock()
        self.outgoing.express = way
        stand_in_the_way(self.outgoing)
        self.assertIsNone(self.outgoing.express)

    def test_what_bars_the_short_way_for_good(self) -> None:
        """A hold as long as it lasts, a Close and the near end for ever; what is queued leaves one day."""
        self.outgoing.append(message(b"1"))
        self.assertFalse(self.outgoing.is_barred)
        self.outgoing.held = True
        self.assertTrue(self.outgoing.is_barred)
        self.outgoing.held = False
        self.assertFalse(self.outgoing.is_barred)
        self.outgoing.close(1000, None, urgent=False)
        self.assertTrue(self.outgoing.is_barred)
        self.take_all()
        self.assertTrue(self.outgoing.is_barred)
        other = Outgoing(lambda: 0.0, self.closing)
        other.bar()
        self.assertTrue(other.is_barred)

    def test_what_does_not_close_it(self) -> None:
        """The end of a hold, a message that is never sent, a Close behind a Close, and taking what is there."""
        self.outgoing.close(1000, None, urgent=False)
        self.take_all()
        way: Any = mock.Mock()
        self.outgoing.express = way
        self.outgoing.held = False
        self.outgoing.append_too_late(message(b"1"))
        self.outgoing.close(1001, None, urgent=True)
        self.take_all()
        self.assertIs(self.outgoing.express, way)


if __name__ == "__main__":
    unittest.main()
