"""A receive that reads by itself, in its compiled form: what it takes, and what it leaves to Python.

Stand-ins for a connection write down what they are told, so that each step can be made to fail. What comes of the whole
is in `test_reader`, `test_interrupts` and `test_schedules`, for each form there is.
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
import time
import types
import unittest
import weakref
from itertools import islice
from typing import Any, Callable, List, Optional, Tuple
from unittest import mock

from tests.interrupts import Interrupt
from tests.protocol.soups import soup
from tests.protocol.wire import BINARY, CLOSE, PING, TEXT, frame
from tests.support import cases, with_cases
from tests.threads import PATIENCE, Running
from wssync.engine.accelerated import CompiledBorrower, RoleLock, make_tally
from wssync.protocol.frames import cut_messages
from wssync.protocol.speed import ROW

from .lending import LITTLE, MUCH, Base, Connection, Heartbeat, Inbox, Lender, slots

SIZES = (0, 1, 125, 126, 127, 4091, 4092)
"""Of messages whose frame is read with little asked for."""


class Compiled:
    """What stands for the extension."""

    RoleLock, Tally = RoleLock, make_tally


@unittest.skipIf(CompiledBorrower is None, "wssync._speedups was not built, or reads no attributes")
class BorrowerCase(unittest.TestCase):
    def setUp(self) -> None:
        kind: Any = CompiledBorrower
        self.kind = kind
        self.borrower = kind(*slots())
        self.here, self.there = socket.socketpair()
        self.addCleanup(self.here.close)
        self.addCleanup(self.there.close)
        limit = struct.pack("ll", int(PATIENCE), 0)
        self.here.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)  # a test that fails must not hang
        self.there.settimeout(PATIENCE)
        self.renew()

    def renew(self) -> None:
        """Begin with a new reader."""
        self.lender = Lender(Compiled, self.here.fileno())

    def receive(self) -> Any:
        """What a receive gives: a message, or what Python makes of it, or None."""
        got: List[Any] = []
        self.assertIsNone(self.borrower.receive(self.lender, got))
        self.assertLessEqual(len(got), 1)
        return got[0] if got else None

    def assertFree(self, *, is_fresh: bool = True) -> None:
        """Nobody has the role, and the next receive reads by itself, or does not."""
        self.assertIs(self.lender.lent, False)
        self.assertFalse(self.lender._lock._is_owned())
        self.assertTrue(Running(self.try_role).result())
        self.assertIs(self.lender._is_fresh, is_fresh)

    def try_role(self) -> bool:
        """Take it and let it go, if it can be had."""
        taken: bool = self.lender._lock.acquire(False)
        if taken:
            self.lender._lock.release()
        return taken

    def assertLeft(self, *box: bytes, error: Any = None) -> None:
        """Python went on, with these bytes in the box; nothing was counted, and nothing heard."""
        self.assertEqual(self.lender.told, [("go on", error, list(box))])
        self.assertEqual(self.lender.counts[:3], (0, 0, 0))
        self.assertEqual((self.lender._heartbeat.heard_at, self.lender._inbox.has_had_messages), (None, False))

    def alarm(self, handler: Callable[[], object], seconds: float = 0.01) -> None:
        """Let a timer signal come again and again, until the end of the test."""

        def handle(number: int, stack: Optional[types.FrameType]) -> None:
            handler()

        previous = signal.signal(signal.SIGALRM, handle)
        self.addCleanup(signal.signal, signal.SIGALRM, previous)
        signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
        self.addCleanup(self.stop_alarm)

    def stop_alarm(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    def take_left(self) -> bytes:
        """What came and was not given; from here on it is ours."""
        left = b"".join(self.lender._box)
        self.lender._box = []
        return left

    def strike_often(self, count: int) -> None:
        """Send so many messages while a timer signal strikes: each comes, once and in its place."""
        if sys.gettrace() is not None:
            self.skipTest("a tracer written in Python does not survive such exceptions: they leave its locks held")
        hits = 0
        live: List[bool] = []
        got: List[Any] = []
        kept: List[Any] = []
        data = bytearray()

        def send() -> None:
            for number in range(count):
                self.there.sendall(frame(TEXT, b"%d" % number))

        def handler() -> None:
            if live:
                live.clear()  # so it strikes within the `try` below, and once
                raise Interrupt

        def receive() -> None:
            live.append(True)
            while self.lender._is_fresh and len(kept) + len(got) < count:
                self.borrower.receive(self.lender, got)
                got.extend(islice(iter(self.lender.express.popleft, None), len(self.lender.express)))  # in one call
            live.clear()

        def go_on(error: Any) -> None:
            self.lender._is_fresh = self.lender.lent = False
            self.lender._lock.release()

        self.lender.__dict__.update(go_on=go_on, _note_interrupt=lambda: None)
        sending = Running(send)
        self.alarm(handler, 0.0003)
        while len(kept) < count:
            try:
                receive()  # a call, as 3.13 lets an exception at a loop's end pass by the handlers round the loop
            except Interrupt:
                hits += 1
            self.assertFalse(self.lender._lock._is_owned())
            kept.extend(got)
            got.clear()
            kept.extend(self.lender.express)
            self.lender.express.clear()
            data += self.take_left()
            while data:  # what is not whole is made so
                position, _ = cut_messages(bytes(data), 0, None, kept)
                del data[:position]
                if data:
                    data += self.here.recv(1)
            self.lender._is_fresh = True
        self.stop_alarm()
        sending.result()
        self.assertEqual(kept, [str(number) for number in range(count)])
        self.assertGreater(hits, 0)


def strike(*details: object) -> Any:
    """Ctrl-C."""
    raise Interrupt


class MessageTests(BorrowerCase):
    def test_a_message_alone(self) -> None:
        """Rule 122: text and binary of every size; it is counted, a sign of life, and nobody else hears of it."""
        for size in SIZES:
            for opcode, payload, message in ((BINARY, b"x" * size, b"x" * size), (TEXT, b"y" * size, "y" * size)):
                self.renew()
                data = frame(opcode, payload)
                self.there.sendall(data)
                got = self.receive()
                self.assertIs(type(got), type(message))
                self.assertTrue(got == message, size)
                self.assertEqual(self.lender.counts, (1, size, len(data), 1))
                self.assertEqual((self.lender._heartbeat.heard_at, self.lender._inbox.has_had_messages), (5.0, True))
                self.assertEqual((self.lender.told, self.lender._box), ([], []))
                self.assertIs(self.lender._most, self.lender._little)
                self.assertFree()

    def test_one_after_the_other(self) -> None:
        """Each receive takes the next, and the counts add up."""
        for number in range(3):
            self.there.sendall(frame(TEXT, "\u00e4\u20ac".encode()))
            self.assertEqual(self.receive(), "\u00e4\u20ac")
            self.assertEqual(self.lender.counts, (number + 1, 5 * (number + 1), 7 * (number + 1), number + 1))

    def test_how_much_is_asked_for(self) -> None:
        """Little, and what is more stays in the kernel; much, once it is no message; little again, once it is one."""
        data = frame(TEXT, bytes(300_000))
        sending = Running(lambda: self.there.sendall(data))
        self.assertEqual(self.receive(), "gone on")
        self.assertLeft(data[:LITTLE])
        self.assertEqual(self.lender._most, (MUCH,))
        left = len(data) - LITTLE
        while left:
            left -= len(self.here.recv(left))
        sending.result()
        for size in (60_000, 5):
            self.lender._box = []
            self.lender._is_fresh = True
            self.lender._most = self.lender._much
            self.there.sendall(frame(BINARY, bytes(size)))
            self.assertTrue(self.receive() == bytes(size))
            self.assertEqual(self.lender._most, (LITTLE,))
        self.there.sendall(frame(PING))
        self.assertEqual(self.receive(), "gone on")
        self.assertEqual(self.lender._most, (MUCH,))

    def test_a_limit(self) -> None:
        """Rule 128: a longer message is left; the limit is that of the moment when it has come."""
        for limit, size, passes in ((4, 4, True), (3, 4, False), (0, 0, True), (0, 1, False), (1 << 70, 200, True)):
            self.renew()
            self.lender._now = strike  # nothing too long comes so far
            self.lender._connection.size_limit = limit
            data = frame(BINARY, b"x" * size)
            if passes:
                self.lender._now = lambda: 1.0
            self.there.sendall(data)
            self.assertEqual(self.receive(), b"x" * size if passes else "gone on")
            if not passes:
                self.assertLeft(data)

    def test_all_else_is_left(self) -> None:
        """What is no message alone and whole is in the box as it came, and the reader begins with it."""
        ones = frame(TEXT, b"one")
        for data in (
            *(ones + ones, ones[:-1], ones[:1], ones + b"\x81", frame(PING, b"p"), frame(CLOSE), frame(TEXT, b"\xff")),
            *(frame(TEXT, b"a", fin=False), frame(BINARY, b"a", rsv=4), frame(TEXT, b"a", form=16), b"\x81\x83abcxyz"),
            *(frame(TEXT, b"\xe2\x82"), frame(BINARY, b"", form=64), b"\x82\xff" + b"\xff" * 8, b"\x82\x7e\x00"),
        ):
            self.renew()
            self.there.sendall(data)
            self.assertEqual(self.receive(), "gone on")
            if data[:1] != b"\x81" or self.lender._heartbeat.heard_at is None:
                self.assertLeft(data)
            self.assertFree(is_fresh=False)

    def test_like_cut_messages(self) -> None:
        """On frames and near-frames of every kind, with limits, cut anywhere: a message alone is what that says is."""
        draw = random.Random(3)
        alone = 0
        for _ in range(1500):
            data = soup(draw, longest=300)[:LITTLE]
            limit = draw.choice((None, None, 0, 100, 2000))
            expected: List[Any] = []
            position, _ = cut_messages(data, 0, limit, expected)
            if draw.random() < 0.7:
                data = data[:position] if len(expected) == 1 else data[: draw.randrange(len(data) + 1)]
                expected.clear()
                position, _ = cut_messages(data, 0, limit, expected)
            if not data:
                continue
            self.renew()
            self.lender._connection.size_limit = limit
            self.there.sendall(data)
            got = self.receive()
            if position == len(data) and len(expected) == 1:
                alone += 1
                self.assertEqual((got, self.lender.told), (expected[0], []))
                self.assertIs(type(got), type(expected[0]))
            else:
                self.assertEqual(self.lender.told, [("go on", None, [data])])
        self.assertGreater(alone, 100)


@unittest.skipIf(ROW is None, "wssync._speedups was not built")
class SeveralTests(BorrowerCase):
    """Several messages in one read, and one that is longer than that."""

    def renew(self) -> None:
        assert ROW is not None
        super().renew()
        self.lender._inbox.express = ROW()

    def take(self) -> List[Any]:
        """The message that a receive gives, and those that it puts behind it."""
        got = self.receive()
        messages = [got, *self.lender.express]
        self.lender.express.clear()
        return messages

    def test_several(self) -> None:
        """The first is given, the others are where the next receives look; all are counted, and one is heard."""
        data = frame(TEXT, b"one") + frame(BINARY, b"two") + frame(TEXT, "dr\u00ef".encode()) + frame(TEXT, b"")
        self.there.sendall(data)
        self.assertEqual(self.take(), ["one", b"two", "dr\u00ef", ""])
        self.assertEqual(self.lender.counts, (4, 10, len(data), 1))
        self.assertEqual((self.lender._heartbeat.heard_at, self.lender._inbox.has_had_messages), (5.0, True))
        self.assertEqual((self.lender.told, self.lender._box), ([], []))
        self.assertFree()

    def test_where_they_cannot_stand(self) -> None:
        """A queue of another kind, a Close that was asked for, a message that came in between: Python takes them."""
        data = frame(TEXT, b"one") * 2

        def put_in() -> float:
            self.lender.express.append("before")
            return 1.0

        for name, value in (("express", []), ("closing_asked", True), ("_now", put_in)):
            self.renew()
            owners: Any = {"express": self.lender._inbox, "closing_asked": self.lender._connection}
            setattr(owners.get(name, self.lender), name, value)
            self.there.sendall(data)
            self.assertEqual(self.receive(), "gone on")
            self.assertLeft(data)

    def test_one_that_fills_the_read(self) -> None:
        """What is there of it is fetched into its own memory, and nothing behind it: the next read begins afresh."""
        for size in (LITTLE - 4, LITTLE, 60_000, 65_536):
            for opcode, payload, message in ((BINARY, b"x" * size, b"x" * size), (TEXT, b"y" * size, "y" * size)):
                self.renew()
                data = frame(opcode, payload)
                self.there.sendall(data + b"behind")
                self.assertTrue(self.receive() == message, size)
                self.assertEqual(self.lender.counts, (1, size, len(data), 1))
                self.assertEqual(self.here.recv(100), b"behind")
                self.assertEqual(self.lender._most, (MUCH,) if LITTLE <= size < 32_768 else (LITTLE,))
                self.assertFree()

    def test_wherever_a_read_ends(self) -> None:
        """The last message is completed, its header too, and what is behind it is not touched."""
        bodies = [b"one", b"x" * 125, b"y" * 126, b"", b"z" * 300, b"last"]
        frames = [frame(BINARY, body) for body in bodies]
        data = b"".join(frames)
        ends = [sum(map(len, frames[: count + 1])) for count in range(len(frames))]
        for most in range(1, len(data) + 1):
            self.renew()
            self.lender._most = (most,)
            self.there.sendall(data)
            count = next(count for count, end in enumerate(ends) if end >= most) + 1
            self.assertEqual(self.take(), bodies[:count])
            self.assertEqual(self.lender.counts, (count, sum(map(len, bodies[:count])), ends[count - 1], 1))
            self.assertEqual(self.lender.told, [])
            if ends[count - 1] < len(data):
                self.assertEqual(self.here.recv(len(data)), data[ends[count - 1] :])

    def test_what_is_not_there(self) -> None:
        """A message whose end has not come: all is left as it came, wherever it breaks off."""
        data = frame(TEXT, b"one") + frame(BINARY, b"y" * 300)
        for size in range(1, len(data)):
            for most in {1, 5, 6, 7, 8, 9, 10, size}:
                self.renew()
                self.lender._most = (most,)
                self.there.sendall(data[:size])
                got = self.receive()
                box = b"".join(self.lender._box)
                if got == "gone on":
                    self.assertLeft(box)
                    self.assertEqual(box, data[: len(box)])
                    self.assertGreater(len(box), 0)
                else:
                    self.assertEqual((got, box), ("one", b""))
                    box = data[:5]
                left = size - len(box)
                self.assertEqual(self.here.recv(left) if left else b"", data[len(box) : size])

    def test_what_is_not_completed(self) -> None:
        """What is no message of one frame, too long, or not allowed: what was read is left, and no more is read."""
        for start, limit in (
            (frame(PING, b"p" * 9), None),
            (frame(TEXT, b"a" * 9, fin=False), None),
            (frame(BINARY, b"a" * 9, rsv=4), None),
            (b"\x82\x89keykpayload..", None),
            (frame(BINARY, b"a" * 9, form=16), None),
            (frame(BINARY, b"a" * 9), 8),
            (frame(TEXT, bytes(300_000))[:20], None),
            (b"\x82\x7f" + b"\xff" * 12, None),
        ):
            for before in (b"", frame(TEXT, b"one")):
                self.renew()
                self.lender._connection.size_limit = limit
                self.lender._most = (len(before) + 4,)
                self.there.sendall(before + start)
                self.assertEqual(self.receive(), "gone on")
                box = b"".join(self.lender._box)
                self.assertEqual(box, (before + start)[: len(box)])
                self.assertLessEqual(len(box), len(before) + 10)
                self.assertEqual(self.here.recv(100), (before + start)[len(box) :])

    def test_no_text(self) -> None:
        """Rule 127: it is seen by Python, with all that came."""
        data = frame(TEXT, b"one") + frame(TEXT, b"abc\xff" + b"d" * 100)
        for most in (5, 7, 20, len(data)):
            self.renew()
            self.lender._most = (most,)
            self.there.sendall(data)
            if most == 5:
                self.assertEqual(self.take(), ["one"])
                self.lender._most = (7,)
            self.assertEqual(self.receive(), "gone on")
            self.assertEqual(b"".join(self.lender._box), data[5:] if most == 5 else data)
            self.assertEqual(self.lender.express and list(self.lender.express), self.lender.express and [])

    def test_a_connection_that_breaks_meanwhile(self) -> None:
        """Python hears of it, and finds what came before."""
        data = frame(TEXT, b"one") + frame(BINARY, b"y" * 300)
        self.lender._most = (9,)
        self.here.sendall(b"unread")
        self.there.sendall(data[:100])
        self.there.close()  # with something unread: a reset, behind what was sent
        self.assertEqual(self.receive(), "gone on")
        [(_, error, box)] = self.lender.told
        self.assertEqual((error.errno, box), (errno.ECONNRESET, [data[:100]]))

    def test_the_end_meanwhile(self) -> None:
        """Of it Python hears when it reads."""
        data = frame(BINARY, b"y" * 300)[:50]
        self.lender._most = (9,)
        self.there.sendall(data)
        self.there.shutdown(socket.SHUT_WR)
        self.assertEqual(self.receive(), "gone on")
        self.assertLeft(data)

    def test_like_cut_messages(self) -> None:
        """On frames and near-frames of every kind, with limits, however much is read: nothing is lost or made up."""
        draw = random.Random(4)
        several = 0
        for _ in range(1500):
            data = soup(draw, longest=300)[:LITTLE]
            limit = draw.choice((None, None, 0, 100, 2000))
            if not data:
                continue
            self.renew()
            self.lender._connection.size_limit = limit
            self.lender._most = (draw.choice((draw.randrange(1, len(data) + 1), LITTLE)),)
            self.there.sendall(data)
            messages = self.take()
            if messages == ["gone on"]:
                came = b"".join(self.lender._box)
                self.assertEqual(came, data[: len(came)])
                self.assertEqual(self.lender.counts[:3], (0, 0, 0))
            else:
                came = data[: self.lender.counts[2]]
                expected: List[Any] = []
                self.assertEqual(cut_messages(came, 0, limit, expected), (len(came), self.lender.counts[1]))
                self.assertEqual((messages, self.lender.counts[0]), (expected, len(expected)))
                self.assertEqual([type(message) for message in messages], [type(message) for message in expected])
                several += len(messages) > 1
            left = data[len(came) :]
            self.assertEqual(self.here.recv(len(left)) if left else b"", left)
        self.assertGreater(several, 50)

    def test_memory_is_not_held_for_little(self) -> None:
        """A row keeps the memory of a read that fills it, and of another no more than what lies in it."""
        for count in (3, 10_000):
            self.renew()
            self.lender._most = (MUCH,)
            self.there.sendall(frame(BINARY, b"1234") * count)
            gc.collect()
            before = sys.getallocatedblocks()
            self.assertEqual(self.receive(), b"1234")
            self.assertLess(sys.getallocatedblocks() - before, 50)  # and not an object for each
            self.assertEqual(len(self.lender.express), count - 1)


class RoleTests(BorrowerCase):
    def test_while_it_waits(self) -> None:
        """The role is its own, lent, and a turn is counted; others run."""
        waiting = Running(self.receive)
        while not self.lender.lent:
            self.assertTrue(waiting.thread.is_alive())
        self.assertFalse(self.lender._lock.acquire(False))
        self.assertEqual(self.lender.counts, (0, 0, 0, 1))
        self.there.sendall(frame(TEXT, b"one"))
        self.assertEqual(waiting.result(), "one")
        self.assertFree()

    def test_a_role_that_is_had(self) -> None:
        """By another thread: nothing happens. By this one, in a signal handler that interrupted it: RuntimeError."""
        self.there.sendall(frame(TEXT, b"one"))
        with self.lender._lock:
            self.assertIsNone(Running(self.receive).result())
            with self.assertRaisesRegex(RuntimeError, "in a signal handler that interrupted a receive"):
                self.receive()
            self.assertTrue(self.lender._lock._is_owned())
        self.assertEqual((self.lender.counts, self.lender.told), ((0, 0, 0, 0), []))
        self.assertEqual(self.receive(), "one")

    def test_who_sleeps_is_woken(self) -> None:
        """Behind the role, with a message and without one; who does not sleep is let be."""
        self.there.sendall(frame(TEXT, b"one"))
        self.lender.asleep = True
        self.assertEqual(self.receive(), "one")
        self.assertEqual(self.lender.told, [("wake", False, False)])
        self.lender._inbox.express = None
        self.assertIsNone(self.receive())
        self.assertEqual(self.lender.told, [("wake", False, False)] * 2)
        self.lender.asleep = False
        self.assertIsNone(self.receive())
        self.assertEqual(len(self.lender.told), 2)
        self.assertFree()

    def test_somebody_is_before_it(self) -> None:
        """The way is closed, or there is a message already: nothing is read."""
        self.there.sendall(frame(TEXT, b"one"))
        for express in (None, ["message"]):
            self.lender._inbox.express = express
            self.assertIsNone(self.receive())
            self.assertEqual(self.lender.told, [])
            self.assertFree()
        self.lender._inbox.express = []
        self.assertEqual(self.receive(), "one")

    def test_somebody_comes_meanwhile(self) -> None:
        """The way is closed by the time, or has a message that was put back: Python sees who is first."""
        data = frame(TEXT, b"one")
        for express in (None, ["message"]):
            self.renew()

            def now(express: Any = express) -> float:
                self.lender._inbox.express = express
                return 1.0

            self.lender._now = now
            self.there.sendall(data)
            self.assertEqual(self.receive(), "gone on")
            self.assertLeft(data)

    def test_something_is_left(self) -> None:
        """Of an earlier read, or to be answered: Python goes on, and the socket is not asked."""
        self.there.sendall(frame(TEXT, b"one"))
        for name, value in (("_is_fresh", False), ("_unsettled", True)):
            self.renew()
            setattr(self.lender, name, value)
            self.assertEqual(self.receive(), "gone on")
            self.assertLeft()
        self.renew()
        self.assertEqual(self.receive(), "one")

    def test_python_gets_nothing_either(self) -> None:
        """What it says is what is said."""
        slot = object()
        for said in (None, slot):
            self.there.sendall(frame(PING))
            self.renew()

            def go_on(error: Any, said: Any = said) -> Any:
                Lender.go_on(self.lender, error)
                return said

            self.lender.__dict__["go_on"] = go_on
            self.assertIs(self.receive(), said)
            self.assertFree(is_fresh=False)


class EndTests(BorrowerCase):
    def test_the_end_of_the_stream(self) -> None:
        """Rule 177: no byte is what is left; what came before comes before."""
        self.there.sendall(frame(TEXT, b"one"))
        self.there.shutdown(socket.SHUT_WR)
        self.assertEqual(self.receive(), "one")
        self.renew()
        self.assertEqual(self.receive(), "gone on")
        self.assertLeft(b"")

    @unittest.skipUnless(sys.platform == "linux", "only there one waits in the kernel")
    def test_a_shutdown_of_another_thread_ends_its_wait(self) -> None:
        """It is at the end of the stream then."""
        waiting = Running(self.receive)
        while not self.lender.lent:
            self.assertTrue(waiting.thread.is_alive())
        self.here.shutdown(socket.SHUT_RD)
        self.assertEqual(waiting.result(), "gone on")
        self.assertLeft(b"")

    def test_errors_of_the_system(self) -> None:
        """Python hears of them, with their number and of their kind; the reader may begin anew."""
        self.there.sendall(b"unread")
        self.here.sendall(b"unread")
        self.here.recv(100)
        self.there.close()  # with something unread: a reset
        for number, descriptor in ((errno.ECONNRESET, self.here.fileno()), (errno.EBADF, -1)):
            self.renew()
            self.lender._descriptor = descriptor
            self.assertEqual(self.receive(), "gone on")
            [(_, error, box)] = self.lender.told
            self.assertIsInstance(error, OSError)
            self.assertEqual((error.errno, box), (number, []))
            self.assertFree()

    def test_a_handler_that_forks(self) -> None:
        """In the child the descriptor is not the connection's any more: it is looked up behind each signal."""

        def handler() -> None:
            self.lender._descriptor = -1

        self.alarm(handler)
        self.assertEqual(self.receive(), "gone on")
        [(_, error, _)] = self.lender.told
        self.assertEqual(error.errno, errno.EBADF)


