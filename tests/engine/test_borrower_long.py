"""A receive that reads by itself, in its compiled form: a long message, for the end of which it waits.

What does not depend on the length is in `test_borrower`, with the stand-ins that are used here.
"""

from __future__ import annotations

import errno
import re
import tracemalloc
import unittest
from pathlib import Path
from typing import Any, Callable, Iterator, List, Sequence

import wssync
from tests.interrupts import Interrupt
from tests.protocol.wire import BINARY, TEXT, frame, header
from tests.threads import Running
from wssync.protocol import unfinished

from .test_borrower import BorrowerCase, strike

CREDIT = 256 * 1024
"""Bytes up to which a message is not long."""

LONG = bytes(range(256)) * 2000
DATA = frame(BINARY, LONG)


class LongCase(BorrowerCase):
    def renew(self) -> None:
        """See `BorrowerCase.renew`."""
        super().renew()
        self.progress: List[int] = []

    def step_by(self, pieces: Sequence[bytes], *acts: Callable[[], object]) -> None:
        """Let the peer send a piece at once and one each time that somebody is about to wait; then act."""
        first, steps = pieces[0], iter([*((lambda piece=piece: self.say(piece)) for piece in pieces[1:]), *acts])
        self.lender._now = lambda: self.step(steps)
        self.say(first)

    def say(self, piece: bytes) -> None:
        """What the peer sends, no more than the system takes at once."""
        self.there.sendall(piece)

    def step(self, steps: Iterator[Callable[[], object]]) -> float:
        """The time, which is asked for just before it waits; of the last wait that is after the step."""
        self.progress.append(self.lender._connection.unfinished)
        next(steps, lambda: None)()
        return 7.0

    def pieces(self, data: bytes = DATA, size: int = 40_000) -> List[bytes]:
        """It in pieces, of which the first is as much as one read asks for."""
        return [data[:4096], *(data[start : start + size] for start in range(4096, len(data), size))]


class WholeTests(LongCase):
    def test_in_one_go(self) -> None:
        """It comes faster than it is read: counted, and followed by others, none of which is touched."""
        sending = Running(lambda: self.there.sendall(DATA + frame(TEXT, b"one")))
        self.assertEqual(self.receive(), LONG)
        self.assertEqual(self.lender.counts, (1, len(LONG), len(DATA), 1))
        self.assertFree()
        self.assertEqual(self.receive(), "one")
        sending.result()
        self.assertEqual(self.lender.told, [])

    def test_piece_by_piece(self) -> None:
        """Each is a sign of life, and counts as what has come of a message that is not complete."""
        pieces = self.pieces()
        self.step_by(pieces)
        self.assertEqual(self.receive(), LONG)
        self.assertEqual(self.lender._heartbeat.heard_at, 7.0)
        self.assertEqual(self.lender._connection.unfinished, 0)
        self.assertEqual(self.lender.counts, (1, len(LONG), len(DATA), 1))
        first = len(pieces[0]) - 10
        seen = [0, *range(first, len(LONG), 40_000), len(LONG) - (len(LONG) - first) % 40_000]
        self.assertEqual(sorted({*self.progress}), sorted({*seen[:-1]}))
        self.assertEqual(self.progress, sorted(self.progress))

    def test_sizes(self) -> None:
        """Whatever steps the memory grows in, all of it comes, in its order."""
        for size in (CREDIT - 1, CREDIT, CREDIT + 1, 4 * CREDIT + 5, 1 << 20, 3_000_001):
            self.renew()
            payload = (LONG * 6)[:size]
            sending = Running(lambda payload=payload: self.there.sendall(frame(BINARY, payload)))  # type: ignore[misc]
            got = self.receive()
            while got == "gone on":  # what is not long is not waited for
                box = self.take_left()
                got = box[10:] + self.take_exactly(size + 10 - len(box))
            sending.result()
            self.assertTrue(got == payload, size)

    def take_exactly(self, size: int) -> bytes:
        """The next bytes that come."""
        data = b""
        while len(data) < size:
            data += self.here.recv(size - len(data))
        return data

    def test_an_announcement_is_not_worth_much(self) -> None:
        """Rule 128: there is memory for what has come, several times, and not for what was announced."""
        for length in (1 << 30, 1 << 62):
            self.renew()
            self.step_by([header(BINARY, length) + bytes(4086), bytes(30_000)], self.there.close)
            tracemalloc.start()
            try:
                self.assertEqual(self.receive(), "gone on")
                self.assertLess(tracemalloc.get_traced_memory()[1], 400_000)
            finally:
                tracemalloc.stop()
            self.assertEqual(len(self.take_left()), 4096 + 30_000)
            self.setUp()

    def test_how_memory_grows(self) -> None:
        """As in Python: by the same numbers, and told before."""
        self.step_by(self.pieces())
        self.assertEqual(self.receive(), LONG)
        self.assertEqual(self.lender.expected, [len(LONG)])
        source = Path(wssync.__file__).with_name("_speedups.c").read_text(encoding="utf-8")
        numbers = (("CREDIT", unfinished._CREDIT), ("CREDIT_FACTOR", unfinished._CREDIT_FACTOR))
        for name, number in (*numbers, ("ROOM_FROM", unfinished.ROOM_FROM)):
            found = re.search(rf"^#define {name} (.*?)(?: /\*.*)?$", source, re.M)
            assert found is not None
            self.assertEqual(eval(found[1]), number, name)


