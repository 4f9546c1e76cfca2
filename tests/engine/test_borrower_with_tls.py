"""A receive that reads by itself, in its compiled form, with TLS before the socket: what it takes, and what it leaves.

What does not depend on TLS is in `test_borrower`. The stream is a stand-in, as all of the connection is there.
"""

from __future__ import annotations

import errno
import gc
import random
import signal
import socket
import struct
import sys
import threading
import unittest
from typing import Any, List
from unittest import mock

from tests.interrupts import Interrupt
from tests.protocol.soups import soup
from tests.protocol.wire import BINARY, CLOSE, PING, TEXT, frame
from tests.support import cases, with_cases
from tests.threads import Running
from wssync.protocol.frames import cut_messages
from wssync.protocol.speed import ROW

from .lending import LITTLE, MUCH, Unsealer
from .test_borrower import SIZES, BorrowerCase, strike


class SealedCase(BorrowerCase):
    def renew(self) -> None:
        """See `BorrowerCase.renew`."""
        super().renew()
        self.unsealer = Unsealer()
        self.lender.read_by(self.unsealer)

    def arrive(self, data: bytes) -> None:
        """What TLS makes of this comes, as a record of its own."""
        self.there.sendall(self.unsealer.seal(data))

    def take_left(self) -> bytes:
        """See `BorrowerCase.take_left`. It is as it came where that is plain text."""
        left = super().take_left() + b"".join(self.unsealer.fetched)
        self.unsealer.fetched.clear()
        self.unsealer.is_clean = True
        return left

    def assertClean(self, *, is_clean: bool = True, fetched: bytes = b"") -> None:
        """The stream has nothing to tell, or just this."""
        self.assertIs(self.unsealer.is_clean, is_clean)
        self.assertEqual((self.unsealer.fetched, self.unsealer.decrypted), ([fetched] if fetched else [], []))


class Stubborn:
    """A stream that is clean whatever it is told."""

    is_clean = property(lambda self: True)


class MessageTests(SealedCase):
    def test_a_message_alone(self) -> None:
        """Rule 122: text and binary of every size; what is counted is the plain text."""
        for size in SIZES:
            for opcode, payload, message in ((BINARY, b"x" * size, b"x" * size), (TEXT, b"y" * size, "y" * size)):
                self.renew()
                data = frame(opcode, payload)
                self.arrive(data)
                got = self.receive()
                self.assertIs(type(got), type(message))
                self.assertTrue(got == message, size)
                self.assertEqual(self.lender.counts, (1, size, len(data), 1))
                self.assertEqual((self.lender._heartbeat.heard_at, self.lender._inbox.has_had_messages), (5.0, True))
                self.assertEqual((self.lender.told, self.lender._box), ([], []))
                self.assertFree()
                self.assertClean()

    def test_one_after_the_other(self) -> None:
        """Each receive takes the next, and the counts add up."""
        for number in range(3):
            self.arrive(frame(TEXT, "\u00e4\u20ac".encode()))
            self.assertEqual(self.receive(), "\u00e4\u20ac")
            self.assertEqual(self.lender.counts, (number + 1, 5 * (number + 1), 7 * (number + 1), number + 1))

    @unittest.skipIf(ROW is None, "wssync._speedups was not built")
    def test_several(self) -> None:
        """The first is given, the others are where the next receives look."""
        assert ROW is not None
        self.lender._inbox.express = ROW()
        data = frame(TEXT, b"one") + frame(BINARY, b"two") + frame(TEXT, "dr\u00ef".encode())
        self.arrive(data)
        self.assertEqual([self.receive(), *self.lender.express], ["one", b"two", "dr\u00ef"])
        self.assertEqual(self.lender.counts, (3, 10, len(data), 1))

    def test_all_else_is_left(self) -> None:
        """What is no message alone and whole is in the box, as plain text."""
        ones = frame(TEXT, b"one")
        part = frame(TEXT, b"a", fin=False)
        for data in (ones[:-1], ones[:1], ones + b"\x81", frame(PING, b"p"), frame(CLOSE), part):
            self.renew()
            self.arrive(data)
            self.assertEqual(self.receive(), "gone on")
            self.assertLeft(data)
            self.assertFree(is_fresh=False)
            self.assertClean()

    def test_like_cut_messages(self) -> None:
        """On frames and near-frames of every kind, with limits: a message alone is what that says is."""
        draw = random.Random(4)
        alone = 0
        for _ in range(500):
            data = soup(draw, longest=300)[: LITTLE - 1]
            limit = draw.choice((None, None, 0, 100, 2000))
            expected: List[Any] = []
            position, _ = cut_messages(data, 0, limit, expected)
            if len(expected) == 1:
                data = data[:position]
            if not data:
                continue
            self.renew()
            self.lender._connection.size_limit = limit
            self.arrive(data)
            got = self.receive()
            if position == len(data) and len(expected) == 1:
                alone += 1
                self.assertEqual((got, self.lender.told), (expected[0], []))
            else:
                self.assertEqual(self.lender.told, [("go on", None, [data])])
        self.assertGreater(alone, 50)


