"""The two short ways in their compiled form, over sockets; and when there is none.

What `receive_messages` gives is held against `cut_messages` in Python; that has tests of its own, as sending has, in
`test_express_forms`. Where the extension was not built, most of these are skipped.
"""

from __future__ import annotations

import errno
import importlib.util
import random
import signal
import socket
import struct
import sys
import threading
import types
import unittest
from typing import Any, Callable, List, Optional, Tuple, Type, cast
from unittest import mock

from tests.protocol.soups import soup
from tests.protocol.wire import BINARY, PING, TEXT, frame
from tests.support import cases, with_cases
from tests.threads import PATIENCE, Running
from wssync import task
from wssync.engine import accelerated
from wssync.engine.accelerated import CompiledExpress, receive_messages
from wssync.engine.express import Express
from wssync.protocol import speed
from wssync.protocol.frames import cut_messages

needs_compiled = unittest.skipIf(receive_messages is None, "wssync._speedups was not built, or has no sockets")


class ChoiceTests(unittest.TestCase):
    def load(self, is_accelerated: bool, *names: str) -> types.ModuleType:
        """The module as it is with an extension that has these functions."""
        extension = types.ModuleType("wssync._speedups")
        for name in names:
            setattr(extension, name, name)
        spec = importlib.util.spec_from_file_location("wssync.engine._again", str(accelerated.__file__))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        there = mock.patch.dict(sys.modules, {extension.__name__: extension})
        with there, mock.patch.object(speed, "ACCELERATED", is_accelerated):
            spec.loader.exec_module(module)
        return module

    def test_with_the_extension(self) -> None:
        """All are its own."""
        module = self.load(True, "Express", "RoleLock", "receive_messages", "shorten")
        self.assertEqual((module.CompiledExpress, module.receive_messages), ("Express", "receive_messages"))
        self.assertEqual((module.RoleLock, module.shorten), ("RoleLock", "shorten"))

    def test_before_functions_can_be_shortened(self) -> None:
        """Until Python 3.12: all but that; it leaves them as they are."""
        module = self.load(True, "Express", "RoleLock", "receive_messages")
        self.assertEqual((module.CompiledExpress, module.receive_messages), ("Express", "receive_messages"))
        self.assertEqual(module.RoleLock, "RoleLock")
        self.assertIsNone(module.shorten(module.shorten, (), module.shorten, ()))

    def test_with_one_that_has_no_sockets(self) -> None:
        """On Windows: neither, and the lock is Python's."""
        module = self.load(True)
        self.assertEqual((module.CompiledExpress, module.receive_messages), (None, None))
        self.assertIs(module.RoleLock, threading.RLock)

    def test_without_it(self) -> None:
        """Neither, also where it is there and not wanted."""
        module = self.load(False, "Express", "RoleLock", "receive_messages")
        self.assertEqual((module.CompiledExpress, module.receive_messages), (None, None))
        self.assertIs(module.RoleLock, threading.RLock)

    def test_as_it_is_here(self) -> None:
        """Both or neither, as for the protocol's functions."""
        both = speed.ACCELERATED and sys.platform != "win32"
        self.assertEqual([function is not None for function in (CompiledExpress, receive_messages)], [both, both])


class CompiledCase(unittest.TestCase):
    def setUp(self) -> None:
        self.here, self.there = socket.socketpair()
        self.addCleanup(self.here.close)
        self.addCleanup(self.there.close)
        self.there.settimeout(PATIENCE)

    def assertRaisesLike(self, kind: Type[BaseException], call: Callable[..., object], *arguments: object) -> None:
        """Exactly this type of error, with a sentence in it."""
        with self.assertRaises(kind) as caught:
            call(*arguments)
        self.assertIs(type(caught.exception), kind)
        self.assertTrue(str(caught.exception))

    def assertKeepsNone(self, call: Callable[..., object], *arguments: object) -> None:
        """However often it is called, nobody has one reference more or less to any argument in the end."""
        for _ in range(3):  # what is made once is made by then
            try_to(call, *arguments)
        own = [
            argument for argument in arguments if not isinstance(argument, int)
        ]  # of small numbers all have the same
        before = [sys.getrefcount(argument) for argument in own]
        for _ in range(100):
            try_to(call, *arguments)
        after = [sys.getrefcount(argument) for argument in own]
        self.assertEqual(after, before)

    def alarm(self, handler: Callable[[], object]) -> None:
        """Let a timer signal come again and again, until the end of the test."""

        def handle(number: int, stack: Optional[types.FrameType]) -> None:
            handler()

        previous = signal.signal(signal.SIGALRM, handle)
        self.addCleanup(signal.signal, signal.SIGALRM, previous)
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        self.addCleanup(self.stop_alarm)

    def stop_alarm(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)


