"""Who answers a challenge, and what follows from each answer."""

from __future__ import annotations

import unittest
from typing import Any, List, Optional, Tuple
from unittest import mock

from wssync.auth import AuthChallengeDisposition, AuthenticationChallenge, Credential, CredentialStorage
from wssync.auth.authenticator import Authenticator
from wssync.engine.answering import answer, ask
from wssync.engine.asking import NO_ANSWER, WITHDRAWN
from wssync.engine.context import Context
from wssync.errors import AuthenticationFailed, Cancelled
from wssync.protocol.headers import Headers
from wssync.protocol.http1 import Response

from .support import Questions

USE = AuthChallengeDisposition.USE_CREDENTIAL
DEFAULT = AuthChallengeDisposition.PERFORM_DEFAULT_HANDLING
CANCEL = AuthChallengeDisposition.CANCEL_AUTHENTICATION_CHALLENGE
REJECT = AuthChallengeDisposition.REJECT_PROTECTION_SPACE

PLACE = ("example.test", 80, "http")
OURS = Credential("user", "password")


def refusal(*challenges: str) -> Response:
    fields = [("WWW-Authenticate", challenge) for challenge in challenges or ('Basic realm="a"', 'Basic realm="b"')]
    return Response("ws://example.test/", 401, "Unauthorized", Headers(fields))


class AnsweringTestCase(unittest.TestCase):
    def setUp(self) -> None:
        self.storage = CredentialStorage()
        self.authenticator = Authenticator(storage=self.storage)
        self.asked: List[AuthenticationChallenge] = []
        self.traced: List[Tuple[str, Any]] = []

    def questions(self, *answers: Any) -> Any:
        """A delegate that gives these answers, one after the other."""
        left = list(answers)

        def reply(challenge: AuthenticationChallenge) -> Any:
            self.asked.append(challenge)
            return left.pop(0)

        return Questions(did_receive_challenge=reply)

    def answer(self, questions: Any, response: Optional[Response] = None) -> bool:
        return answer(self.authenticator, self.context(questions), response or refusal(), PLACE)

    def context(self, questions: Any) -> Context:
        plan: Any = None
        attempts: Any = mock.Mock()
        trace: Any = lambda event, **fields: self.traced.append((event, fields))  # noqa: E731
        return Context(plan, attempts, questions, trace, self.fail, self.fail, self.fail)

    @property
    def sent(self) -> Optional[str]:
        return self.authenticator.authorization("GET", "/", *PLACE)


class DelegateTests(AnsweringTestCase):
    def test_a_credential(self) -> None:
        """Rule 68: it is what the request is repeated with."""
        self.assertTrue(self.answer(self.questions((USE, OURS))))
        self.assertEqual(self.sent, "Basic dXNlcjpwYXNzd29yZA==")
        self.assertEqual(self.asked[0].protection_space.realm, "a")

    def test_use_without_a_credential(self) -> None:
        """Rule 68: that is to go on without one."""
        self.assertFalse(self.answer(self.questions((USE, None))))
        self.assertEqual(len(self.asked), 1)

    def test_default_handling(self) -> None:
        """Rule 69: the proposed one, else it is over, without another question."""
        self.assertFalse(self.answer(self.questions((DEFAULT, None))))
        self.assertEqual(len(self.asked), 1)
        self.authenticator.give(OURS, *PLACE)
        self.assertTrue(self.answer(self.questions((DEFAULT, OURS))))

    def test_the_next_one(self) -> None:
        """Rule 70: a rejected space leads to the next challenge of the same response, and behind the last to none."""
        self.assertTrue(self.answer(self.questions((REJECT, None), (USE, OURS))))
        self.assertEqual([challenge.protection_space.realm for challenge in self.asked], ["a", "b"])
        self.assertFalse(self.answer(self.questions((REJECT, None), (REJECT, None))))

    def test_a_cancel(self) -> None:
        """Rule 70: it cancels the task, and so does a future that was cancelled."""
        with self.assertRaisesRegex(Cancelled, "delegate cancelled"):
            self.answer(self.questions((CANCEL, None)))
        with self.assertRaisesRegex(Cancelled, "answer to a challenge was cancelled"):
            self.answer(self.questions(WITHDRAWN))

    def test_no_answer(self) -> None:
        """A delegate that failed to answer has left it to the default."""
        self.assertFalse(self.answer(self.questions(NO_ANSWER)))

    def test_nonsense(self) -> None:
        """It is logged by its type, for it may be a secret, and opens no door."""
        for nonsense in ("secret", (USE,), (0, "secret"), (USE, "secret"), ("secret", None), None):
            with self.subTest(nonsense), self.assertLogs("wssync", "ERROR") as logged:
                self.assertFalse(self.answer(self.questions(nonsense)))
            self.assertNotIn("secret", logged.output[0])

    def test_what_cannot_be_used(self) -> None:
        """Rule 73: a user name with a colon ends it, with the response and without the name."""
        response = refusal()
        with self.assertRaisesRegex(AuthenticationFailed, "cannot be used: .*colon") as caught:
            self.answer(self.questions((USE, Credential("se:cret", "secret"))), response)
        self.assertIs(caught.exception.response, response)
        self.assertNotIn("cret", str(caught.exception).replace("credential", ""))

    def test_a_third_time(self) -> None:
        """Rule 72: what was refused twice in a row is not tried again."""
        outcomes = []
        for _ in range(3):
            outcomes.append(self.answer(self.questions((USE, OURS))))
            self.sent  # noqa: B018 - a request goes out
        self.assertEqual(outcomes, [True, True, False])


class AloneTests(AnsweringTestCase):
    """Without a delegate."""

    def alone(self, response: Optional[Response] = None) -> bool:
        return self.answer(Questions(), response)

    def test_nothing_to_offer(self) -> None:
        """Rule 71: it is over."""
        self.assertFalse(self.alone())
        self.assertFalse(self.alone(refusal("Negotiate")))

    def test_the_first_that_has_something(self) -> None:
        """Rules 65 and 69: challenges for which there is nothing are passed by."""
        _, second = self.challenges(refusal())
        self.storage.set(OURS, second.protection_space)
        self.assertTrue(self.alone())
        self.assertIsNotNone(self.sent)

    def challenges(self, response: Response) -> Tuple[AuthenticationChallenge, ...]:
        return tuple(Authenticator().challenged(response, *PLACE).challenges)

    def test_a_stale_nonce(self) -> None:
        """Rule 74: it is repeated, and nobody is asked."""
        first = 'Digest realm="a", nonce="1", qop="auth"'
        self.assertTrue(self.answer(self.questions((USE, OURS)), refusal(first)))
        self.assertIn('nonce="1"', self.sent or "")
        self.assertTrue(self.answer(self.questions(), refusal(first.replace('"1"', '"2"') + ", stale=true")))
        self.assertIn('nonce="2"', self.sent or "")


class AskTests(AnsweringTestCase):
    def test_without_a_method(self) -> None:
        """The default is done."""
        questions: Any = Questions()
        (challenge, *_) = Authenticator().challenged(refusal(), *PLACE).challenges
        self.assertEqual(ask(self.context(questions), "session_did_receive_challenge", challenge), (DEFAULT, None))
        self.assertEqual(self.traced, [("challenge", {"method": "Basic", "realm": "a", "is_proxy": False})])

    def test_what_is_traced(self) -> None:
        """The question, and that it is waited for."""
        self.answer(self.questions((USE, OURS)))
        self.assertEqual([event for event, _ in self.traced], ["challenge", "waiting"])


if __name__ == "__main__":
    unittest.main()
