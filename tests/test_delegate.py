"""The delegates' base classes, and how a delegate's methods are found."""

from __future__ import annotations

import inspect
import unittest
from typing import Any

from wssync.auth import AuthChallengeDisposition
from wssync.delegate import SessionDelegate, TaskDelegate, WebSocketDelegate, method_of
from wssync.protocol.http1 import Request

NAMES = (
    "session_did_become_invalid",
    "did_create_task",
    "is_waiting_for_connectivity",
    "did_receive_informational_response",
    "did_finish_collecting_metrics",
    "did_complete",
    "did_open",
    "did_close",
)
QUESTIONS = ("session_did_receive_challenge", "will_perform_http_redirection", "did_receive_challenge")


class BaseClassTests(unittest.TestCase):
    def test_they_derive_from_each_other(self) -> None:
        """As Apple's protocols do."""
        self.assertTrue(issubclass(WebSocketDelegate, TaskDelegate))
        self.assertTrue(issubclass(TaskDelegate, SessionDelegate))

    def test_every_method_does_nothing(self) -> None:
        """So a subclass may call `super()`."""
        delegate = WebSocketDelegate()
        for name in NAMES:
            method = getattr(delegate, name)
            count = len(inspect.signature(method).parameters)
            self.assertIsNone(method(*[None] * count))

    def test_every_question_is_answered_by_the_default(self) -> None:
        """Challenges are left to the library, redirects are followed."""
        delegate = WebSocketDelegate()
        by_default = AuthChallengeDisposition.PERFORM_DEFAULT_HANDLING, None
        challenge: Any = None
        response: Any = None
        request = Request("ws://example.test/")
        self.assertEqual(delegate.session_did_receive_challenge(None, challenge), by_default)
        self.assertEqual(delegate.did_receive_challenge(None, None, challenge), by_default)
        self.assertIs(delegate.will_perform_http_redirection(None, None, response, request), request)

    def test_which_class_has_which(self) -> None:
        """Session, task and WebSocket concerns each have their class."""
        own = [
            [name for name in vars(kind) if name in (*NAMES, *QUESTIONS)]
            for kind in (SessionDelegate, TaskDelegate, WebSocketDelegate)
        ]
        self.assertEqual(
            own,
            [
                ["session_did_receive_challenge", "session_did_become_invalid"],
                [
                    "did_create_task",
                    "will_perform_http_redirection",
                    "did_receive_challenge",
                    "is_waiting_for_connectivity",
                    "did_receive_informational_response",
                    "did_finish_collecting_metrics",
                    "did_complete",
                ],
                ["did_open", "did_close"],
            ],
        )


class MethodOfTests(unittest.TestCase):
    def test_any_object_will_do(self) -> None:
        """Rule 190: what it has is found, be it a function on an instance."""

        class Some:
            def did_open(self, session: object, task: object, protocol: object) -> None:
                """Something of its own."""

        some = Some()
        self.assertEqual(method_of(some, "did_open"), some.did_open)
        self.assertIsNone(method_of(some, "did_close"))
        some.did_close = lambda *details: None  # type: ignore[attr-defined]
        self.assertIs(method_of(some, "did_close"), some.did_close)  # type: ignore[attr-defined]

    def test_what_is_merely_inherited_counts_as_lacking(self) -> None:
        """The base classes' own methods do nothing, so the session's delegate is asked in their place."""

        class Own(WebSocketDelegate):
            def did_open(self, session: object, task: object, protocol: object) -> None:
                """Something of its own."""

        class Heir(Own):
            """Inherits a method that does something."""

        for name in NAMES:
            self.assertIsNone(method_of(WebSocketDelegate(), name))
        for delegate in (Own(), Heir()):
            self.assertEqual(method_of(delegate, "did_open"), delegate.did_open)
            self.assertIsNone(method_of(delegate, "did_complete"))

    def test_no_delegate(self) -> None:
        """None has no methods."""
        self.assertIsNone(method_of(None, "did_open"))
