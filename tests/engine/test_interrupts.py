"""Ctrl-C at every place where it can strike, in the calls that do the work of the engine themselves.

An exception that a signal's handler raises, or that another thread sets, comes where the interpreter looks for it: when
a function begins, when a call has returned and before its result is stored, and when a loop goes round. So the tracer
here goes by the opcodes, and each place has its turn, in every module of the library but the pure ones.

What must hold afterwards: no role and no lock is held, nothing is lost but, where a call had taken it out already, the
one message of the interrupted call, nothing comes twice or torn, and everything goes on.
"""

from __future__ import annotations

import functools
import gc
import socket
import sys
import unittest
from typing import Any, Callable, List, Optional
from unittest import mock

from tests.threads import Running
from wssync.engine.completions import Completion, Message, Waiter
from wssync.protocol.frames import Opcode

from ..protocol.wire import BINARY, CLOSE, CONTINUATION, PING, TEXT, frame
from .borrowing import SocketRig, in_each_form
from .striking import Interrupted, Striker, call_under
from .support import PATIENCE, close_body

MINUTES = 300.0
"""Seconds, for thousands of places on a busy machine."""

Attempt = Callable[[Callable[[], Any]], Any]
"""Calls a function and strikes there; returns what it returned, or raises `Interrupted`."""


def interrupted_everywhere(case: unittest.TestCase, play: Callable[[Attempt], None], least: int) -> None:
    """Call `play` once for each place that there is, of which there are at least so many.

    In a thread of its own: what strikes in an `except` may leave the interpreter believing that its error is still
    being handled, and the next tests would find it in the context of theirs.
    """
    case.addCleanup(gc.collect)  # a tracer holds the frames that it saw, and they what is to be closed
    striking = Running(lambda: _strike_everywhere(play))
    striking.thread.join(MINUTES)
    case.assertGreater(striking.result(), least)


def _strike_everywhere(play: Callable[[Attempt], None]) -> int:
    place = 1
    while True:
        striker = Striker(place)

        try:
            play(functools.partial(call_under, striker))
        except (AssertionError, OSError) as error:
            raise AssertionError(f"place {place}, {striker.where}: {error}") from error
        if not striker.has_struck:
            return place
        place += 1


class InterruptTestCase(unittest.TestCase):
    def look(self, rig: SocketRig) -> None:
        """Nobody holds anything, nobody stands in the row, and it is open; who watches it sees what there is."""
        rig.free()
        inbox = rig.connection.inbox
        if inbox.readiness is not None:
            self.assertIs(inbox.readiness._shown, inbox.has_answer)
        self.assertFalse(rig.connection.inbox.has_demand)
        self.assertIsNone(rig.connection.cause)

    def go_on(self, rig: SocketRig, *, by_itself: bool) -> List[Message]:
        """Receive what is left: by oneself, or with the engine thread's help."""
        got: List[Message] = []
        if not by_itself:
            self.turn(rig)
            got += rig.take_all()
        for _ in range(2):  # the first may have to look at the facts anew
            try:
                while True:
                    got.append(rig.receive_blocking(0.0))
            except TimeoutError:
                pass
        return got

    def turn(self, rig: SocketRig) -> None:
        """What the engine thread does when it is woken."""
        rig.connection.wake()
        rig.engine._turn()

    def end(self, rig: SocketRig) -> None:
        rig.connection.cancel()
        rig.engine._finish()
        rig.peer.close()