class InterruptTests(BorrowerCase):
    def struck(self, *told: Tuple[Any, ...]) -> None:
        """An interrupt goes through, and this is what was told of it."""
        with self.assertRaises(Interrupt):
            self.receive()
        self.assertEqual(self.lender.told, [*told])
        self.assertFree(is_fresh=False)

    def test_a_signal_handler_runs_while_it_waits(self) -> None:
        """And then it waits on. A receive in there is refused."""
        calls: List[threading.Thread] = []

        def handler() -> None:
            calls.append(threading.current_thread())
            with self.assertRaises(RuntimeError):
                self.receive()
            if len(calls) == 3:
                self.there.sendall(frame(TEXT, b"one"))

        self.alarm(handler)
        self.assertEqual(self.receive(), "one")
        self.stop_alarm()
        self.assertEqual(set(calls), {threading.main_thread()})
        self.assertFree()

    def test_what_a_signal_handler_raises(self) -> None:
        """Ctrl-C ends the wait at once; nothing was received, and the next one looks."""
        live = [True]

        def handler() -> None:
            if live:
                live.clear()
                raise Interrupt

        self.alarm(handler)
        self.struck(("struck", False))
        self.assertEqual(self.lender._box, [])

    def test_a_signal_that_comes_with_bytes(self) -> None:
        """What its handler raises finds them in the box: it runs behind the read, which was not interrupted."""
        previous = signal.signal(signal.SIGALRM, strike)
        self.addCleanup(signal.signal, signal.SIGALRM, previous)
        signal.siginterrupt(signal.SIGALRM, False)
        self.here.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 0))  # which would interrupt it
        self.lender._now = time.monotonic  # in which no handler runs
        main, data = threading.main_thread().ident, frame(TEXT, b"one")
        assert main is not None

        def come() -> None:
            while not self.lender.lent:
                pass
            signal.pthread_kill(main, signal.SIGALRM)
            self.there.sendall(data)

        coming = Running(come)
        self.struck(("struck", False))
        coming.result()
        self.assertEqual((self.lender._box, self.lender.counts), ([data], (0, 0, 0, 1)))

    def test_a_signal_handler_that_lets_the_role_go(self) -> None:
        """It does what it should not; the message comes all the same."""

        def handler() -> None:
            self.stop_alarm()
            self.lender._lock.release()
            self.there.sendall(frame(TEXT, b"one"))

        self.alarm(handler)
        self.assertEqual(self.receive(), "one")

    def test_a_clock_that_is_struck(self) -> None:
        """The bytes are in the box, nothing is counted."""
        data = frame(TEXT, b"one")
        self.there.sendall(data)
        self.lender._now = strike
        self.struck(("struck", False))
        self.assertEqual((self.lender._box, self.lender.counts), ([data], (0, 0, 0, 1)))

    def test_a_wake_that_is_struck(self) -> None:
        """The message is given back; what that raises comes with the first as its context."""
        self.lender.asleep = True
        for said in (None, ArithmeticError()):
            self.there.sendall(frame(TEXT, b"one"))
            give_back = mock.Mock(side_effect=said)
            self.lender.__dict__["give_back"] = give_back
            struck = mock.patch.object(type(self.lender._connection), "wake", strike)
            with struck, self.assertRaises(Interrupt if said is None else ArithmeticError) as caught:
                self.receive()
            give_back.assert_called_once_with("one")
            if said is not None:
                self.assertIsInstance(caught.exception.__context__, Interrupt)
            self.assertFree()

    def test_python_is_struck(self) -> None:
        """When it has let the role go, that is its business; before it began, it is this one's."""
        for begins in (True, False):
            self.renew()
            self.there.sendall(frame(PING))

            def go_on(error: Any, begins: bool = begins) -> Any:
                if begins:
                    Lender.go_on(self.lender, error)
                raise Interrupt

            self.lender.__dict__["go_on"] = go_on
            self.struck(("go on", None, [frame(PING)]) if begins else ("struck", False))
            self.assertEqual(self.lender._box, [frame(PING)])

    def test_the_note_is_struck(self) -> None:
        """The later interrupt is told, with the earlier one as its context; the role is free."""
        self.there.sendall(frame(TEXT, b"one"))
        self.lender._now = strike
        self.lender.__dict__["_note_interrupt"] = mock.Mock(side_effect=ArithmeticError)
        with self.assertRaises(ArithmeticError) as caught:
            self.receive()
        self.assertIsInstance(caught.exception.__context__, Interrupt)
        self.assertFree(is_fresh=False)

    @unittest.skipIf(sys.version_info < (3, 10), "3.9 looks for signals between any two instructions")
    def test_however_often_a_signal_strikes_nothing_is_lost(self) -> None:
        """What was received is in the list or in the box, whether the call returned or not."""
        self.strike_often(20_000)

    @unittest.skipIf(sys.version_info < (3, 10), "3.9 looks for signals between any two instructions")
    def test_nor_is_what_is_completed(self) -> None:
        """Reads end anywhere in a message; what was received of it is in the box too."""
        assert ROW is not None
        self.lender._inbox.express = ROW()
        self.lender.__dict__.update(_little=(13,), _much=(13,))
        self.lender._most = (13,)
        self.strike_often(20_000)


