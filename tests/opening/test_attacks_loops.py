"""Servers that never come to an end: each opening is bounded, whatever a delegate answers (rules 57, 66 and 72)."""

from __future__ import annotations

import itertools
import unittest
from typing import Any, Callable, Iterator

from tests.engine.openings import SequenceTests, moved, wants
from tests.engine.support import Questions
from wssync import AuthChallengeDisposition, Credential
from wssync.errors import AuthenticationFailed, HandshakeError, TooManyRedirects

USE = AuthChallengeDisposition.USE_CREDENTIAL
MOST = 100
"""Exchanges of one opening: far more than any that ends well has."""


class Endless:
    """The answers of a server: a function of the number of the request, which never runs out."""

    def __init__(self, answer: Callable[[int], bytes]) -> None:
        self._answer = answer
        self.given = 0

    def popleft(self) -> Callable[[bytes], Any]:
        self.given += 1
        assert self.given <= MOST, "this opening does not end"
        number = self.given
        return lambda head: [self._answer(number)]


class LoopTests(SequenceTests):
    def setUp(self) -> None:
        super().setUp()
        self.passwords: Iterator[int] = itertools.count()
        self.delegate = Questions(did_receive_challenge=self.another, will_perform_http_redirection=lambda _, new: new)

    def another(self, challenge: Any) -> Any:
        """Somebody who tries one password after the other."""
        return USE, Credential("user", str(next(self.passwords)))

    def ends(self, kind: Any, answer: Callable[[int], bytes]) -> HandshakeError:
        self.answers_left = endless = Endless(answer)  # type: ignore[assignment] # it is asked for the next one alone
        with self.assertRaises(kind) as caught:
            self.opening().run()
        self.assertGreater(endless.given, 20)
        self.assertEqual(set(self.closed()), {True})
        error: HandshakeError = caught.exception
        return error

    def test_refusals(self) -> None:
        """Each password is refused, in another realm each time, and each is another password."""
        self.ends(AuthenticationFailed, lambda number: wants(f'Basic realm="{number}"'))

    def test_nonces(self) -> None:
        """Each nonce is stale by the time that it is used, and in between the password is wrong."""
        self.ends(
            AuthenticationFailed,
            lambda number: wants(f'Digest realm="r", nonce="{number}"' + ", stale=true" * (number % 3 != 0)),
        )

    def test_redirects_with_challenges(self) -> None:
        """Each server asks for a password, and then leads to the next one."""
        self.ends(
            TooManyRedirects,
            lambda number: wants("Basic realm=r") if number % 2 else moved(f"ws://example{number}.test/"),
        )

    def test_redirects_with_refusals(self) -> None:
        """Each server refuses once, and leads back with the next answer."""
        self.ends(
            (AuthenticationFailed, TooManyRedirects),
            lambda number: wants(f"Basic realm=r{number}") if number % 3 else moved(f"ws://example{number % 2}.test/"),
        )


del SequenceTests

if __name__ == "__main__":
    unittest.main()
