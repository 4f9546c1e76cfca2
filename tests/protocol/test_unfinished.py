"""A message that has begun: wssync/protocol/unfinished.py.

What becomes of the whole is in `test_messages`; here is where its bytes lie meanwhile.
"""

from __future__ import annotations

import unittest
from typing import Tuple

from tests.protocol.test_messages import SERVER, decoder
from tests.protocol.wire import BINARY, TEXT, header
from tests.support import cases, with_cases
from wssync.protocol.frames import Header
from wssync.protocol.messages import Decoded, Decoder, Fault
from wssync.protocol.unfinished import ROOM_FROM, UnfinishedMessage


@with_cases
class RoomTests(unittest.TestCase):
    """Bytes of a long frame that go straight to their place."""

    def begun(self, opcode: int, size: int = 200_000) -> Tuple[Decoder, Decoded]:
        victim = decoder(limit=None)
        return victim, victim.decode(victim.last, header(opcode, size) + b"a" * 1000, [])

    def put(self, victim: Decoder, last: Decoded, data: bytes) -> Decoded:
        room = victim.room(last)
        assert room is not None
        with room:
            count = min(len(room), len(data))
            room[:count] = data[:count]
        return victim.fill(last, count)

    def test_a_long_message(self) -> None:
        """It comes out as if it had been fed, text or not; there is room as long as much is left of it."""
        for opcode in (BINARY, TEXT):
            victim, last = self.begun(opcode)
            while victim.room(last) is not None:
                last = self.put(victim, last, b"b" * 60_000)
            self.assertEqual(last.events, [])
            assert last.message is not None
            last = victim.decode(last, b"b" * last.message.left, [])
            expected = b"a" * 1000 + b"b" * 199_000
            self.assertEqual(last.events, [expected if opcode == BINARY else expected.decode()])
            self.assertEqual(last.size, 200_000)

    def test_the_last_byte_in_the_room(self) -> None:
        """That completes the message."""
        victim, last = self.begun(BINARY, 34_000)
        last = self.put(victim, last, b"b" * 33_000)
        self.assertEqual(last.events, [b"a" * 1000 + b"b" * 33_000])
        self.assertTrue(last.is_between)

    def test_it_is_filled_before_there_is_more(self) -> None:
        """Up to what is not worth a read; then there is more, to the end of the message or a power of a fourth."""
        victim, last = self.begun(BINARY, 4_000_000)
        rooms = []
        for _ in range(5):
            room = victim.room(last)
            assert room is not None
            with room:
                rooms.append(len(room))
            last = self.put(victim, last, b"b" * 120_000)
        self.assertEqual(rooms[:3], [262_144, 142_144, 1_000_000 - 241_000])
        self.assertEqual(rooms[3:], [1_000_000 - 361_000, 1_000_000 - 481_000])

    @cases((str(size), size) for size in (100_000, 263_000, 1 << 20, 3_000_000, 20_000_000))
    def test_an_announcement_is_not_worth_much(self, size: int) -> None:
        """Rule 128: there is memory for four times as much as has come, or for 256 KiB, not for what was announced; it
        is enough for few steps, of which the last is a long one.
        """
        victim, last = self.begun(BINARY, size)
        ends, stored = [], 1000
        while size - stored >= ROOM_FROM:
            room = victim.room(last)
            assert room is not None
            with room:
                ends.append(stored + len(room))
                self.assertLessEqual(len(room), max(262_144, 4 * stored))
            last = self.put(victim, last, b"b" * (ends[-1] - stored))
            stored = ends[-1]
        self.assertLessEqual(len(ends), 6)
        self.assertLess(sum(ends[:-1]), size / 2 + 100_000)

    def test_no_text(self) -> None:
        """Rule 127: a fault at the byte that makes it, in the middle of the message."""
        victim, last = self.begun(TEXT)
        last = self.put(victim, last, b"b" * 100 + b"\xff")
        fault = last.events[0]
        assert isinstance(fault, Fault)
        self.assertEqual((fault.error.code, fault.in_message, last.over), (1007, True, True))

    def test_a_view_that_an_interrupt_left_behind(self) -> None:
        """It keeps the old memory; the message goes on in other memory."""
        victim, last = self.begun(BINARY, 2_000_000)
        held = victim.room(last)
        assert held is not None
        last = self.put(victim, last, b"b" * len(held))
        last = self.put(victim, last, b"c" * 60_000)
        last = victim.decode(last, b"d" * 2_000_000, [])
        whole = last.events[0]
        assert isinstance(whole, bytes)
        self.assertEqual(whole[:1000] + whole[1000 : 1000 + len(held)], b"a" * 1000 + b"b" * len(held))
        self.assertEqual(whole[1000 + len(held) :][:60_000], b"c" * 60_000)
        self.assertEqual(len(whole), 2_000_000)

    def test_where_there_is_none(self) -> None:
        """Between messages, for little, for what is masked or compressed."""
        for victim, data in (
            (decoder(), b""),
            (decoder(), header(BINARY, 30_000)),
            (decoder(SERVER), header(BINARY, 200_000, masked=True) + b"key."),
            (decoder(compressed=True), bytes([0xC2, 127]) + (200_000).to_bytes(8, "big")),
        ):
            self.assertIsNone(victim.room(victim.decode(victim.last, data, [])))

    def test_several_reads_before_it_is_told(self) -> None:
        """`room` is asked with what has arrived since `filled`: each gets the place behind the one before it, and the
        message is complete without another word.
        """
        size = 1_000_000
        one = Header(True, 0, BINARY, None, size, True, 10)
        message = UnfinishedMessage(one, None)
        message.begin_frame(one)
        message.store(message.take(b"a" * 1000, 0))
        arrived, expected = 0, b"a" * 1000
        while arrived < message.left:
            with message.room(arrived) as room:
                count = min(len(room), 90_000)
                room[:count] = bytes([arrived % 251]) * count
            expected += bytes([arrived % 251]) * count
            arrived += count
        self.assertEqual((message.stored, message.left), (1000, size - 1000))
        self.assertTrue(message.complete(b"") == expected)


if __name__ == "__main__":
    unittest.main()
