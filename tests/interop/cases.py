"""What is expected of any peer, as mixtures for test cases: echo, compression, subprotocols, fragments, closing."""

from __future__ import annotations

import random
import unittest
from contextlib import ExitStack
from typing import Any, Optional, Sequence, Union

import wssync
from tests.interop.peers import Address, Start

__all__ = [
    "ClosingByUsTests",
    "ClosingByPeerTests",
    "CompressionTests",
    "EchoTests",
    "FragmentTests",
    "PeerTestCase",
    "PingTests",
    "SubprotocolTests",
]

SIZES = (0, 1, 125, 126, 65_535, 65_536, 5 * 1024 * 1024)
"""Bytes: on both sides of each form of a frame's length (RFC 6455 section 5.2), and one that fills every buffer."""

LIMIT = 60.0
"""Seconds for a step; the longest, 5 MiB through a compressing proxy and back, takes one or two."""


def text_of(size: int) -> str:
    """A text that is `size` bytes of UTF-8, with characters that cross the borders of buffers."""
    return "\N{LATIN SMALL LETTER E WITH ACUTE}" * (size // 2) + "x" * (size % 2)


def binary_of(size: int) -> bytes:
    """`size` bytes that are always the same and do not compress."""
    return random.Random(size).randbytes(size)


class PeerTestCase(unittest.TestCase):
    """Starts the peer of the class once, and opens tasks to it. The mixtures below bring the tests."""

    start: Start
    secure = False
    address: Address

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        stack = ExitStack()
        cls.addClassCleanup(stack.close)
        cls.address = cls.start(stack, cls.secure)

    def connect(
        self, protocols: Sequence[str] = (), *, compression: Optional[str] = "deflate", headers: Any = None
    ) -> wssync.WebSocketTask:
        """An open task, closed with the test."""
        changes = {} if self.address.context is None else {"ssl_context": self.address.context}
        configuration = wssync.SessionConfiguration.ephemeral().replace(
            maximum_message_size=None, compression=compression, **changes
        )
        task = wssync.connect(self.address.url, protocols, configuration=configuration, headers=headers, timeout=LIMIT)
        self.addCleanup(task.close, timeout=LIMIT)
        return task

    def assertEchoes(self, task: wssync.WebSocketTask, message: Union[str, bytes]) -> None:
        """Send the message, and receive the same."""
        task.send(message, timeout=LIMIT)
        answer = task.receive(timeout=LIMIT)
        self.assertIs(type(answer), type(message))
        self.assertEqual(len(answer), len(message))
        self.assertTrue(answer == message, "the echo differs")  # assertEqual would compare megabytes line by line


class EchoTests(PeerTestCase):
    """For peers that echo text and binary of any size."""

    def test_text_of_every_size_comes_back(self) -> None:
        """Text from nothing to 5 MiB, with each form of frame length, both ways."""
        task = self.connect()
        for size in SIZES:
            with self.subTest(size=size):
                self.assertEchoes(task, text_of(size))

    def test_binary_of_every_size_comes_back(self) -> None:
        """Binary messages likewise, of bytes that do not compress."""
        task = self.connect()
        for size in SIZES:
            with self.subTest(size=size):
                self.assertEchoes(task, binary_of(size))

    def test_without_compression(self) -> None:
        """A client that offers no extension gets none, and all sizes come back."""
        task = self.connect(compression=None)
        self.assertEqual(task.extensions, ())
        for size in SIZES:
            with self.subTest(size=size):
                self.assertEchoes(task, text_of(size))
                self.assertEchoes(task, binary_of(size))

    def test_a_burst_keeps_its_order(self) -> None:
        """Many small messages in a row come back in the same order."""
        task = self.connect()
        for number in range(500):
            task.send(str(number), timeout=LIMIT)
        self.assertEqual([task.receive(timeout=LIMIT) for _ in range(500)], [str(number) for number in range(500)])


class CompressionTests(PeerTestCase):
    """For peers that agree to permessage-deflate (RFC 7692)."""

    def test_compression_is_agreed(self) -> None:
        """The default offer is accepted, and the second message, which may refer to the first, comes back too."""
        task = self.connect()
        self.assertTrue([name for name in task.extensions if name.startswith("permessage-deflate")], task.extensions)
        for _ in range(2):
            self.assertEchoes(task, "the same words over and over " * 1000)


class SubprotocolTests(PeerTestCase):
    """For peers that speak "chat"."""

    def test_the_peer_chooses(self) -> None:
        """Of two subprotocols the peer takes the one it knows."""
        self.assertEqual(self.connect(["superchat", "chat"]).protocol, "chat")

    def test_none_is_offered(self) -> None:
        """Who offers none gets none."""
        self.assertIsNone(self.connect().protocol)


class PingTests(PeerTestCase):
    """For every peer."""

    def test_a_ping_is_answered(self) -> None:
        """A ping, also one of 125 bytes, comes back as a pong, and the round trip takes no negative time."""
        task = self.connect()
        for payload in (None, b"p" * 125):
            elapsed = task.send_ping(payload=payload, timeout=LIMIT)
            assert elapsed is not None
            self.assertGreaterEqual(elapsed, 0.0)


class ClosingByUsTests(PeerTestCase):
    """For every peer; `answer` is the code it answers our 4000 with (RFC 6455 section 5.5.1 wants an echo)."""

    answer = 4000

    def test_our_close_is_answered(self) -> None:
        """The closing handshake is done: no error, and the code that the peer answered."""
        task = self.connect()
        task.send("before the end")
        task.close(4000, "done", timeout=LIMIT)
        self.assertIsNone(task.error)
        self.assertEqual(task.close_code, self.answer)

    def test_after_our_close_nothing_is_received(self) -> None:
        """Whoever receives then hears of a clean end."""
        task = self.connect()
        task.close(timeout=LIMIT)
        with self.assertRaises(wssync.ConnectionClosed) as caught:
            task.receive(timeout=LIMIT)
        self.assertTrue(caught.exception.clean)


class ClosingByPeerTests(PeerTestCase):
    """For peers that close when asked to."""

    def test_the_peers_close_is_told(self) -> None:
        """Its code and reason arrive with the end, behind the last message."""
        task = self.connect()
        task.send("last words")
        task.send("close me")
        self.assertEqual(task.receive(timeout=LIMIT), "last words")
        with self.assertRaises(wssync.ConnectionClosed) as caught:
            task.receive(timeout=LIMIT)
        self.assertEqual((caught.exception.code, caught.exception.reason), (4001, "bye"))
        self.assertTrue(caught.exception.clean)
        task.close(timeout=LIMIT)
        self.assertEqual((task.close_code, task.close_reason), (4001, "bye"))


class FragmentTests(PeerTestCase):
    """For peers whose library can send a message in fragments."""

    def test_fragments_are_one_message(self) -> None:
        """Three fragments arrive as one message, compressed or not."""
        for compression in ("deflate", None):
            with self.subTest(compression=compression):
                task = self.connect(compression=compression)
                task.send("fragment me")
                self.assertEqual(task.receive(timeout=LIMIT), "one two three")
