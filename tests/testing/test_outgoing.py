"""Tests of `wssync.testing.outgoing`: which bytes come in which pieces."""

from __future__ import annotations

import math
import unittest
from typing import List
from unittest import mock

from wssync.testing import outgoing as module
from wssync.testing.outgoing import CutReached, Outgoing

from ..support import cases, with_cases


class OutgoingCase(unittest.TestCase):
    """A queue whose time stands still."""

    def setUp(self) -> None:
        self.now = 100.0
        clock = mock.patch.object(module, "time", mock.Mock(monotonic=lambda: self.now))
        clock.start()
        self.addCleanup(clock.stop)
        self.queue = Outgoing()

    def drain(self) -> List[bytes]:
        """All pieces that may go now, each sent as soon as it was taken."""
        pieces: List[bytes] = []
        while True:
            piece = bytes(self.queue.take())
            if not piece:
                return pieces
            pieces.append(piece)
            self.queue.sent()


class PieceTests(OutgoingCase):
    """How bytes are divided."""

    def test_by_itself_nothing_is_divided(self) -> None:
        """What was queued at once comes at once, no bytes do not come at all."""
        for data in (b"one", b"", b"two"):
            self.queue.append(data)
        self.assertTrue(self.queue)
        self.assertEqual(self.drain(), [b"one", b"two"])
        self.assertFalse(self.queue)

    def test_the_limit_divides_what_nobody_else_has(self) -> None:
        """Long data is taken in parts of the limit, but a piece that was asked for is whole."""
        self.queue.append(b"abcde")
        self.assertEqual([bytes(self.queue.take(2)) for _ in range(4)], [b"ab", b"cd", b"e", b""])
        self.queue.in_pieces(3, 0)
        self.queue.append(b"abcde")
        self.assertEqual([bytes(self.queue.take(2)) for _ in range(3)], [b"abc", b"de", b""])

    def test_pieces_have_a_size(self) -> None:
        """The last of each may be smaller; what was queued before is left as it is; `None` ends it."""
        self.queue.append(b"before")
        self.queue.in_pieces(3, 0)
        self.queue.append(b"1234567")
        self.queue.append(b"abc")
        self.queue.in_pieces(None, 0)
        self.queue.append(b"behind")
        self.assertEqual(self.drain(), [b"before", b"123", b"456", b"7", b"abc", b"behind"])

    def test_splits_are_counted_from_what_is_queued_next(self) -> None:
        """Over several writes, and from the moment of each call; what was there before does not count."""
        self.queue.append(b"before")
        self.queue.split_at([3, 1, 6, 100])
        self.queue.append(b"abcd")
        self.queue.split_at([1])
        self.queue.append(b"efgh")
        self.assertEqual(self.drain(), [b"before", b"a", b"bc", b"d", b"e", b"f", b"gh"])
        self.queue.append(bytes(200))
        self.assertEqual([len(piece) for piece in self.drain()], [92, 108])

    def test_a_split_between_two_writes_makes_no_empty_piece(self) -> None:
        """There is one already."""
        self.queue.split_at([2, 2, 4])
        for data in (b"ab", b"cd", b"ef"):
            self.queue.append(data)
        self.assertEqual(self.drain(), [b"ab", b"cd", b"ef"])

    def test_splits_and_pieces_together(self) -> None:
        """A split begins a new piece, which has the size again."""
        self.queue.in_pieces(3, 0)
        self.queue.split_at([4])
        self.queue.append(b"abcdefgh")
        self.assertEqual(self.drain(), [b"abc", b"d", b"efg", b"h"])

    def test_forgotten_bytes_do_not_come(self) -> None:
        """But those queued later do."""
        self.queue.append(b"gone")
        self.queue.clear()
        self.assertFalse(self.queue)
        self.queue.append(b"here")
        self.assertEqual(self.drain(), [b"here"])


class PauseTests(OutgoingCase):
    """When pieces may go."""

    def test_a_pause_lies_between_two_pieces(self) -> None:
        """Also between those of two writes; the first one goes at once."""
        self.queue.in_pieces(2, 0.5)
        self.queue.append(b"abc")
        self.queue.append(b"d")
        for expected in (b"ab", b"c", b"d"):
            self.assertEqual(self.queue.delay(), 0.0)
            self.assertEqual(self.drain(), [expected])
            self.assertEqual(self.queue.delay(), 0.5)
            self.now += 0.3
            self.assertAlmostEqual(self.queue.delay(), 0.2)
            self.assertEqual(self.drain(), [])
            self.now += 0.2

    def test_the_pause_begins_when_the_piece_is_sent(self) -> None:
        """Not when it was taken: the kernel may be slow. Being told twice changes nothing."""
        self.queue.in_pieces(1, 1.0)
        self.queue.append(b"ab")
        self.queue.take()
        self.now += 5
        self.queue.sent()
        self.assertEqual(self.queue.delay(), 1.0)
        self.now += 0.5
        self.queue.sent()
        self.assertEqual(self.queue.delay(), 0.5)

    def test_splits_pause_as_well(self) -> None:
        """They are pieces like the others."""
        self.queue.in_pieces(None, 0.5)
        self.queue.split_at([1])
        self.queue.append(b"abc")
        self.assertEqual(self.drain(), [b"a"])
        self.now += 0.5
        self.assertEqual(self.drain(), [b"bc"])