def try_to(call: Callable[..., object], *arguments: object) -> None:
    try:
        call(*arguments)
    except Exception:
        pass


class Alarm(Exception):
    """What a signal handler raises."""


class Step:
    """Something in a row of slots."""

    __slots__ = ("_slot",)

    def __init__(self, content: object) -> None:
        self._slot = content


WAY = (Step.__dict__["_slot"],) * 3
"""From one to the third behind it."""


class Ready(List[str]):
    """A queue."""

    def popleft(self) -> str:
        """The first."""
        return self.pop(0)


class Vanishing(Ready):
    """A queue whose last message somebody else takes first."""

    def __len__(self) -> int:
        return super().__len__() + 1


@unittest.skipIf(accelerated.shorten is accelerated._nothing, "functions are not shortened here")
class ShortenTests(unittest.TestCase):
    """See `tests.test_task_send` and `tests.test_task_receive` for what comes of it."""

    def setUp(self) -> None:
        if sys.gettrace() is not None:
            self.skipTest("nothing is gone past under a tracer")
        self.addCleanup(task._shorten)  # the ways of tasks are as they were

    def shortened(self) -> Tuple[Callable[..., Any], Callable[..., Any]]:
        """Two functions that say what they were called with."""

        def send(*arguments: object, **more: object) -> Any:
            return "send", arguments, more

        def receive(*arguments: object, **more: object) -> Any:
            return "receive", arguments, more

        accelerated.shorten(send, WAY, receive, WAY)
        return send, receive

    def test_refusals(self) -> None:
        """What is no function of Python, and no way of three slots."""

        def good() -> None: ...

        for wrong in (None, len, "send", type(self), self.test_refusals):
            with self.assertRaisesRegex(TypeError, "only functions"):
                accelerated.shorten(cast("Any", wrong), WAY, good, WAY)
            with self.assertRaisesRegex(TypeError, "only functions"):
                accelerated.shorten(good, WAY, cast("Any", wrong), WAY)
        for way in (WAY[:2], [*WAY], None, (*WAY, WAY[0])):
            with self.assertRaisesRegex(TypeError, "three|3"):
                accelerated.shorten(good, cast("Any", way), good, WAY)
        number = vars(type)["__dictoffset__"]
        for slot in (None, "_slot", property(), vars(ShortenTests)["setUp"], number):
            with self.assertRaisesRegex(TypeError, "a slot of a class"):
                accelerated.shorten(good, WAY, good, (WAY[0], slot, WAY[0]))
        with self.assertRaises(TypeError):
            accelerated.shorten(good, WAY, good)  # type: ignore[call-arg]

    def test_other_forms_are_for_the_functions(self) -> None:
        """Whatever is not the plainest, or is called on something else."""
        send, receive = self.shortened()
        self.assertEqual(send(), ("send", (), {}))
        self.assertEqual(send(1, "2", "3"), ("send", (1, "2", "3"), {}))
        self.assertEqual(send(1, message="2"), ("send", (1,), {"message": "2"}))
        self.assertEqual(receive(1, 2), ("receive", (1, 2), {}))
        self.assertEqual(receive(1, timeout=2), ("receive", (1,), {"timeout": 2}))
        for one in (object(), Step(None), Step(object()), Step(Step(None)), Step.__new__(Step), None, 1):
            self.assertEqual(send(one, "text"), ("send", (one, "text"), {}))
            self.assertEqual(receive(one), ("receive", (one,), {}))

    def test_a_way_that_is_closed(self) -> None:
        """None, or something that is not compiled, or holds nothing: the functions see to it."""
        send, receive = self.shortened()
        for open_way in (None, Ready()):
            one = Step(Step(Step(open_way)))
            self.assertEqual(send(one, "text"), ("send", (one, "text"), {}))
            self.assertEqual(send(one, b"bytes"), ("send", (one, b"bytes"), {}))
            self.assertEqual(receive(one), ("receive", (one,), {}))
        one = Step(Step(Step(Express)))
        self.assertEqual(send(one, "text"), ("send", (one, "text"), {}))

    def test_a_queue(self) -> None:
        """The first is taken, without the function; where another was quicker, the function sees to it."""
        _, receive = self.shortened()
        one = Step(Step(Step(Ready(["first", "second"]))))
        self.assertEqual([receive(one), receive(one)], ["first", "second"])
        one = Step(Step(Step(Vanishing())))
        self.assertEqual(receive(one), ("receive", (one,), {}))

    def test_other_code(self) -> None:
        """Who gives a function other code means that to run; who profiles or traces means to see it."""
        _, receive = self.shortened()
        one = Step(Step(Step(Ready(["first", "second"]))))
        sys.setprofile(lambda *event: None)
        try:
            got = receive(one)
        finally:
            sys.setprofile(None)
        self.assertEqual(got, ("receive", (one,), {}))
        self.assertEqual(receive(one), "first")
        receive.__code__ = (lambda one: "other").__code__
        self.assertEqual(receive(one), "other")

    def test_one_that_is_not_whole(self) -> None:
        """It sends nothing, and says so."""
        send, _ = self.shortened()
        assert CompiledExpress is not None
        kind: Any = CompiledExpress
        with self.assertRaisesRegex(TypeError, "whole"):
            send(Step(Step(Step(kind.__new__(kind)))), b"text")

    def test_a_queue_that_is_replaced_meanwhile(self) -> None:
        """Its place is not all that keeps it."""
        _, receive = self.shortened()
        place = Step(None)

        class Leaving(Ready):
            def __len__(self) -> int:
                place._slot = None
                return 1

        place._slot = Leaving(["one"])
        self.assertEqual(receive(Step(Step(place))), "one")

    def test_another_error_of_a_queue(self) -> None:
        """It goes to the caller."""
        _, receive = self.shortened()
        one = Step(Step(Step(Vanishing())))
        with mock.patch.object(Vanishing, "popleft", side_effect=ArithmeticError), self.assertRaises(ArithmeticError):
            receive(one)


