"""Calls in a signal handler that interrupted a call of the same task, at every place where it can strike.

None of them waits for what it interrupted, and no message is lost or comes twice.
"""

from __future__ import annotations

import gc
import signal
import types
import unittest
from typing import Any, Callable, Dict, List, Optional, Tuple

import wssync
from tests.engine.striking import Striker, call_under
from tests.support import cases, with_cases
from tests.tasks import PATIENCE, OnlineTestCase, Running, needs_trustme
from wssync import TaskState
from wssync.testing import Recorder

WITHIN = "in a signal handler that interrupted a"

MINUTES = 300.0
"""Seconds, for hundreds of places on a busy machine."""

Act = Callable[[], object]

SENDS = ("send", "send with a handler")
RECEIVES = ("receive", "receive within", "receive with a handler")
NAMES = (*SENDS, *RECEIVES)
CALLS = {name: (name,) for name in NAMES}


class Outer:
    """The calls that are interrupted. Those that receive find that `outer` was sent before."""

    def __init__(self, task: wssync.WebSocketTask) -> None:
        self.task = task
        self.told = Recorder()
        self.got: List[object] = []
        """Messages, by whomever they were received."""

    def call(self, name: str) -> None:
        """Make one."""
        calls: Dict[str, Act] = {
            "send": lambda: self.task.send("outer"),
            "send with a handler": lambda: self.task.send("outer", self.told.handler("sent")),
            "receive": lambda: self.got.append(self.task.receive()),
            "receive within": lambda: self.got.append(self.task.receive(timeout=PATIENCE)),
            "receive with a handler": lambda: self.task.receive(self.told.handler("received")),
        }
        calls[name]()

    def settle(self, name: str, count: int) -> List[object]:
        """Wait for the handler's call, if there is one, and receive until there are so many messages; all of them."""
        if name == "receive with a handler":
            self.got.append(self.told.next().arguments[0])
        elif name == "send with a handler":
            self.told.assert_next("sent", None)
        while len(self.got) < count:
            self.got.append(self.task.receive(timeout=PATIENCE))
        return sorted(self.got)  # type: ignore[type-var] # they are all texts


class EverywhereTestCase(OnlineTestCase):
    """What a handler does at each place of a call in turn, while the peer echoes."""

    tls = False

    def setUp(self) -> None:
        super().setUp()
        self.echoing = self.serve(tls=self.tls, compression=None)

    def everywhere(self, play: Callable[[Striker], None], act: Act) -> None:
        """Call `play` for each place, with what acts there; and once more, when there are no more.

        In a thread of its own, which a tracer does not slow down once it has ended.
        """

        def play_everywhere() -> int:
            place, has_struck = 0, True
            while has_struck:
                place += 1
                striker = Striker(place, act)
                try:
                    play(striker)
                except (AssertionError, wssync.WebSocketError, TimeoutError) as error:
                    raise AssertionError(f"place {place}, {striker.where}: {error!r}") from error
                has_struck = striker.has_struck
            return place

        self.addCleanup(gc.collect)  # a tracer holds the frames that it saw, and they what is to be closed
        running = Running(play_everywhere)
        running.thread.join(MINUTES)
        self.assertGreater(running.result(), 1)

    def exchange(self, name: str, act: Callable[[wssync.WebSocketTask, Outer], object], *expected: str) -> None:
        """A call that is interrupted by the act, over and over on one connection: each time these messages come, and
        `outer`.
        """
        task = self.connect(self.echoing.url)
        outer = Outer(task)
        acted: List[object] = []

        def play(striker: Striker) -> None:
            outer.got.clear()
            acted.clear()
            if name in RECEIVES:
                task.send("outer")
                task.send("outer")
            call_under(striker, lambda: outer.call(name))
            messages = ["outer"] * (2 if name in RECEIVES else 1) + [*expected] * len(acted)
            self.assertEqual(outer.settle(name, len(messages)), sorted(messages))

        self.everywhere(play, lambda: acted.append(act(task, outer)))
        task.close()

    def ends(self, name: str, end: str) -> None:
        """The end does not wait where it could not come; the interrupted call gets what there is, or the error."""
        tasks: List[wssync.WebSocketTask] = []

        def play(striker: Striker) -> None:
            task = self.connect(self.echoing.url)
            tasks[:] = [task]
            if name in RECEIVES:
                task.send("outer")
            try:
                call_under(striker, lambda: Outer(task).call(name))
            except wssync.WebSocketError as error:
                self.assertTrue(striker.has_struck, error)
            if striker.has_struck:
                task.wait_until_closed(PATIENCE)
                self.assertIs(task.state, TaskState.COMPLETED)
                self.assertEqual(task.close_code, 1000 if end == "close" else 1006)
            task.close()

        def act() -> None:
            try:
                tasks[0].wait_until_closed(0)
            except (RuntimeError, TimeoutError) as error:
                if isinstance(error, RuntimeError):
                    self.assertIn(f"wait_until_closed() {WITHIN}", str(error))
            getattr(tasks[0], end)()

        self.everywhere(play, act)


