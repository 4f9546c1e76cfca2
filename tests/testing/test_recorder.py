"""What happened, in order, and nothing else."""

from __future__ import annotations

import threading
import unittest
from typing import Any, List, Optional
from unittest import mock

import wssync
from tests.threads import PATIENCE, Running
from wssync.delegate import method_of
from wssync.engine.completions import Result
from wssync.errors import ConnectionClosed
from wssync.testing.case import WebSocketTestCase
from wssync.testing.recorder import Event, Recorder


class RecordingTests(unittest.TestCase):
    """What is kept of a call."""

    def setUp(self) -> None:
        self.recorder = Recorder()

    def test_no_method_is_missing(self) -> None:
        """Each method of the delegates' base classes is the recorder's own: one that is only inherited is not called,
        and would not be recorded.
        """
        names = {
            name
            for kind in wssync.WebSocketDelegate.__mro__
            if kind is not object
            for name, value in vars(kind).items()
            if callable(value) and not name.startswith("_")
        }
        self.assertGreaterEqual(len(names), 6)
        self.assertLessEqual(names, set(vars(Recorder)))

    def test_every_call_is_recorded(self) -> None:
        """Under its name, with its task, and with the arguments behind session and task; the answer is `None`."""
        recorder: Any = self.recorder
        calls = {
            "did_create_task": (),
            "is_waiting_for_connectivity": (),
            "did_receive_informational_response": ("response",),
            "did_open": ("chat",),
            "did_close": (1000, "bye"),
            "did_complete": (None,),
        }
        for name, arguments in calls.items():
            self.assertIsNone(getattr(recorder, name)("session", "task", *arguments))
        self.assertIsNone(recorder.session_did_become_invalid("session", "error"))
        thread = threading.current_thread().name
        expected = [Event(name, "task", arguments, thread) for name, arguments in calls.items()]
        expected.append(Event("session_did_become_invalid", None, ("error",), thread))
        self.assertEqual(recorder.events, expected)

    def test_a_redirect(self) -> None:
        """It is recorded, and followed unless the delegate says otherwise."""
        recorder, answers = Recorder(), Recorder()
        self.assertEqual(recorder.will_perform_http_redirection("session", "task", "302", "request"), "request")  # type: ignore[arg-type]
        outer: Any = Recorder(answers)
        answers.will_perform_http_redirection = lambda *arguments: "other"  # type: ignore[method-assign]
        self.assertEqual(outer.will_perform_http_redirection("session", "task", "302", "request"), "other")
        for heard in (recorder, outer):
            self.assertEqual(heard.events[0].arguments, ("302", "request"))

    def test_challenges(self) -> None:
        """They come to a recorder whose delegate answers them, and to no other."""

        class Answers:
            def session_did_receive_challenge(self, session: Any, challenge: Any) -> str:
                return f"session {challenge}"

            def did_receive_challenge(self, session: Any, task: Any, challenge: Any) -> str:
                return f"{task} {challenge}"

        names = ("session_did_receive_challenge", "did_receive_challenge")
        for name in names:
            self.assertIsNone(method_of(Recorder(), name))
        recorder: Any = Recorder(Answers())
        self.assertEqual(recorder.session_did_receive_challenge("session", 1), "session 1")
        self.assertEqual(recorder.did_receive_challenge("session", "task", 2), "task 2")
        self.assertEqual(
            [(event.name, event.arguments) for event in recorder.events], [(names[0], (1,)), (names[1], (2,))]
        )

    def test_metrics(self) -> None:
        """They are recorded for a test that asks for them, and passed on in any case."""
        metrics: Any = object()
        inner = Recorder(metrics=True)
        outer = Recorder(inner)
        outer.did_finish_collecting_metrics("session", "task", metrics)
        self.assertEqual(outer.events, [])
        (event,) = inner.events
        self.assertEqual((event.name, event.arguments), ("did_finish_collecting_metrics", (metrics,)))

    def test_the_thread(self) -> None:
        """An event tells on which thread it came."""
        running = Running(lambda: self.recorder.handler("pong")(None))
        running.result()
        self.assertEqual(self.recorder.next().thread, running.thread.name)

    def test_handlers(self) -> None:
        """They are recorded under the names they were given; a `Result` as the message or error in it."""
        error = ConnectionClosed("over")
        received = self.recorder.handler("received")
        for argument in (Result("text"), Result(b""), Result(error=error)):
            self.assertIsNone(received(argument))
        self.recorder.handler("sent")(None)
        self.assertEqual(
            [(event.name, event.task, event.arguments) for event in self.recorder.events],
            [
                ("received", None, ("text",)),
                ("received", None, (b"",)),
                ("received", None, (error,)),
                ("sent", None, (None,)),
            ],
        )

    def test_events_is_a_new_list(self) -> None:
        """Changing it changes nothing."""
        self.recorder.handler("sent")(None)
        self.recorder.events.clear()
        self.assertEqual(len(self.recorder.events), 1)

    def test_what_it_shows(self) -> None:
        """How many events there are, and how many were taken; an event reads as a call."""
        for number in range(3):
            self.recorder.handler("sent")(number, "x")
        self.assertEqual(str(self.recorder.next()), "sent(0, 'x')")
        self.assertEqual(repr(self.recorder), "<Recorder 3 events, 1 of them taken>")


