"""What the C library is shown before long messages: wssync/protocol/memory.py."""

from __future__ import annotations

import tracemalloc
import unittest
from typing import List
from unittest import mock

from tests.protocol.wire import BINARY, header
from wssync.protocol import memory
from wssync.protocol.frames import Role
from wssync.protocol.memory import MOST, expect_blocks
from wssync.protocol.messages import Decoder
from wssync.protocol.unfinished import ROOM_FROM

KIB = 1024


class BlockTests(unittest.TestCase):
    def setUp(self) -> None:
        patch = mock.patch.object(memory, "_shown", 0)
        patch.start()
        self.addCleanup(patch.stop)

    def shown(self, *sizes: int) -> List[int]:
        """The block that is made, and gone when the call returns, for each of these sizes."""
        blocks = []
        tracemalloc.start()
        try:
            for size in sizes:
                tracemalloc.reset_peak()
                before = tracemalloc.get_traced_memory()[0]
                expect_blocks(size)
                now, peak = tracemalloc.get_traced_memory()
                self.assertLess(now - before, KIB)
                blocks.append((peak - before) // KIB)
        finally:
            tracemalloc.stop()
        return blocks

    def test_once_for_each_size(self) -> None:
        """Four times what is asked for, and no more until that is twice as long; it is given back at once."""
        self.assertEqual(self.shown(*(size * KIB for size in (64, 64, 10, 128, 129, 200))), [256, 0, 0, 0, 516, 0])

    def test_how_much_at_most(self) -> None:
        """However long a message is said to be, the block is no longer than `MOST`, and made once."""
        self.assertEqual(self.shown(1 << 62, 1 << 63), [MOST // KIB, 0])
        self.assertEqual(self.shown(MOST), [0])

    def test_no_memory(self) -> None:
        """Where not even that can be had, nothing happens: the message may do with less."""
        with mock.patch.object(memory, "bytes", side_effect=MemoryError, create=True) as made:
            expect_blocks(64 * KIB)
        made.assert_called_once_with(256 * KIB)


class UseTests(unittest.TestCase):
    def test_which_messages(self) -> None:
        """A message whose bytes are collected says so once they are many, and then how many its buffer has."""
        with mock.patch("wssync.protocol.unfinished.expect_blocks") as expect:
            decoder = Decoder(Role.CLIENT, maximum_message_size=None)
            decoder.feed(header(BINARY, ROOM_FROM - 1) + bytes(100))
            decoder.feed(bytes(ROOM_FROM - 101))
            expect.assert_not_called()
            decoder.feed(header(BINARY, 300_000) + bytes(100))
            decoder.feed(bytes(299_900))
        self.assertEqual(expect.call_args.args, (300_000,))