@with_cases
class CallTests(EverywhereTestCase):
    """A signal handler that sends, receives, pings."""

    @cases(CALLS)
    def test_a_message_is_sent(self, name: str) -> None:
        """Once, waited for or not."""
        self.exchange(name, lambda task, outer: task.send("inner"), "inner")

    @cases(CALLS)
    def test_a_message_is_sent_with_a_handler(self, name: str) -> None:
        """Which is called once."""
        told = Recorder()
        sends: List[object] = []

        def act(task: wssync.WebSocketTask, outer: Outer) -> None:
            task.send("inner", told.handler("sent"))
            sends.append(None)

        self.exchange(name, act, "inner")
        for _ in sends:
            told.assert_next("sent", None)
        told.assert_exhausted()

    @cases(CALLS)
    def test_a_message_is_received(self, name: str) -> None:
        """Or there is none, or that is an error; the others get theirs."""

        def act(task: wssync.WebSocketTask, outer: Outer) -> None:
            try:
                outer.got.append(task.receive(timeout=0))
            except (RuntimeError, TimeoutError) as error:
                if isinstance(error, RuntimeError):
                    self.assertIn(WITHIN, str(error))

        self.exchange(name, act)

    @cases(CALLS)
    def test_a_ping_is_answered(self, name: str) -> None:
        """One with a handler always, another where that can be waited for."""
        told = Recorder()
        pings: List[object] = []

        def act(task: wssync.WebSocketTask, outer: Outer) -> None:
            task.send_ping(told.handler("answered"))
            pings.append(None)
            try:
                self.assertIsNotNone(task.send_ping(timeout=PATIENCE))
            except RuntimeError as error:
                self.assertIn(f"send_ping() {WITHIN}", str(error))

        self.exchange(name, act)
        for _ in pings:
            told.assert_next("answered", None)

    @cases({name: (name,) for name in SENDS})
    def test_messages_leave_in_the_order_of_the_calls(self, name: str) -> None:
        """What the interrupted thread sends next comes behind what was sent in the handler."""
        task = self.connect(self.echoing.url)

        def play(striker: Striker) -> None:
            call_under(striker, lambda: Outer(task).call(name))
            task.send("after")
            got = [task.receive(timeout=PATIENCE) for _ in range(3 if striker.has_struck else 2)]
            self.assertEqual((len(set(got)), got[-1]), (len(got), "after"))

        self.everywhere(play, lambda: task.send("inner"))
        task.close()


@needs_trustme
class CallOverTLSTests(CallTests):
    """The same over TLS, where OpenSSL's object is one more thing that only one may have."""

    tls = True


@with_cases
class EndTests(EverywhereTestCase):
    """A signal handler that ends the task."""

    @cases({f"{name}, {end}": (name, end) for name in NAMES for end in ("close", "cancel")})
    def test_the_task_ends(self, name: str, end: str) -> None:
        """Wherever that struck."""
        self.ends(name, end)