class PassingOnTests(unittest.TestCase):
    """A recorder with another delegate behind it."""

    def test_each_call_goes_on(self) -> None:
        """With all its arguments, if the other one has such a method; it is recorded before, and the answer comes
        back.
        """
        heard: List[Any] = []

        class Other:
            def did_open(self, *arguments: object) -> str:
                heard.append((arguments, len(recorder.events)))
                return "answer"

            def session_did_become_invalid(self, *arguments: object) -> str:
                heard.append((arguments, len(recorder.events)))
                return "goodbye"

        recorder = Recorder(Other())
        self.assertEqual(recorder.did_open("session", "task", "chat"), "answer")
        self.assertIsNone(recorder.did_close("session", "task", 1000, ""))
        self.assertEqual(recorder.session_did_become_invalid("session", None), "goodbye")
        self.assertEqual(heard, [(("session", "task", "chat"), 1), (("session", None), 3)])

    def test_what_the_other_raises_is_raised(self) -> None:
        """And the call is on record."""

        class Other(wssync.WebSocketDelegate):
            def did_open(self, session: Any, task: Any, protocol: Optional[str]) -> None:
                raise KeyError("chat")

        recorder = Recorder(Other())
        with self.assertRaises(KeyError):
            recorder.did_open("session", "task", "chat")
        recorder.assert_next("did_open", "chat")


class AskingTests(unittest.TestCase):
    """Taking events, and waiting for them."""

    def setUp(self) -> None:
        self.recorder = Recorder()

    def call(self, name: str, *arguments: object) -> None:
        self.recorder.handler(name)(*arguments)

    def test_events_are_taken_in_order(self) -> None:
        """Each once; `events` still has them all."""
        self.call("a")
        self.call("b")
        self.assertEqual([self.recorder.next().name, self.recorder.next().name], ["a", "b"])
        self.assertEqual([event.name for event in self.recorder.events], ["a", "b"])
        with self.assertRaisesRegex(AssertionError, r"(?s)no further event came within 0 seconds.*\n  a\(\)\n  b\(\)$"):
            self.recorder.next(timeout=0)

    def test_an_event_is_waited_for(self) -> None:
        """Also if it comes later, on another thread."""
        taken = Running(lambda: self.recorder.next(10 * PATIENCE))
        counted = Running(lambda: self.recorder.wait_for("a", 2, 10 * PATIENCE))
        self.call("a", 1)
        self.assertEqual(taken.result().arguments, (1,))
        self.call("b")
        self.call("a", 2)
        self.assertEqual([event.arguments for event in counted.result()], [(1,), (2,)])

    def test_the_next_event_is_the_expected_one(self) -> None:
        """Then it is returned and taken. Arguments are equal by `==`."""
        self.call("a", 1, "x")
        self.call("b", ConnectionClosed("over"))
        self.assertEqual(self.recorder.assert_next("a", 1.0, "x").arguments, (1, "x"))
        error = self.recorder.assert_next("b", mock.ANY).arguments[0]
        self.assertEqual(error.code, 1006)
        self.recorder.assert_exhausted()

    def test_the_next_event_is_another_one(self) -> None:
        """AssertionError for another name, for other arguments, fewer or more; it shows both, and all there are."""
        for arguments in ((2,), (), (1, 1)):
            with self.subTest(arguments):
                self.call("a", 1)
                with self.assertRaisesRegex(AssertionError, r"(?s)^a\(.*\) was expected, but a\(1\) came.*\n  a\(1\)"):
                    self.recorder.assert_next("a", *arguments)
        self.call("b", 1)
        with self.assertRaisesRegex(AssertionError, r"^a\(1\) was expected, but b\(1\) came"):
            self.recorder.assert_next("a", 1)
        self.recorder.assert_exhausted()

    def test_there_is_no_next_event(self) -> None:
        """AssertionError that tells what was expected."""
        expected = r"^a\(1\) was expected, but no further event came within 0 seconds; there was no event at all$"
        with self.assertRaisesRegex(AssertionError, expected):
            self.recorder.assert_next("a", 1, timeout=0)

    def test_waiting_takes_nothing(self) -> None:
        """All events of that name are returned, and are still to be taken."""
        self.call("a", 1)
        self.call("a", 2)
        self.assertEqual(len(self.recorder.wait_for("a")), 2)
        self.assertEqual(self.recorder.next().arguments, (1,))
        with self.assertRaisesRegex(AssertionError, r"(?s)^2 instead of 3 times a within 0 seconds; .*\n  a\(2\)$"):
            self.recorder.wait_for("a", 3, timeout=0)

    def test_nothing_may_be_left(self) -> None:
        """AssertionError lists what was not taken, and only that."""
        self.recorder.assert_exhausted()
        self.call("a", 1)
        self.call("b", 2)
        self.recorder.next()
        with self.assertRaisesRegex(AssertionError, r"^1 events were not expected:\n  b\(2\)$"):
            self.recorder.assert_exhausted()


class ConversationTests(WebSocketTestCase):
    """A whole conversation on record."""

    def test_a_conversation(self) -> None:
        """Every call in the order of the events, on the session's thread but the first."""
        recorder = Recorder()
        with self.connect(delegate=recorder) as task:
            task.send("hello", recorder.handler("sent"))
            recorder.wait_for("sent")
            task.receive(recorder.handler("received"))
            recorder.wait_for("received")
            task.send_ping(recorder.handler("pong"))
            recorder.wait_for("pong")
        created = recorder.assert_next("did_create_task")
        self.assertEqual((created.task, created.thread), (task, threading.current_thread().name))
        self.assertRegex(recorder.assert_next("did_open", None).thread, "^wssync-session-")
        recorder.assert_next("sent", None)
        recorder.assert_next("received", "hello")
        recorder.assert_next("pong", None)
        self.assertIs(recorder.assert_next("did_close", 1000, None).task, task)
        recorder.assert_next("did_complete", None)
        recorder.assert_next("session_did_become_invalid", None)
        recorder.assert_exhausted()


if __name__ == "__main__":
    unittest.main()