@needs_compiled
@with_cases
class ReceiveMessagesTests(CompiledCase):
    def setUp(self) -> None:
        super().setUp()
        limit = struct.pack("ll", int(PATIENCE), 0)
        self.here.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)  # a test that fails must not hang
        self.wire = 0

    def receive(
        self, most: Any = 65_536, limit: Any = None, messages: Any = None, rest: Any = None
    ) -> Tuple[int, List[Any], List[Any]]:
        assert receive_messages is not None
        messages, rest = [] if messages is None else messages, [] if rest is None else rest
        wire, size = receive_messages(self.here.fileno(), most, limit, messages, rest)
        self.wire += wire
        return size, messages, rest

    def test_messages(self) -> None:
        """Rule 125: whole messages come as `str` and `bytes`, behind what is in the list, with the size of them all."""
        self.there.sendall(frame(TEXT, "t\u00e4xt".encode()) + frame(BINARY, b"binary") + frame(TEXT))
        self.assertEqual(self.receive(messages=["old"]), (11, ["old", "t\u00e4xt", b"binary", ""], []))
        self.assertEqual(self.wire, 2 + 5 + 2 + 6 + 2, "the bytes on the wire are counted")

    def test_what_is_left(self) -> None:
        """Whatever is no whole message, and all behind it, comes as it is."""
        for left in (frame(PING, b"ping"), b"\x81", frame(TEXT, b"\xff"), frame(TEXT, b"hello")[:-1], b"\x03"):
            self.there.sendall(frame(TEXT, b"one") + left)
            self.wire = 0
            self.assertEqual(self.receive(), (3, ["one"], [left]))
            self.assertEqual(self.wire, 5, "what is left was counted")
            self.there.sendall(left + frame(TEXT, b"one"))
            self.assertEqual(self.receive(rest=["old"])[2][0], "old")

    def test_the_end(self) -> None:
        """Rule 177: once the peer has closed its half, what is left is no byte; what came before comes before."""
        self.there.sendall(frame(TEXT, b"one"))
        self.there.shutdown(socket.SHUT_WR)
        self.assertEqual(self.receive(), (3, ["one"], []))
        for _ in range(2):
            self.assertEqual(self.receive(), (0, [], [b""]))

    def test_at_most_so_many_bytes(self) -> None:
        """The others stay with the kernel."""
        data = frame(TEXT, b"one") + frame(TEXT, b"two")
        self.there.sendall(data)
        self.assertEqual(self.receive(most=7), (3, ["one"], [data[5:7]]))
        self.assertEqual(self.receive(most=1), (0, [], [data[7:8]]))
        self.assertEqual(self.receive(), (0, [], [data[8:]]))

    def test_a_limit(self) -> None:
        """Rule 128: a longer message is left, whatever it says of itself."""
        data = frame(BINARY, b"abc") + frame(BINARY, b"abcd")
        for limit, expected in (
            (4, (7, [b"abc", b"abcd"], [])),
            (3, (3, [b"abc"], [frame(BINARY, b"abcd")])),
            (0, (0, [], [data])),
            (1 << 70, (7, [b"abc", b"abcd"], [])),
        ):
            self.there.sendall(data)
            self.assertEqual(self.receive(limit=limit), expected)

    def test_cut_at_every_position(self) -> None:
        """Wherever the bytes of a read end, it gives what `cut_messages` gives for them."""
        data = b"".join(
            (frame(TEXT, b"one"), frame(BINARY), frame(TEXT, b"x" * 200), frame(PING, b"ping"), frame(TEXT, b"two"))
        )
        for size in range(1, len(data) + 1):
            self.compare(data[:size], None)

    def test_like_cut_messages(self) -> None:
        """On frames and near-frames of every kind, with limits."""
        draw = random.Random(2)
        for _ in range(500):
            data = soup(draw, longest=3000)[:60_000]
            if data:
                self.compare(data, draw.choice((None, None, 0, 100, 2000)))

    def compare(self, data: bytes, limit: Optional[int]) -> None:
        self.there.sendall(data)
        expected: List[Any] = []
        position, size = cut_messages(data, 0, limit, expected)
        total, messages, rest = self.receive(limit=limit)
        self.assertEqual((total, messages, b"".join(rest)), (size, expected, data[position:]), (data, limit))
        self.assertEqual([type(message) for message in messages], [type(message) for message in expected])
        self.assertEqual(len(rest), position < len(data))

    def test_others_run_while_it_waits(self) -> None:
        """The interpreter is let go: this thread sends what that one waits for."""
        waiting = Running(self.receive)
        self.there.sendall(frame(TEXT, b"one"))
        self.assertEqual(waiting.result(), (3, ["one"], []))

    @unittest.skipUnless(sys.platform == "linux", "only there one waits in the kernel")
    def test_a_shutdown_of_another_thread_ends_its_wait(self) -> None:
        """It is at the end of the stream then."""
        waiting = Running(self.receive)
        self.here.shutdown(socket.SHUT_RD)
        self.assertEqual(waiting.result(), (0, [], [b""]))

    def test_errors_of_the_system(self) -> None:
        """They come as OSError with their number and of their kind, and the lists stay as they are."""
        assert receive_messages is not None
        self.here.setblocking(False)
        messages: List[Any] = []
        with self.assertRaises(BlockingIOError):
            self.receive(messages=messages, rest=messages)
        with self.assertRaises(OSError) as closed:
            receive_messages(-1, 100, None, messages, messages)
        self.assertEqual(closed.exception.errno, errno.EBADF)
        self.there.sendall(b"unread")
        self.here.sendall(b"unread")
        self.there.close()  # with something unread: a reset
        with self.assertRaises(ConnectionResetError):
            while True:
                self.receive()
        self.assertEqual(messages, [])

    def test_a_signal_handler_runs_while_it_waits(self) -> None:
        """And then it waits on."""
        calls: List[threading.Thread] = []

        def handler() -> None:
            calls.append(threading.current_thread())
            if len(calls) == 3:
                self.there.sendall(frame(TEXT, b"one"))

        self.alarm(handler)
        self.assertEqual(self.receive(), (3, ["one"], []))
        self.assertEqual(set(calls), {threading.main_thread()})

    def test_what_a_signal_handler_raises(self) -> None:
        """Ctrl-C ends the wait at once; nothing was received, and what comes later is whole."""

        def handler() -> None:
            raise Alarm

        messages: List[Any] = []
        with self.assertRaises(Alarm):
            self.alarm(handler)
            self.receive(messages=messages, rest=messages)
        self.stop_alarm()
        self.assertEqual(messages, [])
        self.there.sendall(frame(TEXT, b"one"))
        self.assertEqual(self.receive(), (3, ["one"], []))

    @unittest.skipIf(sys.version_info < (3, 10), "3.9 looks for signals between any two instructions")
    def test_however_often_a_signal_strikes_nothing_is_lost(self) -> None:
        """What was received is in the lists, whether the call returned or not."""
        if sys.gettrace() is not None:
            self.skipTest("a tracer written in Python does not survive such exceptions: they leave its locks held")
        count, hits = 20_000, 0
        live: List[bool] = []
        messages: List[Any] = []
        rest: List[Any] = []
        kept: List[Any] = []

        def send() -> None:
            for number in range(count):
                self.there.sendall(frame(TEXT, b"%d" % number))

        def handler() -> None:
            if live:
                live.clear()  # so it strikes within the `try` below, and once
                raise Alarm

        def receive() -> None:
            assert receive_messages is not None
            live.append(True)
            while not rest and len(kept) + len(messages) < count:
                receive_messages(self.here.fileno(), 10_000, None, messages, rest)
            live.clear()

        sending = Running(send)
        self.alarm(handler)
        signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
        while len(kept) < count:
            try:
                receive()  # a call, as 3.13 lets an exception at a loop's end pass by the handlers round the loop
            except Alarm:
                hits += 1
            kept.extend(messages)
            messages.clear()
            if rest:  # the first part of a frame
                left = b"".join(rest)
                rest.clear()
                while len(left) < frame_size(left):
                    left += self.here.recv(frame_size(left) - len(left))
                cut_messages(left, 0, None, kept)
        self.stop_alarm()
        sending.result()
        self.assertEqual(kept, [str(number) for number in range(count)])
        self.assertGreater(hits, 0)

    @cases(
        {
            "no bytes": (0, None, [], []),
            "fewer than none": (-1, None, [], []),
            "a float": (1.5, None, [], []),
            "a limit of text": (1, "1", [], []),
            "no list": (1, None, (), []),
            "no other list": (1, None, [], ()),
        }
    )
    def test_refusals(self, most: Any, limit: Any, messages: Any, rest: Any) -> None:
        """What is no size, no limit, no list: nothing is received."""
        self.there.sendall(frame(TEXT, b"one"))
        self.assertRaisesLike(TypeError, self.receive, most, limit, messages, rest)
        self.assertEqual(self.receive(), (3, ["one"], []))

    def test_other_refusals(self) -> None:
        """No descriptor, and another number of arguments."""
        assert receive_messages is not None
        wrong: List[List[Any]] = [[None, 1, None, [], []], [1, 1, None, []], [1, 1, None, [], [], 1], []]
        for arguments in wrong:
            self.assertRaisesLike(TypeError, receive_messages, *arguments)

    def test_it_keeps_nothing(self) -> None:
        """What it has made is the lists' alone; the arguments are as they were."""
        self.there.sendall((frame(TEXT, b"hello") + frame(PING)) * 50)
        messages: List[Any] = []
        rest: List[Any] = []
        limit = 1 << 40
        assert receive_messages is not None
        receive_messages(self.here.fileno(), 9, limit, messages, rest)
        self.assertEqual((messages, rest), (["hello"], [frame(PING)]))
        expected = sys.getrefcount(self.new_object())
        self.assertEqual([sys.getrefcount(messages[0]), sys.getrefcount(rest[0])], [expected + 1, expected + 1])
        self.here.setblocking(False)
        self.assertKeepsNone(receive_messages, self.here.fileno(), 9, limit, messages, rest)
        self.assertKeepsNone(receive_messages, -1, 9, limit, messages, rest)

    @staticmethod
    def new_object() -> object:
        return object()


def frame_size(start: bytes) -> int:
    """The size of the short frame that begins like this."""
    return 2 + start[1] if len(start) > 1 else 2


if __name__ == "__main__":
    unittest.main()