@with_cases
class RefusalTests(BorrowerCase):
    def test_slots(self) -> None:
        """Of so many slots, of classes that belong together, and once."""
        good = slots()
        for wrong in (good[:-1], (*good, good[0]), ()):
            with self.assertRaisesRegex(TypeError, "once, with"):
                self.kind(*wrong)
        with self.assertRaisesRegex(TypeError, "once, with"):
            self.kind(*good, more=1)
        with self.assertRaisesRegex(TypeError, "once, with"):
            self.borrower.__init__(*good)
        for place in range(len(good)):
            for member in (None, "lent", property(), vars(type)["__dictoffset__"]):
                with self.assertRaisesRegex(TypeError, "a slot of a class"):
                    self.kind(*good[:place], member, *good[place + 1 :])
        other = vars(type("Other", (), {"__slots__": ("slot",)}))["slot"]
        for place in (*range(14), 14, 17):  # of the reader, and with what else there must be in one object
            with self.assertRaisesRegex(TypeError, "not of the classes"):
                self.kind(*good[:place], other, *good[place + 1 :])

    def test_one_that_is_not_whole(self) -> None:
        """It receives nothing."""
        one = self.kind.__new__(self.kind)
        with self.assertRaisesRegex(TypeError, "whole"):
            one.receive(self.lender, [])
        with self.assertRaises(TypeError):
            one.__init__(*slots()[:-1], None)
        with self.assertRaisesRegex(TypeError, "whole"):
            one.receive(self.lender, [])

    def test_arguments(self) -> None:
        """A reader and a list."""
        several: List[Any] = [(), (self.lender,), (self.lender, [], 1), (self.lender, ()), (self.lender, None)]
        for wrong in several:
            with self.assertRaises(TypeError):
                self.borrower.receive(*wrong)
        self.assertEqual(self.lender.counts, (0, 0, 0, 0))

    def test_other_readers(self) -> None:
        """Whatever is no reader, or half of one."""
        for wrong in (None, Base(), Lender.__new__(Lender), 1):
            with self.assertRaisesRegex(TypeError, "not made of"):
                self.borrower.receive(wrong, [])

    @cases(
        {
            "connection": ("_connection", 1),
            "inbox": ("_inbox", Heartbeat()),
            "heartbeat": ("_heartbeat", Inbox()),
            "lock": ("_lock", threading.RLock()),
            "tally": ("_connection", Connection(1)),
            "no tally": ("_connection", Connection.__new__(Connection)),
        }
    )
    def test_readers(self, name: str, wrong: Any) -> None:
        """Made of another thing than it should be, or without it."""
        setattr(self.lender, name, wrong)
        with self.assertRaisesRegex(TypeError, "not made of"):
            self.borrower.receive(self.lender, [])
        delattr(self.lender, name)
        with self.assertRaisesRegex(TypeError, "not made of"):
            self.borrower.receive(self.lender, [])

    @cases(
        {
            "no tuple": [LITTLE],
            "two numbers": ((1, 2),),
            "no number": (("1",),),
            "no byte": ((0,),),
            "fewer than none": ((-1,),),
            "too many": ((1 << 70,),),
        }
    )
    def test_how_much(self, most: Any) -> None:
        """What is no size: the error goes to the caller, and the role is free."""
        self.there.sendall(frame(TEXT, b"one"))
        self.lender._most = most
        with self.assertRaises((TypeError, ValueError, OverflowError)):
            self.receive()
        self.assertEqual(self.lender.told, [("struck", False)])
        self.assertFree(is_fresh=False)

    def test_slots_that_hold_something_else(self) -> None:
        """No descriptor is one that is closed; without a clock Python sees to it; else it is the caller's error."""
        data = frame(TEXT, b"one")
        self.there.sendall(data)
        for name, box in (("_descriptor", []), ("_now", [data])):
            self.renew()
            delattr(self.lender, name)
            self.assertEqual(self.receive(), "gone on")
            self.assertEqual(self.lender.told[0][2], box)
        self.renew()
        self.lender._descriptor = 1 << 70
        with self.assertRaises(OverflowError):
            self.receive()
        self.assertFree(is_fresh=False)
        self.renew()
        self.lender._inbox.express = 5
        with self.assertRaises(TypeError):
            self.receive()
        self.assertFree(is_fresh=False)


