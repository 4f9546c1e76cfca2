"""The eight promises about handlers, under a thousand random schedules; and whether their judge would notice.

    1 each handler once            5 nothing after `did_complete`
    2 on the executor              6 exceptions are logged
    3 in order, never two at once  7 blocking calls never wait for the executor
    4 receives in order            8 whole messages before the error

A schedule is determined by its number, the seed. A failure names it: `Schedule(ground, seed).run()` plays it again.
"""

from __future__ import annotations

import threading
import unittest
import unittest.mock
from typing import Any, Callable, List, Optional

import wssync
from tests.stress.notes import Call, Notes
from tests.stress.schedules import run_schedules
from tests.tasks import PATIENCE, OnlineTestCase, needs_trustme
from tests.threads import is_held
from wssync.testing import Recorder, script

SCHEDULES = 900
SCHEDULES_OVER_TLS = 100


class RandomScheduleTests(OnlineTestCase):
    def _run(self, count: int, *, tls: bool) -> None:
        first = 1_000_000 if tls else 0
        results = run_schedules(iter(range(first, first + count)), tls=tls)
        found = {seed: findings for seed, findings in results.items() if findings}
        print(f"{len(results)} random schedules{' over TLS' if tls else ''}", flush=True)
        self.assertEqual(found, {}, "seeds and what they found")
        self.assertEqual(len(results), count)

    def test_over_ws(self) -> None:
        """Every promise holds, whatever two callers, the peer and the end of the task do at once."""
        self._run(SCHEDULES, tls=False)

    @needs_trustme
    def test_over_wss(self) -> None:
        """The same over TLS."""
        self._run(SCHEDULES_OVER_TLS, tls=True)