class ReceiveTests(InterruptTestCase):
    """Borrowed receives, and those that stand in the row."""

    def everywhere(
        self,
        form: str,
        data: bytes,
        expected: List[Message],
        call: Callable[[SocketRig], Message],
        prepare: Callable[[SocketRig], None] = lambda rig: None,
        *,
        spared: bool = False,
        **settings: Any,
    ) -> None:
        """Strike at a call that should receive the first of the messages in the data, which may be lost by it unless
        they are all to be `spared`.
        """

        def play(attempt: Attempt) -> None:
            self.turns += 1
            rig = SocketRig(self, form, **settings)
            try:
                rig.say(data)
                prepare(rig)
                got: List[Message] = []
                lost = 0
                try:
                    got.append(attempt(lambda: call(rig)))
                except Interrupted:
                    lost = int(not spared)
                self.look(rig)
                got += self.go_on(rig, by_itself=bool(self.turns % 2))
                self.assertIn(got, [expected, expected[lost:]])
                self.turn(rig)
                if rig.connection.outbox.broken is None:  # that is what an interrupted pong comes to
                    if frame(PING, b"p") in data:
                        self.assertEqual(rig.hear()[0], (Opcode.PONG, b"p"))
                    rig.say(frame(TEXT, b"after"))
                    by_itself = rig.connection.inbox.readiness is None  # else it is the engine thread that reads
                    self.assertEqual(self.go_on(rig, by_itself=by_itself), ["after"])
                self.look(rig)
            finally:
                self.end(rig)

        self.turns = 0
        interrupted_everywhere(self, play, 3 if spared else 5)

    def borrowed(self, form: str, data: bytes, expected: List[Message]) -> None:
        self.everywhere(form, data, expected, lambda rig: rig.receive_blocking())

    @in_each_form
    def test_a_message_alone(self, form: str) -> None:
        """Short and long."""
        self.borrowed(form, frame(TEXT, b"a"), ["a"])
        self.borrowed(form, frame(BINARY, b"x" * 1000), [b"x" * 1000])

    @in_each_form
    def test_a_long_message(self, form: str) -> None:
        """One that takes more than one read, and what follows it."""
        self.borrowed(form, frame(BINARY, b"x" * 150_000) + frame(TEXT, b"b"), [b"x" * 150_000, "b"])

    @in_each_form
    def test_many_messages(self, form: str) -> None:
        """The rest stays, in its order."""
        self.borrowed(form, frame(TEXT, b"a") + frame(BINARY, b"b") + frame(TEXT, b"c" * 200), ["a", b"b", "c" * 200])

    @in_each_form
    def test_control_frames_between(self, form: str) -> None:
        """A ping is answered, if need be by the engine thread."""
        self.borrowed(form, frame(TEXT, b"a") + frame(PING, b"p") + frame(TEXT, b"b"), ["a", "b"])

    @in_each_form
    def test_a_fragmented_message(self, form: str) -> None:
        """It is decoded anew from where it was, not from the middle."""
        self.borrowed(form, frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b") + frame(TEXT, b"c"), ["ab", "c"])

    @in_each_form
    def test_with_a_timeout(self, form: str) -> None:
        """The wait with a limit, and all that comes before and after it."""
        data = frame(TEXT, b"a") + frame(BINARY, b"b")
        self.everywhere(form, data, ["a", b"b"], lambda rig: rig.receive_blocking(PATIENCE))

    @in_each_form
    def test_in_the_row(self, form: str) -> None:
        """The message is there when it queues up."""

        def prepare(rig: SocketRig) -> None:
            self.turn(rig)
            self.assertEqual(rig.connection.inbox.unread, 2)

        data = frame(TEXT, b"a") + frame(BINARY, b"b")
        for left in (None, 0.0):
            receive = functools.partial(self.in_turn, left=left)
            self.everywhere(form, data, ["a", b"b"], receive, prepare)

    def in_turn(self, rig: SocketRig, left: Optional[float]) -> Message:
        return rig.connection.receive_in_turn(None, left, left)

    @in_each_form
    def test_while_reading_waits_for_room(self, form: str) -> None:
        """The message is the next again, wherever it was by then; reading goes on when there is room, and what watches
        for messages is told of them.
        """
        messages: List[Message] = ["a", b"b", "c", "d"]
        data = frame(TEXT, b"a") + frame(BINARY, b"b") + frame(TEXT, b"c") + frame(TEXT, b"d")
        size = sys.getsizeof("a")
        take = functools.partial(self.everywhere, form, data, messages, self.take_first, spared=True)
        for limits in ((2, None), (4, None), (None, size), (None, 3 * size)):
            take(self.pause, max_queue=limits)
            take(self.watch, max_queue=limits)

    def take_first(self, rig: SocketRig) -> Message:
        message = rig.connection.take_first()
        assert message is not None
        return message

    def pause(self, rig: SocketRig) -> None:
        """Let the engine thread read, and see that there is no room."""
        self.turn(rig)
        self.turn(rig)
        self.assertTrue(rig.connection.inbox.paused)

    def watch(self, rig: SocketRig) -> None:
        rig.connection.watch()
        self.pause(rig)

    @in_each_form
    def test_with_others_in_the_row(self, form: str) -> None:
        """What a borrower has read for them too comes to each of them, once: they were not interrupted.

        The handler runs as soon as another thread can run it, which is before the borrower's message is put back.
        """

        def play(attempt: Attempt) -> None:
            rig = SocketRig(self, form)
            others: List[Completion[Message]] = []

            def come() -> None:
                tracer = sys.gettrace()
                sys.settrace(None)
                if not others:
                    others.extend((rig.receive(blocking=True), rig.receive()))
                sys.settrace(tracer)

            def put_back(message: Message, put_back: Callable[[Message], None] = rig.connection.put_back) -> None:
                tracer = sys.gettrace()
                sys.settrace(None)
                rig.connection.strand.kick()
                rig.run_callbacks()
                sys.settrace(tracer)
                put_back(message)

            rig.before_read = come
            hook = mock.patch.object(type(rig.connection), "put_back", staticmethod(put_back))
            hook.start()
            try:
                rig.say(frame(TEXT, b"a" * 200), frame(TEXT, b"b"), frame(TEXT, b"c"), frame(TEXT, b"d"))
                got: List[Message] = []
                struck = False
                try:
                    got.append(attempt(lambda: rig.connection.receive_at_once(None)))
                except Interrupted:
                    struck = True
                come()
                self.turn(rig)
                rig.free()
                waiter = others[0]
                assert isinstance(waiter, Waiter)
                self.assertTrue(waiter.wait(0), "it was let through")
                rig.run_callbacks()
                self.assertEqual(len(rig.results), 1)
                got += self.go_on(rig, by_itself=True)
                everything = [*got, others[0].value, rig.results[0].message]
                self.assertEqual(len(set(everything)), len(everything))
                self.assertGreaterEqual(len(everything), 3 if struck else 4)
                self.assertEqual(len(rig.connection.inbox._handed), 0, "a message counts though it was taken")
            finally:
                hook.stop()
                self.end(rig)

        interrupted_everywhere(self, play, 5)

    @in_each_form
    def test_in_the_row_in_vain(self, form: str) -> None:
        """Its time is over, or it was interrupted: it does not stand in the way of the next."""

        def play(attempt: Attempt) -> None:
            rig = SocketRig(self, form)
            try:
                with self.assertRaises((TimeoutError, Interrupted)):
                    attempt(lambda: self.in_turn(rig, 0.0))
                self.look(rig)
                rig.say(frame(TEXT, b"a"))
                self.assertEqual(self.go_on(rig, by_itself=True), ["a"])
            finally:
                self.end(rig)

        interrupted_everywhere(self, play, 5)


class CloseTests(InterruptTestCase):
    @in_each_form
    def test_the_peers_close(self, form: str) -> None:
        """Rule 161: it is answered, and the connection has ended with its code; nobody waits for it any more."""

        def play(attempt: Attempt) -> None:
            rig = SocketRig(self, form)
            try:
                rig.say(frame(CLOSE, close_body(3000)))
                try:
                    attempt(lambda: rig.connection.receive_at_once(None))
                except Interrupted:
                    self.turn(rig)
                    rig.free()
                self.assertIsNotNone(rig.connection.cause)
                rig.peer.shutdown(socket.SHUT_WR)
                rig.engine._finish()
                self.assertEqual(rig.connection.close_code, 3000)
                if rig.connection.outbox.broken is None:
                    self.assertEqual(rig.hear(), [(Opcode.CLOSE, close_body(3000))])
            finally:
                rig.peer.close()

        interrupted_everywhere(self, play, 5)


class SendTests(InterruptTestCase):
    """The short way of a send."""

    @in_each_form
    def test_a_message(self, form: str) -> None:
        """It leaves once or not at all, never in part, and the next one behind it."""
        for room in (True, False):
            self.everywhere(form, room)

    def everywhere(self, form: str, room: bool) -> None:
        message = b"first" if room else b"f" * 60_000

        def play(attempt: Attempt) -> None:
            rig = SocketRig(self, form)
            try:
                if not room:
                    rig.stream._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
                try:
                    attempt(lambda: rig.send_at_once(0x82, message))
                except Interrupted:
                    pass
                self.look(rig)
                self.assertIsNone(rig.connection.outbox.broken)
                following = rig.send(b"second")
                sent: List[Any] = []
                while (Opcode.BINARY, b"second") not in sent:
                    self.turn(rig)
                    sent += rig.hear_some()
                self.assertTrue(following.completion.done)
                payloads = [payload for _, payload in sent]
                self.assertIn(payloads, [[message, b"second"], [b"second"]])
                self.look(rig)
            finally:
                self.end(rig)

        interrupted_everywhere(self, play, 0 if form == "compiled" else 3)