class StreamTests(SealedCase):
    """What the stream has to say."""

    def test_it_has_something_already(self) -> None:
        """Of whatever kind: Python asks for it, and the socket is not read."""
        self.arrive(frame(TEXT, b"one"))
        for name, value in (("is_clean", False), ("fetched", [b"x"]), ("decrypted", [b"x"]), ("is_clean", None)):
            self.renew()
            if isinstance(value, list):
                getattr(self.unsealer, name).extend(value)
            else:
                setattr(self.unsealer, name, value)
            self.assertEqual(self.receive(), "gone on")
            self.assertLeft()
            self.assertFree()
        self.renew()
        self.assertEqual(self.receive(), "one")

    def test_it_keeps_what_came(self) -> None:
        """Part of a record, its end, more than is asked for: Python asks for that."""
        self.lender._most = (5,)
        data = frame(TEXT, b"hello")
        self.arrive(data)
        self.assertEqual(self.receive(), "gone on")
        self.assertLeft()
        self.assertEqual((self.unsealer.decrypted, self.unsealer.is_clean), ([data], False))

    def test_how_much(self) -> None:
        """As much cipher text as for little, however much plain text may come."""
        for most in (LITTLE, MUCH):
            self.renew()
            self.lender._most = (most,)
            with mock.patch.object(Unsealer, "open", return_value=None) as opened:
                self.lender.read_by(Unsealer())
                self.there.sendall(bytes(LITTLE + 1))
                self.assertEqual(self.receive(), "gone on")
            opened.assert_called_once_with(most)
            self.assertEqual(len(self.here.recv(LITTLE)), 1)
            self.assertEqual(self.lender._stream.fetched, [bytes(LITTLE)])

    def test_the_end_of_the_stream(self) -> None:
        """Rule 177: it is the stream that knows what an end is."""
        self.there.shutdown(socket.SHUT_WR)
        self.assertEqual(self.receive(), "gone on")
        self.assertLeft()
        self.assertEqual(self.unsealer.decrypted, [b""])

    def test_errors_of_the_system(self) -> None:
        """Python hears of them."""
        self.lender._descriptor = -1
        self.assertEqual(self.receive(), "gone on")
        [(_, error, box)] = self.lender.told
        self.assertEqual((error.errno, box), (errno.EBADF, []))
        self.assertFree()
        self.assertClean()


@with_cases
class InterruptTests(SealedCase):
    def struck(self) -> None:
        """An interrupt goes through, and nothing is counted."""
        with self.assertRaises(Interrupt):
            self.receive()
        self.assertEqual((self.lender.told, self.lender.counts), ([("struck", False)], (0, 0, 0, 1)))
        self.assertEqual(self.lender._box, [])
        self.assertFree(is_fresh=False)

    def test_while_it_waits(self) -> None:
        """Nothing was fetched."""
        live = [True]

        def handler() -> None:
            if live:
                live.clear()
                raise Interrupt

        self.alarm(handler)
        self.struck()
        self.assertClean()

    def strike_with(self, data: bytes) -> Running[None]:
        """Let an interrupt come, and what TLS makes of this with it, while the next receive waits."""
        previous = signal.signal(signal.SIGALRM, strike)
        self.addCleanup(signal.signal, signal.SIGALRM, previous)
        signal.siginterrupt(signal.SIGALRM, False)
        self.here.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 0))  # which would interrupt it
        main = threading.main_thread().ident
        assert main is not None

        def come() -> None:
            while not self.lender.lent:
                pass
            signal.pthread_kill(main, signal.SIGALRM)
            self.arrive(data)

        return Running(come)

    def test_with_bytes(self) -> None:
        """They are the stream's."""
        data = frame(TEXT, b"one")
        coming = self.strike_with(data)
        self.struck()
        coming.result()
        self.assertClean(is_clean=False, fetched=self.unsealer.seal(data))

    def test_with_bytes_that_the_stream_cannot_have(self) -> None:
        """Python hears that they are lost, and the interrupt goes on all the same, whatever comes of that."""
        for error in (None, OSError("what came of that")):
            self.renew()
            self.lender._stream = Stubborn()
            coming = self.strike_with(frame(TEXT, b"one"))
            if error is not None:
                self.lender.__dict__["go_on"] = mock.Mock(side_effect=error)
            with self.assertRaises(Interrupt if error is None else OSError) as caught:
                self.receive()
            coming.result()
            if error is None:
                [(_, lost, box)] = self.lender.told
                self.assertIsInstance(lost, AttributeError)
                self.assertEqual(box, [])
                self.assertFree()
            else:
                self.assertIsInstance(caught.exception.__context__, Interrupt)

    @cases(before=(False,), behind=(True,))
    def test_while_it_is_opened(self, behind: bool) -> None:
        """Before or behind: it is for the stream to know what has come of it."""
        data = frame(TEXT, b"one")
        self.arrive(data)

        def opening(limit: int) -> None:
            if behind:
                self.unsealer.decrypted.append(self.unsealer.seal(self.unsealer.fetched.pop()))
            raise Interrupt

        self.lender._unsealing = self.unsealer.steps._replace(open=opening)
        self.struck()
        if behind:
            self.assertEqual((self.unsealer.decrypted, self.unsealer.fetched), ([data], []))
        else:
            self.assertClean(is_clean=False, fetched=self.unsealer.seal(data))

    def test_a_clock_that_is_struck(self) -> None:
        """The plain text is in the box."""
        data = frame(TEXT, b"one")
        self.arrive(data)
        self.lender._now = strike
        with self.assertRaises(Interrupt):
            self.receive()
        self.assertEqual((self.lender._box, self.lender.counts), ([data], (0, 0, 0, 1)))
        self.assertFree(is_fresh=False)
        self.assertClean()

    @unittest.skipIf(sys.version_info < (3, 10), "3.9 looks for signals between any two instructions")
    def test_however_often_a_signal_strikes_nothing_is_lost(self) -> None:
        """What came is with the stream, in the box, or given. Here it is opened in one call."""
        self.unsealer.be_simple()
        self.lender.read_by(self.unsealer)
        self.strike_often(5000)