class PromiseTests(OnlineTestCase):
    """Each promise once more, by itself."""

    def test_1_every_handler_is_called_exactly_once(self) -> None:
        """With success or with the error that ended the task: rules 109 and 141."""
        told = Recorder()
        task = self.connect(delegate=told)
        handlers = [f"{kind} {number}" for number in range(20) for kind in ("sent", "received", "ponged")]
        for number in range(20):
            task.send("x", told.handler(f"sent {number}"))
            task.receive(told.handler(f"received {number}"))
            task.send_ping(told.handler(f"ponged {number}"))
        task.cancel()
        told.wait_for("session_did_become_invalid")
        called = [event.name for event in told.events]
        self.assertEqual([called.count(name) for name in handlers], [1] * 60)

    def test_2_handlers_run_on_the_executor(self) -> None:
        """Rules 181 and 187: on its thread, after the call has returned, with no lock held."""
        task, told, registered = self.connect(), Recorder(), threading.Event()

        def handle(error: object) -> None:
            told.handler("sent")(registered.wait(PATIENCE), is_held(task._connection.mutex))

        task.send("x", handle)
        registered.set()
        self.assertTrue(told.assert_next("sent", True, False).thread.startswith("wssync-session-"))

    def test_4_receives_are_first_come_first_served(self) -> None:
        """Rule 124: each gets the message of its place."""
        task, peer = self.pair()
        told = Recorder()
        for number in range(10):
            task.receive(told.handler(f"received {number}"))
        for number in range(10):
            peer.send(str(number))
        for number in range(10):
            told.assert_next(f"received {number}", str(number))

    def test_5_a_handler_given_after_the_end(self) -> None:
        """An unread message for a receive, the error for everything else, once."""
        task, peer = self.pair()
        peer.send("one")
        peer.send("two")
        self.assertReceives(task, "one")
        peer.drop()
        self.assertClosed(task)
        told = Recorder()
        task.receive(told.handler("received"))
        task.receive(told.handler("failed"))
        task.send("x", told.handler("sent"))
        told.assert_next("received", "two")
        told.assert_next("failed", task.error)
        told.assert_next("sent", task.error)

    def test_6_an_exception_in_a_handler_is_logged(self) -> None:
        """Rule 178: with its traceback, on the logger `wssync`; the task goes on."""
        task, told = self.connect(), Recorder()
        with self.assertLogs("wssync", "ERROR") as logs:
            task.receive(lambda result: 1 // 0)
            task.receive(told.handler("received"))
            task.send("one")
            task.send("two")
            told.assert_next("received", "two")
        self.assertIn("ZeroDivisionError", logs.output[0])
        self.assertIn("Traceback", logs.output[0])

    def test_8_what_arrived_whole_comes_before_the_error(self) -> None:
        """Rule 131: a hundred messages and a Close in one piece."""
        self.serve(script(map(str, range(100))))
        task = self.connect(max_queue=None)
        self.assertClosed(task)
        self.assertEqual(list(task), [str(number) for number in range(100)])


class JudgeTests(unittest.TestCase):
    """A judge that finds nothing wrong with anything would be no use."""

    def setUp(self) -> None:
        self.notes = Notes(inline=False)
        self.notes.delegate = [(10**6, "did_complete")]

    def _call(self, kind: str, *outcomes: Any, actor: str = "A", blocking: bool = False) -> Call:
        call = self.notes.begin(actor, kind)
        call.registered = call.early = not blocking
        call.blocking = blocking
        call.outcomes.extend((call.number * 10 + place, outcome) for place, outcome in enumerate(outcomes))
        return call

    def _find(self, pattern: Optional[str], sent: Any = (), delivered: Any = (), whole: bool = False) -> None:
        findings = self.notes.judge(list(sent), list(delivered), whole=whole)
        if pattern is None:
            self.assertEqual(findings, [])
        else:
            self.assertEqual(len(findings), 1, findings)
            self.assertRegex(findings[0], pattern)

    def test_a_good_story(self) -> None:
        """Nothing is found."""
        self._call("receive", wssync.Result("m1"))
        self._call("receive", "m2", blocking=True)
        self._call("send", None)
        self._call("each", wssync.Result("m3"), wssync.Result(error=wssync.Cancelled()))
        self._find(None, ["m1", "m2", "m3"], ["A:3 x"], whole=True)

    def test_a_handler_that_was_not_called(self) -> None:
        """Promise 1."""
        self._call("ping")
        self._find("0 calls")

    def test_a_handler_that_was_called_twice(self) -> None:
        """Promise 1."""
        self._call("send", None, None)
        self._find("2 calls")

    def test_each_without_its_error(self) -> None:
        """The error comes once, as the last."""
        self._call("each", wssync.Result("m"))
        self._find("must come once", ["m"])

    def test_a_handler_after_did_complete(self) -> None:
        """Promise 5."""
        self._call("ping").outcomes.append((10**7, None))
        self._find("after did_complete")

    def test_did_complete_is_missing_or_not_the_last(self) -> None:
        """Promise 5."""
        for calls in ([], [(1, "did_complete"), (2, "did_close")], [(1, "did_complete"), (2, "did_complete")]):
            self.setUp()
            self.notes.delegate = calls
            self._find("did_complete must come once")

    def test_did_close_before_did_open(self) -> None:
        """Rule 184."""
        self.notes.delegate = [(1, "did_close"), (2, "did_open"), (3, "did_complete")]
        self._find("wrong order")

    def test_messages(self) -> None:
        """Promises 3, 4 and 8: twice, lost, invented, in a wrong order."""
        for received, sent, pattern in (
            (["m", "m"], ["m"], "twice"),
            (["m"], ["m", "n"], "2 messages were sent, 1 received"),
            (["x"], ["m"], "never sent"),
            (["n", "m"], ["m", "n"], "wrong order"),
        ):
            with self.subTest(pattern):
                self.setUp()
                for message in received:
                    self._call("receive", wssync.Result(message))
                findings = self.notes.judge(list(sent), [], whole=True)
                self.assertTrue(any(pattern in finding for finding in findings), findings)

    def test_sends(self) -> None:
        """Rule 108, and what was withdrawn must not arrive."""
        for delivered in (["A:2 x", "A:1 x"], ["A:1 ", "A:1 "]):
            self.setUp()
            self._find("wrong order", (), delivered)
        self.setUp()
        self._call("send", TimeoutError("it was withdrawn"), blocking=True)
        self._find("withdrawn message was sent", (), ["A:1 "])

    def test_handlers_of_sends(self) -> None:
        """Rule 110."""
        first, second = self._call("send", None), self._call("send", None)
        first.outcomes, second.outcomes = second.outcomes, first.outcomes
        self._find("handlers of the sends of A ran in a wrong order")

    def test_where_callbacks_run(self) -> None:
        """Promise 2 and 3: not on a connection's thread, not inside the call, not two at once."""
        notes = self.notes
        thread = threading.Thread(target=notes.run, args=(lambda: None, "it"), name="wssync-read-7")
        thread.start()
        thread.join(PATIENCE)
        self._find("runs on wssync-read-7")

    def test_a_callback_inside_the_call(self) -> None:
        """Promise 2."""
        task = unittest.mock.Mock(state=None)

        def make(handler: Callable[[object], None]) -> None:
            handler(None)

        self.notes.register(self.notes.begin("A", "ping"), make, task)
        self._find("inside a call")

    def test_two_callbacks_at_once(self) -> None:
        """Promise 3."""
        self.notes.run(lambda: self.notes.run(lambda: None, "the other"), "one")
        self._find("overlaps")

    def test_a_call_that_raises_has_not_taken_its_handler(self) -> None:
        """It is not waited for."""

        def make(handler: Callable[[object], None]) -> None:
            raise RuntimeError

        with self.assertRaises(RuntimeError):
            self.notes.register(self.notes.begin("A", "ping"), make, None)
        self.assertIsNone(self.notes.wait_until_idle(0))
        self._find(None)

    def test_what_never_ran(self) -> None:
        """Waiting for it ends."""
        kept: List[Any] = []
        self.notes.register(self.notes.begin("A", "ping"), kept.append, unittest.mock.Mock(state=None))
        self.assertRegex(self.notes.wait_until_idle(0.001) or "", "never ran")
        kept[0](None)
        self.assertIsNone(self.notes.wait_until_idle(PATIENCE))