class WayTests(LongCase):
    """Something comes in its way: Python goes on with what has come."""

    def left(self, error: Any = None) -> bytes:
        """Receive in vain; what came stands in the box, in one piece, and nothing counts as received."""
        self.assertEqual(self.receive(), "gone on")
        [(_, told, box)] = self.lender.told
        self.assertEqual((told and told.errno, self.lender.counts[:3], len(box)), (error, (0, 0, 0), 1))
        data: bytes = box[0]
        self.assertEqual(data, DATA[: len(data)])
        return data

    def test_somebody_comes_meanwhile(self) -> None:
        """Who queues up behind it is seen before it waits again, at the first wait or a later one, and at the end."""

        def come() -> None:
            self.lender._inbox.express = None

        for count in (1, 2, 9, len(self.pieces())):
            self.renew()
            pieces = self.pieces()[:count]
            self.step_by(pieces, come)
            self.assertEqual(len(self.left()), sum(map(len, pieces)))

    def test_the_end_meanwhile(self) -> None:
        """Of the end Python hears when it reads."""
        self.step_by(self.pieces()[:3], self.there.close)
        self.assertEqual(len(self.left()), 4096 + 80_000)
        self.assertEqual(self.here.recv(1), b"")

    def test_a_connection_that_breaks_meanwhile(self) -> None:
        """The error is Python's, behind what came before."""
        self.here.sendall(b"unread")
        self.step_by(self.pieces()[:3], self.there.close)
        self.assertEqual(len(self.left(errno.ECONNRESET)), 4096 + 80_000)

    def test_a_text(self) -> None:
        """Rule 127: a long text is looked at as it comes, so nobody waits for its end here."""
        self.there.sendall(frame(TEXT, LONG)[:5000])
        self.assertEqual(self.receive(), "gone on")
        self.assertEqual(len(self.take_left()), 4096)

    def test_behind_another(self) -> None:
        """Nobody waits while there is a message."""
        self.there.sendall(frame(BINARY, b"one") + DATA[:5000])
        self.assertEqual(self.receive(), "gone on")
        self.assertEqual(self.take_left()[:5], frame(BINARY, b"one"))

    def test_what_python_is_told(self) -> None:
        """That the limit is kept, which may be another by now; of what is not long nothing is said."""
        self.step_by(self.pieces()[:3], self.there.close)
        self.left()
        self.assertIs(self.lender._is_admitted, True)
        self.setUp()
        self.there.sendall(frame(BINARY, bytes(CREDIT))[:5000])
        self.assertEqual(self.receive(), "gone on")
        self.assertIs(self.lender._is_admitted, False)

    def test_without_a_clock(self) -> None:
        """Nothing can be put on record, so it is not waited here."""
        del self.lender._now
        self.there.sendall(DATA[:5000])
        self.left()

    def test_too_long(self) -> None:
        """Rule 128: a limit is for Python to see."""
        self.lender._connection.size_limit = len(LONG) - 1
        self.there.sendall(DATA[:5000])
        self.assertEqual(self.receive(), "gone on")
        self.assertEqual(len(self.take_left() + self.here.recv(5000)), 5000)
        self.renew()
        self.lender._connection.size_limit = len(LONG)
        self.step_by(self.pieces())
        self.assertEqual(self.receive(), LONG)


class InterruptTests(LongCase):
    def struck(self) -> bytes:
        """An interrupt goes through; what came stands in the box."""
        with self.assertRaises(Interrupt):
            self.receive()
        self.assertEqual(self.lender.told, [("struck", False)])
        self.assertFree(is_fresh=False)
        self.assertEqual(self.lender.counts[:3], (0, 0, 0))
        data = self.take_left()
        self.assertEqual(data, DATA[: len(data)])
        return data

    def test_between_two_waits(self) -> None:
        """Or before the first, or when all of it is there."""
        for count in (1, 2, 5, len(self.pieces())):
            self.renew()
            pieces = self.pieces()[:count]
            self.step_by(pieces, strike)
            self.assertEqual(len(self.struck()), sum(map(len, pieces)))

    def test_while_it_waits(self) -> None:
        """A signal's handler raises when nothing comes any more."""
        live: List[bool] = []

        def handler() -> None:
            if live:
                live.clear()
                raise Interrupt

        self.step_by(self.pieces()[:4], lambda: live.append(True))
        self.alarm(handler)
        self.assertEqual(len(self.struck()), 4096 + 120_000)

    def test_when_the_memory_grows(self) -> None:
        """The C library is told before, in Python."""
        self.lender.__dict__["_expect_blocks"] = strike
        sending = Running(lambda: self.there.sendall(DATA))
        came = self.struck()
        self.assertGreater(len(came), CREDIT - 32 * 1024)
        left = len(DATA) - len(came)
        while left:
            left -= len(self.here.recv(left))
        sending.result()

    def test_a_look_that_fails(self) -> None:
        """Whether it is alone is asked of a queue, whose length may be anything."""

        class Broken:
            def __len__(self) -> int:
                raise Interrupt

        def come() -> None:
            self.lender._inbox.express = Broken()

        self.step_by(self.pieces()[:2], come)
        self.assertEqual(len(self.struck()), 4096 + 40_000)


if __name__ == "__main__":
    unittest.main()