class StartTests(EverywhereTestCase):
    """A signal handler that struck a `resume`, or a call before that."""

    def fresh(self, call: Callable[[wssync.WebSocketTask, Recorder], object], act: Callable[..., object]) -> None:
        """Interrupt a call of a task that was not resumed yet; then resume it. Every handler is called once."""
        session = self.session()
        tasks: List[wssync.WebSocketTask] = []
        told: List[Recorder] = []

        def play(striker: Striker) -> None:
            task = session.websocket_task(self.echoing.url)
            tasks[:], told[:] = [task], [Recorder()]
            call_under(striker, lambda: call(task, told[0]))
            if not striker.has_struck:
                act(task, told[0])
            task.resume()
            told[0].wait_for("called", 2, PATIENCE)
            task.close()
            self.assertEqual(len(told[0].events), 2)

        self.everywhere(play, lambda: act(tasks[0], told[0]))

    def test_before_the_start(self) -> None:
        """A message or a ping before it, and more of them, or the end, in a handler that struck that."""
        calls: Tuple[Callable[[wssync.WebSocketTask, Recorder], object], ...] = (
            lambda task, told: task.send("x", told.handler("called")),
            lambda task, told: task.send_ping(told.handler("called")),
            lambda task, told: task.receive(told.handler("called")),
        )

        def cancel(task: wssync.WebSocketTask, told: Recorder) -> None:
            task.cancel()
            told.handler("called")()

        def close(task: wssync.WebSocketTask, told: Recorder) -> None:
            task.close()
            told.handler("called")()

        for call in calls[:2]:
            for act in (*calls[:2], cancel, close):
                self.fresh(call, act)
        for act in (cancel, close):
            self.fresh(calls[2], act)

    def resumed(self, act: Callable[[wssync.WebSocketTask], object]) -> None:
        """Act at each place of a `resume`; it has to come to an end that was asked for, or to open."""
        session = self.session()
        tasks: List[wssync.WebSocketTask] = []

        def play(striker: Striker) -> None:
            task = session.websocket_task(self.echoing.url)
            tasks[:] = [task]
            call_under(striker, task.resume)
            if task.state is TaskState.RUNNING:
                task.wait_until_open(PATIENCE)
                task.close()
            else:
                task.resume()  # a cancelled one does nothing, one that was resumed twice neither
                task.wait_until_closed(PATIENCE)
            self.assertIs(task.state, TaskState.COMPLETED)

        self.everywhere(play, lambda: act(tasks[0]))

    def test_the_start(self) -> None:
        """None of the calls waits for what only the interrupted one can start."""

        def refused(call: Callable[[], object]) -> None:
            try:
                call()
            except RuntimeError:
                pass

        self.resumed(lambda task: task.close())
        self.resumed(lambda task: task.cancel())
        self.resumed(lambda task: refused(lambda: task.send("x")))
        self.resumed(lambda task: refused(lambda: task.send_ping()))
        self.resumed(lambda task: refused(lambda: task.wait_until_open()))


@needs_trustme
@with_cases
class EndOverTLSTests(EverywhereTestCase):
    """The same over TLS, for the calls that read and write themselves."""

    tls = True

    @cases({f"{name}, {end}": (name, end) for name in ("send", "receive within") for end in ("close", "cancel")})
    def test_the_task_ends(self, name: str, end: str) -> None:
        """Wherever that struck."""
        self.ends(name, end)


@unittest.skipUnless(hasattr(signal, "setitimer"), "no timer signals here")
class TimerTests(OnlineTestCase):
    """Real signals, in the main thread."""

    def alarm(self, handler: Act, first: float, interval: float = 0.0) -> None:
        """Let the handler be called, until the end of the test."""

        def handle(number: int, stack: Optional[types.FrameType]) -> None:
            handler()

        previous = signal.signal(signal.SIGALRM, handle)
        self.addCleanup(signal.signal, signal.SIGALRM, previous)
        self.addCleanup(signal.setitimer, signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_REAL, first, interval)

    def test_close_while_a_receive_waits(self) -> None:
        """As on SIGTERM: the closing handshake begins, and the receive gets its end."""
        task = self.connect()
        self.alarm(task.close, 0.05)
        with self.assertRaises(wssync.ConnectionClosed) as caught:
            task.receive()
        self.assertTrue(caught.exception.clean)
        self.assertIs(task.state, TaskState.COMPLETED)

    def beat(self, **options: Any) -> None:
        server = self.serve(compression=None, **options)
        task = self.connect(server.url)
        beats: List[None] = []

        def beat() -> None:
            if not beats[300:]:
                task.send("beat")
                beats.append(None)

        got: List[object] = []
        self.alarm(beat, 0.001, 0.0005)
        rounds = 0
        while not beats[300:]:
            task.send(b"round")
            got.append(task.receive())
            rounds += 1
        while len(got) < rounds + len(beats):
            got.append(task.receive(timeout=PATIENCE))
        self.assertEqual((got.count(b"round"), got.count("beat")), (rounds, len(beats)))

    def test_a_heartbeat(self) -> None:
        """Hundreds of sends in the middle of others: each leaves, once."""
        self.beat()

    @needs_trustme
    def test_a_heartbeat_over_tls(self) -> None:
        """The same."""
        self.beat(tls=True)


if __name__ == "__main__":
    unittest.main()