@with_cases
class RefusalTests(SealedCase):
    @cases(
        {
            "no tuple": [5],
            "too few": [(None, [], [])],
            "no list": [(None, (), [], None)],
            "no list either": [(None, [], (), None)],
        }
    )
    def test_steps(self, steps: Any) -> None:
        """What are no steps of a stream: the error goes to the caller, and the role is free."""
        self.lender._unsealing = steps
        with self.assertRaisesRegex(TypeError, "not the steps"):
            self.receive()
        self.assertFree(is_fresh=False)

    def test_streams(self) -> None:
        """One that is not there, or does not say whether it is clean."""
        self.lender._stream = object()
        with self.assertRaises(AttributeError):
            self.receive()
        self.assertFree(is_fresh=False)
        self.renew()
        del self.lender._stream
        with self.assertRaisesRegex(TypeError, "not the steps"):
            self.receive()
        self.assertFree(is_fresh=False)

    def test_a_stream_that_is_always_clean(self) -> None:
        """That nothing has come of what came is not to be seen then: the connection is lost."""
        self.lender._stream = Stubborn()
        self.arrive(frame(TEXT, b"one"))
        self.assertEqual(self.receive(), "gone on")
        [(_, error, _)] = self.lender.told
        self.assertIsInstance(error, AttributeError)

    def test_what_is_opened(self) -> None:
        """What is no text is for Python; what is no function, or no size, is an error."""
        for opened in (None, "text", bytearray(b"\x81\x00")):
            self.renew()
            self.lender._unsealing = self.unsealer.steps._replace(open=mock.Mock(return_value=opened))
            self.arrive(b"x")
            self.assertEqual(self.receive(), "gone on")
            self.assertLeft()
        for opening, most in ((5, (LITTLE,)), (self.unsealer.open, (0,))):
            self.renew()
            self.lender._unsealing, self.lender._most = self.unsealer.steps._replace(open=opening), most
            self.arrive(b"x")
            with self.assertRaises((TypeError, ValueError)):
                self.receive()
            self.assertFree(is_fresh=False)


class KeepingTests(SealedCase):
    def test_it_keeps_nothing(self) -> None:
        """However often it receives, nobody has a reference more or less in the end."""
        lender, unsealer = self.lender, self.unsealer
        text = bytes(bytearray(frame(BINARY, bytes(300))))
        nothing: List[Any] = [text, None, frame(PING), b"\x81"]

        def opening(limit: int) -> Any:
            unsealer.fetched.clear()
            return nothing[0]

        lender._unsealing = steps = unsealer.steps._replace(open=opening)
        parts = [lender, lender._connection, unsealer, steps, unsealer.fetched, unsealer.decrypted, text]
        parts.append(lender.express)

        def counts() -> List[int]:
            return [sys.getrefcount(part) for part in parts]

        def play() -> None:
            self.there.sendall(b"x")
            self.receive()
            lender._box = []
            lender.told.clear()
            lender._is_fresh = unsealer.is_clean = True

        while nothing:
            play()
            gc.collect()
            before = counts()
            for _ in range(50):
                play()
            self.assertEqual(counts(), before)
            del nothing[0]


if __name__ == "__main__":
    unittest.main()