class CutTests(OutgoingCase):
    """Where the bytes end."""

    def assertCut(self, reset: bool = False) -> None:
        with self.assertRaises(CutReached) as caught:
            self.queue.take()
        self.assertIs(caught.exception.reset, reset)

    def test_nothing_passes_the_cut(self) -> None:
        """As many bytes as were said, in as many writes as it takes; then it is reached, again and again."""
        self.queue.append(b"before")
        self.queue.cut_after(5, False)
        for data in (b"abc", b"def", b"ghi"):
            self.queue.append(data)
        self.assertEqual([bytes(self.queue.take()) for _ in range(3)], [b"before", b"abc", b"de"])
        for _ in range(2):
            self.assertCut()
            self.queue.append(b"more")
        self.assertTrue(self.queue)

    def test_it_is_reached_behind_the_last_byte(self) -> None:
        """Exactly so many bytes reach it, one fewer does not."""
        self.queue.cut_after(3, True)
        self.queue.append(b"ab")
        self.assertEqual(self.drain(), [b"ab"])
        self.queue.append(b"c")
        self.assertEqual(bytes(self.queue.take()), b"c")
        self.assertCut(reset=True)

    def test_no_bytes_at_all(self) -> None:
        """It is reached at once, or when what is queued before it is sent."""
        self.queue.append(b"before")
        self.queue.cut_after(0, False)
        self.assertEqual(bytes(self.queue.take()), b"before")
        self.assertCut()

    def test_it_does_not_wait_for_a_pause(self) -> None:
        """The pause is between pieces, and no piece follows."""
        self.queue.in_pieces(2, 10.0)
        self.queue.cut_after(2, False)
        self.queue.append(b"abc")
        self.assertEqual(bytes(self.queue.take()), b"ab")
        self.queue.sent()
        self.assertCut()

    def test_of_two_cuts_the_nearer_one_counts(self) -> None:
        """Whichever was asked for first."""
        self.queue.cut_after(4, False)
        self.queue.cut_after(9, True)
        self.queue.append(b"ab")
        self.queue.cut_after(1, True)
        self.queue.append(b"cdef")
        self.assertEqual([bytes(self.queue.take()) for _ in range(2)], [b"ab", b"c"])
        self.assertCut(reset=True)

    def test_the_one_that_was_asked_for_first_of_two_at_the_same_place(self) -> None:
        """It stays what it was."""
        self.queue.cut_after(1, False)
        self.queue.cut_after(1, True)
        self.queue.append(b"a")
        self.queue.take()
        self.assertCut(reset=False)

    def test_pieces_up_to_the_cut(self) -> None:
        """The last one ends there."""
        self.queue.in_pieces(2, 0)
        self.queue.split_at([1, 50])
        self.queue.cut_after(4, False)
        self.queue.append(b"abcdef")
        self.assertEqual([bytes(self.queue.take()) for _ in range(3)], [b"a", b"bc", b"d"])
        self.assertCut()


@with_cases
class MistakeTests(OutgoingCase):
    """What cannot be done."""

    @cases(
        no_size=lambda queue: queue.in_pieces(0, 0.0),
        a_negative_size=lambda queue: queue.in_pieces(-1, 0.0),
        a_negative_pause=lambda queue: queue.in_pieces(1, -0.1),
        no_pause_at_all=lambda queue: queue.in_pieces(1, math.nan),
        a_split_at_the_beginning=lambda queue: queue.split_at([1, 0]),
        a_split_before_it=lambda queue: queue.split_at([-1]),
        a_cut_before_it=lambda queue: queue.cut_after(-1, False),
    )
    def test_is_refused(self, mistake: object) -> None:
        """ValueError, and everything goes on as before."""
        assert callable(mistake)
        with self.assertRaises(ValueError):
            mistake(self.queue)
        self.queue.append(b"whole")
        self.assertEqual(self.drain(), [b"whole"])


class WrongTypeTests(OutgoingCase):
    """What is no number."""

    def test_is_refused(self) -> None:
        """TypeError, and nothing was changed."""
        outgoing, wrong = Outgoing(), (1.5, True, "1")
        for number in wrong:
            calls = (
                lambda number=number: outgoing.in_pieces(number, 0.0),
                lambda number=number: outgoing.split_at([number]),
                lambda number=number: outgoing.cut_after(number, False),
            )
            for call in calls:
                self.assertRaisesRegex(TypeError, "of bytes is an int", call)
        for pause in ("x", True):
            with self.assertRaisesRegex(TypeError, "a pause is"):
                outgoing.in_pieces(1, pause)  # type: ignore[arg-type]
        self.assertEqual((outgoing._size, outgoing._pause, outgoing._splits, outgoing._cut), (None, 0.0, [], None))


if __name__ == "__main__":
    unittest.main()