class KeepingTests(BorrowerCase):
    def test_it_keeps_nothing(self) -> None:
        """However often it receives, nobody has a reference more or less in the end."""
        lender = self.lender
        now = object()
        lender._now = lambda: now
        parts = [lender, lender._connection, lender._connection.tally, lender._heartbeat, lender._inbox, lender._lock]
        parts += [lender._box, lender._little, lender._much, lender._now, now, lender.express, self.borrower]

        def counts() -> List[int]:
            return [sys.getrefcount(part) for part in parts]

        def play(data: bytes) -> None:
            self.there.sendall(data)
            self.receive()
            lender._box = []
            lender.told.clear()
            lender._is_fresh = True

        for data in (frame(TEXT, b"hello"), frame(BINARY, bytes(300)), frame(PING), frame(TEXT, b"\xff"), b"\x81"):
            play(data)
            before = counts()
            for _ in range(50):
                play(data)
            self.assertEqual(counts(), before, data)
        lender._lock.acquire()
        before = counts()
        for _ in range(50):
            self.assertIsNone(Running(self.receive).result())
            with self.assertRaises(RuntimeError):
                self.receive()
        self.assertEqual(counts(), before)

    def test_it_is_collected(self) -> None:
        """With the classes that it knows."""

        class Thing:
            __slots__ = ("__weakref__", "slot")

        gone = weakref.ref(Thing)
        Thing.borrower = self.kind(*[vars(Thing)["slot"]] * len(slots()))  # type: ignore[attr-defined]
        del Thing
        gc.collect()
        self.assertIsNone(gone())


if __name__ == "__main__":
    unittest.main()
